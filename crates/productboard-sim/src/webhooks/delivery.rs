//! One event on its way to one subscriber: within five seconds any 2xx takes it, everything else is tried again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Subscription, Webhooks};

const TIMEOUT: Duration = Duration::from_secs(5);
/// After so many failures it is dropped.
const ATTEMPTS: u32 = 9;

/// What became of one event for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The workspace.
    pub domain: String,
    /// The subscription.
    pub webhook_id: Uuid,
    /// The event.
    pub event_type: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// What was tried.
    pub attempts: Vec<Attempt>,
    /// When it is tried next, by the vendor's clock. `None` while it is tried, and at its end.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// On its way.
    Pending,
    /// Taken.
    Acknowledged,
    /// Given up, or the subscription was deleted or disabled: without attempts when that was so from the start.
    Dropped,
}

/// One try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When it ended, by the vendor's clock.
    pub at: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver answered with this status.
    Status(u16),
    /// No answer in five seconds.
    TimedOut,
    /// No connection, or none that spoke plain HTTP: the simulator speaks no TLS.
    Unreachable,
}

impl Delivery {
    pub(super) fn new(listener: &Subscription, event_type: &str, now: DateTime<Utc>) -> Self {
        Self {
            domain: listener.domain().to_owned(),
            webhook_id: listener.id,
            event_type: event_type.to_owned(),
            state: DeliveryState::Pending,
            attempts: Vec::new(),
            next_attempt_at: Some(now),
        }
    }

    /// Nobody tries.
    pub(super) fn lost(self) -> Self {
        Self { state: DeliveryState::Dropped, next_attempt_at: None, ..self }
    }
}

/// Tries until it is taken or dropped.
pub(super) async fn run(webhooks: Arc<Webhooks>, number: usize, listener: Arc<Subscription>, body: String) {
    for failures in 0..ATTEMPTS {
        if !webhooks.is_live(&listener) {
            break;
        }
        let outcome = webhooks.send(&listener, body.clone()).await;
        let at = webhooks.clock.now();
        let is_taken = matches!(outcome, Outcome::Status(200..300));
        // 1, 3, 9, … minutes.
        let again = (failures + 1 < ATTEMPTS).then(|| at + TimeDelta::minutes(3_i64.pow(failures)));
        let next = again.filter(|_| !is_taken);
        match next {
            _ if is_taken => listener.note_taken(),
            None => listener.note_dropped(),
            Some(_) => {}
        }
        webhooks.note(number, |delivery| {
            delivery.attempts.push(Attempt { at, outcome });
            delivery.next_attempt_at = next;
            if is_taken {
                delivery.state = DeliveryState::Acknowledged;
            }
        });
        let Some(next) = next else { break };
        webhooks.clock.reach(next).await;
        webhooks.note(number, |delivery| delivery.next_attempt_at = None);
    }
    webhooks.note(number, |delivery| {
        if delivery.state == DeliveryState::Pending {
            delivery.state = DeliveryState::Dropped;
        }
    });
}

impl Webhooks {
    async fn send(&self, listener: &Subscription, body: String) -> Outcome {
        let notification = &listener.draft.notification;
        let mut request = Request::post(&notification.url).header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &notification.headers.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let Ok(request) = request.body(Body::from(body)) else { return Outcome::Unreachable };
        match tokio::time::timeout(TIMEOUT, self.client.request(request)).await {
            Err(_) => Outcome::TimedOut,
            Ok(Err(_)) => Outcome::Unreachable,
            Ok(Ok(answer)) => Outcome::Status(answer.status().as_u16()),
        }
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Delivery)) {
        if let Some(delivery) = self.book().deliveries.get_mut(number) {
            change(delivery);
        }
    }
}
