//! Leases in a map, with expiry on the monotonic clock.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tidemark_ports::{Lease, Leases, Unavailable};
use tokio::time::Instant;
use uuid::Uuid;

/// Leases within the process. Clones share them.
#[derive(Clone, Default)]
pub struct InprocLeases(Arc<Mutex<HashMap<String, Holder>>>);

struct Holder {
    token: String,
    until: Instant,
}

impl Holder {
    fn is(&self, lease: &Lease) -> bool {
        self.token == lease.token && self.until > Instant::now()
    }
}

impl InprocLeases {
    /// No lease is held.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Holder>> {
        self.0.lock().expect("no code panics while it holds the leases")
    }
}

impl fmt::Debug for InprocLeases {
    /// Without the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InprocLeases").field("kept", &self.lock().len()).finish()
    }
}

#[async_trait]
impl Leases for InprocLeases {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, Unavailable> {
        let mut held = self.lock();
        let now = Instant::now();
        held.retain(|_, holder| holder.until > now);
        let Entry::Vacant(free) = held.entry(key.to_owned()) else { return Ok(None) };
        let token = Uuid::new_v4().to_string();
        free.insert(Holder { token: token.clone(), until: now + ttl });
        Ok(Some(Lease { key: key.to_owned(), token }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Unavailable> {
        let mut held = self.lock();
        let Some(holder) = held.get_mut(&lease.key).filter(|holder| holder.is(lease)) else {
            return Ok(false);
        };
        holder.until = Instant::now() + ttl;
        Ok(true)
    }

    async fn release(&self, lease: &Lease) -> Result<bool, Unavailable> {
        let mut held = self.lock();
        let ours = held.get(&lease.key).is_some_and(|holder| holder.is(lease));
        if ours {
            held.remove(&lease.key);
        }
        Ok(ours)
    }
}
