//! Which members to ask for.

use serde_json::{Map, Value, json};
use tidemark_domain::member::Role;
use uuid::Uuid;

use super::{Pair, each, filled, flag, put, put_all, some};

/// Which members to list. Without the switches only enabled members who accepted come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembersQuery {
    /// Part of a name or mail address, 1 to 255 characters in any case.
    pub query: Option<String>,
    /// Any of these roles; all when empty.
    pub roles: Vec<Role>,
    /// Also disabled members.
    pub include_disabled: bool,
    /// Also members whose invitation waits to be accepted.
    pub include_pending: bool,
}

impl MembersQuery {
    /// Disabled and pending members too.
    pub fn everyone() -> Self {
        Self { include_disabled: true, include_pending: true, ..Self::default() }
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        some("query", self.query.as_ref())
            .chain(each("roles[]", &self.roles))
            .chain(flag("includeDisabled", self.include_disabled))
            .chain(flag("includeInvitationPending", self.include_pending))
    }
}

/// Which members to search for: all filters must hold, any value of a filter will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSearch {
    /// At most 100 ids.
    pub ids: Vec<Uuid>,
    /// At most 100 mail addresses; takes the scope for personal data.
    pub emails: Vec<String>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Only disabled members, or only enabled ones. Stronger than `include_disabled`.
    pub disabled: Option<bool>,
    /// Only pending members, or only those who accepted. Stronger than `include_pending`.
    pub pending: Option<bool>,
    /// Part of a name or mail address, 1 to 255 characters; takes the scope for personal data.
    pub query: Option<String>,
    /// Also disabled members.
    pub include_disabled: bool,
    /// Also members whose invitation waits to be accepted.
    pub include_pending: bool,
}

impl MemberSearch {
    pub(crate) fn body(&self) -> Value {
        let roles: Vec<_> = self.roles.iter().map(Role::as_str).collect();
        let (mut fields, mut filter, mut shown, mut data) = (Map::new(), Map::new(), Map::new(), Map::new());
        put_all(&mut fields, "email", &self.emails);
        put_all(&mut fields, "role", &roles);
        put(&mut fields, "disabled", self.disabled);
        put(&mut fields, "invitationPending", self.pending);
        put_all(&mut filter, "id", &self.ids);
        put(&mut filter, "fields", filled(fields));
        put(&mut shown, "includeDisabled", self.include_disabled.then_some(true));
        put(&mut shown, "includeInvitationPending", self.include_pending.then_some(true));
        put(&mut data, "filter", filled(filter));
        put(&mut data, "search", self.query.as_ref().map(|query| json!({ "query": query })));
        put(&mut data, "return", filled(shown));
        json!({ "data": data })
    }
}
