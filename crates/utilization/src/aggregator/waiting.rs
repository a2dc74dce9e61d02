//! What this process knows and could not write down, or must not: it lives until the database is back, and not beyond the
//! process. What is lost with it, the sweep finds in the database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidemark_domain::id::ConnectionId;
use tidemark_store::{RollupClaim, RollupSettlement};
use tokio::time::Instant;

/// How long a workspace is left to others that holds what this version does not know.
const LEFT: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// Somebody waits for their rollup, and the database does not know it yet.
    asked: BTreeSet<ConnectionId>,
    /// Claims that the database still counts as held.
    unsettled: Vec<(RollupClaim, RollupSettlement)>,
    /// Left to a later version until then.
    left: BTreeMap<ConnectionId, Instant>,
    /// The next attempt after a failure.
    retry_at: Option<Instant>,
}

impl Waiting {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ask(&self, connection: ConnectionId) {
        self.notes().asked.insert(connection);
    }

    pub(super) fn take_asked(&self) -> BTreeSet<ConnectionId> {
        std::mem::take(&mut self.notes().asked)
    }

    /// How many.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> usize {
        self.notes().asked.len()
    }

    pub(super) fn owe(&self, claim: RollupClaim, settlement: RollupSettlement) {
        self.notes().unsettled.push((claim, settlement));
    }

    pub(super) fn take_unsettled(&self) -> Vec<(RollupClaim, RollupSettlement)> {
        std::mem::take(&mut self.notes().unsettled)
    }

    pub(super) fn leave(&self, connection: ConnectionId) {
        self.notes().left.insert(connection, Instant::now() + LEFT);
    }

    /// Those that are left to others now.
    pub(super) fn left(&self) -> BTreeSet<ConnectionId> {
        let now = Instant::now();
        let mut notes = self.notes();
        notes.left.retain(|_, until| *until > now);
        notes.left.keys().cloned().collect()
    }

    /// There is something to do in so long, if not before.
    pub(super) fn retry_in(&self, pause: Duration) {
        let at = Instant::now() + pause;
        let mut notes = self.notes();
        notes.retry_at = Some(notes.retry_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// How long until then, at most `longest`. To be asked once per wait.
    pub(super) fn pause(&self, longest: Duration) -> Duration {
        let at = self.notes().retry_at.take();
        at.map_or(longest, |at| at.saturating_duration_since(Instant::now()).min(longest))
    }
}
