//! The in-process adapters against the suites of their ports.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_inproc::{InprocBus, InprocLeases, InprocRateLimits};
use tidemark_ports::{Bus, Leases, RateLimits, topology::Queue};
use tidemark_testkit::conformance::bus::BusUnderTest;

struct Subject(InprocBus);

#[async_trait]
impl BusUnderTest for Subject {
    fn bus(&self) -> &dyn Bus {
        &self.0
    }

    async fn dead_letters(&self, queue: &Queue) -> Vec<String> {
        self.0.dead_letters(queue).into_iter().map(|message| message.id).collect()
    }

    async fn clean_up(&self) {}
}

async fn leases() -> Arc<dyn Leases> {
    Arc::new(InprocLeases::new())
}

tidemark_testkit::bus_conformance!(async { Subject(InprocBus::new()) });
async fn rate_limits() -> Arc<dyn RateLimits> {
    Arc::new(InprocRateLimits::new())
}

tidemark_testkit::leases_conformance!(leases());
tidemark_testkit::rate_conformance!(rate_limits());
