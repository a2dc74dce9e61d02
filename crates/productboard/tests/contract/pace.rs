//! The pace: the vendor's limit is used and never passed, and its headers are understood in all their spellings.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use tidemark_productboard::{LocalBudget, MembersQuery, Options, RateBudget};
use tidemark_productboard_sim::{Options as SimulatorOptions, RateHeaders, RetryAfter, Storm};

use crate::support::{TOKEN, all, client_with, options, simulator_with};

fn limited() -> SimulatorOptions {
    SimulatorOptions { requests_per_second: 50, page_size: 2 }
}

#[tokio::test]
async fn three_clients_with_one_budget_stay_within_the_limit() {
    let simulator = simulator_with(limited()).await;
    let budget: Arc<dyn RateBudget> = Arc::new(LocalBudget::new(50));
    let clients = [(); 3].map(|()| {
        let options = Options { budget: Arc::clone(&budget), ..options() };
        client_with(&simulator.base_url(), TOKEN, options)
    });
    let lists = clients.iter().map(|client| all(client.members(&MembersQuery::everyone(), None)));
    for members in futures::future::join_all(lists).await {
        assert_eq!(members.unwrap().len(), 60);
    }
    let ledger = simulator.ledger(TOKEN).unwrap();
    assert_eq!(ledger.requests - ledger.refused, 90, "no page was fetched twice");
    // A machine that stands still for a moment can squeeze a second's requests together on their way.
    assert!(ledger.refused <= 1 && ledger.peak_per_second <= 51, "{ledger:?}");
}

/// Writes down what it is told.
#[derive(Debug, Default)]
struct Listener(Mutex<Vec<(Option<u32>, Option<u32>)>>);

#[async_trait]
impl RateBudget for Listener {
    async fn acquire(&self, _patience: Duration) -> Result<(), Duration> {
        Ok(())
    }

    fn freeze(&self, _pause: Duration) {}

    fn observe(&self, limit: Option<u32>, remaining: Option<u32>) {
        self.0.lock().unwrap().push((limit, remaining));
    }
}

#[tokio::test]
async fn every_spelling_of_the_limit_is_understood() {
    for headers in
        [RateHeaders::XRatelimit, RateHeaders::Ratelimit, RateHeaders::PerSecond, RateHeaders::Absent]
    {
        let simulator = simulator_with(limited()).await;
        simulator.faults(TOKEN, |faults| faults.rate_headers = headers);
        let listener = Arc::new(Listener::default());
        let options = Options { budget: listener.clone(), ..options() };
        let client = client_with(&simulator.base_url(), TOKEN, options);
        client.members(&MembersQuery::everyone(), None).try_next().await.unwrap();
        let expected = match headers {
            RateHeaders::Absent => (None, None),
            _ => (Some(50), Some(49)),
        };
        assert_eq!(*listener.0.lock().unwrap(), [expected], "{headers:?}");
    }
}

#[tokio::test]
async fn a_429_without_a_pause_waits_a_second() {
    let simulator = simulator_with(limited()).await;
    simulator.faults(TOKEN, |faults| {
        faults.retry_after = RetryAfter::Absent;
        faults.storm_429 = Some(Storm { requests: 1, retry_after_secs: 9 });
    });
    let begun = tokio::time::Instant::now();
    let client = client_with(&simulator.base_url(), TOKEN, options());
    client.members(&MembersQuery::everyone(), None).try_next().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(simulator.requests(TOKEN), 2);
}

#[tokio::test]
async fn a_pause_too_long_is_told_to_all_who_share_the_budget_without_asking_again() {
    let simulator = simulator_with(limited()).await;
    simulator.faults(TOKEN, |faults| {
        faults.storm_429 = Some(Storm { requests: 9, retry_after_secs: 3600 });
    });
    let client = client_with(&simulator.base_url(), TOKEN, options());
    for _ in 0..5 {
        let error = all(client.members(&MembersQuery::everyone(), None)).await.unwrap_err();
        assert!(error.to_string().contains("too many requests, wait 3"), "{error}");
    }
    assert_eq!(simulator.requests(TOKEN), 1, "the vendor is left in peace");
}
