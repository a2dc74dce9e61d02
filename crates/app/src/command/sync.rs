//! `tidemark sync`: starts, watches and stops syncs, and says what is synced, at the sync service.

mod bars;
mod data;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use futures::StreamExt;
use serde_json::{Value, json};
use tidemark_rpc::{
    client::Caller,
    syncs::{
        CancelSyncRequest, GetScheduleRequest, GetSyncRequest, ListSyncsRequest, Run, RunState, Schedule,
        SetScheduleRequest, StartSyncRequest, StreamProgress, WatchSyncRequest,
    },
};
use tidemark_runtime::Config;
use url::Url;

use self::bars::Bars;
use crate::{
    command::wire::{time, word},
    wiring,
};

/// How soon a watch that broke off is begun again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Where the sync service answers; by default where `tidemark worker` listens on this machine.
    #[arg(long, global = true)]
    url: Option<Url>,
    /// Print JSON: one object per line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Asks for a sync of a connection, and prints the run.
    Start {
        /// `conn_…`
        connection: String,
        /// Follow it until its end.
        #[arg(long)]
        watch: bool,
    },
    /// Shows a run.
    Show {
        /// `run_…`
        run: String,
    },
    /// Lists the newest runs of a connection.
    List {
        /// `conn_…`
        connection: String,
    },
    /// Follows a run until its end. The exit code says whether it succeeded.
    Watch {
        /// `run_…`
        run: String,
    },
    /// Ends a run; what is in stays.
    Cancel {
        /// `run_…`
        run: String,
    },
    /// Shows or sets how often a connection is synced.
    Schedule {
        /// `conn_…`
        connection: String,
        /// Seconds from one sync to the next; 0 is never.
        #[arg(long, conflicts_with = "usual")]
        every: Option<u64>,
        /// As the deployment says.
        #[arg(long)]
        usual: bool,
    },
    #[command(flatten)]
    Data(data::What),
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn told(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    let caller = wiring::sync_caller(config, args.url.as_ref())?;
    let mut client = caller.syncs();
    match args.what {
        What::Start { connection, watch: follow } => {
            let request = StartSyncRequest { connection_id: connection, ..StartSyncRequest::default() };
            let run = client.start_sync(request).await.map_err(told)?.into_inner().run;
            let run = run.context("the service answered without a run")?;
            if follow {
                return watch(&caller, run.id, args.json).await;
            }
            print(&run, args.json);
        }
        What::Show { run } => {
            let run = client.get_sync(GetSyncRequest { run_id: run }).await.map_err(told)?.into_inner().run;
            print(&run.unwrap_or_default(), args.json);
        }
        What::List { connection } => {
            let request = ListSyncsRequest { connection_id: connection, ..ListSyncsRequest::default() };
            let runs = client.list_syncs(request).await.map_err(told)?.into_inner().runs;
            runs.iter().for_each(|run| print(run, args.json));
        }
        What::Watch { run } => return watch(&caller, run, args.json).await,
        What::Cancel { run } => {
            let request = CancelSyncRequest { run_id: run };
            let run = client.cancel_sync(request).await.map_err(told)?.into_inner().run;
            print(&run.unwrap_or_default(), args.json);
        }
        What::Data(what) => data::run(&caller, what, args.json).await?,
        What::Schedule { connection, every: None, usual: false } => {
            let request = GetScheduleRequest { connection_id: connection };
            let found = client.get_schedule(request).await.map_err(told)?.into_inner().schedule;
            print_schedule(&found.unwrap_or_default(), args.json);
        }
        What::Schedule { connection, every, .. } => {
            let request = SetScheduleRequest { connection_id: connection, every_seconds: every };
            let set = client.set_schedule(request).await.map_err(told)?.into_inner().schedule;
            print_schedule(&set.unwrap_or_default(), args.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A stream that breaks off is begun again, as long as the service answers.
async fn watch(caller: &Caller, run_id: String, as_json: bool) -> Result<ExitCode> {
    let mut bars = if as_json { None } else { Bars::on_terminal() };
    let run = loop {
        let request = WatchSyncRequest { run_id: run_id.clone() };
        let mut steps = caller.syncs().watch_sync(request).await.map_err(told)?.into_inner();
        let mut ended = None;
        while let Some(Ok(step)) = steps.next().await {
            let run = step.run.unwrap_or_default();
            match &mut bars {
                _ if run.finished_at.is_some() => ended = Some(run),
                Some(bars) => bars.show(&run),
                None => print(&run, as_json),
            }
        }
        if let Some(run) = ended {
            break run;
        }
        tokio::time::sleep(AGAIN).await;
    };
    if let Some(bars) = bars {
        bars.clear();
    }
    print(&run, as_json);
    let is_well = matches!(run.state(), RunState::Succeeded | RunState::Partial);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(run: &Run, as_json: bool) {
    if as_json {
        say!("{}", described(run));
        return;
    }
    let left = run.remaining_seconds.map(|left| format!(", about {left} s left")).unwrap_or_default();
    say!("{} {}{left} {}", run.id, word(run.state().as_str_name(), "RUN_STATE_"), run.reason);
    for stream in &run.streams {
        let state = word(stream.state().as_str_name(), "STREAM_STATE_");
        say!(
            "  {:<18} {state:<12} {:>4}/{:<4} {:>9} rows {:>6} requests  {}",
            stream.stream,
            stream.done,
            stream.total,
            stream.rows,
            stream.requests,
            stream.detail
        );
    }
}

fn print_schedule(schedule: &Schedule, as_json: bool) {
    let next = time(schedule.next_at.as_ref());
    if as_json {
        say!("{}", json!({ "every_seconds": schedule.every_seconds, "next_at": next }));
        return;
    }
    let every = match schedule.every_seconds {
        None => "as the deployment says".to_owned(),
        Some(0) => "never".to_owned(),
        Some(seconds) => format!("every {seconds} s"),
    };
    say!("{every}; next: {}", next.unwrap_or_else(|| "not decided".to_owned()));
}

fn described(run: &Run) -> Value {
    let coverage = run.coverage.clone().unwrap_or_default();
    json!({
        "id": run.id,
        "connection_id": run.connection_id,
        "state": word(run.state().as_str_name(), "RUN_STATE_"),
        "priority": word(run.priority().as_str_name(), "PRIORITY_"),
        "reason": run.reason,
        "attempts": run.attempts,
        "remaining_seconds": run.remaining_seconds,
        "coverage": { "first_day": coverage.first_day, "last_day": coverage.last_day, "days": coverage.days },
        "streams": run.streams.iter().map(described_stream).collect::<Vec<_>>(),
        "created_at": time(run.created_at.as_ref()),
        "started_at": time(run.started_at.as_ref()),
        "finished_at": time(run.finished_at.as_ref()),
    })
}

fn described_stream(stream: &StreamProgress) -> Value {
    json!({
        "stream": stream.stream,
        "state": word(stream.state().as_str_name(), "STREAM_STATE_"),
        "rows": stream.rows,
        "pages": stream.pages,
        "requests": stream.requests,
        "waited_ms": stream.waited_ms,
        "done": stream.done,
        "total": stream.total,
        "attempts": stream.attempts,
        "detail": stream.detail,
    })
}
