//! What each stream costs: requests, and how long they waited for the rate budget that all of them share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tidemark_domain::{id::ConnectionId, stream::Stream};
use tidemark_productboard::RateBudget;

use crate::{budgets::SharedBudget, context::Context, regions::Region};

/// The meters of one delivery.
#[derive(Debug)]
pub(super) struct Meters {
    budget: Arc<SharedBudget>,
    streams: BTreeMap<Stream, Arc<Meter>>,
    quiet: Arc<Mutex<Quiet>>,
}

/// How long the vendor has answered nothing.
#[derive(Debug, Default)]
struct Quiet {
    under_way: u32,
    since: Option<Instant>,
}

/// Counts what goes through to the shared budget.
#[derive(Debug)]
struct Meter {
    budget: Arc<SharedBudget>,
    quiet: Arc<Mutex<Quiet>>,
    region: Region,
    requests: AtomicU64,
    waited_ms: AtomicU64,
    /// Which credential the stream was called with last.
    generation: AtomicI64,
}

impl Meters {
    pub(super) fn new(cx: &Context, connection: &ConnectionId, region: &Region) -> Self {
        let budget = cx.budgets.of(connection);
        let quiet = Arc::<Mutex<Quiet>>::default();
        let meter = |stream| {
            let (budget, quiet) = (Arc::clone(&budget), Arc::clone(&quiet));
            let (requests, waited_ms, generation) = Default::default();
            let region = region.clone();
            (stream, Arc::new(Meter { budget, quiet, region, requests, waited_ms, generation }))
        };
        let streams = Stream::ALL.into_iter().map(meter).collect();
        Self { streams, budget, quiet }
    }

    pub(super) fn fetches_at_once(&self) -> usize {
        self.budget.fetches_at_once()
    }

    /// How long requests have been under way and nothing has come.
    pub(super) fn silence(&self) -> Duration {
        let quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.since.filter(|_| quiet.under_way > 0).map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The stream's way to the budget.
    pub(super) fn of(&self, stream: Stream) -> Arc<dyn RateBudget> {
        Arc::clone(&self.streams[&stream]) as _
    }

    /// Requests and milliseconds since the last time.
    pub(super) fn take(&self, stream: Stream) -> (u64, u64) {
        let meter = &self.streams[&stream];
        (meter.requests.swap(0, Ordering::Relaxed), meter.waited_ms.swap(0, Ordering::Relaxed))
    }

    pub(super) fn used(&self, stream: Stream, generation: i64) {
        self.streams[&stream].generation.store(generation, Ordering::Relaxed);
    }

    pub(super) fn generation(&self, stream: Stream) -> i64 {
        self.streams[&stream].generation.load(Ordering::Relaxed)
    }
}

impl Meter {
    fn hear(&self, change: impl FnOnce(u32) -> u32) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = Quiet { under_way: change(quiet.under_way), since: Some(Instant::now()) };
    }
}

#[async_trait]
impl RateBudget for Meter {
    async fn acquire(&self, patience: Duration) -> Result<(), Duration> {
        let asked = Instant::now();
        let acquired = self.budget.acquire(patience).await;
        let waited = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.waited_ms.fetch_add(waited, Ordering::Relaxed);
        if acquired.is_ok() {
            self.hear(|under_way| under_way.saturating_add(1));
            self.region.asked();
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        acquired
    }

    fn freeze(&self, pause: Duration) {
        self.budget.freeze(pause);
    }

    fn observe(&self, limit: Option<u32>, remaining: Option<u32>) {
        self.budget.observe(limit, remaining);
    }

    fn answered(&self, latency: Duration) {
        self.hear(|under_way| under_way.saturating_sub(1));
        self.region.answered();
        self.budget.answered(latency);
    }
}
