//! `tidemark vendor-check`: holds what is assumed of Productboard against one real workspace.

use std::process::ExitCode;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use secrecy::SecretString;
use serde_json::{Value, json};
use tidemark_domain::Clock;
use tidemark_productboard::{
    Options,
    vendor_check::{Finding, MOST_REQUESTS, Outcome, VendorReport, vendor_check},
};
use tidemark_runtime::{Config, SystemClock};
use url::Url;

use crate::command::report::{RegionArg, token};

/// Tests what is assumed of Productboard against the workspace of the token in PRODUCTBOARD_TOKEN. Reads only, sends at
/// most 60 requests, and prints no name, address or id.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the workspace's data lives. Keys work only in their own region.
    #[arg(long, value_enum, default_value_t = RegionArg::Us)]
    region: RegionArg,
    /// Another host that serves `/v2/…`, instead of the region's.
    #[arg(long)]
    api_url: Option<Url>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, load: impl Fn(&[(&str, String)]) -> Result<Config>) -> Result<ExitCode> {
    let token = SecretString::from(token("vendor-check")?);
    let config = load(&[("log.filter", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()))])?;
    let url = args.api_url.clone().unwrap_or_else(|| match args.region {
        RegionArg::Us => config.productboard.us_url.clone(),
        RegionArg::Eu => config.productboard.eu_url.clone(),
    });
    let options = Options::default().trust(&url);
    let progress = |what| eprintln!("Asking about {what}…");
    let report = vendor_check(&url, &token, &options, SystemClock.today(), progress).await;
    let report = report.context("the workspace cannot be checked")?;
    print(&report, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn print(report: &VendorReport, as_json: bool) -> Result<()> {
    if as_json {
        let findings: Vec<Value> = report.findings.iter().map(as_value).collect();
        let report = json!({ "requests": report.requests, "findings": findings });
        say!("{}", serde_json::to_string_pretty(&report).context("JSON has string keys only")?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "assumption",
        "here",
        "seen",
        "what the product does",
    ]);
    for Finding { assumption, outcome, detail } in &report.findings {
        let consequence = if *outcome == Outcome::Differs { assumption.consequence() } else { "" };
        table.add_row([assumption.statement(), outcome.as_str(), detail, consequence]);
    }
    say!("{table}");
    let count = |outcome| report.findings.iter().filter(|finding| finding.outcome == outcome).count();
    say!(
        "{} hold, {} do not hold, {} could not be seen; {} of at most {MOST_REQUESTS} requests were sent.",
        count(Outcome::Holds),
        count(Outcome::Differs),
        count(Outcome::Unseen),
        report.requests
    );
    Ok(())
}

fn as_value(finding: &Finding) -> Value {
    let Finding { assumption, outcome, detail } = finding;
    let outcome = match outcome {
        Outcome::Holds => "holds",
        Outcome::Differs => "differs",
        Outcome::Unseen => "unseen",
    };
    json!({
        "assumption": assumption.id(),
        "statement": assumption.statement(),
        "outcome": outcome,
        "detail": detail,
        "consequence": assumption.consequence(),
    })
}
