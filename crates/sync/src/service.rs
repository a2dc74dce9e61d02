//! The gRPC side. Handlers work in tasks of their own, so that a caller's deadline never cuts a transaction in two.

mod message;
mod watch;

use std::{error::Error, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::stream::BoxStream;
use tidemark_domain::{
    id::{ConnectionId, RunId},
    run::Priority,
};
use tidemark_rpc::{
    connections::{ConnectionState, GetConnectionRequest},
    detached,
    identity::Identity,
    parse,
    status::{DISCONNECTED, Refusal},
    syncs::{
        self, AcceptShrinkRequest, AcceptShrinkResponse, CancelSyncRequest, CancelSyncResponse,
        GetDataQualityRequest, GetDataQualityResponse, GetScheduleRequest, GetScheduleResponse,
        GetSyncOptionsRequest, GetSyncOptionsResponse, GetSyncRequest, GetSyncResponse, ListSyncsRequest,
        ListSyncsResponse, SetScheduleRequest, SetScheduleResponse, SetSyncOptionsRequest,
        SetSyncOptionsResponse, StartSyncRequest, StartSyncResponse, WatchSyncRequest, WatchSyncResponse,
        syncs_service_server::SyncsService,
    },
    timestamp,
};
use tidemark_store::{Run, Schedule};
use tonic::{Code, Request, Response, Status};

use crate::{SyncService, choices, context::Context, scheduler, start};

const DEFAULT_PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;
const SHORTEST_CADENCE: u64 = 60;
const LONGEST_CADENCE: u64 = 366 * 24 * 3600;
/// A service that does not answer is worth another try after this long.
const TRY_AGAIN: Duration = Duration::from_secs(2);

#[tonic::async_trait]
impl SyncsService for SyncService {
    async fn start_sync(
        &self,
        request: Request<StartSyncRequest>,
    ) -> Result<Response<StartSyncResponse>, Status> {
        let caller = Identity::of(&request)?;
        let connection = parse("connection_id", &request.get_ref().connection_id)?;
        let priority = Priority::from(request.get_ref().priority());
        let cx = Arc::clone(&self.context);
        detached(start_sync(cx, caller, connection, priority)).await.map(Response::new)
    }

    async fn get_sync(&self, request: Request<GetSyncRequest>) -> Result<Response<GetSyncResponse>, Status> {
        let caller = Identity::of(&request)?;
        let id = parse("run_id", &request.get_ref().run_id)?;
        let cx = Arc::clone(&self.context);
        detached(get_sync(cx, caller, id)).await.map(Response::new)
    }

    async fn list_syncs(
        &self,
        request: Request<ListSyncsRequest>,
    ) -> Result<Response<ListSyncsResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        let connection = parse("connection_id", &request.connection_id)?;
        let before = read_page_token(&request.page_token)?;
        let size = if request.page_size == 0 { DEFAULT_PAGE } else { request.page_size.min(LARGEST_PAGE) };
        let cx = Arc::clone(&self.context);
        detached(list_syncs(cx, caller, connection, before, size)).await.map(Response::new)
    }

    type WatchSyncStream = BoxStream<'static, Result<WatchSyncResponse, Status>>;

    async fn watch_sync(
        &self,
        request: Request<WatchSyncRequest>,
    ) -> Result<Response<Self::WatchSyncStream>, Status> {
        let caller = Identity::of(&request)?;
        let id = parse("run_id", &request.get_ref().run_id)?;
        let cx = Arc::clone(&self.context);
        let asking = caller.clone();
        let run = detached(async move { seen_run(&cx, &asking, &id).await }).await?;
        Ok(Response::new(watch::watch(Arc::clone(&self.context), caller, run)))
    }

    async fn cancel_sync(
        &self,
        request: Request<CancelSyncRequest>,
    ) -> Result<Response<CancelSyncResponse>, Status> {
        let caller = Identity::of(&request)?;
        let id = parse("run_id", &request.get_ref().run_id)?;
        let cx = Arc::clone(&self.context);
        detached(cancel_sync(cx, caller, id)).await.map(Response::new)
    }

    async fn get_schedule(
        &self,
        request: Request<GetScheduleRequest>,
    ) -> Result<Response<GetScheduleResponse>, Status> {
        let caller = Identity::of(&request)?;
        let connection = parse("connection_id", &request.get_ref().connection_id)?;
        let cx = Arc::clone(&self.context);
        let found = detached(async move {
            check_known(&cx, &caller, &connection).await?;
            cx.store.schedule(&connection).await.map_err(refuse)
        });
        let schedule = Some(schedule_message(&found.await?));
        Ok(Response::new(GetScheduleResponse { schedule }))
    }

    async fn set_schedule(
        &self,
        request: Request<SetScheduleRequest>,
    ) -> Result<Response<SetScheduleResponse>, Status> {
        let caller = Identity::of(&request)?;
        let connection = parse("connection_id", &request.get_ref().connection_id)?;
        let every = cadence(request.get_ref().every_seconds)?;
        let cx = Arc::clone(&self.context);
        detached(set_schedule(cx, caller, connection, every)).await.map(Response::new)
    }

    async fn get_sync_options(
        &self,
        request: Request<GetSyncOptionsRequest>,
    ) -> Result<Response<GetSyncOptionsResponse>, Status> {
        let caller = Identity::of(&request)?;
        let cx = Arc::clone(&self.context);
        detached(choices::options(cx, caller, request.into_inner())).await.map(Response::new)
    }

    async fn set_sync_options(
        &self,
        request: Request<SetSyncOptionsRequest>,
    ) -> Result<Response<SetSyncOptionsResponse>, Status> {
        let caller = Identity::of(&request)?;
        let cx = Arc::clone(&self.context);
        detached(choices::choose(cx, caller, request.into_inner())).await.map(Response::new)
    }

    async fn accept_shrink(
        &self,
        request: Request<AcceptShrinkRequest>,
    ) -> Result<Response<AcceptShrinkResponse>, Status> {
        let caller = Identity::of(&request)?;
        let cx = Arc::clone(&self.context);
        detached(choices::accept_shrink(cx, caller, request.into_inner())).await.map(Response::new)
    }

    async fn get_data_quality(
        &self,
        request: Request<GetDataQualityRequest>,
    ) -> Result<Response<GetDataQualityResponse>, Status> {
        let caller = Identity::of(&request)?;
        let cx = Arc::clone(&self.context);
        detached(choices::quality(cx, caller, request.into_inner())).await.map(Response::new)
    }
}

async fn start_sync(
    cx: Arc<Context>,
    caller: Identity,
    connection: ConnectionId,
    priority: Priority,
) -> Result<StartSyncResponse, Status> {
    check_seen(&cx, &caller, &connection, "connection").await?;
    check_exists(&cx, &connection).await?;
    let started = start::start(&cx, &connection, priority).await.map_err(refuse)?;
    let run = Some(message::shown(&cx, &started.run).await?);
    Ok(StartSyncResponse { run, coalesced: started.coalesced })
}

async fn get_sync(cx: Arc<Context>, caller: Identity, id: RunId) -> Result<GetSyncResponse, Status> {
    let run = seen_run(&cx, &caller, &id).await?;
    Ok(GetSyncResponse { run: Some(message::shown(&cx, &run).await?) })
}

async fn cancel_sync(cx: Arc<Context>, caller: Identity, id: RunId) -> Result<CancelSyncResponse, Status> {
    seen_run(&cx, &caller, &id).await?;
    let run = start::cancel(&cx, &id).await.map_err(refuse)?;
    let run = run.ok_or(Refusal::NotFound { what: "sync run" })?;
    Ok(CancelSyncResponse { run: Some(message::shown(&cx, &run).await?) })
}

async fn set_schedule(
    cx: Arc<Context>,
    caller: Identity,
    connection: ConnectionId,
    every: Option<Duration>,
) -> Result<SetScheduleResponse, Status> {
    check_known(&cx, &caller, &connection).await?;
    let schedule = Schedule { every, next_at: None };
    let beat = scheduler::cadence(&cx, schedule);
    let next_at = beat.map(|every| cx.after(scheduler::spread(&cx, every)));
    let schedule = Schedule { next_at, ..schedule };
    let tx = cx.store.begin().await.map_err(refuse)?;
    tx.set_schedule(&connection, schedule).await.map_err(refuse)?;
    tx.commit().await.map_err(refuse)?;
    Ok(SetScheduleResponse { schedule: Some(schedule_message(&schedule)) })
}

fn cadence(seconds: Option<u64>) -> Result<Option<Duration>, Status> {
    match seconds {
        Some(seconds) if seconds != 0 && !(SHORTEST_CADENCE..=LONGEST_CADENCE).contains(&seconds) => {
            let expected =
                "0 for never, or 60 seconds to 366 days; leave it out for the deployment's cadence";
            Err(Refusal::invalid("every_seconds", expected).into())
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

fn schedule_message(schedule: &Schedule) -> syncs::Schedule {
    syncs::Schedule {
        every_seconds: schedule.every.map(|every| every.as_secs()),
        next_at: schedule.next_at.map(timestamp),
    }
}

async fn list_syncs(
    cx: Arc<Context>,
    caller: Identity,
    connection: ConnectionId,
    before: Option<RunId>,
    size: u32,
) -> Result<ListSyncsResponse, Status> {
    check_seen(&cx, &caller, &connection, "connection").await?;
    // One more than asked for tells whether there is a next page.
    let found = cx.store.runs_of(&connection, before.as_ref(), u64::from(size) + 1).await.map_err(refuse)?;
    let page = &found[..found.len().min(size as usize)];
    let is_last = page.len() == found.len();
    let next_page_token = page.last().filter(|_| !is_last).map(page_token).unwrap_or_default();
    let days = cx.store.covered_days(&connection).await.map_err(refuse)?;
    let mut runs = Vec::with_capacity(page.len());
    for run in page {
        runs.push(message::with_days(&cx, run, days).await?);
    }
    Ok(ListSyncsResponse { runs, next_page_token })
}

/// The run, if it is there and the caller may see it.
async fn seen_run(cx: &Context, caller: &Identity, id: &RunId) -> Result<Run, Status> {
    let run = cx.store.run(id).await.map_err(refuse)?;
    let run = run.ok_or(Refusal::NotFound { what: "sync run" })?;
    check_seen(cx, caller, &run.connection_id, "sync run").await?;
    Ok(run)
}

/// Refuses a connection that is not there, or not the caller's to see.
async fn check_known(cx: &Context, caller: &Identity, connection: &ConnectionId) -> Result<(), Status> {
    let what = "connection";
    let organization = cx.store.organization_of(connection).await.map_err(refuse)?;
    let organization = organization.ok_or(Refusal::NotFound { what })?;
    Ok(caller.check(&organization, what)?)
}

/// Refuses what belongs to a connection that the caller may not see, as if it were not there.
pub(crate) async fn check_seen(
    cx: &Context,
    caller: &Identity,
    connection: &ConnectionId,
    what: &'static str,
) -> Result<(), Status> {
    if !caller.is_limited() {
        return Ok(());
    }
    let organization = cx.store.organization_of(connection).await.map_err(refuse)?;
    let organization = organization.ok_or(Refusal::NotFound { what })?;
    Ok(caller.check(&organization, what)?)
}

/// The credential service knows which connections there are.
pub(crate) async fn check_exists(cx: &Context, connection: &ConnectionId) -> Result<(), Status> {
    let asked = cx.credentials.retry(|| {
        let mut client = cx.credentials.connections();
        let request = GetConnectionRequest { connection_id: connection.to_string() };
        async move { client.get_connection(request).await }
    });
    let status = match asked.await {
        Ok(answer) => {
            let connection = answer.into_inner().connection.unwrap_or_default();
            return if connection.state() == ConnectionState::Disconnected {
                Err(disconnected())
            } else {
                Ok(())
            };
        }
        Err(status) => status,
    };
    let refusal = match status.code() {
        Code::NotFound => Refusal::NotFound { what: "connection" },
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::DeadlineExceeded => {
            Refusal::Unavailable { what: "the credential service".into(), retry_after: TRY_AGAIN }
        }
        code => {
            let answer = status.message();
            tracing::error!(%connection, ?code, answer, "the credential service refused to look up a connection");
            Refusal::Internal
        }
    };
    Err(refusal.into())
}

fn disconnected() -> Status {
    let sentence = "This workspace was disconnected; there is nothing to sync from any more.".to_owned();
    Refusal::Precondition { reason: DISCONNECTED, sentence }.into()
}

fn page_token(last: &Run) -> String {
    URL_SAFE_NO_PAD.encode(last.id.as_str())
}

fn read_page_token(token: &str) -> Result<Option<RunId>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let id = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    id.map(Some).ok_or_else(|| {
        Refusal::invalid("page_token", "send the `next_page_token` of the page before, unchanged").into()
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
pub(crate) fn refuse(error: tidemark_store::Error) -> Status {
    tracing::error!(error = &error as &dyn Error, "a request failed at the database");
    match error {
        tidemark_store::Error::Unavailable(..) => {
            Refusal::Unavailable { what: "the database".into(), retry_after: TRY_AGAIN }.into()
        }
        // Left to a process that knows it, which may be the next one that is asked.
        tidemark_store::Error::Corrupt { .. } => {
            let what = "this version of the service, for a sync that a newer one began,".into();
            Refusal::Unavailable { what, retry_after: TRY_AGAIN }.into()
        }
        _ => Refusal::Internal.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_are_opaque_and_checked() {
        assert_eq!(read_page_token("").unwrap(), None);
        let id: RunId = "run_01jd0000000000000000000000".parse().unwrap();
        let token = URL_SAFE_NO_PAD.encode(id.as_str());
        assert_eq!(read_page_token(&token).unwrap(), Some(id));
        for bad in ["run_01jd0000000000000000000000", "????", "Y29ubl8x"] {
            assert_eq!(read_page_token(bad).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
    }
}
