//! `tidemark report`: one real workspace, one token from the environment, no server; only a local SQLite file is written.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::connections::{Availability, Capability, Connection, Region};
use tidemark_runtime::{Config, Shutdown};
use url::Url;

use crate::{
    cycle::{Cycle, Embedded},
    sheet,
};

const TOKEN: &str = "PRODUCTBOARD_TOKEN";
const DEFAULT_DATABASE: &str = "tidemark-report.sqlite";
/// A report has one customer: whoever runs it.
const ORGANIZATION: &str = "org_00000000000000000000000000";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the workspace's data lives. Keys work only in their own region.
    #[arg(long, value_enum, default_value_t = RegionArg::Us)]
    region: RegionArg,
    /// Another host that serves `/v2/…`, instead of the region's.
    #[arg(long)]
    api_url: Option<Url>,
    /// How many days of activity to fetch.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    days: u32,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Keep the data in this SQLite file and fetch only what is new next time. Without it, `tidemark-report.sqlite`
    /// in the current folder is made anew each time.
    #[arg(long)]
    database: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RegionArg {
    Us,
    Eu,
}

pub(crate) async fn run(args: Args, load: impl Fn(&[(&str, String)]) -> Result<Config>) -> Result<ExitCode> {
    let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty()) else {
        bail!(
            "{TOKEN} is not set. Create an access token in Productboard (Settings, Integrations, Public APIs) as an \
             admin and run: {TOKEN}=… tidemark report"
        );
    };
    let database = match &args.database {
        Some(path) => path.clone(),
        None => {
            remove(Path::new(DEFAULT_DATABASE))?;
            PathBuf::from(DEFAULT_DATABASE)
        }
    };
    let url = format!("sqlite://{}", database.display());
    let region = match args.region {
        RegionArg::Us => Region::Us,
        RegionArg::Eu => Region::Eu,
    };
    let mut overrides = match &args.api_url {
        Some(host) => Embedded::overrides(&url, host.as_str()),
        None => Embedded::local(&url),
    };
    overrides.push(("worker.history_days", args.days.to_string()));
    let config = load(&overrides)?;
    let shutdown = Shutdown::on_signals()?;
    let embedded = Embedded::start(&config, &shutdown).await?;
    let organization: OrganizationId = ORGANIZATION.parse().context("a constant")?;
    let cycle = Cycle::new(embedded.caller.clone(), &shutdown);
    let result = async {
        let connection = cycle.connect_or_reconnect(&organization, region, token).await?;
        require_activity(&connection)?;
        cycle.sync(&connection).await
    }
    .await;
    cycle.clear_bars();
    embedded.stop().await?;
    let sheet = result?;
    if let Some(reason) = sheet.gap() {
        bail!("{reason}");
    }
    sheet::print(&[sheet], args.json)?;
    eprintln!("The data is in {}.", database.display());
    Ok(ExitCode::SUCCESS)
}

/// Without activity there is no utilization: say so instead of printing zeros.
fn require_activity(connection: &Connection) -> Result<()> {
    let activity =
        connection.capabilities.iter().find(|finding| finding.capability() == Capability::Activity);
    match activity.map(|finding| finding.availability()) {
        Some(Availability::NotInPlan) => bail!(
            "the Productboard plan of this workspace has no member analytics, so it stays unknown which seats are \
             used. Ask Productboard to enable the analytics API, or upgrade the plan, and run the report again"
        ),
        Some(Availability::Forbidden) => bail!(
            "the token may not read member analytics, so it stays unknown which seats are used. Create the token as \
             an admin of the workspace and run the report again"
        ),
        _ => Ok(()),
    }
}

fn remove(database: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", database.display());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{path} of an earlier report cannot be replaced"));
            }
            _ => {}
        }
    }
    Ok(())
}
