//! The database, as this process sees it.

use std::{
    collections::BTreeSet,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

use super::{Age, Counts, Levels, Registry, Whether, count, known, level, pieces, prompt, seconds, set};

/// Rows that are remembered as logged.
const MOST_LOGGED: usize = 1_000;

struct Metrics {
    connections: Levels,
    poisoned: Counter,
    unreadable: Counts,
    is_up: Whether,
    answer: Histogram,
    clock: Age,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    connections: Levels::default(),
    poisoned: Counter::default(),
    unreadable: Counts::default(),
    is_up: Whether::default(),
    answer: prompt(),
    clock: Age::default(),
});

pub(super) fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("database");
    let m = &*METRICS;
    known(&m.unreadable, "table", ["connections", "rollups", "runs"]);
    pieces(
        registry,
        "pool_connections",
        "Connections of this process to the database: in use, idle, and how many there may be",
        m.connections.clone(),
    );
    pieces(
        registry,
        "poisoned",
        "Connections that were thrown away because somebody left them inside a transaction",
        m.poisoned.clone(),
    );
    pieces(
        registry,
        "unreadable_rows",
        "Rows that were passed by because they hold what this version does not know: a newer one writes, or something is broken",
        m.unreadable.clone(),
    );
    pieces(registry, "up", "1 while the database answers and takes writes", m.is_up.clone());
    seconds(
        registry,
        "clock_offset",
        "How far the clock of this process is from the database's",
        m.clock.clone(),
    );
    seconds(
        registry,
        "answer_duration",
        "How long the database took to say that it is there",
        m.answer.clone(),
    );
}

/// The pool of this process.
pub fn pool(used: u64, idle: u64, most: u64) {
    for (state, number) in [("used", used), ("idle", idle), ("most", most)] {
        METRICS.connections.get_or_create(&[("state", state)]).set(level(number));
    }
}

/// A connection was left inside a transaction.
pub fn poisoned() {
    METRICS.poisoned.inc();
}

/// A row was passed by because of something in it that this version does not know. Counted each time, and logged once: it
/// comes by again and again.
pub fn unreadable(table: &'static str, id: &str, what: &str) {
    static LOGGED: Mutex<BTreeSet<(&'static str, String)>> = Mutex::new(BTreeSet::new());
    count(&METRICS.unreadable, "table", table);
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.len() >= MOST_LOGGED {
        logged.clear();
    }
    if logged.insert((table, id.to_owned())) {
        tracing::warn!(table, id, what, "a row holds what this version does not know; it is left alone");
    }
}

/// How far our clock is from the database's.
pub fn clock(offset: Duration) {
    METRICS.clock.set(offset.as_secs_f64());
}

/// Whether it answers, and how soon it said so.
pub fn answered(took: Option<Duration>) {
    set(&METRICS.is_up, took.is_some());
    if let Some(took) = took {
        METRICS.answer.observe(took.as_secs_f64());
    }
}
