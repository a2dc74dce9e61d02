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

use super::{Finding, PATIENCE, is_at_least};
use crate::vitals::chain;

/// `unnest` of several arrays, lz4, and what else the statements use.
const OLDEST_DATABASE: (u32, u32) = (14, 0);
/// Leases, expiries and due times are compared across processes.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(5);
/// The alarms' limits.
const OUTBOX: TimeDelta = TimeDelta::seconds(60);
const READY: TimeDelta = TimeDelta::seconds(900);
const DUE: TimeDelta = TimeDelta::seconds(180);
const WEBHOOK: TimeDelta = TimeDelta::seconds(300);

/// The database, and what is in it where it answers.
pub(super) async fn record(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "database";
    let mend = "start PostgreSQL, or correct database.url (TIDEMARK_DATABASE__URL)";
    let ask = async {
        let store = Store::connect(&config.database).await?;
        let info = store.check().await?;
        Ok::<_, tidemark_store::Error>((store, info))
    };
    let (store, info) = match timeout(PATIENCE, ask).await {
        Err(_) => return vec![Finding::ill(SUBJECT, format!("no answer in {} s", PATIENCE.as_secs()), mend)],
        Ok(Err(error)) => return vec![Finding::ill(SUBJECT, chain(&error), mend)],
        Ok(Ok(found)) => found,
    };
    if info.version.starts_with("PostgreSQL") && !is_at_least(&info.version, OLDEST_DATABASE) {
        return vec![Finding::ill(SUBJECT, info.version, "PostgreSQL 14 or later is needed: upgrade it")];
    }
    let missing = info.pending_migrations.len();
    if missing > 0 {
        let detail = format!("{}; {missing} migration(s) missing", info.version);
        return vec![Finding::ill(SUBJECT, detail, "run `tidemark migrate`")];
    }
    let mut findings = vec![Finding::well(SUBJECT, info.version), writes(&store).await];
    for look in [clock(&store).await, sealed(config, &store).await, waits(&store).await] {
        findings.extend(look);
    }
    findings
}

async fn writes(store: &Store) -> Finding {
    const SUBJECT: &str = "writes";
    match store.try_write(SystemClock.now()).await {
        Ok(()) => Finding::well(SUBJECT, "the database takes them"),
        Err(error) => {
            let mend =
                "make room on the database's disk, make it writable again, or grant this user its role";
            Finding::ill(SUBJECT, chain(&error), mend)
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
async fn waits(store: &Store) -> Vec<Finding> {
    let now = SystemClock.now();
    let mut findings = Vec::new();
    let mut look =
        |subject, found: tidemark_store::Result<(u64, Option<DateTime<Utc>>)>, most, mend: &str| {
            let Ok((count, oldest)) = found else { return };
            let age = oldest.map_or(TimeDelta::zero(), |oldest| now - oldest);
            let detail = match oldest {
                Some(_) => format!("{count}, the oldest for {} s", age.num_seconds()),
                None => "none".to_owned(),
            };
            findings.push(if age > most {
                Finding::ill(subject, detail, mend)
            } else {
                Finding::well(subject, detail)
            });
        };
    let unsent = store.unsent().await.map(|found| (found.count, found.oldest));
    look("unsent messages", unsent, OUTBOX, "start RabbitMQ and any of the services: each relays messages");
    let ready = store.ready_runs().await.map(|found| (found.count, found.oldest));
    look("syncs without a worker", ready, READY, "start more `tidemark worker`, or raise worker.concurrency");
    let due = store.forgotten_runs(now).await.map(|found| (found.count, found.oldest));
    look("forgotten syncs", due, DUE, "start `tidemark worker`: each looks for what is due");
    let webhooks = store.pending_webhooks(now).await.map(|found| (found.count, found.oldest));
    look("webhooks on their way", webhooks, WEBHOOK, "start `tidemark credentials`; it delivers them");
    findings
}

/// The secrets of the configuration.
pub(super) fn secrets(config: &Config) -> Finding {
    const SUBJECT: &str = "keys";
    if let Err(error) = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy)) {
        let mend = "set credentials.keys (TIDEMARK_CREDENTIALS__KEYS or …_KEYS_FILE)";
        return Finding::ill(SUBJECT, chain(&error), mend);
    }
    if config.rpc_token.expose_secret().len() < 16 {
        let mend = "set rpc.token (TIDEMARK_RPC__TOKEN) to 16 characters or more";
        return Finding::ill(SUBJECT, "rpc.token is too short", mend);
    }
    if let Err(error) = AuditKey::parse(&config.audit_key) {
        return Finding::ill(SUBJECT, chain(&error), "set audit.key (TIDEMARK_AUDIT__KEY or …_KEY_FILE)");
    }
    Finding::well(SUBJECT, "the key-encryption keys, the audit key and the service token are usable")
}
