//! A clock that stands until it is moved, and breaks when told.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tidemark_domain::Clock;
use tidemark_testkit::ManualClock;

#[derive(Debug)]
pub(crate) struct TestClock {
    clock: ManualClock,
    /// Panics when next asked for the date, which only the engine does.
    pub(crate) breaks: AtomicBool,
}

impl TestClock {
    pub(crate) fn noon(day: NaiveDate) -> Self {
        Self { clock: ManualClock::noon(day), breaks: AtomicBool::new(false) }
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn today(&self) -> NaiveDate {
        assert!(!self.breaks.swap(false, Ordering::SeqCst), "the clock breaks, as the test told it");
        self.clock.today()
    }
}
