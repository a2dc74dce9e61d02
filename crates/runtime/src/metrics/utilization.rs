//! Rollups.

use std::{sync::LazyLock, time::Duration};

use prometheus_client::metrics::{gauge::Gauge, histogram::Histogram};

use super::{Age, Counts, Registry, count, known, lasting, level, pieces, seconds};

struct Metrics {
    rollups: Counts,
    lag: Histogram,
    behind: Gauge,
    behind_oldest: Age,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    rollups: Counts::default(),
    lag: lasting(),
    behind: Gauge::default(),
    behind_oldest: Age::default(),
});

pub(super) fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("rollup");
    let m = &*METRICS;
    let outcomes = ["written", "nothing", "superseded", "duplicate", "disconnected", "newer", "failed"];
    known(&m.rollups, "outcome", outcomes);
    pieces(
        registry,
        "computations",
        "Looks at a workspace's numbers, by what came of them",
        m.rollups.clone(),
    );
    seconds(registry, "lag", "From the end of a sync to the numbers that know of it", m.lag.clone());
    pieces(registry, "behind", "Workspaces whose last sync is not in their numbers yet", m.behind.clone());
    seconds(
        registry,
        "behind_age",
        "Since the oldest sync ended that is not in its workspace's numbers yet",
        m.behind_oldest.clone(),
    );
}

/// A look ended: `written`, `nothing`, `superseded`, `duplicate`, `disconnected`, `newer` (what a later version wrote is left
/// to it) or `failed`; and how long the numbers were behind the sync that asked for it.
pub fn computed(outcome: &'static str, lag: Option<Duration>) {
    count(&METRICS.rollups, "outcome", outcome);
    if let Some(lag) = lag {
        METRICS.lag.observe(lag.as_secs_f64());
    }
}

/// Workspaces that wait for their numbers, and since when.
pub fn behind(workspaces: u64, oldest: Duration) {
    METRICS.behind.set(level(workspaces));
    METRICS.behind_oldest.set(oldest.as_secs_f64());
}
