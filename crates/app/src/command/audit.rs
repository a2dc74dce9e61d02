//! `tidemark audit`: is the audit log as it was written, where does it end, and what is in it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use serde_json::json;
use tidemark_credentials::audit::{Anchor, AuditKey, Checked, PLATFORM, Pruned, anchors, prune, verify};
use tidemark_domain::{Clock as _, id::OrganizationId};
use tidemark_runtime::{Config, SystemClock};
use tidemark_store::AuditEntry;

use crate::{
    node,
    operator::{OPERATOR, Operator},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Recomputes the chains and names the first broken entry of each; fails if there is one.
    Verify {
        /// Only this organization's chain.
        #[arg(long)]
        org: Option<OrganizationId>,
        /// What `audit head` printed at an earlier time.
        #[arg(long)]
        anchors: Option<PathBuf>,
    },
    /// Prints the ends of all chains as JSON: keep them where nobody who writes the database can reach them.
    Head,
    /// Deletes old entries that stand before the ends that were kept elsewhere; the log says so itself, and can still be
    /// verified. The database user must own the tables: no service may delete from the log.
    Prune {
        /// What `audit head` printed at an earlier time.
        #[arg(long)]
        anchors: PathBuf,
        /// Entries of this many days are kept, whatever the anchors say.
        #[arg(long, default_value_t = 400)]
        keep_days: u32,
    },
    /// Prints the newest entries, newest first.
    List {
        /// Of this organization; without, of what belongs to none.
        #[arg(long)]
        org: Option<OrganizationId>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    let store = node::connect(config).await?;
    let code = match args.what {
        What::Verify { org, anchors } => {
            let key = AuditKey::parse(&config.audit_key).context("the setting audit.key cannot be used")?;
            let anchors = anchors.map_or_else(|| Ok(Vec::new()), |path| read_anchors(&path))?;
            let checked = verify(&store, &key, org.as_ref().map(OrganizationId::as_str), &anchors).await?;
            report(&checked, args.json)
        }
        What::Head => {
            print(&serde_json::to_string_pretty(&anchors(&store).await?)?);
            ExitCode::SUCCESS
        }
        What::Prune { anchors, keep_days } => prune_log(config, &anchors, keep_days, args.json).await?,
        What::List { org, limit } => {
            let chain = org.as_ref().map_or(PLATFORM, OrganizationId::as_str);
            list(&store.newest_audit_entries(chain, limit).await?, args.json);
            ExitCode::SUCCESS
        }
    };
    store.close().await?;
    Ok(code)
}

async fn prune_log(config: &Config, anchors: &PathBuf, keep_days: u32, as_json: bool) -> Result<ExitCode> {
    let key = AuditKey::parse(&config.audit_key).context("the setting audit.key cannot be used")?;
    let anchors = read_anchors(anchors)?;
    let operator = Operator::connect(config).await?;
    let before = SystemClock.now() - TimeDelta::days(keep_days.into());
    let pruned = prune(&operator.store, &operator.audit, &key, &anchors, before, OPERATOR).await;
    let pruned = pruned.context("the audit log was not pruned any further")?;
    if as_json {
        print(&format!("{:#}", json!(pruned)));
    } else {
        for chain in &pruned {
            let Pruned { organization, kept_from, entries } = chain;
            print(&format!("{organization}: {entries} entries deleted, kept from entry {kept_from} on"));
        }
        print(&format!("{} of {} chains had something to delete", pruned.len(), anchors.len()));
    }
    operator.finish(ExitCode::SUCCESS).await
}

fn read_anchors(path: &PathBuf) -> Result<Vec<Anchor>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what `tidemark audit head` prints", path.display()))
}

fn report(checked: &Checked, as_json: bool) -> ExitCode {
    if as_json {
        print(&format!("{:#}", json!(checked)));
    } else {
        for broken in &checked.broken {
            print(&format!("BROKEN {}: entry {} {}", broken.organization, broken.sequence, broken.problem));
        }
        let sound = checked.chains - checked.broken.len();
        print(&format!(
            "{sound} of {} chains are as they were written ({} entries)",
            checked.chains, checked.entries
        ));
    }
    if checked.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn list(entries: &[AuditEntry], as_json: bool) {
    if as_json {
        let shown = entries.iter().map(|entry| {
            json!({
                "organization": entry.chain,
                "sequence": entry.sequence,
                "at": entry.at,
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "outcome": entry.outcome,
                "details": serde_json::from_str::<serde_json::Value>(&entry.details).unwrap_or_default(),
            })
        });
        print(&format!("{:#}", shown.collect::<serde_json::Value>()));
        return;
    }
    for entry in entries {
        let AuditEntry { sequence, at, actor, action, subject, outcome, details, .. } = entry;
        let at = at.format("%Y-%m-%d %H:%M:%S%.3f");
        print(&format!("{sequence:>8}  {at}  {actor}  {action}  {subject}  {outcome}  {details}"));
    }
}

fn print(text: &str) {
    say!("{text}");
}
