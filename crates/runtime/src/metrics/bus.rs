//! The outbox and the broker behind it.

use std::{sync::LazyLock, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{Age, Counts, Levels, Registry, Whether, count, known, level, pieces, seconds, set};

struct Metrics {
    unsent: Gauge,
    unsent_oldest: Age,
    set_aside: Gauge,
    published: Counts,
    connects: Counts,
    acks_lost: Counter,
    depth: Levels,
    consumers: Levels,
    dead: Levels,
    is_up: Whether,
    is_blocked: Whether,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    unsent: Gauge::default(),
    unsent_oldest: Age::default(),
    set_aside: Gauge::default(),
    published: Counts::default(),
    connects: Counts::default(),
    acks_lost: Counter::default(),
    depth: Levels::default(),
    consumers: Levels::default(),
    dead: Levels::default(),
    is_up: Whether::default(),
    is_blocked: Whether::default(),
});

pub(super) fn register(registry: &mut Registry) {
    let m = &*METRICS;
    known(&m.connects, "purpose", ["publish"]);
    known(&m.published, "receipt", ["accepted", "unroutable", "unknown"]);
    let outbox = registry.sub_registry_with_prefix("outbox");
    pieces(outbox, "unsent", "Messages that wait in the outbox", m.unsent.clone());
    seconds(
        outbox,
        "oldest_age",
        "Since the oldest message was written that is unsent",
        m.unsent_oldest.clone(),
    );
    pieces(
        outbox,
        "dead",
        "Messages that were set aside because the broker refuses them",
        m.set_aside.clone(),
    );
    pieces(
        outbox,
        "published",
        "Messages that the relay gave to the broker, by the broker's answer",
        m.published.clone(),
    );
    let bus = registry.sub_registry_with_prefix("bus");
    pieces(
        bus,
        "failures",
        "Times that a connection to the broker was lost or not to be had, by what it was for",
        m.connects.clone(),
    );
    pieces(
        bus,
        "acks_lost",
        "Acknowledgements that the broker did not take: their messages come again",
        m.acks_lost.clone(),
    );
    pieces(bus, "queue_messages", "Messages that wait in a queue", m.depth.clone());
    pieces(bus, "queue_consumers", "Consumers of a queue", m.consumers.clone());
    pieces(
        bus,
        "dead_letters",
        "Messages that no service could handle, by the queue they died in",
        m.dead.clone(),
    );
    pieces(bus, "up", "1 while the broker answers", m.is_up.clone());
    pieces(
        bus,
        "blocked",
        "1 while the broker takes no messages, for an alarm of its own: no disk, no memory",
        m.is_blocked.clone(),
    );
}

/// What waits in the outbox, and since when.
pub fn unsent(messages: u64, oldest: Duration) {
    METRICS.unsent.set(level(messages));
    METRICS.unsent_oldest.set(oldest.as_secs_f64());
}

/// How many messages were set aside: the broker refuses them.
pub fn set_aside(messages: u64) {
    METRICS.set_aside.set(level(messages));
}

/// The broker's answer to a message: `accepted`, `unroutable` or `unknown`.
pub fn published(receipt: &'static str) {
    count(&METRICS.published, "receipt", receipt);
}

/// No connection, or not any more: `publish`, or the queue that was consumed.
pub fn failed(purpose: &'static str) {
    count(&METRICS.connects, "purpose", purpose);
}

/// The broker did not take an acknowledgement.
pub fn ack_lost() {
    METRICS.acks_lost.inc();
}

/// How full a queue is.
pub fn depth(queue: &'static str, messages: u64, consumers: u64) {
    METRICS.depth.get_or_create(&[("queue", queue)]).set(level(messages));
    METRICS.consumers.get_or_create(&[("queue", queue)]).set(level(consumers));
}

/// How many messages died in a queue.
pub fn dead(queue: &'static str, messages: u64) {
    METRICS.dead.get_or_create(&[("queue", queue)]).set(level(messages));
}

/// Whether the broker answers.
pub fn up(is_up: bool) {
    set(&METRICS.is_up, is_up);
}

/// Whether the broker takes no messages although it answers.
pub fn blocked(is_blocked: bool) {
    set(&METRICS.is_blocked, is_blocked);
}
