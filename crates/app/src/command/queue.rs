//! `tidemark queue`: what died in the queues, what the broker refuses, and what becomes of both.

mod outbox;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::{Value, json};
use tidemark_bus_amqp::{AmqpBus, Burial, DeadLetter};
use tidemark_ports::topology::{Queue, TOPOLOGY};
use tidemark_runtime::Config;

use crate::wiring::{self, BusChoice};

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
    /// Messages that no service could handle.
    #[command(subcommand)]
    Dead(Dead),
    /// Messages that wait in the database because the broker refuses them.
    #[command(subcommand)]
    Outbox(outbox::Outbox),
}

#[derive(Debug, clap::Subcommand)]
enum Dead {
    /// Lists them with the reason, the oldest first.
    List {
        /// Of this queue only, such as `sync.run`.
        #[arg(long, value_parser = queue)]
        queue: Option<Queue>,
    },
    /// Shows one with its content.
    Show {
        /// The message's id.
        id: String,
    },
    /// Sends them again to the queue they died in, and to no other.
    Replay(Which),
    /// Throws them away.
    Drop(Which),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The ids of messages.
    ids: Vec<String>,
    /// All of this queue, such as `sync.run`.
    #[arg(long, value_parser = queue)]
    all_of: Option<Queue>,
}

fn queue(name: &str) -> Result<Queue, String> {
    let names = || TOPOLOGY.map(|queue| queue.name).join(", ");
    let found = TOPOLOGY.into_iter().find(|queue| queue.name == name);
    found.ok_or_else(|| format!("no such queue; there are {}", names()))
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    let dead = match args.what {
        What::Dead(dead) => dead,
        What::Outbox(what) => return outbox::run(config, what, args.json).await,
    };
    let bus = match wiring::bus(config)? {
        BusChoice::Amqp(bus) => bus,
        BusChoice::Inproc(_) => bail!(
            "the setting bus.url is inproc: such a bus lives and dies with its process, and nobody outside of it can \
             see its dead letters; the process logs each one as it dies"
        ),
    };
    match dead {
        Dead::List { queue } => list(&bus, queue, args.json).await,
        Dead::Show { id } => show(&bus, &id, args.json).await,
        Dead::Replay(which) => bury(&bus, which, Burial::Replay, args.json).await,
        Dead::Drop(which) => bury(&bus, which, Burial::Drop, args.json).await,
    }
}

async fn list(bus: &AmqpBus, queue: Option<Queue>, as_json: bool) -> Result<ExitCode> {
    let queues = queue.map_or_else(|| TOPOLOGY.to_vec(), |queue| vec![queue]);
    let letters = bus.dead_letters(&queues).await.context("the dead letters cannot be read")?;
    print(&letters, as_json)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(bus: &AmqpBus, id: &str, as_json: bool) -> Result<ExitCode> {
    let letters = bus.dead_letters(&TOPOLOGY).await.context("the dead letters cannot be read")?;
    let Some(letter) = letters.iter().find(|letter| letter.id == id) else {
        bail!("no dead letter has the id {id}; `tidemark queue dead list` shows those there are");
    };
    let mut shown = described(letter);
    shown["body"] = body(letter);
    if as_json {
        say!("{shown:#}");
    } else {
        say!("{} died in {}: {}", letter.id, letter.queue, explained(&letter.reason));
        say!("{:#}", shown["body"]);
    }
    Ok(ExitCode::SUCCESS)
}

async fn bury(bus: &AmqpBus, which: Which, burial: Burial, as_json: bool) -> Result<ExitCode> {
    let queues = which.all_of.map_or_else(|| TOPOLOGY.to_vec(), |queue| vec![queue]);
    let (all, ids) = (which.all_of.is_some(), which.ids);
    let buried = bus.bury(&queues, burial, |letter| all || ids.contains(&letter.id));
    let buried = buried.await.context("the dead letters cannot be reached")?;
    let missing: Vec<_> = ids.iter().filter(|id| !buried.iter().any(|letter| letter.id == **id)).collect();
    print(&buried, as_json)?;
    let done = if burial == Burial::Replay { "sent again" } else { "dropped" };
    eprintln!("{} {done}.", buried.len());
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("Not among the dead letters: {missing:?}");
    Ok(ExitCode::FAILURE)
}

fn print(letters: &[DeadLetter], as_json: bool) -> Result<()> {
    if as_json {
        let letters: Vec<_> = letters.iter().map(described).collect();
        say!("{}", serde_json::to_string_pretty(&letters)?);
        return Ok(());
    }
    if letters.is_empty() {
        eprintln!("No dead letters.");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["queue", "id", "sent as", "died", "why"]);
    for letter in letters {
        let died = died_at(letter).unwrap_or_default();
        table.add_row([letter.queue, &letter.id, &letter.name, &died, explained(&letter.reason)]);
    }
    say!("{table}");
    Ok(())
}

fn described(letter: &DeadLetter) -> Value {
    json!({
        "queue": letter.queue,
        "id": letter.id,
        "sent_as": letter.name,
        "reason": letter.reason,
        "explanation": explained(&letter.reason),
        "deaths": letter.deaths,
        "died_at": died_at(letter),
    })
}

fn died_at(letter: &DeadLetter) -> Option<String> {
    let seconds = i64::try_from(letter.died_at_s?).ok()?;
    Some(chrono::DateTime::from_timestamp(seconds, 0)?.to_rfc3339())
}

/// JSON where it is, text where it is not.
fn body(letter: &DeadLetter) -> Value {
    serde_json::from_slice(&letter.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&letter.body).into_owned()))
}

fn explained(reason: &str) -> &str {
    match reason {
        "rejected" => "the service could not read it or the database refused it; its log says why",
        "delivery_limit" => "it was delivered again and again and never settled",
        "expired" => "it was too old",
        "maxlen" => "the queue was full",
        other => other,
    }
}
