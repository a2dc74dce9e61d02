//! What the database holds, and what the configuration does: versions, migrations, the clock, keys, and whatever has
//! waited too long.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use tidemark_credentials::{KeyUse, Vault, audit::AuditKey};
use tidemark_domain::Clock;
use tidemark_runtime::{Config, OsEntropy, SystemClock};
use tidemark_store::Store;
use tokio::time::timeout;

use super::{Finding, PATIENCE, Section, is_at_least, silent};
use crate::vitals::chain;

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

/// The database, and what is in it where it answers.
pub(super) async fn record(config: &Config, section: Section<'_>) {
    const SUBJECT: &str = "database";
    let mend = "start PostgreSQL, or correct database.url (TIDEMARK_DATABASE__URL)";
    let ask = async {
        let store = Store::connect(&config.database).await?;
        let info = store.check().await?;
        Ok::<_, tidemark_store::Error>((store, info))
    };
    let (store, info) = match timeout(PATIENCE, ask).await {
        Err(_) => {
            return section.add(Finding::of_server(SUBJECT, &silent(), "PostgreSQL", "database", mend));
        }
        Ok(Err(error)) => {
            return section.add(Finding::of_server(SUBJECT, &chain(&error), "PostgreSQL", "database", mend));
        }
        Ok(Ok(found)) => found,
    };
    if info.version.starts_with("PostgreSQL") && !is_at_least(&info.version, OLDEST_DATABASE) {
        return section.add(Finding::ill(
            SUBJECT,
            info.version,
            "PostgreSQL 14 or later is needed: upgrade it",
        ));
    }
    let missing = info.pending_migrations.len();
    if missing > 0 {
        let detail = format!("{}; {missing} migration(s) missing", info.version);
        return section.add(Finding::ill(SUBJECT, detail, "run `tidemark migrate`"));
    }
    section.add(Finding::well(SUBJECT, info.version));
    // At once: of a table that somebody has locked, only those who read it hear nothing.
    tokio::join!(
        section.within("writes", LOCKED, async { vec![writes(&store).await] }),
        section.within("clock", LOCKED, clock(&store)),
        section.within("sealed secrets", LOCKED, sealed(config, &store)),
        waits(&store, &section),
    );
}

/// A check of a database that answers, but not to this.
const LOCKED: &str =
    "find who holds a lock: select pid, state, query from pg_stat_activity where state <> 'idle'";

async fn writes(store: &Store) -> Finding {
    const SUBJECT: &str = "writes";
    match store.try_write(SystemClock.now()).await {
        Ok(()) => Finding::well(SUBJECT, "the database takes them"),
        Err(error) => {
            let mend =
                "make room on the database's disk, make it writable again, or grant this user its role";
            Finding::of_server(SUBJECT, &chain(&error), "PostgreSQL", "database", mend)
        }
    }
}

async fn clock(store: &Store) -> Vec<Finding> {
    const SUBJECT: &str = "clock";
    let asked = SystemClock.now();
    let theirs = match store.clock().await {
        Ok(theirs) => theirs,
        Err(error) => return vec![Finding::ill(SUBJECT, chain(&error), "look at the database")],
    };
    let skew = (theirs - (asked + (SystemClock.now() - asked) / 2)).abs();
    let detail = format!("{} ms apart from the database's", skew.num_milliseconds());
    if skew <= MOST_SKEW {
        return vec![Finding::well(SUBJECT, detail)];
    }
    let mend = "synchronize this machine's clock and the database's (chrony or systemd-timesyncd)";
    vec![Finding::ill(SUBJECT, detail, mend)]
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
            let mend =
                "run this with the database user of the credential service, or as the owner of the tables";
            return vec![Finding::ill(SUBJECT, chain(&error), mend)];
        }
    };
    let missing: Vec<_> = uses.iter().filter(|key| !key.present).collect();
    if let Some(key) = missing.first() {
        let lost: u64 = missing.iter().map(|key| key.total()).sum();
        let detail = format!("{lost} secret(s) do not open: the key `{}` is missing", key.key_id);
        let mend =
            "add it to credentials.keys of every credential service; without it, those people must reconnect";
        return vec![Finding::ill(SUBJECT, detail, mend)];
    }
    let all: u64 = uses.iter().map(KeyUse::total).sum();
    vec![Finding::well(SUBJECT, format!("{all}, and all of them have their key"))]
}

/// What has waited too long. What this user may not count is left out.
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
        wait(section, "syncs without a worker", now, ready, READY, start_worker),
        wait(section, "forgotten syncs", now, due, DUE, sweep),
        wait(section, "numbers behind their syncs", now, behind, BEHIND, rollup),
        wait(section, "webhooks on their way", now, webhooks, WEBHOOK, deliver),
    );
}

async fn wait(
    section: &Section<'_>,
    subject: &'static str,
    now: DateTime<Utc>,
    look: impl Future<Output = tidemark_store::Result<(u64, Option<DateTime<Utc>>)>>,
    most: TimeDelta,
    mend: &str,
) {
    let found = async {
        let Ok((count, oldest)) = look.await else { return Vec::new() };
        let age = oldest.map_or(TimeDelta::zero(), |oldest| now - oldest);
        let detail = match oldest {
            Some(_) => format!("{count}, the oldest for {} s", age.num_seconds()),
            None => "none".to_owned(),
        };
        vec![if age > most { Finding::ill(subject, detail, mend) } else { Finding::well(subject, detail) }]
    };
    section.within(subject, LOCKED, found).await;
}

/// The secrets of the configuration.
pub(super) fn secrets(config: &Config) -> Finding {
    const SUBJECT: &str = "keys";
    if let Err(error) = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy)) {
        let mend = "set credentials.keys (TIDEMARK_CREDENTIALS__KEYS or …_KEYS_FILE)";
        return Finding::ill(SUBJECT, chain(&error), mend);
    }
    let token = config.rpc_token.expose_secret();
    if !token.is_empty() && token.len() < 16 {
        let mend = "set rpc.token (TIDEMARK_RPC__TOKEN) to 16 characters or more";
        return Finding::ill(SUBJECT, "rpc.token is too short", mend);
    }
    if let Err(error) = AuditKey::parse(&config.audit_key) {
        return Finding::ill(SUBJECT, chain(&error), "set audit.key (TIDEMARK_AUDIT__KEY or …_KEY_FILE)");
    }
    Finding::well(SUBJECT, "the key-encryption keys, the audit key and the service token are usable")
}
