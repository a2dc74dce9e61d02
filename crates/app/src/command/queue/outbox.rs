//! `tidemark queue outbox`: messages that were written and do not leave.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::{Value, json};
use tidemark_runtime::Config;
use tidemark_store::{Store, StuckMessage};

use crate::node;

/// More than anybody reads.
const MOST: u64 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Outbox {
    /// Lists those that were refused or set aside, with the reason, the oldest first.
    List,
    /// Sends them at once, as if they were new; those of their connection that have left since stay ahead of them.
    Retry(Which),
    /// Throws them away.
    Drop(Which),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Their numbers, as `list` shows them.
    numbers: Vec<i64>,
    /// All that are set aside.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(config: &Config, what: Outbox, as_json: bool) -> Result<ExitCode> {
    let store = node::connect(config).await?;
    let code = match what {
        Outbox::List => {
            print(&store.stuck_outgoing(MOST).await?, as_json)?;
            ExitCode::SUCCESS
        }
        Outbox::Retry(which) => each(&store, which, true).await?,
        Outbox::Drop(which) => each(&store, which, false).await?,
    };
    store.close().await?;
    Ok(code)
}

/// Retries or drops each; one that is not there fails the command and keeps none of the others.
async fn each(store: &Store, which: Which, retry: bool) -> Result<ExitCode> {
    let stuck = store.stuck_outgoing(MOST).await?;
    let numbers = if which.all {
        stuck.iter().filter(|message| message.dead_at.is_some()).map(|message| message.id).collect()
    } else {
        which.numbers
    };
    let (mut done, mut missing) = (0, Vec::new());
    for number in numbers {
        // Only what is listed: a message that just waits for its turn is nobody's to drop.
        let listed = stuck.iter().any(|message| message.id == number);
        let found = listed
            && if retry { store.retry_outgoing(number).await? } else { store.drop_outgoing(number).await? };
        if found { done += 1 } else { missing.push(number) }
    }
    eprintln!("{done} {}.", if retry { "sent again" } else { "dropped" });
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("Not in the list: {missing:?}. `tidemark queue outbox list` shows what there is.");
    Ok(ExitCode::FAILURE)
}

fn print(messages: &[StuckMessage], as_json: bool) -> Result<()> {
    if as_json {
        let messages: Vec<_> = messages.iter().map(described).collect();
        say!("{}", serde_json::to_string_pretty(&messages)?);
        return Ok(());
    }
    if messages.is_empty() {
        eprintln!("Everything leaves as it should.");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["number", "of", "sent as", "size", "written", "attempts", "state", "why"]);
    for message in messages {
        table.add_row([
            message.id.to_string(),
            message.ordering_key.clone(),
            message.name.clone(),
            message.size.to_string(),
            message.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            message.attempts.to_string(),
            state(message),
            explained(message).to_owned(),
        ]);
    }
    say!("{table}");
    Ok(())
}

fn state(message: &StuckMessage) -> String {
    match (message.dead_at, message.next_attempt_at) {
        (Some(since), _) => format!("set aside {}", since.format("%Y-%m-%d %H:%M:%S")),
        (None, Some(until)) => format!("waits until {}", until.format("%H:%M:%S")),
        (None, None) => "left to another version".to_owned(),
    }
}

fn explained(message: &StuckMessage) -> &str {
    match message.failure.as_deref() {
        Some("unroutable") => "no queue takes it: is its service of this version running?",
        Some("not taken") => "the broker does not take it, and takes others",
        Some("too large") => "no broker takes a message of this size",
        Some("unreadable") => "its row in the database cannot be read",
        Some(other) => other,
        None => "this version does not know its kind",
    }
}

fn described(message: &StuckMessage) -> Value {
    json!({
        "number": message.id,
        "id": message.message_id,
        "connection": message.ordering_key,
        "kind": message.kind,
        "sent_as": message.name,
        "size": message.size,
        "written_at": message.created_at,
        "attempts": message.attempts,
        "reason": message.failure,
        "explanation": explained(message),
        "next_attempt_at": message.next_attempt_at,
        "set_aside_at": message.dead_at,
    })
}
