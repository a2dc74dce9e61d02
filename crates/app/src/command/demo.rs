//! `tidemark demo`: the whole cluster in one process, against the simulator, with the console in the browser. Nothing is
//! left behind.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tidemark_domain::{Clock, id::OrganizationId};
use tidemark_productboard_sim::{App, Options, Simulator, Workspace, showcase};
use tidemark_rpc::connections::{ConsoleRole, Region};
use tidemark_runtime::{Config, OsEntropy, Shutdown, SystemClock};
use tokio::net::TcpListener;

use crate::{
    command::console::link,
    console,
    cycle::{Cycle, Embedded},
    sheet,
};

const BETWEEN_CYCLES: Duration = Duration::from_secs(20);
const APPLICATION: &str = "tidemark-demo";
const APPLICATION_SECRET: &str = "of-no-use-elsewhere";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after the first full cycle, without a console.
    #[arg(long)]
    once: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Where the console listens; the next free port where that one is taken.
    #[arg(long, default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
}

pub(crate) async fn run(args: Args, load: impl Fn(&[(&str, String)]) -> Result<Config>) -> Result<ExitCode> {
    let shutdown = Shutdown::on_signals(Duration::ZERO)?;
    let nowhere = "127.0.0.1:0".parse().context("a constant")?;
    let simulator =
        Simulator::start(nowhere, Options::default()).await.context("the simulator did not start")?;
    let specs = showcase(SystemClock.today());
    for spec in &specs {
        simulator.add(Workspace::generate(spec), token(&spec.domain));
    }
    let mut settings = Embedded::overrides("sqlite::memory:", &simulator.base_url());
    let listener = if args.once { None } else { Some(listen(args.listen).await?) };
    if let Some(listener) = &listener {
        settings.extend(console_settings(&simulator, listener.local_addr().context("its own address")?));
    }
    let config = load(&settings)?;
    let mut embedded = Embedded::start(&config, &shutdown).await?;
    let organization = OrganizationId::generate(&SystemClock, &OsEntropy);
    if let Some(listener) = listener {
        embedded.open_console(&config, listener)?;
        let url = link(&embedded.caller, (&organization, "Demo"), "Demo admin", ConsoleRole::Admin).await?;
        eprintln!("The console, for one visit within the hour: {url}");
        eprintln!("Keys to connect with: {}", specs.each_ref().map(|spec| token(&spec.domain)).join(", "));
    }
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
    // Its channel would keep the server from ending.
    drop(cycle);
    embedded.stop().await?;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    match console::listen(address).await {
        Ok(listener) => Ok(listener),
        Err(_) => console::listen(SocketAddr::new(address.ip(), 0)).await,
    }
}

/// Where the console is, and an application of the simulated vendor, so that people can consent, too.
fn console_settings(simulator: &Simulator, at: SocketAddr) -> Vec<(&'static str, String)> {
    let (console, vendor) = (format!("http://{at}"), simulator.base_url());
    let redirect = format!("{console}/oauth/callback");
    simulator.register_app(App {
        client_id: APPLICATION.to_owned(),
        client_secret: APPLICATION_SECRET.to_owned(),
        redirect_uris: vec![redirect.clone()],
        scopes: SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
        public_key_pem: None,
    });
    vec![
        ("console.public_url", console),
        ("oauth.client_id", APPLICATION.to_owned()),
        ("oauth.client_secret", APPLICATION_SECRET.to_owned()),
        ("oauth.redirect_url", redirect),
        ("oauth.us_host", vendor.clone()),
        ("oauth.eu_host", vendor),
    ]
}

const SCOPES: [&str; 6] =
    ["members:read", "members:pii:read", "teams:read", "analytics:read", "notes:read", "entities:read"];

fn token(domain: &str) -> String {
    format!("{domain}-token")
}
