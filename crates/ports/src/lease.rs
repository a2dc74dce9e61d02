//! Leases: at most one holder at a time, as long as the service that keeps them remembers.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// The service that keeps the leases does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the lease service does not answer: {0}")]
pub struct Unavailable(pub String);

/// A lease somebody holds: the key and the holder's secret token.
#[derive(Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub key: String,
    /// Proves who holds it.
    pub token: String,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Keeps leases.
#[async_trait]
pub trait Leases: fmt::Debug + Send + Sync {
    /// Takes the lease, or `None` where somebody else holds it.
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, Unavailable>;

    /// Extends it to `ttl` from now; false where it is no longer ours.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Unavailable>;

    /// Gives it back; false where it was no longer ours.
    async fn release(&self, lease: &Lease) -> Result<bool, Unavailable>;
}

/// A lease that is renewed in the background until it is released or dropped.
///
/// `lost` fires before the lease can have run out, on the monotonic clock, unless a renewal succeeded in time.
#[derive(Debug)]
pub struct Held {
    leases: Arc<dyn Leases>,
    lease: Lease,
    lost: CancellationToken,
    keeper: AbortOnDropHandle<()>,
}

impl Held {
    /// Takes the lease and keeps it, or `None` where somebody else holds it.
    pub async fn acquire(
        leases: Arc<dyn Leases>,
        key: &str,
        ttl: Duration,
    ) -> Result<Option<Self>, Unavailable> {
        let asked = Instant::now();
        let Some(lease) = leases.acquire(key, ttl).await? else { return Ok(None) };
        let lost = CancellationToken::new();
        let keeper = tokio::spawn(keep(Arc::clone(&leases), lease.clone(), ttl, asked, lost.clone()));
        Ok(Some(Self { leases, lease, lost, keeper: AbortOnDropHandle::new(keeper) }))
    }

    /// Fires when the lease may be somebody else's: stop working at once.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the lease back. A failure is harmless: it runs out by itself.
    pub async fn release(self) {
        drop(self.keeper);
        if let Err(error) = self.leases.release(&self.lease).await {
            tracing::debug!(key = self.lease.key, %error, "lease not released, it will run out");
        }
    }
}

async fn keep(leases: Arc<dyn Leases>, lease: Lease, ttl: Duration, asked: Instant, lost: CancellationToken) {
    let margin = ttl / 5;
    let mut sure_until = asked + ttl - margin;
    let mut next = asked + ttl / 3;
    loop {
        sleep_until(next.min(sure_until)).await;
        let now = Instant::now();
        if now >= sure_until {
            break;
        }
        match timeout_at(sure_until, leases.renew(&lease, ttl)).await {
            Ok(Ok(true)) => {
                sure_until = now + ttl - margin;
                next = now + ttl / 3;
            }
            Ok(Ok(false)) | Err(_) => break,
            Ok(Err(error)) => {
                tracing::warn!(key = lease.key, %error, "lease not renewed, trying again");
                next = now + ttl / 15;
            }
        }
    }
    tracing::warn!(key = lease.key, "lease lost, the work under it stops");
    lost.cancel();
}
