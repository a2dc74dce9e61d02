//! Webhook subscriptions. Scopes `webhooks:read`, `webhooks:write` and `webhooks:delete`, and those of the events.
//!
//! An API key sees all of a workspace's subscriptions, an OAuth token those of its own application.

use reqwest::Method;
use uuid::Uuid;

use super::Client;
use crate::model::webhook::Reference;
use crate::operation::{CREATE_WEBHOOK, DELETE_WEBHOOK, GET_WEBHOOK, LIST_WEBHOOKS};
use crate::{Cursor, Error, NewWebhook, Pages, Webhook};

impl Client {
    /// Subscribes; gives the subscription's id. Sent once only: whether an attempt without an answer worked, the list
    /// tells.
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<Uuid, Error> {
        let request = self.request(CREATE_WEBHOOK, Method::POST, &["webhooks"]).body(&webhook.body());
        self.one::<Reference>(request.hiding(webhook.authorization.clone()).once()).await.map(|made| made.id)
    }

    /// The subscriptions.
    pub fn webhooks(&self, start: Option<Cursor>) -> Pages<Webhook> {
        self.pages(self.get(LIST_WEBHOOKS, &["webhooks"]), start)
    }

    /// One subscription.
    pub async fn webhook(&self, id: Uuid) -> Result<Webhook, Error> {
        self.one(self.get(GET_WEBHOOK, &["webhooks", &id.to_string()])).await
    }

    /// Ends a subscription.
    pub async fn delete_webhook(&self, id: Uuid) -> Result<(), Error> {
        let request = self.request(DELETE_WEBHOOK, Method::DELETE, &["webhooks", &id.to_string()]);
        self.exchange.delete(&request).await
    }
}
