//! The connections and sealed credentials that were just read: a release of a secret then needs no read of its own.
//!
//! What is kept is as it was in the database at most [`KEPT`] ago, and still sealed. Whoever changes a connection in this
//! process calls [`Present::forget`] after the commit and before the answer: from then on, nobody here gets the old
//! credential. Other processes see the change when their time is over.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidemark_domain::id::ConnectionId;
use tidemark_store::{Connection, Sealed};
use tokio::time::Instant;

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

/// A connection that works, with its credential.
#[derive(Debug)]
pub(crate) struct Working {
    pub(crate) connection: Connection,
    pub(crate) sealed: Sealed,
}

#[derive(Debug)]
struct Kept {
    working: Arc<Working>,
    until: Instant,
}

/// The moment before a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    changes: u64,
    at: Instant,
}

impl Present {
    pub(crate) fn get(&self, id: &ConnectionId) -> Option<Arc<Working>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(id).filter(|kept| Instant::now() < kept.until).map(|kept| Arc::clone(&kept.working))
    }

    /// To be taken before the read.
    pub(crate) fn before(&self) -> Before {
        Before { changes: self.changes.load(Ordering::SeqCst), at: Instant::now() }
    }

    /// Keeps what was read, unless something changed meanwhile.
    pub(crate) fn keep(&self, working: &Arc<Working>, before: Before) {
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
            kept.insert(working.connection.id.clone(), Kept { working: Arc::clone(working), until });
        }
    }

    /// The connection was changed.
    pub(crate) fn forget(&self, id: &ConnectionId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        kept.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::{
        connection::{Region, State},
        id::OrganizationId,
    };
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    fn working() -> Arc<Working> {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let entropy = SeededEntropy::new(1);
        let connection = Connection {
            id: ConnectionId::generate(&clock, &entropy),
            organization_id: OrganizationId::generate(&clock, &entropy),
            region: Region::Us,
            workspace: None,
            anchors: Vec::new(),
            state: State::Connected,
            reason: None,
            generation: 1,
            capabilities: Vec::new(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        let sealed = Sealed {
            algorithm: String::new(),
            key_id: String::new(),
            wrapped_key: Vec::new(),
            ciphertext: Vec::new(),
        };
        Arc::new(Working { connection, sealed })
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_a_second() {
        let (present, working) = (Present::default(), working());
        let before = present.before();
        // The time counts from before the read.
        tokio::time::advance(Duration::from_millis(500)).await;
        present.keep(&working, before);
        assert!(present.get(&working.connection.id).is_some());
        tokio::time::advance(Duration::from_millis(450)).await;
        assert!(present.get(&working.connection.id).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (present, working) = (Present::default(), working());
        present.keep(&working, present.before());
        let reading = present.before();
        present.forget(&working.connection.id);
        assert!(present.get(&working.connection.id).is_none());
        present.keep(&working, reading);
        assert!(present.get(&working.connection.id).is_none(), "a slow reader brings nothing back");
    }
}
