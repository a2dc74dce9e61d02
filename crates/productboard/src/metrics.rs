//! What the requests to the vendor cost and how they end, for a process that shows its metrics.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::Error;
use crate::vendor_check::{Finding, Outcome};

const ANSWER_S: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const WAIT_S: [f64; 10] = [0.001, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

struct Requests {
    ended: Family<Labels<2>, Counter>,
    took: Family<Labels<1>, Histogram, fn() -> Histogram>,
    waited: Histogram,
    refused_by_budget: Counter,
    assumptions: Family<Labels<2>, Counter>,
}

static REQUESTS: LazyLock<Requests> = LazyLock::new(|| Requests {
    ended: Family::default(),
    took: Family::new_with_constructor(|| Histogram::new(ANSWER_S)),
    waited: Histogram::new(WAIT_S),
    refused_by_budget: Counter::default(),
    assumptions: Family::default(),
});

/// Adds them to what a process shows.
pub fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("vendor");
    registry.register(
        "requests",
        "Requests sent to the vendor, by what for and how they ended; 429 is rate_limited",
        REQUESTS.ended.clone(),
    );
    registry.register_with_unit(
        "request_duration",
        "From sending a request to the end of the vendor's answer, by what for",
        Unit::Seconds,
        REQUESTS.took.clone(),
    );
    registry.register_with_unit(
        "budget_wait",
        "How long requests waited for their turn in the rate budget",
        Unit::Seconds,
        REQUESTS.waited.clone(),
    );
    registry.register(
        "budget_refusals",
        "Requests that were not sent because their turn was too far away",
        REQUESTS.refused_by_budget.clone(),
    );
    registry.register(
        "assumptions",
        "What is assumed of the vendor, held against a workspace at connect or by a sync, by assumption and outcome: holds, \
         differs, unseen",
        REQUESTS.assumptions.clone(),
    );
}

/// An assumption was held against a workspace.
pub(crate) fn found(finding: &Finding) {
    let outcome = match finding.outcome {
        Outcome::Holds => "holds",
        Outcome::Differs => "differs",
        Outcome::Unseen => "unseen",
    };
    REQUESTS
        .assumptions
        .get_or_create(&[("assumption", finding.assumption.id()), ("outcome", outcome)])
        .inc();
}

/// A request was sent and came to its end. `operation` is one of this crate's own words.
pub(crate) fn sent(operation: &'static str, outcome: &'static str, took: Duration) {
    REQUESTS.ended.get_or_create(&[("operation", operation), ("outcome", outcome)]).inc();
    REQUESTS.took.get_or_create(&[("operation", operation)]).observe(took.as_secs_f64());
}

/// A request had to wait for its turn, and got it or not.
pub(crate) fn waited(took: Duration, got_it: bool) {
    REQUESTS.waited.observe(took.as_secs_f64());
    if !got_it {
        REQUESTS.refused_by_budget.inc();
    }
}

/// How a request ended, in a word.
pub(crate) fn outcome<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::Rejected { .. }) => "rejected",
        Err(Error::Forbidden { .. }) => "forbidden",
        Err(Error::NotAvailable { .. }) => "not_available",
        Err(Error::RateLimited { .. }) => "rate_limited",
        Err(Error::Transient { status: Some(_), .. }) => "vendor_trouble",
        Err(Error::Transient { status: None, .. }) => "no_answer",
        Err(Error::VendorChanged { .. }) => "not_understood",
        Err(Error::Invalid { .. }) => "invalid",
        Err(Error::Unreachable { .. }) => "unreachable",
        Err(Error::Configuration(_)) => "configuration",
    }
}
