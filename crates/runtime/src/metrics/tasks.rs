//! Tasks that should run as long as the process, and what is left to another version.

use std::sync::LazyLock;

use super::{Counts, Registry, count, known, pieces};

/// Work on many items whose first failure is seen as a rise.
const TASKS: [&str; 13] = [
    "audit",
    "consents",
    "delivery",
    "feed",
    "invitations",
    "mails",
    "probes",
    "purges",
    "renewals",
    "rollups",
    "schedule",
    "sweep",
    "webhooks",
];

struct Metrics {
    restarts: Counts,
    failures: Counts,
    unknown: Counts,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    restarts: Counts::default(),
    failures: Counts::default(),
    unknown: Counts::default(),
});

pub(super) fn register(registry: &mut Registry) {
    let m = &*METRICS;
    known(&m.failures, "task", TASKS);
    pieces(
        registry,
        "task_restarts",
        "Tasks of the process that ended or panicked and were started again, by task",
        m.restarts.clone(),
    );
    pieces(
        registry,
        "task_failures",
        "Rounds and items of a task that failed or panicked, by task: it went on with the others",
        m.failures.clone(),
    );
    pieces(
        registry,
        "unknown_messages",
        "Messages of a type or version that this process does not know, acknowledged, by queue",
        m.unknown.clone(),
    );
}

/// A task is started. Its restarts are shown from then on, so that the first is seen as a rise.
pub fn supervised(task: &'static str) {
    drop(METRICS.restarts.get_or_create(&[("task", task)]));
}

/// A task ended and is started again.
pub fn restarted(task: &'static str) {
    count(&METRICS.restarts, "task", task);
}

/// A round of a task failed, or one item of many.
pub fn failed(task: &'static str) {
    count(&METRICS.failures, "task", task);
}

/// A message of another version was acknowledged.
pub fn unknown_message(queue: &'static str) {
    count(&METRICS.unknown, "queue", queue);
}
