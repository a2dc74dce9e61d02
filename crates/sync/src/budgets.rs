//! One request pace per workspace, shared by all workers. A pace lives in this process as long as somebody works with it.

mod latency;
mod shared;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tidemark_domain::id::ConnectionId;
use tidemark_ports::RateLimits;

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
}

#[cfg(test)]
mod tests {
    use tidemark_inproc::InprocRateLimits;
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

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
