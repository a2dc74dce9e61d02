//! One request pace per workspace, shared by all workers. A pace lives in this process as long as somebody works with it.

mod latency;
mod shared;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tidemark_domain::id::ConnectionId;
use tidemark_ports::{RateLimits, Unavailable};

pub(crate) use shared::SharedBudget;

#[derive(Debug)]
pub(crate) struct Budgets {
    limits: Arc<dyn RateLimits>,
    requests_per_second: u32,
    paces: Mutex<HashMap<ConnectionId, Weak<SharedBudget>>>,
}

impl Budgets {
    pub(crate) fn new(limits: Arc<dyn RateLimits>, requests_per_second: u32) -> Self {
        Self { limits, requests_per_second, paces: Mutex::default() }
    }

    pub(crate) fn of(&self, connection: &ConnectionId) -> Arc<SharedBudget> {
        // A map of weak references is whole after every statement, so a panic elsewhere cannot break it.
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = paces.get(connection).and_then(Weak::upgrade) {
            return pace;
        }
        paces.retain(|_, pace| pace.strong_count() > 0);
        let key = connection.to_string();
        let pace = Arc::new(SharedBudget::new(Arc::clone(&self.limits), key, self.requests_per_second));
        paces.insert(connection.clone(), Arc::downgrade(&pace));
        pace
    }

    /// Ends a freeze of the workspace, here and where all workers reserve: whoever begins to work with it from now on asks
    /// the vendor again, which may say the same again.
    pub(crate) async fn thaw(&self, connection: &ConnectionId) -> Result<(), Unavailable> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner).remove(connection);
        self.limits.thaw(connection.as_str()).await
    }
}

#[cfg(test)]
mod tests {
    use tidemark_inproc::InprocRateLimits;
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thaw_ends_the_freeze_of_one_workspace() {
        use std::time::Duration;
        use tidemark_productboard::RateBudget as _;
        let clock = ManualClock::noon(chrono::NaiveDate::from_ymd_opt(2026, 8, 12).unwrap());
        let entropy = SeededEntropy::new(1);
        let [one, other] = [(); 2].map(|()| ConnectionId::generate(&clock, &entropy));
        let budgets = Budgets::new(Arc::new(InprocRateLimits::new()), 50);
        for connection in [&one, &other] {
            budgets.of(connection).freeze(Duration::from_secs(1_796_099_990));
        }
        tokio::task::yield_now().await;
        budgets.thaw(&one).await.unwrap();
        let patience = Duration::from_secs(5);
        budgets.of(&one).acquire(patience).await.unwrap();
        budgets.of(&other).acquire(patience).await.unwrap_err();
    }

    #[test]
    fn a_workspace_has_one_pace_while_somebody_works_with_it() {
        let clock = ManualClock::noon(chrono::NaiveDate::from_ymd_opt(2026, 8, 12).unwrap());
        let entropy = SeededEntropy::new(1);
        let [one, other] = [(); 2].map(|()| ConnectionId::generate(&clock, &entropy));
        let budgets = Budgets::new(Arc::new(InprocRateLimits::new()), 50);
        let pace = budgets.of(&one);
        assert!(Arc::ptr_eq(&pace, &budgets.of(&one)));
        assert!(!Arc::ptr_eq(&pace, &budgets.of(&other)));
        drop(pace);
        let _kept = budgets.of(&other);
        assert_eq!(budgets.paces.lock().unwrap().len(), 1, "what nobody uses is forgotten");
    }
}
