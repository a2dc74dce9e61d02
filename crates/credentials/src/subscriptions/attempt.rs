//! One attempt at one delivery, and what follows from its answer.

use std::{error::Error as StdError, time::Instant};

use chrono::TimeDelta;
use secrecy::SecretString;
use tidemark_domain::webhook::{DEAD_IN_A_ROW, DeliveryState, DisabledReason, pause_after};
use tidemark_store::{self as store, Attempt, Delivery, DueDelivery, Endpoint};

use super::{
    Shared,
    sender::{Answer, Post},
    signature,
};
use crate::{service::Parts, vault::OpenError};

/// What the operator puts right by adding a key heals without an attempt being lost.
const UNTIL_THE_KEY_IS_THERE: TimeDelta = TimeDelta::minutes(1);

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Taken,
    Again(TimeDelta),
    GiveUp,
    Gone,
}

/// What an attempt says of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// It took the delivery.
    Taken,
    /// It did not.
    Failed,
    /// It was not asked.
    Unknown,
}

/// Sends a claimed delivery and writes down what came of it.
pub(super) async fn attempt(shared: &Shared, due: DueDelivery) -> store::Result<Answered> {
    let parts = shared.parts();
    let DueDelivery { delivery, body } = due;
    let Some(endpoint) = parts.store.webhook_endpoint(&delivery.endpoint_id).await? else {
        return Ok(Answered::Unknown);
    };
    let started_at = parts.clock.now();
    let secrets = match secrets(parts, &endpoint).await? {
        Ok(secrets) => secrets,
        Err(error) => {
            tracing::error!(endpoint = %endpoint.id, error = &error as &dyn StdError, "a webhook's secret cannot be opened");
            parts.store.postpone_delivery(&delivery, started_at + UNTIL_THE_KEY_IS_THERE).await?;
            return Ok(Answered::Unknown);
        }
    };
    let began = Instant::now();
    let outlet = shared.outlets.of(&endpoint.organization_id);
    let answer = match outlet.trusted.check(&endpoint.url) {
        Ok(url) => {
            let (id, timestamp) = (delivery.event_id.to_string(), started_at.timestamp());
            let signature = signature::sign(&secrets, &id, timestamp, &body);
            outlet.sender.post(url, Post { id, timestamp, signature, body }, &secrets).await
        }
        // The operator trusts the host no longer.
        Err(problem) => {
            Answer { status: None, failure: Some(format!("not sent: {problem}")), response: None }
        }
    };
    let decision = decide(&answer, &delivery, parts);
    let outcome = match &decision {
        Decision::Taken => "taken",
        Decision::Again(_) => "retried",
        Decision::GiveUp => "given_up",
        Decision::Gone => "gone",
    };
    tidemark_runtime::metrics::credentials::webhook(outcome, began.elapsed());
    let made = Attempt {
        number: delivery.attempts + 1,
        at: started_at,
        duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
        status: answer.status.map(i64::from),
        failure: answer.failure,
        response: answer.response,
    };
    finish(parts, &endpoint, &delivery, &made, &decision).await?;
    Ok(if decision == Decision::Taken { Answered::Taken } else { Answered::Failed })
}

/// The secrets that sign now, opened.
async fn secrets(parts: &Parts, endpoint: &Endpoint) -> store::Result<Result<Vec<SecretString>, OpenError>> {
    let sealed = parts.store.webhook_secrets(&endpoint.id, parts.clock.now()).await?;
    let open = |secret: &store::EndpointSecret| {
        parts.vault.open(signature::place(endpoint, secret.version), &secret.sealed)
    };
    Ok(sealed.iter().map(open).collect())
}

fn decide(answer: &Answer, delivery: &Delivery, parts: &Parts) -> Decision {
    if answer.failure.is_none() {
        return Decision::Taken;
    }
    if answer.status == Some(410) {
        return Decision::Gone;
    }
    let failures = u32::try_from(delivery.failures.saturating_add(1)).unwrap_or(u32::MAX);
    pause_after(failures, &*parts.entropy).map_or(Decision::GiveUp, Decision::Again)
}

async fn finish(
    parts: &Parts,
    seen: &Endpoint,
    delivery: &Delivery,
    made: &Attempt,
    decision: &Decision,
) -> store::Result<()> {
    let now = parts.clock.now();
    let (state, next) = match decision {
        Decision::Taken => (DeliveryState::Delivered, None),
        Decision::Again(pause) => (DeliveryState::Pending, Some(now + *pause)),
        Decision::GiveUp | Decision::Gone => (DeliveryState::Dead, None),
    };
    let tx = parts.store.begin().await?;
    // The endpoint before the delivery, as whoever deletes both does: two cannot wait for each other.
    let concerned = match decision {
        Decision::Taken => seen.dead_in_a_row > 0,
        Decision::Again(_) => false,
        Decision::GiveUp | Decision::Gone => true,
    };
    let endpoint = if concerned { tx.lock_webhook_endpoint(&seen.id).await? } else { None };
    if !tx.finish_attempt(delivery, made, state, next).await? {
        // Another replica was faster, or somebody asked for a redelivery: that one counts.
        return Ok(());
    }
    if let Some(endpoint) = endpoint {
        let after = after(endpoint.clone(), decision);
        tx.update_webhook_endpoint(&Endpoint { updated_at: now, ..after.clone() }).await?;
        if endpoint.disabled != after.disabled {
            let reason = after.disabled.map(DisabledReason::as_str);
            tracing::warn!(endpoint = %after.id, organization = %after.organization_id, reason, "webhook endpoint disabled");
        }
    }
    tx.commit().await?;
    let (delivery, number) = (&delivery.id, made.number);
    let failure = made.failure.as_deref();
    tracing::debug!(%delivery, endpoint = %seen.id, number, state = state.as_str(), failure, "webhook attempted");
    Ok(())
}

/// The endpoint after a delivery came to its end.
fn after(endpoint: Endpoint, decision: &Decision) -> Endpoint {
    let dead_in_a_row = if *decision == Decision::Taken { 0 } else { endpoint.dead_in_a_row + 1 };
    let disabled = match decision {
        Decision::Gone => Some(DisabledReason::Gone),
        Decision::GiveUp if dead_in_a_row >= DEAD_IN_A_ROW => Some(DisabledReason::Failing),
        _ => None,
    };
    // What a person has disabled in the meantime stays so, for the person's reason.
    Endpoint { dead_in_a_row, disabled: endpoint.disabled.or(disabled), ..endpoint }
}
