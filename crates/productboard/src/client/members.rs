//! Members: list, search, one. Scope `members:read`; names and mails take `members:pii:read` as well.

use reqwest::Method;
use uuid::Uuid;

use super::Client;
use crate::operation::{GET_MEMBER, LIST_MEMBERS, SEARCH_MEMBERS};
use crate::query::members::{MemberSearch, MembersQuery};
use crate::{Cursor, Document, Error, Member, Pages};

impl Client {
    /// The members, oldest first.
    pub fn members(&self, query: &MembersQuery, start: Option<Cursor>) -> Pages<Member> {
        self.pages(self.get(LIST_MEMBERS, &["members"]).query(query.pairs()), start)
    }

    /// The same, with each one's JSON.
    pub fn member_documents(&self, query: &MembersQuery, start: Option<Cursor>) -> Pages<Document<Member>> {
        self.pages(self.get(LIST_MEMBERS, &["members"]).query(query.pairs()), start)
    }

    /// The members that a search finds.
    pub fn search_members(&self, search: &MemberSearch, start: Option<Cursor>) -> Pages<Member> {
        let request = self.request(SEARCH_MEMBERS, Method::POST, &["members", "search"]).body(&search.body());
        self.pages(request, start)
    }

    /// One member.
    pub async fn member(&self, id: Uuid) -> Result<Member, Error> {
        self.one(self.get(GET_MEMBER, &["members", &id.to_string()])).await
    }
}
