//! `WatchSync`: tells how a run stands whenever that changes, as long as the caller's token counts. Each caller is served
//! from the database, so it does not matter which process works on the run.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use tidemark_rpc::{
    identity::Identity,
    status::Refusal,
    syncs::{Run as Message, WatchSyncResponse},
};
use tidemark_store::Run;
use tonic::Status;

use super::{message, refuse};
use crate::context::Context;

const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

struct Watch {
    cx: Arc<Context>,
    caller: Identity,
    run: Run,
    told: Option<Message>,
}

/// How the run stands, and every change until its end.
pub(super) fn watch(
    cx: Arc<Context>,
    caller: Identity,
    run: Run,
) -> BoxStream<'static, Result<WatchSyncResponse, Status>> {
    let watch = Watch { cx, caller, run, told: None };
    stream::try_unfold(watch, Watch::next).boxed()
}

impl Watch {
    async fn next(mut self) -> Result<Option<(WatchSyncResponse, Self)>, Status> {
        loop {
            if self.told.is_some() {
                if self.run.state.is_final() {
                    return Ok(None);
                }
                let waited = tokio::time::sleep(BETWEEN_LOOKS);
                if self.cx.stopping.run_until_cancelled(waited).await.is_none() {
                    let what = "this process is stopping, and".into();
                    let retry_after = Duration::from_millis(200);
                    return Err(Refusal::Unavailable { what, retry_after }.into());
                }
                self.caller.still_stands().await?;
                let run = self.cx.store.run(&self.run.id).await.map_err(refuse)?;
                self.run = run.ok_or(Refusal::NotFound { what: "sync run" })?;
            }
            let message = message::shown(&self.cx, &self.run).await?;
            // The estimate alone is no change.
            let is_new = self.told.as_ref().is_none_or(|told| {
                Message { remaining_seconds: None, ..told.clone() }
                    != Message { remaining_seconds: None, ..message.clone() }
            });
            if is_new {
                self.told = Some(message.clone());
                return Ok(Some((WatchSyncResponse { run: Some(message) }, self)));
            }
        }
    }
}
