//! The lease service.

use std::sync::LazyLock;

use prometheus_client::metrics::counter::Counter;

use super::{Registry, Whether, pieces, set};

struct Metrics {
    rebuilt: Counter,
    is_up: Whether,
}

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics { rebuilt: Counter::default(), is_up: Whether::default() });

pub(super) fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("leases");
    let m = &*METRICS;
    pieces(
        registry,
        "rebuilt",
        "Connections to the lease service that were given up for dead",
        m.rebuilt.clone(),
    );
    pieces(registry, "up", "1 while the lease service answers and takes writes", m.is_up.clone());
}

/// A connection was given up.
pub fn rebuilt() {
    METRICS.rebuilt.inc();
}

/// Whether it answers.
pub fn up(is_up: bool) {
    set(&METRICS.is_up, is_up);
}
