//! One refresh per connection at a time within this process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tidemark_domain::id::ConnectionId;
use tokio::sync;

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
