//! Consumes what happens to connections: a new one is synced, a reconnected one goes on where it stopped.
//!
//! One event at a time, in order. While the database is away the event is kept in hand and tried again: unlike a run,
//! nothing else would bring it back. What the database refuses goes to the dead letters, so that it blocks nobody.

use std::{error::Error, time::Duration};

use tidemark_domain::event::{DecodeError, Event};
use tidemark_ports::{Message, Verdict, topology::SYNC_CONNECTIONS};
use tidemark_runtime::{Shutdown, metrics::tasks as metrics, trace};
use tracing::Instrument as _;

use crate::{context::Context, start};

const PREFETCH: u16 = 16;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(crate) async fn consume(cx: &Context, shutdown: &Shutdown) {
    let soft = shutdown.soft();
    let Some(mut events) = soft.run_until_cancelled(cx.bus.subscribe(&SYNC_CONNECTIONS, PREFETCH)).await
    else {
        return;
    };
    while let Some(delivery) = soft.run_until_cancelled(events.next()).await {
        // Unsettled at the stop: the broker gives it to somebody else.
        let span = tracing::debug_span!("connection event", id = delivery.message.id);
        trace::follow_message(&span, &delivery.message.headers);
        let handled = handle(cx, &delivery.message, shutdown).instrument(span);
        let Some(verdict) = handled.await else { break };
        if let Err(error) = delivery.settle(verdict).await {
            tracing::warn!(%error, "a connection event was not settled");
        }
    }
}

async fn handle(cx: &Context, message: &Message, shutdown: &Shutdown) -> Option<Verdict> {
    let event = match decode(message) {
        Ok(event) => event,
        Err(verdict) => return Some(verdict),
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(failure) = start::on_event(cx, &event).await else { return Some(Verdict::Ack) };
        let connection = &event.connection_id;
        if let tidemark_store::Error::Corrupt { what } = &failure {
            metrics::unknown_message(SYNC_CONNECTIONS.name);
            tracing::warn!(
                %connection, what,
                "an event meets a sync that a newer version began; it is left to that version"
            );
            return Some(Verdict::Ack);
        }
        if !matches!(failure, tidemark_store::Error::Unavailable(..)) {
            tracing::error!(
                %connection, error = &failure as &dyn Error,
                "a connection event cannot be taken in, it goes to the dead letters"
            );
            return Some(Verdict::DeadLetter);
        }
        tracing::warn!(
            %connection, error = &failure as &dyn Error, "a connection event could not be taken in, trying again"
        );
        if !shutdown.pause(pause).await {
            return None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn decode(message: &Message) -> Result<Event, Verdict> {
    Event::decode(&message.body).map_err(|error| match error {
        DecodeError::UnknownType(kind) => {
            metrics::unknown_message(SYNC_CONNECTIONS.name);
            tracing::debug!(kind, "an event of a newer version is skipped");
            Verdict::Ack
        }
        DecodeError::Malformed(_) if is_event(&message.body) => {
            metrics::unknown_message(SYNC_CONNECTIONS.name);
            tracing::warn!(id = message.id, "an event in a newer version's words is skipped");
            Verdict::Ack
        }
        DecodeError::Malformed(_) => {
            tracing::error!(
                id = message.id,
                error = &error as &dyn Error,
                "a message in sync.connections is no event, it goes to the dead letters"
            );
            Verdict::DeadLetter
        }
        DecodeError::UnknownVersion { .. } | DecodeError::UnknownData(_) => {
            tracing::debug!(id = message.id, "an event in a newer version's words is skipped");
            Verdict::Ack
        }
    })
}

/// Whether it has what every event has, of whatever version.
fn is_event(body: &[u8]) -> bool {
    let Ok(serde_json::Value::Object(event)) = serde_json::from_slice(body) else { return false };
    ["specversion", "id", "type", "subject"]
        .iter()
        .all(|key| event.get(*key).is_some_and(|it| it.is_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_newer_version_is_one_and_anything_else_is_none() {
        assert!(is_event(
            br#"{"specversion":"2.0","id":"e","type":"connection.connected","subject":"s","data":7}"#
        ));
        for other in
            [&b"{}"[..], b"[]", b"nonsense", br#"{"specversion":1,"id":"e","type":"t","subject":"s"}"#]
        {
            assert!(!is_event(other), "{other:?}");
        }
    }
}
