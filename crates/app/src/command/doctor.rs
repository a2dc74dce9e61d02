//! `tidemark doctor`: asks everything for an answer; where there is none, names it and says what to do.

mod inside;
mod servers;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use serde::Serialize;
use tidemark_runtime::Config;

const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON instead of lines.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    healthy: bool,
    detail: String,
    /// What to do; empty where all is well.
    mend: String,
}

impl Finding {
    fn well(subject: &'static str, detail: impl Into<String>) -> Self {
        Self { subject, healthy: true, detail: detail.into(), mend: String::new() }
    }

    fn ill(subject: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { subject, healthy: false, detail: detail.into(), mend: mend.into() }
    }
}

pub(crate) async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let (record, broker, leases, services) = tokio::join!(
        inside::record(config),
        servers::broker(config),
        servers::leases(config),
        servers::services(config)
    );
    let mut findings = record;
    findings.extend(broker);
    findings.push(leases);
    findings.push(inside::secrets(config));
    findings.extend(services);
    print(&findings, args.json)?;
    let healthy = findings.iter().all(|finding| finding.healthy);
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "the findings are the command's output")]
fn print(findings: &[Finding], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(findings)?);
        return Ok(());
    }
    for Finding { subject, healthy, detail, mend } in findings {
        println!("{} {subject}: {detail}", if *healthy { "ok  " } else { "FAIL" });
        if !mend.is_empty() {
            println!("       do: {mend}");
        }
    }
    Ok(())
}

/// Whether a version such as `3.10.8` is at least that one. What cannot be read is taken for good.
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
