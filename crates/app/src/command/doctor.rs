//! `tidemark doctor`: asks everything for an answer; where there is none, names it and says what to do. Each check has a
//! deadline, and what is found is printed at once.

mod inside;
mod report;
mod servers;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use tidemark_runtime::Config;

use report::{Finding, Report, Section, silent};

/// For one check.
const PATIENCE: Duration = Duration::from_secs(6);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON instead of lines.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let report = Report::new(args.json);
    report.section(3).add(inside::secrets(config));
    tokio::join!(
        inside::record(config, report.section(0)),
        servers::broker(config, report.section(1)),
        servers::leases(config, report.section(2)),
        servers::services(config, [report.section(4), report.section(5), report.section(6)]),
        servers::vendor(config, report.section(7)),
    );
    Ok(if report.finish()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a version such as `3.10.8` is at least that one. What cannot be read is taken to be.
fn is_at_least(version: &str, least: (u32, u32)) -> bool {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = number.unwrap_or_default().split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= least,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_at_least("PostgreSQL 15.20 (Debian 15.20-0+deb12u1)", (14, 0)));
        assert!(!is_at_least("PostgreSQL 13.9", (14, 0)));
        assert!(is_at_least("3.10.8", (3, 10)) && !is_at_least("3.9.29", (3, 10)));
        assert!(is_at_least("of unknown version", (3, 10)));
    }
}
