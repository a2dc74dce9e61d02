//! Carries the outbox to the bus: claims what is due, publishes it with receipts, marks what the broker took.
//!
//! Any number of relays may run. Order per connection holds because only the oldest unsent message of a connection can
//! be claimed. A message whose fate is unknown is published again; consumers deduplicate by its id.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidemark_domain::Clock;
use tidemark_ports::{Bus, Message, Receipt, Route};
use tidemark_runtime::{Shutdown, metrics::bus as metrics, trace};
use tidemark_store::{Outgoing, OutgoingKind, Store};

const BATCH: u64 = 200;
const CLAIM: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_millis(100);
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

/// Runs until the shutdown; what is unsent then is sent by the next relay.
pub(crate) async fn run(store: Store, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    loop {
        let pause = match round(&store, bus.as_ref(), clock.as_ref()).await {
            Ok(Round::Idle) => IDLE,
            Ok(Round::Sent) => Duration::ZERO,
            Ok(Round::Refused) => AFTER_A_FAULT,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "outbox not read, trying again");
                AFTER_A_FAULT
            }
        };
        if !shutdown.pause(pause).await {
            return;
        }
    }
}

enum Round {
    Idle,
    Sent,
    Refused,
}

async fn round(store: &Store, bus: &dyn Bus, clock: &dyn Clock) -> tidemark_store::Result<Round> {
    let claimed = store.claim_outgoing(clock.now(), BATCH, CLAIM).await?;
    if claimed.is_empty() {
        return Ok(Round::Idle);
    }
    let ids: Vec<i64> = claimed.iter().map(|row| row.id).collect();
    let receipts = bus.publish(claimed.into_iter().map(message).collect()).await;
    let (mut sent, mut unsent) = (Vec::new(), Vec::new());
    for (id, receipt) in ids.into_iter().zip(receipts) {
        let (pile, word) = match receipt {
            Receipt::Accepted => (&mut sent, "accepted"),
            Receipt::Unroutable => (&mut unsent, "unroutable"),
            Receipt::Unknown => (&mut unsent, "unknown"),
        };
        metrics::published(word);
        pile.push(id);
    }
    store.mark_sent(&sent, clock.now()).await?;
    if unsent.is_empty() {
        return Ok(Round::Sent);
    }
    tracing::warn!(unsent = unsent.len(), "the broker did not take all messages, they are sent again");
    store.release_outgoing(&unsent).await?;
    Ok(Round::Refused)
}

fn message(row: Outgoing) -> Message {
    let route = match row.kind {
        OutgoingKind::Command => Route::Command(row.name),
        OutgoingKind::Event => Route::Event(row.name),
    };
    let trace = row.traceparent.map(|traceparent| (trace::TRACEPARENT.to_owned(), traceparent));
    Message { id: row.message_id, route, headers: BTreeMap::from_iter(trace), body: row.body.into() }
}
