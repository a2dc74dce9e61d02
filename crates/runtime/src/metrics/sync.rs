//! Syncs: what they cost and how they end.

use std::{sync::LazyLock, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{
    Age, Ages, Counts, CountsOfTwo, Durations, Levels, Registry, count, known, lasting, level, observe,
    pieces, seconds,
};

struct Metrics {
    runs: Counts,
    durations: Durations,
    deliveries: Counts,
    streams: CountsOfTwo,
    rows: Counts,
    requests: Counts,
    leases_lost: Counter,
    leases_of_the_database: Counter,
    stale_commits: Counter,
    open: Levels,
    oldest: Ages,
    ready_oldest: Age,
    due_oldest: Age,
    unknown: Gauge,
    unknown_oldest: Age,
    pausing: Gauge,
    pausing_longest: Age,
    quarantined: Gauge,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    runs: Counts::default(),
    durations: Durations::new_with_constructor(lasting),
    deliveries: Counts::default(),
    streams: CountsOfTwo::default(),
    rows: Counts::default(),
    requests: Counts::default(),
    leases_lost: Counter::default(),
    leases_of_the_database: Counter::default(),
    stale_commits: Counter::default(),
    open: Levels::default(),
    oldest: Ages::default(),
    ready_oldest: Age::default(),
    due_oldest: Age::default(),
    unknown: Gauge::default(),
    unknown_oldest: Age::default(),
    pausing: Gauge::default(),
    pausing_longest: Age::default(),
    quarantined: Gauge::default(),
});

pub(super) fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("sync");
    let m = &*METRICS;
    known(&m.deliveries, "ended", ["paused", "settled", "waiting", "failed"]);
    known(&m.runs, "outcome", ["succeeded", "partial", "failed", "cancelled"]);
    pieces(registry, "runs", "Sync runs that ended, by how", m.runs.clone());
    seconds(
        registry,
        "run_duration",
        "From a run's first delivery to its end, pauses included, by how it ended",
        m.durations.clone(),
    );
    pieces(
        registry,
        "deliveries",
        "Turns that a worker had with a run, by how the turn ended",
        m.deliveries.clone(),
    );
    pieces(registry, "streams", "Streams of ended runs, by how they stood", m.streams.clone());
    pieces(registry, "rows", "Rows received from the vendor and committed, by stream", m.rows.clone());
    pieces(
        registry,
        "requests",
        "Requests to the vendor that streams of committed pages cost, by stream",
        m.requests.clone(),
    );
    pieces(
        registry,
        "leases_lost",
        "Workspaces that a worker had to let go because its lease was not renewed in time",
        m.leases_lost.clone(),
    );
    pieces(
        registry,
        "database_leases",
        "Workspaces taken by the lease of the database because the lease service was silent",
        m.leases_of_the_database.clone(),
    );
    pieces(
        registry,
        "stale_commits_refused",
        "Writes of a worker that the fence refused since another one holds the workspace",
        m.stale_commits.clone(),
    );
    pieces(registry, "runs_open", "Runs that have not ended, by what they wait for", m.open.clone());
    seconds(
        registry,
        "run_oldest_age",
        "Since the oldest run was asked for that has not ended, by what it waits for",
        m.oldest.clone(),
    );
    seconds(
        registry,
        "ready_oldest_age",
        "Since the oldest run could have been taken by a worker and was not",
        m.ready_oldest.clone(),
    );
    seconds(
        registry,
        "due_oldest_age",
        "Since the time came of the oldest run that no sweeper has looked after",
        m.due_oldest.clone(),
    );
    pieces(registry, "unknown_runs", "Open runs of another version, which are left to it", m.unknown.clone());
    seconds(
        registry,
        "unknown_oldest_age",
        "Since the oldest open run of another version was asked for",
        m.unknown_oldest.clone(),
    );
    pieces(
        registry,
        "paused_connections",
        "Connections whose sync waits for more than a minute, as long as the vendor asked or for its next attempt",
        m.pausing.clone(),
    );
    seconds(
        registry,
        "longest_pause",
        "Until the longest of these pauses is over",
        m.pausing_longest.clone(),
    );
    pieces(
        registry,
        "quarantined_rows",
        "Rows of the vendor's that could not be read and are kept aside until it sends them right",
        m.quarantined.clone(),
    );
}

/// A run ended.
pub fn ended(outcome: &'static str, took: Duration) {
    count(&METRICS.runs, "outcome", outcome);
    observe(&METRICS.durations, "outcome", outcome, took);
}

/// A worker's turn with a run ended.
pub fn delivered(how: &'static str) {
    count(&METRICS.deliveries, "ended", how);
}

/// A stream of a run that ended.
pub fn stream_ended(stream: &'static str, state: &'static str) {
    METRICS.streams.get_or_create(&[("stream", stream), ("state", state)]).inc();
}

/// A stream's progress is in the database.
pub fn committed(stream: &'static str, rows: u64, requests: u64) {
    METRICS.rows.get_or_create(&[("stream", stream)]).inc_by(rows);
    METRICS.requests.get_or_create(&[("stream", stream)]).inc_by(requests);
}

/// A worker lost the workspace that it worked on.
pub fn lease_lost() {
    METRICS.leases_lost.inc();
}

/// The lease service was silent.
pub fn database_lease() {
    METRICS.leases_of_the_database.inc();
}

/// The fence refused a write.
pub fn stale_commit_refused() {
    METRICS.stale_commits.inc();
}

/// How many runs wait for what, and since when the oldest of them does.
pub fn open(waiting_for: &'static str, runs: u64, oldest: Duration) {
    METRICS.open.get_or_create(&[("waiting_for", waiting_for)]).set(level(runs));
    METRICS.oldest.get_or_create(&[("waiting_for", waiting_for)]).set(oldest.as_secs_f64());
}

/// Since when a worker could have taken the oldest run, and since when the sweeper should have looked after one.
pub fn waiting(ready: Duration, due: Duration) {
    METRICS.ready_oldest.set(ready.as_secs_f64());
    METRICS.due_oldest.set(due.as_secs_f64());
}

/// Open runs of another version, and since when the oldest was asked for.
pub fn unknown(runs: u64, oldest: Duration) {
    METRICS.unknown.set(level(runs));
    METRICS.unknown_oldest.set(oldest.as_secs_f64());
}

/// Connections whose sync waits, and how long the longest of them still does.
pub fn pausing(connections: u64, longest: Duration) {
    METRICS.pausing.set(level(connections));
    METRICS.pausing_longest.set(longest.as_secs_f64());
}

/// Rows that could not be read.
pub fn quarantined(rows: u64) {
    METRICS.quarantined.set(level(rows));
}
