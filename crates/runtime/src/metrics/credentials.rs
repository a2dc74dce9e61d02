//! Connections, their credentials, the audit log, and webhooks.

use std::{sync::LazyLock, time::Duration};

use prometheus_client::metrics::gauge::Gauge;

use super::{
    Age, Counts, Durations, Levels, Registry, count, known, level, observe, pieces, prompt, seconds,
};

struct Metrics {
    connections: Levels,
    refreshes: Counts,
    in_doubt: Gauge,
    refresh_overdue: Age,
    probe_overdue: Age,
    audit_writes: Counts,
    audit_healthy: Gauge,
    webhooks: Counts,
    webhook_durations: Durations,
    webhooks_pending: Gauge,
    webhook_oldest: Age,
    feed_lag: Age,
    mails: Counts,
    mail_overdue: Age,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    connections: Levels::default(),
    refreshes: Counts::default(),
    in_doubt: Gauge::default(),
    refresh_overdue: Age::default(),
    probe_overdue: Age::default(),
    audit_writes: Counts::default(),
    audit_healthy: healthy(),
    webhooks: Counts::default(),
    webhook_durations: Durations::new_with_constructor(prompt),
    webhooks_pending: Gauge::default(),
    webhook_oldest: Age::default(),
    feed_lag: Age::default(),
    mails: Counts::default(),
    mail_overdue: Age::default(),
});

/// Until something goes wrong.
fn healthy() -> Gauge {
    let gauge = Gauge::default();
    gauge.set(1);
    gauge
}

pub(super) fn register(registry: &mut Registry) {
    let m = &*METRICS;
    known(&m.webhooks, "outcome", ["taken", "retried", "given_up", "gone"]);
    known(&m.mails, "outcome", ["taken", "retried", "given_up"]);
    known(&m.refreshes, "outcome", ["renewed", "refused", "in_doubt", "failed", "unwritten"]);
    known(&m.audit_writes, "outcome", ["written", "failed"]);
    pieces(registry, "connections", "Connections, by the state of their lifecycle", m.connections.clone());
    let credentials = registry.sub_registry_with_prefix("credentials");
    pieces(credentials, "refreshes", "Renewals of grants, by how they ended", m.refreshes.clone());
    pieces(
        credentials,
        "in_doubt",
        "Grants whose renewal was sent and never answered: their token may be spent",
        m.in_doubt.clone(),
    );
    seconds(
        credentials,
        "refresh_overdue_age",
        "Since the oldest renewal was due that nobody made",
        m.refresh_overdue.clone(),
    );
    seconds(
        credentials,
        "probe_overdue_age",
        "Since the oldest probe of a connection was due that nobody made",
        m.probe_overdue.clone(),
    );
    seconds(
        registry,
        "feed_lag",
        "Since the oldest event was written that no watcher and no webhook can see yet",
        m.feed_lag.clone(),
    );
    let mails = registry.sub_registry_with_prefix("mails");
    pieces(
        mails,
        "attempts",
        "Attempts to hand a mail to the mail server, by what followed",
        m.mails.clone(),
    );
    seconds(
        mails,
        "overdue_age",
        "Since the oldest attempt of a mail was due that nobody made",
        m.mail_overdue.clone(),
    );
    let audit = registry.sub_registry_with_prefix("audit");
    pieces(
        audit,
        "writes",
        "Transactions of the audit log's writer, by how they ended",
        m.audit_writes.clone(),
    );
    pieces(
        audit,
        "writer_healthy",
        "1 while the audit log takes entries; at 0 no secret is released",
        m.audit_healthy.clone(),
    );
    let webhooks = registry.sub_registry_with_prefix("webhooks");
    pieces(webhooks, "attempts", "Attempts to deliver a webhook, by what followed", m.webhooks.clone());
    seconds(
        webhooks,
        "attempt_duration",
        "From sending a webhook to its answer, by what followed",
        m.webhook_durations.clone(),
    );
    pieces(
        webhooks,
        "pending",
        "Webhook deliveries that are neither taken nor given up",
        m.webhooks_pending.clone(),
    );
    seconds(
        webhooks,
        "overdue_age",
        "Since the oldest attempt of a webhook was due that nobody made",
        m.webhook_oldest.clone(),
    );
}

/// How many connections are in that state.
pub fn connections(state: &'static str, number: u64) {
    METRICS.connections.get_or_create(&[("state", state)]).set(level(number));
}

/// A renewal ended: `renewed`, `refused`, `in_doubt`, `failed` or `unwritten`.
pub fn refreshed(outcome: &'static str) {
    count(&METRICS.refreshes, "outcome", outcome);
}

/// What the detector has to do and has not done.
pub fn overdue(in_doubt: u64, refresh: Duration, probe: Duration) {
    METRICS.in_doubt.set(level(in_doubt));
    METRICS.refresh_overdue.set(refresh.as_secs_f64());
    METRICS.probe_overdue.set(probe.as_secs_f64());
}

/// The audit log's writer ended a transaction.
pub fn audited(is_written: bool) {
    count(&METRICS.audit_writes, "outcome", if is_written { "written" } else { "failed" });
    METRICS.audit_healthy.set(i64::from(is_written));
}

/// Whether the audit log took the last entries.
pub fn audit_is_healthy() -> bool {
    METRICS.audit_healthy.get() != 0
}

/// A webhook was attempted: `taken`, `retried`, `given_up` or `gone`.
pub fn webhook(outcome: &'static str, took: Duration) {
    count(&METRICS.webhooks, "outcome", outcome);
    observe(&METRICS.webhook_durations, "outcome", outcome, took);
}

/// Since when the oldest event waits to be seen.
pub fn feed(lag: Duration) {
    METRICS.feed_lag.set(lag.as_secs_f64());
}

/// A mail was attempted: `taken`, `retried` or `given_up`.
pub fn mail(outcome: &'static str) {
    count(&METRICS.mails, "outcome", outcome);
}

/// Since when the oldest attempt of a mail is due.
pub fn mails(overdue: Duration) {
    METRICS.mail_overdue.set(overdue.as_secs_f64());
}

/// Webhooks on their way, and since when the oldest attempt is due.
pub fn webhooks(pending: u64, overdue: Duration) {
    METRICS.webhooks_pending.set(level(pending));
    METRICS.webhook_oldest.set(overdue.as_secs_f64());
}
