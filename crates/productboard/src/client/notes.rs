//! Notes, what they are related to, and how a workspace has configured them. Scope `notes:read`.

use reqwest::Method;
use uuid::Uuid;

use super::Client;
use crate::operation::{
    GET_NOTE, GET_NOTE_CONFIGURATION, LIST_NOTE_CONFIGURATIONS, LIST_NOTE_RELATIONSHIPS, LIST_NOTES,
    SEARCH_NOTES,
};
use crate::query::FieldSelection;
use crate::query::notes::{NoteRelationshipsQuery, NoteSearch, NotesQuery};
use crate::request::Request;
use crate::{Configuration, Configured, Cursor, Document, Error, Note, NoteType, Pages, Relationship};

impl Client {
    /// The notes that pass all filters, newest first.
    pub fn notes(&self, query: &NotesQuery, start: Option<Cursor>) -> Pages<Note> {
        self.pages(self.get(LIST_NOTES, &["notes"]).query(query.pairs()), start)
    }

    /// The same, with each one's JSON.
    pub fn note_documents(&self, query: &NotesQuery, start: Option<Cursor>) -> Pages<Document<Note>> {
        self.pages(self.get(LIST_NOTES, &["notes"]).query(query.pairs()), start)
    }

    /// The notes that a search finds.
    pub fn search_notes(&self, search: &NoteSearch, start: Option<Cursor>) -> Pages<Note> {
        self.pages(self.note_search(search), start)
    }

    /// The same, with each one's JSON.
    pub fn search_note_documents(&self, search: &NoteSearch, start: Option<Cursor>) -> Pages<Document<Note>> {
        self.pages(self.note_search(search), start)
    }

    fn note_search(&self, search: &NoteSearch) -> Request {
        self.request(SEARCH_NOTES, Method::POST, &["notes", "search"]).body(&search.body())
    }

    /// One note.
    pub async fn note(&self, id: Uuid, fields: &FieldSelection) -> Result<Note, Error> {
        self.one(self.get(GET_NOTE, &["notes", &id.to_string()]).query(fields.pairs_of_notes())).await
    }

    /// Whom a note came from and what it is linked to.
    pub fn note_relationships(
        &self,
        id: Uuid,
        query: &NoteRelationshipsQuery,
        start: Option<Cursor>,
    ) -> Pages<Relationship> {
        self.pages(self.note_relationships_of(id, query), start)
    }

    /// The same, with each one's JSON.
    pub fn note_relationship_documents(
        &self,
        id: Uuid,
        query: &NoteRelationshipsQuery,
        start: Option<Cursor>,
    ) -> Pages<Document<Relationship>> {
        self.pages(self.note_relationships_of(id, query), start)
    }

    /// Which fields and relationships notes have, for each type.
    pub fn note_configurations(&self, start: Option<Cursor>) -> Pages<Configuration<NoteType>> {
        self.pages(self.get(LIST_NOTE_CONFIGURATIONS, &["notes", "configurations"]), start)
    }

    /// The same as JSON.
    pub fn note_configuration_documents(&self, start: Option<Cursor>) -> Pages<Document<Configured>> {
        self.pages(self.get(LIST_NOTE_CONFIGURATIONS, &["notes", "configurations"]), start)
    }

    /// Which fields and relationships notes of one type have.
    pub async fn note_configuration(&self, of: &NoteType) -> Result<Configuration<NoteType>, Error> {
        self.one(self.get(GET_NOTE_CONFIGURATION, &["notes", "configurations", of.as_str()])).await
    }

    fn note_relationships_of(&self, id: Uuid, query: &NoteRelationshipsQuery) -> Request {
        let request = self.get(LIST_NOTE_RELATIONSHIPS, &["notes", &id.to_string(), "relationships"]);
        request.query(query.pairs())
    }
}
