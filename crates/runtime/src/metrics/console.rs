//! What people get from the console.

use std::{sync::LazyLock, time::Duration};

use super::{Counts, Durations, Registry, count, known, observe, pieces, prompt, seconds};

struct Metrics {
    answers: Counts,
    durations: Durations,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    answers: Counts::default(),
    durations: Durations::new_with_constructor(prompt),
});

pub(super) fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("console");
    let m = &*METRICS;
    known(&m.answers, "status", ["2xx", "3xx", "4xx", "5xx"]);
    pieces(registry, "answers", "Answers to browsers, by the class of their status", m.answers.clone());
    seconds(
        registry,
        "answer_duration",
        "From a browser's question to the head of its answer, by the class of its status",
        m.durations.clone(),
    );
}

/// A browser was answered with that status of HTTP.
pub fn answered(status: u16, took: Duration) {
    let class = match status {
        0..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    count(&METRICS.answers, "status", class);
    observe(&METRICS.durations, "status", class, took);
}
