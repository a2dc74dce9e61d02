//! Syncs: start one, watch it stream by stream, and look at those before.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use tidemark_rpc::syncs::{
    GetSyncRequest, ListSyncsRequest, Priority, Run, StartSyncRequest, WatchSyncRequest,
};
use tonic::Status;

use super::{
    connections::{Paging, workspace},
    given, see,
};
use crate::{
    failure::Failure,
    live,
    page::{self, Answer, Chrome, Place},
    server::Console,
    view::run::Progress,
    visitor::Visitor,
};

const PAGE: u32 = 50;
/// Without scripts, the page loads itself again.
const REFRESH_SECONDS: u32 = 3;

#[derive(Template)]
#[template(path = "sync.html")]
struct One {
    chrome: Chrome,
    workspace: String,
    progress: Part,
}

#[derive(Template)]
#[template(path = "parts/progress.html")]
struct Part {
    base: String,
    is_admin: bool,
    run: Progress,
}

#[derive(Template)]
#[template(path = "syncs.html")]
struct History {
    chrome: Chrome,
    connection: String,
    workspace: String,
    runs: Vec<Progress>,
    next: String,
}

pub(crate) async fn start(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let request = StartSyncRequest { connection_id: id, priority: Priority::Person.into() };
    let started = visitor.services.syncs.syncs().start_sync(request).await?.into_inner();
    Ok(see(&visitor.base, &format!("/syncs/{}", given(started.run)?.id)))
}

impl Part {
    fn of(visitor: &Visitor, run: Run) -> Self {
        Self { base: visitor.base.clone(), is_admin: visitor.is_admin, run: run.into() }
    }
}

async fn part(visitor: &Visitor, id: &str) -> Result<Part, Status> {
    let request = GetSyncRequest { run_id: id.to_owned() };
    let found = visitor.services.syncs.syncs().get_sync(request).await?.into_inner();
    let run = found.run.ok_or_else(|| Status::internal("an answer without its run"))?;
    Ok(Part::of(visitor, run))
}

pub(crate) async fn one(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let progress = part(&visitor, &id).await?;
    let workspace = workspace(&visitor, &progress.run.connection).await?;
    let mut chrome = Chrome::of(&visitor, Place::Connections, format!("Sync of {workspace}"));
    chrome.refresh = (!progress.run.is_over).then_some(REFRESH_SECONDS);
    page::show(&One { chrome, workspace, progress })
}

pub(crate) async fn live(
    State(console): State<Console>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    part(&visitor, &id).await?;
    Ok(live::stream(&console, async move |page| {
        let mut said = "";
        loop {
            let request = WatchSyncRequest { run_id: id.clone() };
            // A service that is away for a moment is asked again; so is one that ends the stream.
            if let Ok(stream) = visitor.services.syncs.syncs().watch_sync(request).await {
                let mut stream = stream.into_inner();
                while let Ok(Some(told)) = stream.message().await {
                    let Some(run) = told.run else { continue };
                    let part = Part::of(&visitor, run);
                    page.part("progress", &part).await?;
                    if part.run.state != said {
                        said = part.run.state;
                        page.say(format!("Sync: {said}")).await?;
                    }
                    if part.run.is_over {
                        return page.end().await;
                    }
                }
            }
            live::pause().await;
        }
    }))
}

pub(crate) async fn history(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Answer {
    let workspace = workspace(&visitor, &id).await?;
    let request = ListSyncsRequest { connection_id: id.clone(), page_size: PAGE, page_token: paging.page };
    let listed = visitor.services.syncs.syncs().list_syncs(request).await?.into_inner();
    let chrome = Chrome::of(&visitor, Place::Connections, format!("Syncs of {workspace}"));
    let runs = listed.runs.into_iter().map(Progress::from).collect();
    page::show(&History { chrome, connection: id, workspace, runs, next: listed.next_page_token })
}
