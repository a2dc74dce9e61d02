//! What the database holds, and what the configuration does: versions, migrations, the clock, keys, and what has waited
//! too long or was set aside.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use tidemark_credentials::{KeyUse, Vault, audit::AuditKey};
use tidemark_domain::Clock;
use tidemark_runtime::{Config, OsEntropy, SystemClock};
use tidemark_store::Store;
use tokio::time::timeout;

use super::{Finding, PATIENCE, Section, is_at_least, silent};
use crate::{
    cause::{chain, is_file},
    health::SHORT_PAUSE,
};

/// `unnest` of several arrays, lz4, and what else the statements use.
const OLDEST_DATABASE: (u32, u32) = (14, 0);
/// Leases, expiries and due times are compared across processes.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(5);
/// The alarms' limits.
const OUTBOX: TimeDelta = TimeDelta::seconds(60);
const READY: TimeDelta = TimeDelta::seconds(900);
const DUE: TimeDelta = TimeDelta::seconds(180);
const BEHIND: TimeDelta = TimeDelta::seconds(900);
const WEBHOOK: TimeDelta = TimeDelta::seconds(300);
/// Of a list, more are not read, and so many are named.
const MOST: u64 = 500;
const NAMED: usize = 3;

/// The database, and what is in it where it answers.
pub(super) async fn record(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "database";
    let remedy = if is_file(&config.database) {
        "correct database.url (TIDEMARK_DATABASE__URL), or what keeps the file from being used"
    } else {
        "start PostgreSQL, or correct database.url (TIDEMARK_DATABASE__URL)"
    };
    let ask = async {
        let store = Store::connect(&config.database).await?;
        let info = store.check().await?;
        Ok::<_, tidemark_store::Error>((store, info))
    };
    let of_server = |error: &str| match is_file(&config.database) {
        true => Finding::problem(SUBJECT, error, remedy),
        false => Finding::of_server(SUBJECT, error, "PostgreSQL", "database", remedy),
    };
    let (store, info) = match timeout(PATIENCE, ask).await {
        Err(_) => return section.add(of_server(&silent())),
        Ok(Err(error)) => return section.add(of_server(&chain(&error))),
        Ok(Ok(found)) => found,
    };
    if info.version.starts_with("PostgreSQL") && !is_at_least(&info.version, OLDEST_DATABASE) {
        return section.add(Finding::problem(
            SUBJECT,
            info.version,
            "PostgreSQL 14 or later is needed: upgrade it",
        ));
    }
    let missing = info.pending_migrations.len();
    if missing > 0 {
        let detail = format!("{}; {missing} migration(s) missing", info.version);
        return section.add(Finding::problem(SUBJECT, detail, "run `tidemark migrate`"));
    }
    section.add(Finding::healthy(SUBJECT, info.version));
    // At once: of a table that somebody has locked, only those who read it hear nothing.
    tokio::join!(
        section.within("writes", LOCKED, async { vec![writes(config, &store).await] }),
        section.within("clock", LOCKED, clock(&store)),
        section.within("sealed secrets", LOCKED, sealed(config, &store)),
        waits(&store, &section),
    );
}

/// A check of a database that answers, but not to this.
const LOCKED: &str =
    "find who holds a lock: select pid, state, query from pg_stat_activity where state <> 'idle'";

async fn writes(config: &Config, store: &Store) -> Finding {
    const SUBJECT: &str = "writes";
    match store.try_write(SystemClock.now()).await {
        Ok(()) => Finding::healthy(SUBJECT, "the database takes them"),
        Err(error) => {
            let remedy =
                "make room on the database's disk, make it writable again, or grant this user its role";
            if is_file(&config.database) {
                return Finding::problem(SUBJECT, chain(&error), remedy);
            }
            Finding::of_server(SUBJECT, &chain(&error), "PostgreSQL", "database", remedy)
        }
    }
}

async fn clock(store: &Store) -> Vec<Finding> {
    const SUBJECT: &str = "clock";
    let asked = SystemClock.now();
    let theirs = match store.clock().await {
        Ok(theirs) => theirs,
        Err(error) => return vec![Finding::problem(SUBJECT, chain(&error), "look at the database")],
    };
    let skew = (theirs - (asked + (SystemClock.now() - asked) / 2)).abs();
    let detail = format!("{} ms apart from the database's", skew.num_milliseconds());
    if skew <= MOST_SKEW {
        return vec![Finding::healthy(SUBJECT, detail)];
    }
    let remedy = "synchronize this machine's clock and the database's (chrony or systemd-timesyncd)";
    vec![Finding::problem(SUBJECT, detail, remedy)]
}

/// Whether every secret can be opened with the keys of this configuration.
async fn sealed(config: &Config, store: &Store) -> Vec<Finding> {
    const SUBJECT: &str = "sealed secrets";
    let Ok(vault) = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy)) else {
        // Said with the other secrets of the configuration.
        return Vec::new();
    };
    let uses = match vault.key_uses(store).await {
        Ok(uses) => uses,
        Err(error) => {
            let remedy =
                "run this with the database user of the credential service, or as the owner of the tables";
            return vec![Finding::problem(SUBJECT, chain(&error), remedy)];
        }
    };
    let missing: Vec<_> = uses.iter().filter(|key| !key.present).collect();
    if let Some(key) = missing.first() {
        let lost: u64 = missing.iter().map(|key| key.total()).sum();
        let detail = format!("{lost} secret(s) do not open: the key `{}` is missing", key.key_id);
        let remedy =
            "add it to credentials.keys of every credential service; without it, those people must reconnect";
        return vec![Finding::problem(SUBJECT, detail, remedy)];
    }
    let all: u64 = uses.iter().map(KeyUse::total).sum();
    vec![Finding::healthy(SUBJECT, format!("{all}, and all of them have their key"))]
}

/// What has waited too long, or was set aside. What this user may not count is left out.
async fn waits(store: &Store, section: &Section<'_>) {
    let now = SystemClock.now();
    let found = |found: tidemark_store::Backlog| (found.count, found.oldest);
    let unsent = async { store.unsent().await.map(found) };
    let ready = async { store.ready_runs().await.map(found) };
    let due = async { store.forgotten_runs(now).await.map(found) };
    let behind = async { store.rollups_behind().await.map(found) };
    let webhooks = async { store.pending_webhooks(now).await.map(found) };
    let start_worker = "start more `tidemark worker`, or raise worker.concurrency";
    let relay = "start RabbitMQ and any of the services: each relays messages";
    let sweep = "start `tidemark worker`: each looks for what is due";
    let rollup = "start `tidemark aggregator`; its log says why numbers are not written";
    let deliver = "start `tidemark credentials`; it delivers them";
    tokio::join!(
        wait(section, "unsent messages", now, unsent, OUTBOX, relay),
        section.within("messages set aside", LOCKED, async { set_aside(store).await.unwrap_or_default() }),
        wait(section, "syncs without a worker", now, ready, READY, start_worker),
        wait(section, "forgotten syncs", now, due, DUE, sweep),
        section.within("late syncs", LOCKED, async { late(store, now).await.unwrap_or_default() }),
        section.within("pauses", LOCKED, async { pauses(store, now).await.unwrap_or_default() }),
        section.within("rows in quarantine", LOCKED, async { quarantined(store).await.unwrap_or_default() }),
        wait(section, "numbers behind their syncs", now, behind, BEHIND, rollup),
        wait(section, "webhooks on their way", now, webhooks, WEBHOOK, deliver),
    );
}

async fn set_aside(store: &Store) -> tidemark_store::Result<Vec<Finding>> {
    const SUBJECT: &str = "messages set aside";
    let dead = store.dead_outgoing().await?.count;
    Ok(vec![match dead {
        0 => Finding::healthy(SUBJECT, "none"),
        _ => Finding::problem(
            SUBJECT,
            format!("{dead}: the broker refuses them"),
            "`tidemark queue outbox list` shows them with the reason; retry or drop them",
        ),
    }])
}

/// By name: which runs wait, and which belong to another version.
async fn late(store: &Store, now: DateTime<Utc>) -> tidemark_store::Result<Vec<Finding>> {
    let named = |runs: &[tidemark_store::Stuck]| {
        let of = |run: &tidemark_store::Stuck| {
            format!("{} of {} ({} s)", run.run, run.connection, (now - run.since).num_seconds())
        };
        runs.iter().take(NAMED).map(of).collect::<Vec<_>>().join(", ")
    };
    let mut findings = Vec::new();
    let waiting = store.late_runs(now - DUE, MOST).await?;
    if waiting.is_empty() {
        findings.push(Finding::healthy("late syncs", "none"));
    } else {
        let remedy = "start `tidemark worker`, or more of them; the workers' log says why a run waits";
        let detail = format!("{}, the longest waiting: {}", at_least(waiting.len()), named(&waiting));
        findings.push(Finding::problem("late syncs", detail, remedy));
    }
    let unknown = store.unknown_runs(MOST).await?;
    if !unknown.is_empty() {
        let remedy = "finish the deployment, or start a `tidemark worker` of the newer version";
        let detail = format!("{}, the oldest: {}", at_least(unknown.len()), named(&unknown));
        findings.push(Finding::problem("syncs of another version", detail, remedy));
    }
    Ok(findings)
}

/// Nobody has to do anything: the vendor asked for it, or is tried again.
async fn pauses(store: &Store, now: DateTime<Utc>) -> tidemark_store::Result<Vec<Finding>> {
    const SUBJECT: &str = "pauses";
    let pauses = store.pausing(now + SHORT_PAUSE, MOST).await?;
    let Some(longest) = pauses.first() else {
        return Ok(vec![Finding::healthy(SUBJECT, "no sync waits for Productboard")]);
    };
    let connections: BTreeSet<_> = pauses.iter().map(|pause| &pause.connection).collect();
    let detail = format!(
        "{} connection(s) wait for Productboard, {} until {}: {}",
        at_least(connections.len()),
        longest.connection,
        longest.until.format("%Y-%m-%d %H:%M UTC"),
        longest.reason.as_deref().unwrap_or("it asked to wait"),
    );
    let remedy = "nothing: they go on then; `tidemark sync start CONNECTION` tries one at once";
    Ok(vec![Finding::notice(SUBJECT, detail, remedy)])
}

async fn quarantined(store: &Store) -> tidemark_store::Result<Vec<Finding>> {
    const SUBJECT: &str = "rows in quarantine";
    let rows = store.quarantined().await?;
    Ok(vec![match rows.oldest {
        None => Finding::healthy(SUBJECT, "none"),
        Some(since) => Finding::notice(
            SUBJECT,
            format!("{}, the first since {}", rows.count, since.format("%Y-%m-%d %H:%M UTC")),
            "`tidemark sync quality CONNECTION` says what is wrong with them; all others are counted",
        ),
    }])
}

fn at_least(number: usize) -> String {
    if number as u64 >= MOST { format!("{number} or more") } else { number.to_string() }
}

async fn wait(
    section: &Section<'_>,
    subject: &'static str,
    now: DateTime<Utc>,
    look: impl Future<Output = tidemark_store::Result<(u64, Option<DateTime<Utc>>)>>,
    most: TimeDelta,
    remedy: &str,
) {
    let found = async {
        let Ok((count, oldest)) = look.await else { return Vec::new() };
        let age = oldest.map_or(TimeDelta::zero(), |oldest| now - oldest);
        let detail = match oldest {
            Some(_) => format!("{count}, the oldest for {} s", age.num_seconds()),
            None => "none".to_owned(),
        };
        vec![if age > most {
            Finding::problem(subject, detail, remedy)
        } else {
            Finding::healthy(subject, detail)
        }]
    };
    section.within(subject, LOCKED, found).await;
}

/// The secrets of the configuration.
pub(super) fn secrets(config: &Config) -> Finding {
    const SUBJECT: &str = "keys";
    if let Err(error) = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy)) {
        let remedy = "set credentials.keys (TIDEMARK_CREDENTIALS__KEYS or …_KEYS_FILE)";
        return Finding::problem(SUBJECT, chain(&error), remedy);
    }
    let token = match config.rpc_token.read() {
        Ok(token) => token,
        Err(error) => return Finding::problem(SUBJECT, chain(&error), "put the file of rpc.token back"),
    };
    let token = token.expose_secret();
    if !token.is_empty() && token.len() < 16 {
        let remedy = "set rpc.token (TIDEMARK_RPC__TOKEN) to 16 characters or more";
        return Finding::problem(SUBJECT, "rpc.token is too short", remedy);
    }
    if let Err(error) = AuditKey::parse(&config.audit_key) {
        return Finding::problem(SUBJECT, chain(&error), "set audit.key (TIDEMARK_AUDIT__KEY or …_KEY_FILE)");
    }
    Finding::healthy(SUBJECT, "the key-encryption keys, the audit key and the service token are usable")
}
