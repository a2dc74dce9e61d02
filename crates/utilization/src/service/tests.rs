//! The service as a process runs it: events over the bus, questions over gRPC, SQLite underneath.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tidemark_domain::{event::Event, id::EventId};
use tidemark_inproc::InprocBus;
use tidemark_ports::{Message, Receipt, Route, topology::UTILIZATION_SYNCS};
use tidemark_rpc::{
    client::{Caller, Signed},
    inproc,
    server::{Guard, Listen, Server},
    utilization::{GetSummaryRequest, Summary, utilization_service_client::UtilizationServiceClient},
};
use tidemark_testkit::{ManualClock, SeededEntropy, open_store};
use tokio::task::JoinHandle;
use tonic::Code;

mod alone;
mod answers;

use super::*;
use crate::{
    aggregator::Waiting,
    sample::{DAYS, Sample, at, bare},
};

struct Process {
    bus: InprocBus,
    client: UtilizationServiceClient<Signed>,
    shutdown: Shutdown,
    waiting: Arc<Waiting>,
    aggregator: JoinHandle<()>,
    server: JoinHandle<()>,
}

impl Process {
    fn start(store: Store, bus: InprocBus) -> Self {
        let clock = Arc::new(ManualClock::noon(at(DAYS)));
        Self::start_with(store, bus, clock, Arc::new(SeededEntropy::new(11)))
    }

    fn start_with(store: Store, bus: InprocBus, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let service = UtilizationService::new(store, Arc::new(bus.clone()), clock, entropy);
        let (shutdown, token) = (Shutdown::new(), "a-token-for-tests-only".into());
        let (channel, incoming) = inproc::pair();
        let client = Caller::over(channel, &token).unwrap().utilization();
        let server = Server::new(Guard::new(&token)).with(service.server());
        let stop = shutdown.soft().clone();
        let server = tokio::spawn(async move {
            server.serve(Listen::Inproc(incoming), stop).await.unwrap();
        });
        let (told, waiting) = (shutdown.clone(), Arc::clone(&service.aggregator.waiting));
        let aggregator = tokio::spawn(async move { service.run(told).await });
        Self { bus, client, shutdown, waiting, aggregator, server }
    }

    async fn publish(&self, id: &str, body: Vec<u8>) {
        let route = Route::Event("sync.completed".to_owned());
        let message = Message { id: id.to_owned(), route, headers: BTreeMap::new(), body: Bytes::from(body) };
        assert_eq!(self.bus.publish(vec![message]).await, [Receipt::Accepted]);
    }

    async fn announce(&self, event: &Event) {
        self.publish(event.id.as_str(), event.encode()).await;
    }

    async fn ask(&self, connection: &str) -> Result<Summary, Status> {
        let request = GetSummaryRequest { connection_id: connection.to_owned() };
        let answer = self.client.clone().get_summary(request).await?;
        Ok(bare(answer.into_inner().summary.expect("an answer has a summary")))
    }

    /// The summary as soon as there is one.
    async fn summary(&self, connection: &ConnectionId) -> Summary {
        until(async || self.ask(connection.as_str()).await.ok()).await
    }

    /// Stops it; everything it started ends.
    async fn stop(self) {
        let Self { client, shutdown, aggregator, server, .. } = self;
        drop(client);
        shutdown.stop();
        let ended = async { (aggregator.await.unwrap(), server.await.unwrap()) };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the service stops");
    }
}

/// Looks until there is something, for a bounded time.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.expect("it comes to pass in time")
}

#[tokio::test]
async fn a_finished_sync_becomes_a_summary() {
    let sample = Sample::new(0..DAYS).await;
    let process = Process::start(sample.store(), InprocBus::new());
    let nobody = ConnectionId::generate(&sample.clock, &sample.entropy);
    let before = process.ask(nobody.as_str()).await.unwrap_err();
    assert_eq!(before.code(), Code::NotFound);
    assert!(
        before.message().contains("SyncsService.ListSyncs"),
        "it says where to look: {}",
        before.message()
    );

    process.announce(&sample.completed()).await;
    assert_eq!(process.summary(&sample.connection).await, sample.expected());
    assert_eq!(sample.announced("utilization.updated").await, 1);
    process.stop().await;
}

#[tokio::test]
async fn a_wrong_id_is_refused_by_its_field() {
    let sample = Sample::new([]).await;
    let process = Process::start(sample.store(), InprocBus::new());
    let refusal = process.ask("run_123").await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert!(refusal.message().contains("connection_id"), "{}", refusal.message());
    process.stop().await;
}

#[tokio::test]
async fn what_is_no_event_is_a_dead_letter_and_holds_nobody_up() {
    let sample = Sample::new(0..DAYS).await;
    let process = Process::start(sample.store(), InprocBus::new());
    process.publish("bad", b"{}".to_vec()).await;
    process.announce(&sample.completed()).await;
    process.summary(&sample.connection).await;
    let dead = until(async || {
        let dead = process.bus.dead_letters(&UTILIZATION_SYNCS);
        (!dead.is_empty()).then_some(dead)
    })
    .await;
    assert_eq!(dead.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["bad"]);
    process.stop().await;
}

#[tokio::test]
async fn an_event_outlives_a_process_whose_database_fails() {
    let sample = Sample::new(0..DAYS).await;
    let bus = InprocBus::new();
    // No schema: every query fails, as with a database that is away.
    let empty = Process::start(open_store("sqlite::memory:").await, bus.clone());
    assert_eq!(empty.ask(sample.connection.as_str()).await.unwrap_err().code(), Code::Unavailable);
    empty.announce(&sample.completed()).await;
    empty.stop().await;
    assert_eq!(bus.dead_letters(&UTILIZATION_SYNCS), []);

    let process = Process::start(sample.store(), bus);
    assert_eq!(process.summary(&sample.connection).await, sample.expected());
    process.stop().await;
}
