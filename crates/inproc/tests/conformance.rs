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

/// A consumer that is restarted often must not use up the limit of what it has not worked on.
#[tokio::test]
async fn releases_do_not_count_towards_the_delivery_limit() {
    use tidemark_ports::{
        Bus, Message, Route, Verdict,
        topology::{DELIVERY_LIMIT, SYNC_RUN},
    };
    let bus = tidemark_inproc::InprocBus::new();
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    let route = Route::Command("sync.run".to_owned());
    let body = bytes::Bytes::from_static(b"{}");
    bus.publish(vec![Message { id: "kept".to_owned(), route, headers: Default::default(), body }]).await;
    for _ in 0..DELIVERY_LIMIT * 2 {
        runs.next().await.settle(Verdict::Release).await.unwrap();
    }
    assert_eq!(bus.dead_letters(&SYNC_RUN).len(), 0);
    runs.next().await.settle(Verdict::Ack).await.unwrap();
}
