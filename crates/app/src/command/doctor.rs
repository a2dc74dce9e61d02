//! `tidemark doctor`: asks every server for an answer; where there is none, names it and says what to do.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use secrecy::ExposeSecret;
use serde::Serialize;
use tidemark_credentials::{Vault, audit::AuditKey};
use tidemark_runtime::{Config, OsEntropy};
use tidemark_store::Store;
use tokio::time::timeout;

use crate::wiring::{self, BusChoice, LeasesChoice};

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
    let (database, bus, leases, credentials) =
        tokio::join!(database(config), broker(config), lease_service(config), credential_service(config));
    let findings = [database, bus, leases, keys(config), credentials];
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

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn database(config: &Config) -> Finding {
    const SUBJECT: &str = "database";
    let mend = "start PostgreSQL, or correct database.url (TIDEMARK_DATABASE__URL)";
    let ask = async { Store::connect(&config.database).await?.check().await };
    match timeout(PATIENCE, ask).await {
        Err(_) => Finding::ill(SUBJECT, "no answer in 15 s", mend),
        Ok(Err(error)) => Finding::ill(SUBJECT, chain(&error), mend),
        Ok(Ok(info)) if info.pending_migrations.is_empty() => Finding::well(SUBJECT, info.version),
        Ok(Ok(info)) => {
            let detail = format!("{}; {} migration(s) missing", info.version, info.pending_migrations.len());
            Finding::ill(SUBJECT, detail, "run `tidemark migrate`")
        }
    }
}

async fn broker(config: &Config) -> Finding {
    const SUBJECT: &str = "message broker";
    let mend = "start RabbitMQ, or correct bus.url (TIDEMARK_BUS__URL)";
    match wiring::bus(config) {
        Err(error) => Finding::ill(SUBJECT, format!("{error:#}"), mend),
        Ok(BusChoice::Inproc(_)) => Finding::well(SUBJECT, "in this process"),
        Ok(BusChoice::Amqp(bus)) => match timeout(PATIENCE, bus.check()).await {
            Err(_) => Finding::ill(SUBJECT, "no answer in 15 s", mend),
            Ok(Err(error)) => Finding::ill(SUBJECT, chain(&error), mend),
            Ok(Ok(info)) => Finding::well(
                SUBJECT,
                format!("RabbitMQ {}", info.version.as_deref().unwrap_or("of unknown version")),
            ),
        },
    }
}

async fn lease_service(config: &Config) -> Finding {
    const SUBJECT: &str = "lease service";
    let mend = "start Redis, or correct leases.url (TIDEMARK_LEASES__URL); until then workers use the database's lease";
    match wiring::leases(config) {
        Err(error) => Finding::ill(SUBJECT, format!("{error:#}"), mend),
        Ok(LeasesChoice::Inproc(_)) => Finding::well(SUBJECT, "in this process"),
        Ok(LeasesChoice::Redis(leases)) => match timeout(PATIENCE, leases.check()).await {
            Err(_) => Finding::ill(SUBJECT, "no answer in 15 s", mend),
            Ok(Err(error)) => Finding::ill(SUBJECT, chain(&error), mend),
            Ok(Ok(version)) => Finding::well(SUBJECT, format!("Redis {version}")),
        },
    }
}

fn keys(config: &Config) -> Finding {
    const SUBJECT: &str = "keys";
    if let Err(error) = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy)) {
        return Finding::ill(
            SUBJECT,
            chain(&error),
            "set credentials.keys (TIDEMARK_CREDENTIALS__KEYS or …_KEYS_FILE)",
        );
    }
    if config.rpc_token.expose_secret().len() < 16 {
        return Finding::ill(
            SUBJECT,
            "rpc.token is too short",
            "set rpc.token (TIDEMARK_RPC__TOKEN) to 16 characters or more",
        );
    }
    if let Err(error) = AuditKey::parse(&config.audit_key) {
        return Finding::ill(SUBJECT, chain(&error), "set audit.key (TIDEMARK_AUDIT__KEY or …_KEY_FILE)");
    }
    Finding::well(SUBJECT, "the key-encryption keys, the audit key and the service token are usable")
}

async fn credential_service(config: &Config) -> Finding {
    const SUBJECT: &str = "credential service";
    let url = &config.credentials.url;
    let mend =
        "start `tidemark credentials`, or correct credentials.url (TIDEMARK_CREDENTIALS__URL) and rpc.token";
    let caller = match wiring::caller(config) {
        Ok(caller) => caller,
        Err(error) => return Finding::ill(SUBJECT, format!("{error:#}"), mend),
    };
    // A connection that cannot exist: the answer "no such connection" proves address, token and database.
    let request = tidemark_rpc::connections::GetConnectionRequest {
        connection_id: "conn_00000000000000000000000000".to_owned(),
    };
    match timeout(PATIENCE, caller.connections().get_connection(request)).await {
        Err(_) => Finding::ill(SUBJECT, format!("{url}: no answer in 15 s"), mend),
        Ok(Err(status)) if status.code() == tonic::Code::NotFound => {
            Finding::well(SUBJECT, format!("{url} answers"))
        }
        Ok(Err(status)) => Finding::ill(SUBJECT, format!("{url}: {}", status.message()), mend),
        Ok(Ok(_)) => Finding::well(SUBJECT, format!("{url} answers")),
    }
}
