//! The right to work on a workspace: the lease, which saves double work, and the fence, which refuses stale writes.
//!
//! Where the lease service is silent, the fence's row in the database serves as the lease. There is always one of them.

use std::{sync::Arc, time::Duration};

use tidemark_domain::{Clock, id::ConnectionId};
use tidemark_ports::Held;
use tidemark_runtime::metrics::sync as metrics;
use tidemark_store::{Error, Fence, Result, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::context::Context;

#[derive(Debug)]
pub(crate) struct Hold {
    lease: Option<Lease>,
    pub(crate) fence: Fence,
}

#[derive(Debug)]
enum Lease {
    Service(Held),
    Database { lost: CancellationToken, keeper: JoinHandle<()>, stop: DropGuard },
}

impl Hold {
    /// Takes the workspace, or nothing where another worker has it.
    pub(crate) async fn take(cx: &Context, connection: &ConnectionId) -> Result<Option<Self>> {
        let ttl = cx.settings.lease_ttl;
        let key = format!("workspace:{connection}");
        let held = match Held::acquire(Arc::clone(&cx.leases), &key, ttl).await {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(None),
            Err(error) => {
                metrics::database_lease();
                tracing::warn!(%connection, %error, "no lease to be had, the database's own is used");
                let fence = cx.store.take_fence_if_free(connection, &cx.holder, cx.now(), ttl).await?;
                return Ok(fence.map(|fence| Self { lease: Some(Lease::of_database(cx, &fence)), fence }));
            }
        };
        match cx.store.take_fence(connection, &cx.holder, cx.now(), ttl).await {
            Ok(fence) => Ok(Some(Self { lease: Some(Lease::Service(held)), fence })),
            Err(error) => {
                held.release().await;
                Err(error)
            }
        }
    }

    /// Fires when the lease may be somebody else's.
    pub(crate) fn lost(&self) -> CancellationToken {
        match &self.lease {
            Some(Lease::Service(held)) => held.lost().clone(),
            Some(Lease::Database { lost, .. }) => lost.clone(),
            None => CancellationToken::new(),
        }
    }

    /// Gives the lease back and keeps the fence, which guards what is still to be written.
    pub(crate) async fn release_lease(&mut self) {
        match self.lease.take() {
            Some(Lease::Service(held)) => held.release().await,
            Some(Lease::Database { keeper, stop, .. }) => {
                drop(stop);
                // It is waited for, since a late renewal would hold the workspace for nobody. Its panic was printed.
                let _ = keeper.await;
            }
            None => {}
        }
    }

    /// Gives the fence back too.
    pub(crate) async fn release(mut self, cx: &Context) -> Result<()> {
        self.release_lease().await;
        cx.store.release_fence(&self.fence).await
    }
}

impl Lease {
    fn of_database(cx: &Context, fence: &Fence) -> Self {
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let (store, clock, ttl) = (cx.store.clone(), Arc::clone(&cx.clock), cx.settings.lease_ttl);
        let keeper = keep(store, clock, fence.clone(), ttl, lost.clone(), stop.clone());
        Self::Database { lost, keeper: tokio::spawn(keeper), stop: stop.drop_guard() }
    }
}

/// Renews the database's lease, also while a long list is fetched and nothing is written.
async fn keep(
    store: Store,
    clock: Arc<dyn Clock>,
    fence: Fence,
    ttl: Duration,
    lost: CancellationToken,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(ttl / 3)).await.is_some() {
        match renew(&store, &*clock, &fence, ttl).await {
            Ok(()) => {}
            Err(Error::FenceLost) => return lost.cancel(),
            // The next write, or the next renewal, will tell.
            Err(error) => {
                let connection = &fence.connection_id;
                tracing::warn!(%connection, error = &error as &dyn std::error::Error, "lease not renewed, trying again");
            }
        }
    }
}

async fn renew(store: &Store, clock: &dyn Clock, fence: &Fence, ttl: Duration) -> Result<()> {
    let tx = store.begin().await?;
    tx.guard(fence, clock.now(), ttl).await?;
    tx.commit().await
}
