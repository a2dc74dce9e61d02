//! The right to work on a workspace: the lease, which saves double work, and the fence, which refuses stale writes.
//!
//! Where the lease service is silent, the fence's row in the database serves as the lease. There is always one of them.

use std::sync::Arc;

use tidemark_domain::id::ConnectionId;
use tidemark_ports::Held;
use tidemark_store::{Fence, Result};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

#[derive(Debug)]
pub(crate) struct Hold {
    lease: Option<Held>,
    pub(crate) fence: Fence,
}

impl Hold {
    /// Takes the workspace, or nothing where another worker has it.
    pub(crate) async fn take(cx: &Context, connection: &ConnectionId) -> Result<Option<Self>> {
        let ttl = cx.settings.lease_ttl;
        let key = format!("workspace:{connection}");
        let lease = match Held::acquire(Arc::clone(&cx.leases), &key, ttl).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%connection, %error, "no lease to be had, the database's own is used");
                let fence = cx.store.take_fence_if_free(connection, &cx.holder, cx.now(), ttl).await?;
                return Ok(fence.map(|fence| Self { lease: None, fence }));
            }
        };
        match cx.store.take_fence(connection, &cx.holder, cx.now(), ttl).await {
            Ok(fence) => Ok(Some(Self { lease: Some(lease), fence })),
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    /// Fires when the lease may be somebody else's. The database's own lease needs no such warning: the fence tells.
    pub(crate) fn lost(&self) -> CancellationToken {
        self.lease.as_ref().map(|lease| lease.lost().clone()).unwrap_or_default()
    }

    /// Gives the lease back and keeps the fence, which guards what is still to be written.
    pub(crate) async fn release_lease(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release().await;
        }
    }

    /// Gives the fence back too.
    pub(crate) async fn release(mut self, cx: &Context) -> Result<()> {
        self.release_lease().await;
        cx.store.release_fence(&self.fence).await
    }
}
