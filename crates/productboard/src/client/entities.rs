//! Entities of all types, what they are related to, and how a workspace has configured them. Scope `entities:read`.

use reqwest::Method;
use uuid::Uuid;

use super::Client;
use crate::operation::{
    GET_ENTITY, GET_ENTITY_CONFIGURATION, LIST_ENTITIES, LIST_ENTITY_CONFIGURATIONS,
    LIST_ENTITY_RELATIONSHIPS, LIST_FIELD_VALUES, SEARCH_ENTITIES,
};
use crate::query::entities::{EntitiesQuery, EntityRelationshipsQuery, EntitySearch};
use crate::query::{FieldSelection, each};
use crate::request::Request;
use crate::{
    Configuration, Configured, Cursor, Document, Entity, EntityType, Error, Pages, Relationship, SelectValue,
};

impl Client {
    /// The entities that pass all filters. There is none for dates: see [`Client::search_entities`].
    pub fn entities(&self, query: &EntitiesQuery, start: Option<Cursor>) -> Pages<Entity> {
        self.pages(self.get(LIST_ENTITIES, &["entities"]).query(query.pairs()), start)
    }

    /// The same, with each one's JSON.
    pub fn entity_documents(&self, query: &EntitiesQuery, start: Option<Cursor>) -> Pages<Document<Entity>> {
        self.pages(self.get(LIST_ENTITIES, &["entities"]).query(query.pairs()), start)
    }

    /// The entities that a search finds. For objectives the vendor has been seen to find nothing: list them instead.
    pub fn search_entities(&self, search: &EntitySearch, start: Option<Cursor>) -> Pages<Entity> {
        self.pages(self.entity_search(search), start)
    }

    /// The same, with each one's JSON.
    pub fn search_entity_documents(
        &self,
        search: &EntitySearch,
        start: Option<Cursor>,
    ) -> Pages<Document<Entity>> {
        self.pages(self.entity_search(search), start)
    }

    fn entity_search(&self, search: &EntitySearch) -> Request {
        self.request(SEARCH_ENTITIES, Method::POST, &["entities", "search"]).body(&search.body())
    }

    /// One entity.
    pub async fn entity(&self, id: Uuid, fields: &FieldSelection) -> Result<Entity, Error> {
        self.one(self.get(GET_ENTITY, &["entities", &id.to_string()]).query(fields.pairs())).await
    }

    /// One entity with its JSON.
    pub async fn entity_document(
        &self,
        id: Uuid,
        fields: &FieldSelection,
    ) -> Result<Document<Entity>, Error> {
        self.one(self.get(GET_ENTITY, &["entities", &id.to_string()]).query(fields.pairs())).await
    }

    /// What an entity is related to, one kind at a time: links, unless the query says otherwise. An entity carries
    /// the first of its relationships with it; the rest begins at [`Relationships::next`](crate::Relationships::next).
    pub fn entity_relationships(
        &self,
        id: Uuid,
        query: &EntityRelationshipsQuery,
        start: Option<Cursor>,
    ) -> Pages<Relationship> {
        self.pages(self.relationships_of(id, query), start)
    }

    /// The same, with each one's JSON.
    pub fn entity_relationship_documents(
        &self,
        id: Uuid,
        query: &EntityRelationshipsQuery,
        start: Option<Cursor>,
    ) -> Pages<Document<Relationship>> {
        self.pages(self.relationships_of(id, query), start)
    }

    /// Which fields, relationships and filters entities have; of all types where none is named.
    pub fn entity_configurations(
        &self,
        types: &[EntityType],
        start: Option<Cursor>,
    ) -> Pages<Configuration<EntityType>> {
        let request = self.get(LIST_ENTITY_CONFIGURATIONS, &["entities", "configurations"]);
        self.pages(request.query(each("type[]", types)), start)
    }

    /// The same as JSON.
    pub fn entity_configuration_documents(
        &self,
        types: &[EntityType],
        start: Option<Cursor>,
    ) -> Pages<Document<Configured>> {
        let request = self.get(LIST_ENTITY_CONFIGURATIONS, &["entities", "configurations"]);
        self.pages(request.query(each("type[]", types)), start)
    }

    /// Which fields, relationships and filters entities of one type have.
    pub async fn entity_configuration(&self, of: &EntityType) -> Result<Configuration<EntityType>, Error> {
        self.one(self.get(GET_ENTITY_CONFIGURATION, &["entities", "configurations", of.as_str()])).await
    }

    /// The values that a select field, or `status`, can take; for some types of entities only where any are named.
    pub fn field_values(
        &self,
        field: &str,
        assigned_to: &[EntityType],
        start: Option<Cursor>,
    ) -> Pages<SelectValue> {
        self.pages(self.values_of(field, assigned_to), start)
    }

    /// The same, with each one's JSON.
    pub fn field_value_documents(
        &self,
        field: &str,
        assigned_to: &[EntityType],
        start: Option<Cursor>,
    ) -> Pages<Document<SelectValue>> {
        self.pages(self.values_of(field, assigned_to), start)
    }

    fn relationships_of(&self, id: Uuid, query: &EntityRelationshipsQuery) -> Request {
        let request = self.get(LIST_ENTITY_RELATIONSHIPS, &["entities", &id.to_string(), "relationships"]);
        request.query(query.pairs())
    }

    fn values_of(&self, field: &str, assigned_to: &[EntityType]) -> Request {
        let request = self.get(LIST_FIELD_VALUES, &["entities", "fields", field, "values"]);
        request.query(each("assignedEntityType[]", assigned_to))
    }
}
