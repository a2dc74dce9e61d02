//! `tidemark report`: one real workspace, one token from the environment, no server; only a local SQLite file is written.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;
use tidemark_domain::{
    contract::{Currency, Price},
    id::OrganizationId,
};
use tidemark_rpc::{
    client::Caller,
    connections::{Availability, Capability, Connection, Region},
    utilization::{Contract, GetSummaryRequest, Money, SetContractRequest},
};
use tidemark_runtime::{Config, Shutdown};
use url::Url;

use crate::{
    command::export::{self, FormatArg, TableArg},
    cycle::{Cycle, Embedded, name, sentence},
    portrait::{self, Evidence},
    sheet::{self, Sheet},
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
    /// Write the report as one page with charts to this file: no script, nothing loaded from elsewhere.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write summary, seats, recommendations and member days as CSV into this folder.
    #[arg(long, value_name = "FOLDER")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    contract: ContractArgs,
    /// Keep the data in this SQLite file and fetch only what is new next time. Without it, `tidemark-report.sqlite`
    /// in the current folder is made anew each time.
    #[arg(long)]
    database: Option<PathBuf>,
}

/// What is paid for: with it, the report tells money.
#[derive(Debug, clap::Args)]
struct ContractArgs {
    /// Seats that were bought.
    #[arg(long, value_name = "SEATS")]
    purchased: Option<u32>,
    /// What one seat costs a month, such as `25.00EUR`.
    #[arg(long, value_parser = price)]
    price: Option<Price>,
    /// Seats that have to be bought in any case.
    #[arg(long, value_name = "SEATS", requires = "purchased")]
    minimum: Option<u32>,
    /// The first day of the next term, YYYY-MM-DD.
    #[arg(long, value_name = "DAY")]
    renewal: Option<NaiveDate>,
}

impl ContractArgs {
    /// None where nothing was said, so that what was entered before stays.
    fn wire(&self) -> Option<Contract> {
        let Self { purchased, price, minimum, renewal } = self;
        let said = purchased.is_some() || price.is_some() || renewal.is_some();
        said.then(|| Contract {
            purchased_seats: *purchased,
            price_per_seat_month: price
                .map(|price| Money { minor: price.minor, currency: price.currency.to_string() }),
            minimum_seats: *minimum,
            renewal_date: renewal.map(|day| day.to_string()).unwrap_or_default(),
            target_percent: None,
        })
    }
}

/// An amount and a currency, without rounding.
fn price(text: &str) -> Result<Price, String> {
    let expected = || format!("`{text}` is not an amount with a currency, such as 25.00EUR");
    let text = text.trim();
    let (amount, code) = text.split_at_checked(text.len().saturating_sub(3)).ok_or_else(expected)?;
    let currency: Currency = code.parse().map_err(|_| expected())?;
    let (whole, part) = amount.trim().split_once('.').unwrap_or((amount.trim(), ""));
    let digits = currency.digits() as usize;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) || part.len() > digits {
        return Err(expected());
    }
    let minor = format!("{whole}{part:0<digits$}").parse().map_err(|_| expected())?;
    Ok(Price { minor, currency })
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum RegionArg {
    Us,
    Eu,
}

/// The access token from the environment, for a command that needs one.
pub(crate) fn token(command: &str) -> Result<String> {
    match std::env::var(TOKEN) {
        Ok(token) if !token.trim().is_empty() => Ok(token),
        _ => bail!(
            "{TOKEN} is not set. Create an access token in Productboard (profile menu, Integrations, Public APIs) as \
             an admin and run: {TOKEN}=… tidemark {command}"
        ),
    }
}

pub(crate) async fn run(args: Args, load: impl Fn(&[(&str, String)]) -> Result<Config>) -> Result<ExitCode> {
    let token = token("report")?;
    check_files(&args)?;
    let database = match &args.database {
        Some(path) => path.clone(),
        None => {
            remove(Path::new(DEFAULT_DATABASE))?;
            PathBuf::from(DEFAULT_DATABASE)
        }
    };
    let url = tidemark_store::sqlite_url(&database);
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
    let shutdown = Shutdown::on_signals(std::time::Duration::ZERO)?;
    let embedded = Embedded::start(&config, &shutdown).await?;
    let organization: OrganizationId = ORGANIZATION.parse().context("a constant")?;
    let cycle = Cycle::new(embedded.caller.clone(), &shutdown);
    let result = async {
        let connection = cycle.connect_or_reconnect(&organization, region, token).await?;
        require_activity(&connection)?;
        make(&args, &embedded.caller, &cycle, &connection).await
    }
    .await;
    cycle.clear_bars();
    // Whatever else went wrong or seems right: this is why.
    let result = cycle.check_database().and(result);
    if result.is_err() && shutdown.soft().is_cancelled() {
        let kept = database.display();
        eprintln!("What was fetched is in {kept}; a report with `--database {kept}` goes on from there.");
    }
    let stopped = embedded.stop().await;
    let result = result.and_then(|sheet| stopped.map(|_| sheet));
    sheet::print(&[result?], args.json)?;
    let files = [&args.html, &args.csv].into_iter().flatten();
    files.for_each(|file| eprintln!("Written: {}.", file.display()));
    eprintln!("The data is in {}.", database.display());
    Ok(ExitCode::SUCCESS)
}

/// Syncs, and writes what was asked for.
async fn make(args: &Args, caller: &Caller, cycle: &Cycle, connection: &Connection) -> Result<Sheet> {
    let (run, mut numbers) = cycle.sync_run(connection).await?;
    if let (Some(contract), Some(_)) = (args.contract.wire(), &numbers.summary) {
        let request = SetContractRequest { connection_id: connection.id.clone(), contract: Some(contract) };
        caller.utilization().set_contract(request).await.map_err(|status| sentence(&status))?;
        let request = GetSummaryRequest { connection_id: connection.id.clone() };
        let told = caller.utilization().get_summary(request).await.map_err(|status| sentence(&status))?;
        numbers.summary = told.into_inner().summary;
    }
    let (workspace, summary) = (name(connection), numbers.summary.clone());
    let sheet = Sheet::new(workspace.clone(), &run, numbers);
    if let Some(reason) = sheet.gap() {
        bail!("{reason}");
    }
    if let (Some(file), Some(summary)) = (&args.html, summary) {
        let step = |what| cycle.asking(&connection.workspace, what);
        let evidence = Evidence::gather(caller, workspace, summary, step).await?;
        let page = portrait::render(&evidence)?;
        std::fs::write(file, page).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if let Some(folder) = &args.csv {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        for table in TableArg::ALL {
            cycle.asking(&connection.workspace, table.name());
            let path = folder.join(format!("{}.csv", table.name()));
            let request = table.request(&connection.id, FormatArg::Csv);
            export::download(caller, request, &path, |_| {}).await?;
        }
    }
    Ok(sheet)
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

/// What is to be written at the end can be written: a whole fetch must not be lost for a wrong path.
fn check_files(args: &Args) -> Result<()> {
    if let Some(file) = &args.html {
        check_file(file).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if let Some(folder) = &args.csv {
        let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let new: Vec<_> = folder.ancestors().take_while(is_new).collect();
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        for table in TableArg::ALL {
            let file = folder.join(format!("{}.csv", table.name()));
            check_file(&file).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        for folder in new {
            std::fs::remove_dir(folder).with_context(|| format!("{} cannot be changed", folder.display()))?;
        }
    }
    Ok(())
}

/// What is in the file stays; what was not there is not left behind.
fn check_file(file: &Path) -> std::io::Result<()> {
    let is_new = !file.try_exists()?;
    std::fs::OpenOptions::new().append(true).create(true).open(file)?;
    if is_new { std::fs::remove_file(file) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_without_rounding() {
        let read = |text: &str| price(text).map(|price| (price.minor, price.currency.to_string()));
        assert_eq!(read("25EUR"), Ok((2_500, "EUR".to_owned())));
        assert_eq!(read("25.5 usd"), Ok((2_550, "USD".to_owned())));
        assert_eq!(read("1200JPY"), Ok((1_200, "JPY".to_owned())));
        for wrong in ["", "EUR", "25", "25.005EUR", "-1EUR", "1,5EUR", "1.5JPY", "€25"] {
            assert!(price(wrong).is_err(), "{wrong}");
        }
    }
}
