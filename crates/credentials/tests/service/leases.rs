//! Leases that fail.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tidemark_inproc::InprocLeases;
use tidemark_ports::{Lease, Leases, Unavailable};

fn away<T>() -> Result<T, Unavailable> {
    Err(Unavailable("switched off".to_owned()))
}

/// Never there.
#[derive(Debug)]
pub(crate) struct BrokenLeases;

#[async_trait]
impl Leases for BrokenLeases {
    async fn acquire(&self, _: &str, _: Duration) -> Result<Option<Lease>, Unavailable> {
        away()
    }

    async fn renew(&self, _: &Lease, _: Duration) -> Result<bool, Unavailable> {
        away()
    }

    async fn release(&self, _: &Lease) -> Result<bool, Unavailable> {
        away()
    }
}

/// There every other time.
#[derive(Debug, Default)]
pub(crate) struct FlakyLeases {
    inner: InprocLeases,
    calls: AtomicU64,
}

impl FlakyLeases {
    fn is_away(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }
}

#[async_trait]
impl Leases for FlakyLeases {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, Unavailable> {
        if self.is_away() { away() } else { self.inner.acquire(key, ttl).await }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Unavailable> {
        self.inner.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, Unavailable> {
        // One that is not released would only be waited for.
        self.inner.release(lease).await
    }
}
