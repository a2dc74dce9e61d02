//! The connections and sealed credentials that were just read: a release of a secret then needs no read of its own.
//!
//! What is kept is as it was in the database at most [`KEPT`] ago, and sealed but for the secret that was released last.
//! Whoever changes a connection in this process calls [`Parts::done`] after the commit and before the answer: from then
//! on, nobody here gets the old credential. Other processes see the change when their time is over.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidemark_domain::id::ConnectionId;
use tokio::time::Instant;

use crate::{holding::Holding, moves::Move, refusal::Fault, service::Parts};

/// Another process is to notice within 1 s that a connection needs a reconnect.
const KEPT: Duration = Duration::from_millis(900);
const MOST: usize = 10_000;

/// What was just read.
#[derive(Debug, Default)]
pub(crate) struct Present {
    kept: Mutex<HashMap<ConnectionId, Kept>>,
    /// Counts the changes: what was read before one is not kept after it.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    holding: Arc<Holding>,
    until: Instant,
}

/// The moment before a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    changes: u64,
    at: Instant,
}

impl Present {
    pub(crate) fn get(&self, id: &ConnectionId) -> Option<Arc<Holding>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(id).filter(|kept| Instant::now() < kept.until).map(|kept| Arc::clone(&kept.holding))
    }

    /// To be taken before the read.
    pub(crate) fn before(&self) -> Before {
        Before { changes: self.changes.load(Ordering::SeqCst), at: Instant::now() }
    }

    /// Keeps what was read, unless something changed meanwhile.
    pub(crate) fn keep(&self, holding: &Arc<Holding>, before: Before) {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::SeqCst) != before.changes {
            return;
        }
        if kept.len() >= MOST {
            kept.retain(|_, kept| now < kept.until);
        }
        if kept.len() < MOST {
            let until = before.at + KEPT;
            kept.insert(holding.connection.id.clone(), Kept { holding: Arc::clone(holding), until });
        }
    }

    /// The connection was changed.
    pub(crate) fn forget(&self, id: &ConnectionId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        kept.remove(id);
    }
}

impl Parts {
    /// A connection with its credentials as they are now, or, where another process changed them, were less than a
    /// second ago.
    pub(crate) async fn just_held(&self, id: &ConnectionId) -> Result<Arc<Holding>, Fault> {
        if let Some(holding) = self.present.get(id) {
            return Ok(holding);
        }
        let before = self.present.before();
        let holding = Arc::new(self.holding(id).await?);
        self.present.keep(&holding, before);
        Ok(holding)
    }

    /// A move was committed: it is told, and what was read before it is not given to anybody any more.
    pub(crate) fn done(&self, moved: &Move) {
        self.present.forget(&moved.to.id);
        moved.log();
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::{connection::Region, id::OrganizationId};
    use tidemark_store::Connection;
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    fn holding() -> Arc<Holding> {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let entropy = SeededEntropy::new(1);
        let id = ConnectionId::generate(&clock, &entropy);
        let organization = OrganizationId::generate(&clock, &entropy);
        let connection = Connection::begun(id, organization, Region::Us, chrono::DateTime::UNIX_EPOCH);
        Arc::new(Holding::bare(connection))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_a_second() {
        let (present, holding) = (Present::default(), holding());
        let before = present.before();
        // The time counts from before the read.
        tokio::time::advance(Duration::from_millis(500)).await;
        present.keep(&holding, before);
        assert!(present.get(&holding.connection.id).is_some());
        tokio::time::advance(Duration::from_millis(450)).await;
        assert!(present.get(&holding.connection.id).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (present, holding) = (Present::default(), holding());
        present.keep(&holding, present.before());
        let reading = present.before();
        present.forget(&holding.connection.id);
        assert!(present.get(&holding.connection.id).is_none());
        present.keep(&holding, reading);
        assert!(present.get(&holding.connection.id).is_none(), "a slow reader brings nothing back");
    }
}
