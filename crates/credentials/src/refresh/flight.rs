//! The renewals of this process: one per connection at a time, and none is left behind by an orderly stop.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tidemark_domain::id::ConnectionId;
use tokio::sync::{self, watch};

/// A connection's turn.
pub(crate) type Flight = Arc<sync::Mutex<()>>;

/// The connections that somebody here is at.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<ConnectionId, Weak<sync::Mutex<()>>>>);

impl Flights {
    pub(crate) fn of(&self, connection: &ConnectionId) -> Flight {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(connection).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Flight::default();
        flights.insert(connection.clone(), Arc::downgrade(&flight));
        flight
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

/// Counts the renewals under way. A process that stops waits for them: what the vendor has granted exists nowhere else
/// until it is stored. Clones count together, and keep nothing else alive.
#[derive(Debug, Clone, Default)]
pub struct Renewals(Arc<watch::Sender<usize>>);

impl Renewals {
    /// Counts the work, however it ends, until it does.
    pub(crate) fn tracked<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let counted = Counted::new(self.clone());
        async move {
            let _counted = counted;
            work.await
        }
    }

    /// Waits until none is under way.
    pub async fn finished(&self) {
        let mut under_way = self.0.subscribe();
        // The sender is ours: it does not go away.
        let _ = under_way.wait_for(|number| *number == 0).await;
    }
}

struct Counted(Renewals);

impl Counted {
    fn new(renewals: Renewals) -> Self {
        renewals.0.send_modify(|number| *number += 1);
        Self(renewals)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.send_modify(|number| *number -= 1);
    }
}
