//! The embedded cluster, and one cycle through it as a client sees it: connect, sync with progress, read the summary.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tidemark_console::Services;
use tidemark_domain::{Entropy, id::OrganizationId, quality, run::ASKED_TO_WAIT};
use tidemark_rpc::{
    client::Caller,
    connections::{
        Connection, CreateConnectionRequest, ListConnectionsRequest, ReconnectConnectionRequest, Region,
    },
    inproc,
    server::Listen,
    status::{self, ROSTER_UNREAD},
    syncs::{GetSyncRequest, Run, RunState, StartSyncRequest, StreamProgress, StreamState},
    utilization::{GetSummaryRequest, Summary},
};
use tidemark_runtime::{Config, OsEntropy, Shutdown};
use tidemark_store::Store;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::Code;

use crate::{
    console,
    node::{self, Ground},
    roles::Roles,
    sheet::Sheet,
    wiring,
};

const POLL: Duration = Duration::from_millis(100);
const ROLLUP_DEADLINE: u32 = 1_200;
const CONNECT_PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// All services in this process, reachable through no port.
pub(crate) struct Embedded {
    pub(crate) caller: Caller,
    tasks: JoinSet<Result<()>>,
    shutdown: Shutdown,
    store: Store,
}

impl Embedded {
    /// Settings of a cluster without servers; its keys live as long as the process.
    pub(crate) fn local(database_url: &str) -> Vec<(&'static str, String)> {
        let mut random = [0_u8; 96];
        OsEntropy.fill(&mut random);
        let [key, token, audit] = [0, 32, 64].map(|from| BASE64_STANDARD.encode(&random[from..from + 32]));
        vec![
            ("database.url", database_url.to_owned()),
            ("bus.url", "inproc:".to_owned()),
            ("leases.url", "inproc:".to_owned()),
            // Each sync is asked for.
            ("worker.sync_every_ms", "0".to_owned()),
            ("rpc.token", token),
            ("credentials.keys", format!("session:{key}")),
            ("audit.key", audit),
            // What a person should know of is printed as a sentence; RUST_LOG shows the rest.
            ("log.filter", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned())),
        ]
    }

    /// Adds the console, calling the services in this process.
    pub(crate) fn open_console(&mut self, config: &Config, listener: TcpListener) -> Result<()> {
        let services = Services::one(self.caller.clone());
        console::serve(config, listener, services, &self.shutdown, &mut self.tasks)
    }

    /// The same, with both regions at one host.
    pub(crate) fn overrides(database_url: &str, api_url: &str) -> Vec<(&'static str, String)> {
        let mut settings = Self::local(database_url);
        settings.push(("productboard.us_url", api_url.to_owned()));
        settings.push(("productboard.eu_url", api_url.to_owned()));
        settings
    }

    pub(crate) async fn start(config: &Config, shutdown: &Shutdown) -> Result<Self> {
        let ground = Ground::connect(config).await?;
        ground.store.migrate().await.context("the local database was not set up")?;
        let (channel, incoming) = inproc::pair();
        let caller = Caller::over(channel, wiring::internal_token(&config.rpc_token)?)?;
        let tasks =
            node::start(config, Roles::ALL, &ground, Listen::Inproc(incoming), caller.clone(), shutdown)
                .await?;
        Ok(Self { caller, tasks, shutdown: shutdown.clone(), store: ground.store })
    }

    pub(crate) async fn stop(self) -> Result<ExitCode> {
        // The client's channel goes first: the server drains until it has no connection left.
        drop(self.caller);
        self.shutdown.stop();
        let code = node::finish(self.tasks, &self.shutdown).await;
        self.store.close().await.context("the local database was not closed; the next start mends it")?;
        code
    }
}

/// A client of the services, with a progress bar per workspace on standard error.
pub(crate) struct Cycle {
    caller: Caller,
    shutdown: Shutdown,
    since: Instant,
    bars: MultiProgress,
    drawn: Arc<std::sync::Mutex<HashMap<String, ProgressBar>>>,
}

impl Cycle {
    pub(crate) fn new(caller: Caller, shutdown: &Shutdown) -> Self {
        let (shutdown, since) = (shutdown.clone(), Instant::now());
        Self { caller, shutdown, since, bars: MultiProgress::new(), drawn: Arc::default() }
    }

    /// Connects a workspace; the service's sentence is the error.
    pub(crate) async fn connect(
        &self,
        organization: &OrganizationId,
        region: Region,
        api_key: String,
    ) -> Result<Connection> {
        let request = CreateConnectionRequest {
            organization_id: organization.to_string(),
            region: region.into(),
            api_key,
            ..CreateConnectionRequest::default()
        };
        let mut pauses = CONNECT_PAUSES.iter();
        let response = loop {
            match self.caller.connections().create_connection(request.clone()).await {
                Ok(response) => break response,
                // Nothing was stored, so that trying again is safe: a vendor in trouble may have recovered by then.
                Err(status) if status.code() == Code::Unavailable => {
                    self.check_database()?;
                    let Some(pause) = pauses.next() else { return Err(sentence(&status)) };
                    if !self.shutdown.pause(*pause).await {
                        return Err(sentence(&status));
                    }
                }
                Err(status) => return Err(sentence(&status)),
            }
        };
        response.into_inner().connection.context("the service answered without a connection")
    }

    /// Takes up a connection of an earlier time to the same workspace, or makes a new one.
    pub(crate) async fn connect_or_reconnect(
        &self,
        organization: &OrganizationId,
        region: Region,
        api_key: String,
    ) -> Result<Connection> {
        let request =
            ListConnectionsRequest { organization_id: organization.to_string(), ..Default::default() };
        let known = self
            .caller
            .connections()
            .list_connections(request)
            .await
            .map_err(|status| sentence(&status))?
            .into_inner();
        for connection in
            known.connections.into_iter().filter(|connection| connection.region == i32::from(region))
        {
            let request = ReconnectConnectionRequest {
                connection_id: connection.id,
                api_key: api_key.clone(),
                auth_scheme: 0,
            };
            match self.caller.connections().reconnect_connection(request).await {
                Ok(response) => {
                    return response
                        .into_inner()
                        .connection
                        .context("the service answered without a connection");
                }
                // Another workspace: the next one may be it.
                Err(status) if status.code() == Code::FailedPrecondition => {}
                Err(status) => return Err(sentence(&status)),
            }
        }
        self.connect(organization, region, api_key).await
    }

    /// Syncs the connection and reads its summary.
    pub(crate) async fn sync(&self, connection: &Connection) -> Result<Sheet> {
        let (run, numbers) = self.sync_run(connection).await?;
        Ok(Sheet::new(name(connection), &run, numbers))
    }

    /// Syncs the connection; gives the run and the numbers that came of it.
    pub(crate) async fn sync_run(&self, connection: &Connection) -> Result<(Run, Numbers)> {
        let request =
            StartSyncRequest { connection_id: connection.id.clone(), ..StartSyncRequest::default() };
        let started =
            self.caller.syncs().start_sync(request).await.map_err(|status| sentence(&status))?.into_inner();
        let mut run = started.run.context("the service answered without a run")?;
        let bar = self.bar(&connection.workspace);
        let mut said = String::new();
        while is_open(&run) {
            show(&bar, &run);
            self.say_wait(&name(connection), &run, &mut said);
            self.pause().await?;
            let request = GetSyncRequest { run_id: run.id.clone() };
            let response =
                self.caller.syncs().get_sync(request).await.map_err(|status| sentence(&status))?.into_inner();
            run = response.run.context("the service answered without a run")?;
        }
        show(&bar, &run);
        if run.state() == RunState::Failed {
            bail!("{}: {}", name(connection), run.reason);
        }
        let numbers = self.summary(connection, &run).await?;
        Ok((run, numbers))
    }

    /// Shows that something is asked for that has no length.
    pub(crate) fn asking(&self, workspace: &str, what: &'static str) {
        let drawn = self.drawn.lock().expect("no holder panics");
        if let Some(bar) = drawn.get(workspace) {
            bar.set_message(format!("reading {what}"));
        }
    }

    /// Waits for the rollup of the run; none comes of a run that stopped, so that the last one stands.
    async fn summary(&self, connection: &Connection, run: &Run) -> Result<Numbers> {
        let is_complete = |name: &str| {
            let mut streams = run.streams.iter().filter(|stream| stream.stream == name);
            streams.any(|stream| stream.state() == StreamState::Complete)
        };
        // Only a run whose activity is complete is sure to be followed by a rollup of its own.
        let stopped = !is_complete("member_activities");
        // What is said for want of a list of members may be older than the run, unless that brought none either.
        let has_roster = is_complete("members");
        let mut withheld = None;
        for _ in 0..ROLLUP_DEADLINE {
            let request = GetSummaryRequest { connection_id: connection.id.clone() };
            match self.caller.utilization().get_summary(request).await {
                Ok(response) => {
                    let summary = response.into_inner().summary;
                    let is_of_run = |summary: &Summary| summary.run_id == run.id;
                    let is_last =
                        |summary: &Summary| lacks_roster(summary) && (!has_roster || !is_pending(summary));
                    if stopped || summary.as_ref().is_some_and(|it| is_of_run(it) || is_last(it)) {
                        return Ok(Numbers { summary, withheld: None });
                    }
                }
                Err(status) if status::reason(&status).as_deref() == Some(ROSTER_UNREAD) => {
                    withheld = Some(status.message().to_owned());
                    if stopped || !has_roster || !status::is_pending(&status) {
                        break;
                    }
                }
                Err(status) if status.code() == Code::NotFound => {
                    let covered = run
                        .streams
                        .iter()
                        .any(|stream| stream.stream == "member_activities" && stream.done > 0);
                    if stopped || !covered {
                        return Ok(Numbers::default());
                    }
                }
                Err(status) => return Err(sentence(&status)),
            }
            self.pause().await?;
        }
        if withheld.is_some() {
            return Ok(Numbers { summary: None, withheld });
        }
        bail!("{}: the numbers were not ready two minutes after the sync ended", name(connection))
    }

    /// What a person has to put right ends the wait: behind it the services try again for ever.
    pub(crate) fn check_database(&self) -> Result<()> {
        match tidemark_store::outage_since(self.since) {
            Some(outage) => bail!("{outage}. Nothing was reported"),
            None => Ok(()),
        }
    }

    async fn pause(&self) -> Result<()> {
        self.check_database()?;
        if self.shutdown.pause(POLL).await {
            Ok(())
        } else {
            bail!("stopped before the end; nothing was reported")
        }
    }

    /// Says once why nothing comes for a while, also where no bars are drawn.
    fn say_wait(&self, workspace: &str, run: &Run, said: &mut String) {
        let Some(pause) = waits(run).find(|wait| wait.starts_with(ASKED_TO_WAIT)) else { return };
        let asked = pause.split(';').next().unwrap_or(pause);
        let sentence = format!("{workspace}: {asked}; Ctrl-C keeps what is fetched");
        if *said == sentence {
            return;
        }
        if self.bars.is_hidden() || self.bars.println(&sentence).is_err() {
            eprintln!("{sentence}");
        }
        *said = sentence;
    }

    fn bar(&self, workspace: &str) -> ProgressBar {
        let mut drawn = self.drawn.lock().expect("no holder panics");
        let style = ProgressStyle::with_template("{prefix:<16} {bar:30} {pos:>4}/{len} days  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = drawn.entry(workspace.to_owned()).or_insert_with(|| {
            self.bars.add(ProgressBar::new(0).with_style(style).with_prefix(workspace.to_owned()))
        });
        bar.reset();
        bar.clone()
    }

    /// Takes the bars off the screen, so that tables stand alone.
    pub(crate) fn clear_bars(&self) {
        let mut drawn = self.drawn.lock().expect("no holder panics");
        drawn.drain().for_each(|(_, bar)| bar.finish_and_clear());
    }
}

/// What came of a sync.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) summary: Option<Summary>,
    /// Why there is none, where the service says so.
    pub(crate) withheld: Option<String>,
}

/// Whether newer numbers are withheld for want of a list of members.
fn lacks_roster(summary: &Summary) -> bool {
    summary.basis.as_ref().is_some_and(|basis| basis.flags.iter().any(|flag| flag == quality::ROSTER_UNREAD))
}

fn is_pending(summary: &Summary) -> bool {
    summary.basis.as_ref().is_some_and(|basis| basis.pending_changes)
}

fn is_open(run: &Run) -> bool {
    matches!(run.state(), RunState::Queued | RunState::Running | RunState::Unspecified)
}

fn show(bar: &ProgressBar, run: &Run) {
    if let Some(activity) = run.streams.iter().find(|stream| stream.stream == "member_activities") {
        bar.set_length(activity.total);
        bar.set_position(activity.done);
        let wait = waits(run).next().map(|wait| format!("  {wait}")).unwrap_or_default();
        bar.set_message(format!("{} rows{wait}", activity.rows));
    }
}

/// Why the run, or what of it is not in, comes no further just now.
fn waits(run: &Run) -> impl Iterator<Item = &str> {
    let open = |stream: &&StreamProgress| {
        matches!(stream.state(), StreamState::Pending | StreamState::Running) && !stream.detail.is_empty()
    };
    let of_streams = run.streams.iter().filter(open).map(|stream| stream.detail.as_str());
    Some(run.reason.as_str()).filter(|reason| !reason.is_empty()).into_iter().chain(of_streams)
}

pub(crate) fn name(connection: &Connection) -> String {
    if connection.workspace.is_empty() { connection.id.clone() } else { connection.workspace.clone() }
}

/// The service's sentence is meant for a person; the rest of a status is not.
pub(crate) fn sentence(status: &tonic::Status) -> anyhow::Error {
    if status.code() == Code::Unavailable {
        return anyhow!("{}. Check the network, and that region and host are right", status.message());
    }
    anyhow!("{}", status.message())
}
