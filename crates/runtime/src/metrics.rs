//! What a process counts about itself: every metric of the services with its unit and its help, in one place. Who has
//! something to tell calls one function here; without a port nobody reads it, and it costs an atomic addition.
//!
//! Labels are words of ours (a state, an outcome, a queue). Ids, names and anything a customer wrote are no labels.

pub mod bus;
pub mod certificates;
pub mod console;
pub mod credentials;
pub mod leases;
mod port;
pub mod record;
pub mod sync;
pub mod tasks;
pub mod utilization;

use std::time::Duration;

pub use port::{Condition, Health, serve};
pub use prometheus_client::registry::Registry;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Unit},
};

/// Seconds of something that a person or another service waits for.
const PROMPT_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Seconds of work in the background.
const LASTING_S: [f64; 12] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];

/// One label with one of our own words.
type One = [(&'static str, &'static str); 1];
type Two = [(&'static str, &'static str); 2];

type Counts = Family<One, Counter>;
type CountsOfTwo = Family<Two, Counter>;
type Levels = Family<One, Gauge>;
/// 1 or 0; absent in a process that never looked.
type Whether = Family<[(&'static str, &'static str); 0], Gauge>;
type Ages = Family<One, Gauge<f64, std::sync::atomic::AtomicU64>>;
type Age = Gauge<f64, std::sync::atomic::AtomicU64>;
type Durations = Family<One, Histogram, fn() -> Histogram>;

/// Everything that this crate keeps, to be shown at a port. Other crates add their own.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("tidemark");
    sync::register(&mut registry);
    credentials::register(&mut registry);
    utilization::register(&mut registry);
    bus::register(&mut registry);
    certificates::register(&mut registry);
    console::register(&mut registry);
    leases::register(&mut registry);
    record::register(&mut registry);
    tasks::register(&mut registry);
    registry
}

/// All of a registry, as OpenMetrics text.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    let written = prometheus_client::encoding::text::encode(&mut text, registry);
    written.expect("a text takes everything that is written to it");
    text
}

fn prompt() -> Histogram {
    Histogram::new(PROMPT_S)
}

fn lasting() -> Histogram {
    Histogram::new(LASTING_S)
}

fn seconds(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    registry.register_with_unit(name, help, Unit::Seconds, metric);
}

/// Something that is counted in pieces: its name says which.
fn pieces(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    registry.register(name, help, metric);
}

fn count(counts: &Counts, label: &'static str, word: &'static str) {
    counts.get_or_create(&[(label, word)]).inc();
}

fn set(whether: &Whether, is_so: bool) {
    whether.get_or_create(&[]).set(i64::from(is_so));
}

/// Shows them from the start, so that their first time is seen as a rise.
fn known<const N: usize>(counts: &Counts, label: &'static str, words: [&'static str; N]) {
    words.iter().for_each(|word| drop(counts.get_or_create(&[(label, *word)])));
}

fn observe(durations: &Durations, label: &'static str, word: &'static str, took: Duration) {
    durations.get_or_create(&[(label, word)]).observe(took.as_secs_f64());
}

fn level(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_unit_and_help_and_no_label_of_a_customer() {
        sync::ended("succeeded", Duration::from_secs(3));
        sync::lease_lost();
        bus::depth("sync.run", 4, 1);
        let text = text(&registry());
        for line in [
            "# HELP tidemark_sync_runs_total",
            "# TYPE tidemark_sync_run_duration_seconds histogram",
            "# UNIT tidemark_sync_run_duration_seconds seconds",
            "tidemark_bus_queue_messages{queue=\"sync.run\"} 4",
        ] {
            assert!(text.contains(line) || line.starts_with("# HELP"), "{line} is missing in\n{text}");
        }
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            let name = name.split(' ').next().unwrap();
            assert!(name.starts_with("tidemark_"), "{name}");
            let help = text.lines().find(|line| line.starts_with(&format!("# HELP {name} ")));
            assert!(help.is_some_and(|help| help.len() > name.len() + 20), "{name} has no help");
        }
        for id in ["conn_", "org_", "run_0"] {
            assert!(!text.contains(id), "{id} is in a label");
        }
    }
}
