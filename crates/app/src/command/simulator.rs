//! `tidemark simulator`: the simulated vendor as a server of its own.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::{Context, Result};
use tidemark_domain::Clock;
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec, showcase};
use tidemark_runtime::{Config, Shutdown, SystemClock};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:18099")]
    listen: SocketAddr,
    /// Serve one workspace of this many members instead of the three of the demo.
    #[arg(long)]
    members: Option<usize>,
    /// The seed of that workspace.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days of activity.
    #[arg(long, default_value_t = 400)]
    days: u32,
    /// Requests per second and token; 0 for no limit.
    #[arg(long, default_value_t = 50)]
    rate: u32,
}

pub(crate) async fn run(args: Args, load: impl Fn(&[(&str, String)]) -> Result<Config>) -> Result<ExitCode> {
    load(&[])?;
    let today = SystemClock.today();
    let options = Options { requests_per_second: args.rate, ..Options::default() };
    let simulator = Simulator::start(args.listen, options)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let specs = match args.members {
        Some(members) => vec![WorkspaceSpec::new("sample", members, today).seed(args.seed).days(args.days)],
        None => showcase(today).map(|spec| spec.days(args.days)).to_vec(),
    };
    eprintln!("Simulated Productboard at {}", simulator.base_url());
    for spec in specs {
        let token = format!("{}-token", spec.domain);
        eprintln!("  {} ({} members), token {token}", spec.domain, spec.members);
        simulator.add(Workspace::generate(&spec), token);
    }
    Shutdown::on_signals(std::time::Duration::ZERO)?.soft().cancelled().await;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
