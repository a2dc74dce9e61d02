//! `tidemark demo`: the whole cluster in one process, against the simulator. Nothing is left behind.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tidemark_domain::{Clock, id::OrganizationId};
use tidemark_productboard_sim::{Options, Simulator, Workspace, showcase};
use tidemark_rpc::connections::Region;
use tidemark_runtime::{Config, OsEntropy, Shutdown, SystemClock};

use crate::{
    cycle::{Cycle, Embedded},
    sheet,
};

const BETWEEN_CYCLES: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after the first full cycle.
    #[arg(long)]
    once: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, load: impl Fn(&[(&str, String)]) -> Result<Config>) -> Result<ExitCode> {
    let shutdown = Shutdown::on_signals()?;
    let nowhere = "127.0.0.1:0".parse().context("a constant")?;
    let simulator =
        Simulator::start(nowhere, Options::default()).await.context("the simulator did not start")?;
    let specs = showcase(SystemClock.today());
    for spec in &specs {
        simulator.add(Workspace::generate(spec), token(&spec.domain));
    }
    let config = load(&Embedded::overrides("sqlite::memory:", &simulator.base_url()))?;
    let embedded = Embedded::start(&config, &shutdown).await?;
    let organization = OrganizationId::generate(&SystemClock, &OsEntropy);
    let cycle = Cycle::new(embedded.caller.clone(), &shutdown);

    let keys = specs.iter().map(|spec| token(&spec.domain));
    let connections = try_join_all(keys.map(|key| cycle.connect(&organization, Region::Us, key))).await?;
    let mut first = true;
    loop {
        let sheets = try_join_all(connections.iter().map(|connection| cycle.sync(connection))).await?;
        cycle.clear_bars();
        sheet::print(&sheets, args.json)?;
        if args.once {
            break;
        }
        if first {
            // The third workspace shows what a lost key looks like.
            simulator.revoke(&token(&specs[2].domain));
            eprintln!(
                "The key of {} was just revoked. Next cycle in {BETWEEN_CYCLES:?}; Ctrl-C ends.",
                specs[2].domain
            );
            first = false;
        }
        if !shutdown.pause(BETWEEN_CYCLES).await {
            break;
        }
    }
    embedded.stop().await?;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn token(domain: &str) -> String {
    format!("{domain}-token")
}
