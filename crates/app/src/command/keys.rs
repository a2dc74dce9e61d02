//! `tidemark keys`: what each key-encryption key still seals, and moving everything under the first one.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tidemark_credentials::{
    KeyUse, Rotated, Vault,
    audit::{Action, Entry},
};
use tidemark_runtime::{Config, OsEntropy};
use tidemark_store::Store;

use crate::{
    node,
    operator::{OPERATOR, Operator},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Shows what each key seals, and which ones can be taken out of `credentials.keys`.
    Status {
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Seals with the first key whatever is sealed with another one. The services go on meanwhile, and it may be stopped
    /// and started again; every service must have both keys.
    Rotate {
        /// Print JSON instead of sentences.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let vault = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy))
        .context("the setting credentials.keys cannot be used")?;
    match args.command {
        Command::Status { json } => {
            let store = node::connect(config).await?;
            status(&vault, &store, json).await
        }
        Command::Rotate { json } => {
            let operator = Operator::connect(config).await?;
            let code = rotate(&vault, &operator, json).await?;
            operator.finish(code).await
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    key_id: &'a str,
    seals: bool,
    /// Without the key, its secrets do not open.
    present: bool,
    secrets: &'a std::collections::BTreeMap<&'static str, u64>,
    can_retire: bool,
}

impl<'a> From<&'a KeyUse> for Line<'a> {
    fn from(key: &'a KeyUse) -> Self {
        let KeyUse { key_id, seals, present, secrets } = key;
        Self { key_id, seals: *seals, present: *present, secrets, can_retire: key.can_retire() }
    }
}

async fn status(vault: &Vault, store: &Store, json: bool) -> Result<ExitCode> {
    let keys = vault.key_uses(store).await.context("the secrets could not be counted")?;
    if json {
        let lines: Vec<Line<'_>> = keys.iter().map(Line::from).collect();
        say!("{}", serde_json::to_string_pretty(&lines)?);
    } else {
        say!("{}", table(&keys));
    }
    // A key that is missing makes credentials unreadable: whoever watches this command must hear of it.
    let complete = keys.iter().all(|key| key.present);
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(keys: &[KeyUse]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    let tables = keys.first().map(|key| key.secrets.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
    table.set_header(["key"].into_iter().chain(tables).chain(["state"]));
    for key in keys {
        let counts = key.secrets.values().map(u64::to_string);
        table.add_row(std::iter::once(key.key_id.clone()).chain(counts).chain([state(key).to_owned()]));
    }
    table
}

fn state(key: &KeyUse) -> &'static str {
    match key {
        KeyUse { present: false, .. } => {
            "MISSING: its secrets do not open; add it to credentials.keys of every service"
        }
        KeyUse { seals: true, .. } => "seals new secrets",
        _ if key.can_retire() => "seals nothing: can be taken out of credentials.keys",
        _ => "still needed; `tidemark keys rotate` moves its secrets",
    }
}

async fn rotate(vault: &Vault, operator: &Operator, json: bool) -> Result<ExitCode> {
    let Operator { store, audit, .. } = operator;
    let keys = vault.key_uses(store).await.context("the secrets could not be counted")?;
    let waiting = keys.iter().filter(|key| !key.seals).map(KeyUse::total).sum::<u64>();
    let entry = || Entry::new(None, OPERATOR, Action::RotateKeys, &keys[0].key_id);
    audit.record(entry().outcome("begun").with("waiting", waiting)).await?;
    let style = ProgressStyle::with_template("{bar:30} {pos:>7}/{len} secrets  {per_sec}  {eta} left");
    let bar = ProgressBar::new(waiting).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let rotated = vault
        .rotate(store, |secrets| bar.inc(secrets))
        .await
        .context("the rotation stopped; what was moved stays so, and starting it again goes on from there")?;
    bar.finish_and_clear();
    audit.record(entry().with("resealed", rotated.resealed).with("stuck", rotated.stuck.len())).await?;
    let keys = vault.key_uses(store).await.context("the secrets could not be counted")?;
    let left: u64 = keys.iter().filter(|key| !key.seals).map(KeyUse::total).sum();
    if json {
        let Rotated { resealed, overtaken, stuck } = &rotated;
        let outcome = serde_json::json!({
            "resealed": resealed, "overtaken": overtaken, "stuck": stuck.len(), "left": left,
        });
        say!("{outcome:#}");
    } else {
        say!("{} secret(s) moved under the key `{}`.", rotated.resealed, keys[0].key_id);
        for key in keys.iter().filter(|key| key.can_retire()) {
            say!("The key `{}` seals nothing any more: take it out of credentials.keys.", key.key_id);
        }
    }
    for stuck in &rotated.stuck {
        eprintln!("{} {}: {}", stuck.table, stuck.record, stuck.error);
    }
    if left > 0 {
        eprintln!(
            "{left} secret(s) are still sealed with another key. Where a service still seals with that key, put the new \
             one first in its credentials.keys too, restart it, and run this again."
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
