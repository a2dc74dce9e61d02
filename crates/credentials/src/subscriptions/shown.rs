//! Endpoints and deliveries as callers see them.

use tidemark_domain::{
    id::OrganizationId,
    webhook::{DeliveryState, DisabledReason},
};
use tidemark_rpc::{self as rpc, connections as wire};
use tidemark_store::{Attempt, Delivery, Endpoint};

pub(super) fn endpoint(endpoint: Endpoint) -> wire::WebhookEndpoint {
    let everybody = endpoint.organization_id == OrganizationId::everybody();
    wire::WebhookEndpoint {
        id: endpoint.id.to_string(),
        organization_id: if everybody { String::new() } else { endpoint.organization_id.to_string() },
        url: endpoint.url,
        event_types: endpoint.event_types.into_iter().map(String::from).collect(),
        enabled: endpoint.disabled.is_none(),
        disabled_reason: endpoint.disabled.map(DisabledReason::as_str).unwrap_or_default().to_owned(),
        disabled_sentence: endpoint.disabled.map(DisabledReason::sentence).unwrap_or_default().to_owned(),
        secret_version: endpoint.secret_version,
        created_at: Some(rpc::timestamp(endpoint.created_at)),
        updated_at: Some(rpc::timestamp(endpoint.updated_at)),
    }
}

pub(super) fn delivery(delivery: Delivery, attempts: Vec<Attempt>) -> wire::WebhookDelivery {
    let state = match delivery.state {
        DeliveryState::Pending => wire::WebhookDeliveryState::Pending,
        DeliveryState::Delivered => wire::WebhookDeliveryState::Delivered,
        DeliveryState::Dead => wire::WebhookDeliveryState::Dead,
    };
    wire::WebhookDelivery {
        id: delivery.id.to_string(),
        endpoint_id: delivery.endpoint_id.to_string(),
        event_id: delivery.event_id.to_string(),
        event_type: delivery.kind,
        state: state.into(),
        attempts: attempts.into_iter().map(attempt).collect(),
        next_attempt_at: delivery.next_attempt_at.map(rpc::timestamp),
        created_at: Some(rpc::timestamp(delivery.created_at)),
    }
}

fn attempt(attempt: Attempt) -> wire::WebhookAttempt {
    wire::WebhookAttempt {
        number: attempt.number,
        started_at: Some(rpc::timestamp(attempt.at)),
        duration_ms: attempt.duration_ms,
        status: attempt.status.and_then(|status| i32::try_from(status).ok()).unwrap_or(0),
        failure: attempt.failure.unwrap_or_default(),
        response: attempt.response.unwrap_or_default(),
    }
}
