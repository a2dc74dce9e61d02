//! What the calls to a process cost and how they end. Each method's handles are looked up once, so that a call costs a
//! few atomic additions and no allocation.

use std::{
    sync::{LazyLock, OnceLock},
    time::Instant,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::Code;

use crate::scope::METHODS;

const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0];
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// Health, reflection, and what is not there: callers choose such names.
const OTHER: &str = "other";

type Labels<const N: usize> = [(&'static str, &'static str); N];

struct Calls {
    denied: Family<Labels<1>, Counter>,
    ended: Family<Labels<2>, Counter>,
    took: Family<Labels<1>, Histogram, fn() -> Histogram>,
    open: Gauge,
    /// In the order of the table of methods; the last one is all others.
    methods: Vec<Method>,
}

struct Method {
    name: &'static str,
    ended: [OnceLock<Counter>; CODES.len()],
    took: OnceLock<Histogram>,
}

static CALLS: LazyLock<Calls> = LazyLock::new(|| {
    let names = METHODS.iter().map(|(name, _)| *name).chain([OTHER]);
    let method = |name| Method { name, ended: Default::default(), took: OnceLock::new() };
    Calls {
        denied: Family::default(),
        ended: Family::default(),
        took: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        open: Gauge::default(),
        methods: names.map(method).collect(),
    }
});

/// Adds them to what a process shows.
pub fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("rpc");
    registry.register("calls", "Calls that were answered, by method and status code", CALLS.ended.clone());
    registry.register_with_unit(
        "call_duration",
        "From a call's arrival to its answer, of streams to the first answer, by method",
        Unit::Seconds,
        CALLS.took.clone(),
    );
    registry.register("calls_open", "Calls that have no answer yet", CALLS.open.clone());
    registry.register(
        "denials",
        "Calls that were refused because of who made them, by reason",
        CALLS.denied.clone(),
    );
}

/// Counts a call that was refused because of who made it.
pub(crate) fn denied(reason: &'static str) {
    CALLS.denied.get_or_create_owned(&[("reason", reason)]).inc();
}

/// A call that is being answered. One that is dropped without an end was given up by its caller.
pub(crate) struct Watched {
    method: &'static Method,
    since: Instant,
    code: Code,
}

impl Watched {
    /// `place` is the method's in the table.
    pub(crate) fn begin(place: Option<usize>) -> Self {
        let calls = &*CALLS;
        calls.open.inc();
        let method = &calls.methods[place.unwrap_or(METHODS.len())];
        Self { method, since: Instant::now(), code: Code::Cancelled }
    }

    pub(crate) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Method { name, ended, took } = self.method;
        let calls = &*CALLS;
        calls.open.dec();
        let number = self.code as usize;
        let ended = ended[number]
            .get_or_init(|| calls.ended.get_or_create_owned(&[("method", name), ("code", CODES[number])]));
        ended.inc();
        let took = took.get_or_init(|| calls.took.get_or_create_owned(&[("method", name)]));
        took.observe(self.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_however_it_ends() {
        let place = METHODS.iter().position(|(name, _)| name.ends_with("/GetCoverage"));
        Watched::begin(place).end(Code::Ok);
        Watched::begin(place).end(Code::NotFound);
        drop(Watched::begin(place));
        Watched::begin(None).end(Code::Unimplemented);
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let name = METHODS[place.unwrap()].0;
        for line in [
            format!("rpc_calls_total{{method=\"{name}\",code=\"OK\"}} 1"),
            format!("rpc_calls_total{{method=\"{name}\",code=\"NOT_FOUND\"}} 1"),
            format!("rpc_calls_total{{method=\"{name}\",code=\"CANCELLED\"}} 1"),
            format!("rpc_call_duration_seconds_count{{method=\"{name}\"}} 3"),
            "rpc_calls_total{method=\"other\",code=\"UNIMPLEMENTED\"}".to_owned(),
            "rpc_calls_open 0".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        }
    }
}
