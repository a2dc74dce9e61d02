//! Carries the outbox to the bus: claims what is due, publishes it with receipts, marks what the broker took.
//!
//! Any number of relays may run. Order per connection holds because only the oldest waiting message of a connection can
//! be claimed. A message whose fate is unknown is published again; consumers deduplicate by its id.
//!
//! A message that can never be sent must not hold up its connection, nor those that are published with it: one that the
//! broker refuses waits longer each time, and is set aside in the end (`tidemark queue outbox`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::Clock;
use tidemark_ports::{Bus, Message, Receipt, Route};
use tidemark_runtime::{Shutdown, metrics::bus as metrics, trace};
use tidemark_store::{Outgoing, OutgoingKind, RefusedMessage, Store};

const BATCH: u64 = 200;
const CLAIM: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_millis(100);
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

/// A broker takes 16 MiB by default, and closes the channel over a message that is larger.
const LARGEST_BODY: usize = 8 << 20;
/// What AMQP has room for in an id, a name or a header.
const LONGEST_NAME: usize = 255;
/// With the waits below, about four hours.
const MOST_ATTEMPTS: u32 = 24;
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(15);
/// A broker that said a word this long ago works: what it does not take now is to blame itself.
const WORKS_FOR: TimeDelta = TimeDelta::minutes(1);

/// Runs until the shutdown; what is unsent then is sent by the next relay.
pub(crate) async fn run(store: Store, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    let mut relay = Relay::new(store, bus, clock);
    loop {
        let pause = match relay.round().await {
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

#[derive(Debug, PartialEq, Eq)]
enum Round {
    Idle,
    Sent,
    Refused,
}

struct Relay {
    store: Store,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    /// When the broker last had a word on a message.
    took_at: Option<DateTime<Utc>>,
    /// The last batch broke off: one of its messages may have broken it, so each goes on its own.
    one_by_one: bool,
    first: usize,
}

impl Relay {
    fn new(store: Store, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Self {
        Self { store, bus, clock, took_at: None, one_by_one: false, first: 0 }
    }

    async fn round(&mut self) -> tidemark_store::Result<Round> {
        let now = self.clock.now();
        let claimed = self.store.claim_outgoing(now, BATCH, CLAIM).await?;
        if claimed.is_empty() {
            return Ok(Round::Idle);
        }
        let (unsendable, claimed): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|row| unsendable(row).is_some());
        let mut refused: Vec<_> = unsendable.iter().filter_map(set_aside).collect();
        let receipts = self.publish(&claimed).await;
        let now = self.clock.now();
        if receipts.iter().any(|receipt| *receipt != Receipt::Unknown) {
            self.took_at = Some(now);
        }
        self.one_by_one = receipts.contains(&Receipt::Unknown);
        let (mut sent, mut unsent) = (Vec::new(), Vec::new());
        for (row, receipt) in claimed.iter().zip(receipts) {
            match receipt {
                Receipt::Accepted => sent.push(row.id),
                Receipt::Unroutable => refused.push(refusal(row, "unroutable", now)),
                Receipt::Unknown if self.broker_works(now) => refused.push(refusal(row, "not taken", now)),
                Receipt::Unknown => unsent.push(row.id),
            }
        }
        self.store.mark_sent(&sent, now).await?;
        self.store.refuse_outgoing(&refused, now).await?;
        self.store.release_outgoing(&unsent).await?;
        warn(&refused, unsent.len());
        Ok(if unsent.is_empty() { Round::Sent } else { Round::Refused })
    }

    async fn publish(&mut self, rows: &[Outgoing]) -> Vec<Receipt> {
        let mut receipts = vec![Receipt::Unknown; rows.len()];
        if self.one_by_one {
            self.publish_each(rows, &mut receipts).await;
        } else if !rows.is_empty() {
            receipts = self.bus.publish(rows.iter().cloned().map(message).collect()).await;
        }
        for receipt in &receipts {
            metrics::published(match receipt {
                Receipt::Accepted => "accepted",
                Receipt::Unroutable => "unroutable",
                Receipt::Unknown => "unknown",
            });
        }
        receipts
    }

    /// All are of different keys and may go in any order. Each round begins with another one, so that none that breaks
    /// the channel is always the first to be tried.
    async fn publish_each(&mut self, rows: &[Outgoing], receipts: &mut [Receipt]) {
        self.first = self.first.wrapping_add(1);
        for at in (0..rows.len()).map(|at| (at + self.first) % rows.len()) {
            let answer = self.bus.publish(vec![message(rows[at].clone())]).await;
            receipts[at] = answer.first().copied().unwrap_or(Receipt::Unknown);
            let now = self.clock.now();
            if receipts[at] != Receipt::Unknown {
                self.took_at = Some(now);
            } else if !self.broker_works(now) {
                // The broker is away, as far as anybody knows: it would not answer to the others either.
                return;
            }
        }
    }

    fn broker_works(&self, now: DateTime<Utc>) -> bool {
        self.took_at.is_some_and(|took_at| now - took_at < WORKS_FOR)
    }
}

/// Why a message cannot leave, whatever the broker says.
fn unsendable(row: &Outgoing) -> Option<&'static str> {
    if row.body.len() > LARGEST_BODY {
        return Some("too large");
    }
    let longest = [&row.message_id, &row.name].into_iter().chain(&row.traceparent).map(String::len).max();
    (longest > Some(LONGEST_NAME)).then_some("its name or id is too long")
}

fn set_aside(row: &Outgoing) -> Option<RefusedMessage> {
    unsendable(row).map(|failure| RefusedMessage { id: row.id, failure, next_attempt_at: None })
}

/// The next attempt, or none any more.
fn refusal(row: &Outgoing, failure: &'static str, now: DateTime<Utc>) -> RefusedMessage {
    let attempt = row.attempts.saturating_add(1);
    let wait = TimeDelta::seconds(1_i64 << (attempt - 1).min(16)).min(LONGEST_WAIT);
    RefusedMessage { id: row.id, failure, next_attempt_at: (attempt < MOST_ATTEMPTS).then_some(now + wait) }
}

fn warn(refused: &[RefusedMessage], unsent: usize) {
    for message in refused.iter().filter(|message| message.next_attempt_at.is_none()) {
        tracing::error!(
            id = message.id,
            failure = message.failure,
            "a message cannot be sent and is set aside; `tidemark queue outbox list` shows it"
        );
    }
    let again = unsent + refused.iter().filter(|message| message.next_attempt_at.is_some()).count();
    if again > 0 {
        tracing::warn!(unsent = again, "the broker did not take all messages, they are sent again");
    }
}

fn message(row: Outgoing) -> Message {
    let route = match row.kind {
        OutgoingKind::Command => Route::Command(row.name),
        OutgoingKind::Event => Route::Event(row.name),
    };
    let trace = row.traceparent.map(|traceparent| (trace::TRACEPARENT.to_owned(), traceparent));
    Message { id: row.message_id, route, headers: BTreeMap::from_iter(trace), body: row.body.into() }
}

#[cfg(test)]
mod tests;
