//! Makes, changes and deletes endpoints, replaces their secrets, and shows and repeats their deliveries.
//!
//! What a caller may not see does not exist for it.

use secrecy::{ExposeSecret, SecretString};
use tidemark_domain::{
    id::{EventId, OrganizationId, WebhookDeliveryId, WebhookEndpointId},
    webhook::{DeliveryState, DisabledReason, EventPattern, OLD_SECRET_SIGNS_FOR, TEST_EVENT},
};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::{Delivery, Endpoint, EndpointSecret, NewDelivery, Tx};

use super::{sender::Outlets, shown, signature};
use crate::{
    audit::{Action, Entry},
    page,
    refusal::Fault,
    service::Parts,
};

const MOST_ENDPOINTS: u64 = 100;
const MOST_PATTERNS: usize = 50;
/// Old secrets that still sign: whoever replaces them more often within a day has a receiver that knows a newer one.
const OLD_SECRETS: i64 = 2;
const ENDPOINT: Refusal = Refusal::NotFound { what: "webhook endpoint" };

/// A handler's ground: the record, and who asks.
pub(super) struct Desk<'a> {
    pub(super) parts: &'a Parts,
    pub(super) outlets: &'a Outlets,
    pub(super) caller: &'a Identity,
}

impl Desk<'_> {
    pub(super) async fn create(
        &self,
        request: wire::CreateWebhookEndpointRequest,
    ) -> Result<wire::CreateWebhookEndpointResponse, Fault> {
        let organization_id = self.organization(&request.organization_id)?;
        let url = self.url(&organization_id, &request.url)?;
        let event_types = patterns(&request.event_types)?;
        let store = &self.parts.store;
        if store.webhook_endpoints_of(&organization_id, None, MOST_ENDPOINTS).await?.len() as u64
            == MOST_ENDPOINTS
        {
            let sentence = format!(
                "The organization has {MOST_ENDPOINTS} webhook endpoints; delete one that is not needed."
            );
            return Err(Refusal::Precondition { reason: "TOO_MANY_ENDPOINTS", sentence }.into());
        }
        let now = self.parts.clock.now();
        let endpoint = Endpoint {
            id: WebhookEndpointId::generate(&*self.parts.clock, &*self.parts.entropy),
            organization_id,
            url,
            event_types,
            disabled: None,
            secret_version: 1,
            dead_in_a_row: 0,
            created_at: now,
            updated_at: now,
        };
        let tx = store.begin().await?;
        tx.insert_webhook_endpoint(&endpoint).await?;
        let secret = self.renew_secret(&tx, &endpoint).await?;
        self.parts.audit.append(&tx, self.entry(&endpoint, Action::CreateWebhookSecret)).await?;
        tx.commit().await?;
        log(&endpoint, "webhook endpoint created");
        let secret = secret.expose_secret().to_owned();
        Ok(wire::CreateWebhookEndpointResponse { endpoint: Some(shown::endpoint(endpoint)), secret })
    }

    pub(super) async fn list(
        &self,
        request: &wire::ListWebhookEndpointsRequest,
    ) -> Result<wire::ListWebhookEndpointsResponse, Fault> {
        let organization = self.organization(&request.organization_id)?;
        let after = page::start(&request.page_token)?;
        let size = page::size(request.page_size, 100, 500);
        let store = &self.parts.store;
        let mut endpoints =
            store.webhook_endpoints_of(&organization, after.as_ref(), size as u64 + 1).await?;
        let next_page_token = page::cut(&mut endpoints, size, |endpoint| endpoint.id.to_string());
        let endpoints = endpoints.into_iter().map(shown::endpoint).collect();
        Ok(wire::ListWebhookEndpointsResponse { endpoints, next_page_token })
    }

    pub(super) async fn update(
        &self,
        request: wire::UpdateWebhookEndpointRequest,
    ) -> Result<wire::WebhookEndpoint, Fault> {
        let id = rpc::parse("endpoint_id", &request.endpoint_id)?;
        let types = request.event_types;
        let event_types = if types.is_empty() { None } else { Some(patterns(&types)?) };
        let tx = self.parts.store.begin().await?;
        let old = self.visible(tx.lock_webhook_endpoint(&id).await?)?;
        let url = request.url.map(|url| self.url(&old.organization_id, &url)).transpose()?;
        let (disabled, dead_in_a_row) = match request.enabled {
            None => (old.disabled, old.dead_in_a_row),
            Some(true) => (None, 0),
            Some(false) => (Some(old.disabled.unwrap_or(DisabledReason::Asked)), old.dead_in_a_row),
        };
        let new = Endpoint {
            url: url.unwrap_or(old.url),
            event_types: event_types.unwrap_or(old.event_types),
            disabled,
            dead_in_a_row,
            updated_at: self.parts.clock.now(),
            ..old
        };
        tx.update_webhook_endpoint(&new).await?;
        tx.commit().await?;
        log(&new, "webhook endpoint changed");
        Ok(shown::endpoint(new))
    }

    pub(super) async fn delete(&self, id: &str) -> Result<(), Fault> {
        let id = rpc::parse("endpoint_id", id)?;
        let tx = self.parts.store.begin().await?;
        let endpoint = self.visible(tx.lock_webhook_endpoint(&id).await?)?;
        tx.delete_webhook_endpoint(&id).await?;
        self.parts.audit.append(&tx, self.entry(&endpoint, Action::DeleteWebhook)).await?;
        tx.commit().await?;
        log(&endpoint, "webhook endpoint deleted");
        Ok(())
    }

    pub(super) async fn rotate(&self, id: &str) -> Result<wire::RotateWebhookSecretResponse, Fault> {
        let id = rpc::parse("endpoint_id", id)?;
        let tx = self.parts.store.begin().await?;
        let old = self.visible(tx.lock_webhook_endpoint(&id).await?)?;
        let now = self.parts.clock.now();
        let new = Endpoint { secret_version: old.secret_version + 1, updated_at: now, ..old };
        tx.update_webhook_endpoint(&new).await?;
        let secret = self.renew_secret(&tx, &new).await?;
        self.parts.audit.append(&tx, self.entry(&new, Action::CreateWebhookSecret)).await?;
        tx.commit().await?;
        log(&new, "webhook secret replaced");
        Ok(wire::RotateWebhookSecretResponse {
            secret: secret.expose_secret().to_owned(),
            old_signs_until: Some(rpc::timestamp(now + OLD_SECRET_SIGNS_FOR)),
        })
    }

    pub(super) async fn deliveries(
        &self,
        request: &wire::ListWebhookDeliveriesRequest,
    ) -> Result<wire::ListWebhookDeliveriesResponse, Fault> {
        let endpoint = self.endpoint(&request.endpoint_id).await?;
        let state = match request.state() {
            wire::WebhookDeliveryState::Unspecified => None,
            wire::WebhookDeliveryState::Pending => Some(DeliveryState::Pending),
            wire::WebhookDeliveryState::Delivered => Some(DeliveryState::Delivered),
            wire::WebhookDeliveryState::Dead => Some(DeliveryState::Dead),
        };
        let before = page::start(&request.page_token)?;
        let size = page::size(request.page_size, 50, 200);
        let store = &self.parts.store;
        let mut rows =
            store.webhook_deliveries_of(&endpoint.id, state, before.as_ref(), size as u64 + 1).await?;
        let next_page_token = page::cut(&mut rows, size, |delivery| delivery.id.to_string());
        let mut attempts = store.webhook_attempts(&rows).await?;
        let shown = |delivery: Delivery| {
            let attempts = attempts.remove(&delivery.id).unwrap_or_default();
            shown::delivery(delivery, attempts)
        };
        let deliveries = rows.into_iter().map(shown).collect();
        Ok(wire::ListWebhookDeliveriesResponse { deliveries, next_page_token })
    }

    pub(super) async fn redeliver(&self, id: &str) -> Result<wire::WebhookDelivery, Fault> {
        let id: WebhookDeliveryId = rpc::parse("delivery_id", id)?;
        let store = &self.parts.store;
        let unknown = || Refusal::NotFound { what: "webhook delivery" };
        let delivery = store.webhook_delivery(&id).await?.ok_or_else(unknown)?;
        let endpoint = store.webhook_endpoint(&delivery.endpoint_id).await?;
        enabled(&self.visible(endpoint).map_err(|_| unknown())?)?;
        if !store.restart_delivery(&delivery, self.parts.clock.now()).await? {
            return Err(Fault::Overtaken);
        }
        self.shown(&id).await
    }

    pub(super) async fn test(&self, id: &str) -> Result<wire::WebhookDelivery, Fault> {
        let endpoint = self.endpoint(id).await?;
        enabled(&endpoint)?;
        let new = self.test_event(&endpoint);
        let tx = self.parts.store.begin().await?;
        tx.insert_deliveries(std::slice::from_ref(&new), self.parts.clock.now()).await?;
        tx.commit().await?;
        self.shown(&new.id).await
    }

    pub(super) async fn endpoint(&self, id: &str) -> Result<Endpoint, Fault> {
        let id = rpc::parse("endpoint_id", id)?;
        self.visible(self.parts.store.webhook_endpoint(&id).await?)
    }

    /// For the audit log: in the chain of the organization, or the platform's.
    fn entry(&self, endpoint: &Endpoint, action: Action) -> Entry {
        let organization = &endpoint.organization_id;
        let organization = (*organization != OrganizationId::everybody()).then_some(organization);
        Entry::new(organization, self.caller.actor(), action, &endpoint.id)
            .with("version", endpoint.secret_version)
    }

    fn visible(&self, endpoint: Option<Endpoint>) -> Result<Endpoint, Fault> {
        let visible = endpoint
            .filter(|endpoint| self.caller.check(&endpoint.organization_id, "webhook endpoint").is_ok());
        visible.ok_or_else(|| ENDPOINT.into())
    }

    fn organization(&self, asked: &str) -> Result<OrganizationId, Fault> {
        let organization = match asked {
            "" => OrganizationId::everybody(),
            id => rpc::parse("organization_id", id)?,
        };
        if self.caller.check(&organization, "organization").is_ok() {
            return Ok(organization);
        }
        Err(match asked {
            "" => Refusal::invalid("organization_id", "name one: this caller may not see all organizations"),
            _ => Refusal::NotFound { what: "organization" },
        }
        .into())
    }

    fn url(&self, organization: &OrganizationId, text: &str) -> Result<String, Refusal> {
        let checked = self.outlets.of(organization).trusted.check(text.trim());
        checked.map(String::from).map_err(|problem| Refusal::invalid("url", problem))
    }

    /// Gives the endpoint a secret of its present version.
    async fn renew_secret(&self, tx: &Tx, endpoint: &Endpoint) -> Result<SecretString, Fault> {
        let Parts { vault, clock, entropy, .. } = self.parts;
        let (secret, now) = (signature::new_secret(&**entropy), clock.now());
        let sealed = EndpointSecret {
            endpoint_id: endpoint.id.clone(),
            version: endpoint.secret_version,
            sealed: vault.seal(signature::place(endpoint, endpoint.secret_version), &secret),
            created_at: now,
            signs_until: None,
        };
        tx.insert_webhook_secret(&sealed, now + OLD_SECRET_SIGNS_FOR, OLD_SECRETS).await?;
        Ok(secret)
    }

    fn test_event(&self, endpoint: &Endpoint) -> NewDelivery {
        let Parts { clock, entropy, .. } = self.parts;
        let event_id = EventId::generate(&**clock, &**entropy);
        let body = serde_json::json!({
            "specversion": "1.0",
            "id": event_id,
            "source": "/tidemark/webhooks",
            "type": TEST_EVENT,
            "time": clock.now(),
            "subject": endpoint.id,
            "datacontenttype": "application/json",
            "dataschema": format!("tidemark:{TEST_EVENT}:v1"),
            "data": { "endpoint_id": endpoint.id },
        });
        NewDelivery {
            id: WebhookDeliveryId::generate(&**clock, &**entropy),
            endpoint_id: endpoint.id.clone(),
            event_id,
            kind: TEST_EVENT.to_owned(),
            body: body.to_string().into_bytes(),
        }
    }

    async fn shown(&self, id: &WebhookDeliveryId) -> Result<wire::WebhookDelivery, Fault> {
        let delivery = self.parts.store.webhook_delivery(id).await?;
        let delivery = delivery.ok_or(Refusal::NotFound { what: "webhook delivery" })?;
        let mut attempts = self.parts.store.webhook_attempts(std::slice::from_ref(&delivery)).await?;
        let attempts = attempts.remove(id).unwrap_or_default();
        Ok(shown::delivery(delivery, attempts))
    }
}

fn enabled(endpoint: &Endpoint) -> Result<(), Refusal> {
    let Some(reason) = endpoint.disabled else { return Ok(()) };
    let sentence = format!("Nothing is sent to this endpoint. {}", reason.sentence());
    Err(Refusal::Precondition { reason: "ENDPOINT_DISABLED", sentence })
}

fn patterns(texts: &[String]) -> Result<Vec<EventPattern>, Refusal> {
    if texts.len() > MOST_PATTERNS {
        return Err(Refusal::invalid(
            "event_types",
            format!("more than {MOST_PATTERNS} of them; use patterns"),
        ));
    }
    let all = ["*".to_owned()];
    let texts = if texts.is_empty() { all.as_slice() } else { texts };
    let patterns = texts.iter().map(|text| text.parse());
    patterns
        .collect::<Result<_, tidemark_domain::webhook::InvalidPattern>>()
        .map_err(|error| Refusal::invalid("event_types", error.to_string()))
}

/// The URL stays out: it may hold a secret of the receiver.
fn log(endpoint: &Endpoint, what: &'static str) {
    let (id, organization) = (&endpoint.id, &endpoint.organization_id);
    tracing::info!(endpoint = %id, %organization, enabled = endpoint.disabled.is_none(), "{what}");
}
