//! Faults, one of each kind: what `doctor`, the metrics and the alarm say while they last, and that they heal.
//!
//! The runbook shows what they said: `TIDEMARK_TEST_FAULTS=<folder> cargo nextest run -E 'test(induced)'` writes it down.

mod waiting;
mod written;

use std::process::Command;

use serde_json::Value;
use tidemark_domain::id::ConnectionId;
use tidemark_productboard_sim::{Burst, Workspace, WorkspaceSpec};
use tidemark_rpc::{credentials::GetAccessTokenRequest, syncs::RunState};
use tidemark_testkit::Proxy;
use tonic::Code;
use written::Scribe;

use crate::{
    cluster::{Cluster, Wiring, amqp_url, redis_url, today, until},
    console::web::{Answer, Web},
};

const KEY: &str = "cAnArY-key-b8127fd0a3c95e";
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yml");

struct Ward {
    cluster: Cluster,
    broker: Proxy,
    redis: Proxy,
    connection: ConnectionId,
    scribe: Option<Scribe>,
}

impl Ward {
    async fn open() -> Self {
        let (broker, redis) = (Proxy::start(&amqp_url()).await, Proxy::start(&redis_url()).await);
        let (bus, leases) = (broker.url(&amqp_url()), redis.url(&redis_url()));
        let settings = [("BUS__URL", bus.as_str()), ("LEASES__URL", &leases)];
        let cluster = Cluster::start(Wiring::Real, &settings).await;
        cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
        let connection = cluster.connect(KEY).await;
        let run = cluster.sync(&connection).await;
        cluster.run_in(&run, RunState::Succeeded).await;
        cluster.summary(&connection, &run).await;
        let scribe = Scribe::of(&cluster);
        let ward = Self { cluster, broker, redis, connection, scribe };
        for role in ["credentials", "worker", "aggregator"] {
            ward.is_ready(role, "ok").await;
        }
        assert_eq!(ward.problems().await, Vec::<(String, String)>::new(), "the doctor finds nothing");
        ward
    }

    async fn ask(&self, role: &str, path: &str) -> Answer {
        Web::new(self.cluster.watched()[role]).get(path).await
    }

    async fn is_ready(&self, role: &str, status: &str) {
        let wanted = format!("\"status\":\"{status}\"");
        let look = async || self.ask(role, "/readyz").await.text.contains(&wanted).then_some(());
        until(&format!("{role} is {status}"), look).await;
    }

    /// The largest of a series in that process.
    async fn value(&self, role: &str, series: &str) -> f64 {
        let text = self.ask(role, "/metrics").await.text;
        let lines = text.lines().filter(|line| line.starts_with(series));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(f64::MIN, f64::max)
    }

    async fn reaches(&self, role: &str, series: &str, is_so: impl Fn(f64) -> bool) -> f64 {
        let look = async || Some(self.value(role, series).await).filter(|value| is_so(*value));
        until(&format!("{series} of {role} shows it"), look).await
    }

    /// What the doctor finds wrong: the subject and what is to be done.
    async fn problems(&self) -> Vec<(String, String)> {
        let output = self.cluster.command(&["doctor", "--json"]).await;
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let problems: Vec<_> = findings.iter().filter(|finding| finding["healthy"] == false).collect();
        assert_eq!(output.status.success(), problems.is_empty());
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        problems.iter().map(|finding| (text(finding, "subject"), text(finding, "remedy"))).collect()
    }

    /// What the doctor prints for people.
    async fn doctor(&self) -> String {
        String::from_utf8(self.cluster.command(&["doctor"]).await.stdout).unwrap()
    }

    /// That alarm looks at the first series; what is said of all of them is written down, where somebody wants it.
    async fn told(&self, fault: &str, series: &[&str], alarm: &str) {
        looks_at(alarm, series[0]);
        if let Some(scribe) = &self.scribe {
            scribe.write(self, fault, series, alarm).await;
        }
    }

    fn sql(&self, sql: &str) {
        let url = self.cluster.database_url();
        let output = Command::new("psql").args(["--no-psqlrc", "-q", &url, "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The alarm is there and looks at that series.
fn looks_at(name: &str, series: &str) {
    let (_, rest) =
        ALERTS.split_once(&format!("alert: {name}\n")).unwrap_or_else(|| panic!("no alarm {name}"));
    let expression = rest.lines().find(|line| line.trim().starts_with("expr:")).unwrap();
    let name = series.split('{').next().unwrap();
    assert!(expression.contains(name), "{expression}");
}

fn subjects(problems: &[(String, String)]) -> Vec<&str> {
    problems.iter().map(|(subject, _)| subject.as_str()).collect()
}

#[test]
fn each_alarm_has_its_page_in_the_runbook() {
    let runbook = include_str!("../../deploy/runbook.md");
    for alarm in ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(runbook.contains(&format!("\n## {alarm}\n")), "{alarm} has no page");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_induced_fault_is_named_by_doctor_metrics_and_alarm() {
    let ward = Ward::open().await;
    broker_down(&ward).await;
    redis_down(&ward).await;
    database_full(&ward).await;
    vendor_in_trouble(&ward).await;
    outbox_stuck(&ward).await;
    key_expired(&ward).await;
    ward.cluster.stop().await;
}

async fn broker_down(ward: &Ward) {
    ward.broker.cut().await;
    ward.reaches("worker", "tidemark_bus_up", |up| up == 0.0).await;
    // The process goes on with what it can do without.
    ward.is_ready("worker", "degraded").await;
    // A sync is asked for, and its message waits.
    ward.cluster.sync(&ward.connection).await;
    ward.reaches("worker", "tidemark_outbox_unsent", |unsent| unsent > 0.0).await;
    let problems = ward.problems().await;
    assert_eq!(subjects(&problems), ["message broker"]);
    let series = ["tidemark_bus_up", "tidemark_outbox_unsent", "tidemark_outbox_oldest_age_seconds"];
    ward.told("broker down", &series, "TidemarkBrokerDown").await;
    ward.broker.mend();
    ward.reaches("worker", "tidemark_outbox_unsent", |unsent| unsent == 0.0).await;
    ward.is_ready("worker", "ok").await;
}

async fn redis_down(ward: &Ward) {
    ward.redis.cut().await;
    ward.reaches("worker", "tidemark_leases_up", |up| up == 0.0).await;
    let run = ward.cluster.sync(&ward.connection).await;
    ward.cluster.run_in(&run, RunState::Succeeded).await;
    assert!(ward.value("worker", "tidemark_sync_database_leases_total").await >= 1.0);
    let problems = ward.problems().await;
    assert_eq!(subjects(&problems), ["lease service"]);
    let series = ["tidemark_leases_up", "tidemark_sync_database_leases_total"];
    ward.told("Redis down", &series, "TidemarkLeasesDown").await;
    ward.redis.mend();
    ward.is_ready("worker", "ok").await;
}

/// As PostgreSQL says it when no file can grow any more.
async fn database_full(ward: &Ward) {
    ward.sql(
        "create function full_disk() returns trigger language plpgsql as $$ begin
             raise exception using errcode = '53100', message = 'could not extend file: No space left on device';
         end $$;
         create trigger full_disk before insert on audit for each statement execute function full_disk();
         create trigger full_disk before insert on outbox for each statement execute function full_disk();",
    );
    let token = || GetAccessTokenRequest { connection_id: ward.connection.to_string(), capability: 0 };
    let refused = async || {
        let answer = ward.cluster.caller(0).credentials().get_access_token(token()).await;
        answer.err().filter(|status| status.code() == Code::Unavailable)
    };
    until("no secret is released that nobody could write down", refused).await;
    ward.reaches("credentials", "tidemark_audit_writer_healthy", |healthy| healthy == 0.0).await;
    ward.is_ready("credentials", "unready").await;
    let problems = ward.problems().await;
    assert!(subjects(&problems).contains(&"writes"), "{problems:?}");
    ward.told("database full", &["tidemark_audit_writer_healthy"], "TidemarkAuditUnwritten").await;
    ward.sql("drop function full_disk cascade");
    let released = async || ward.cluster.caller(0).credentials().get_access_token(token()).await.ok();
    until("secrets are released again", released).await;
    ward.is_ready("credentials", "ok").await;
}

async fn vendor_in_trouble(ward: &Ward) {
    ward.cluster.simulator.faults(KEY, |faults| faults.burst_5xx = Some(Burst { every: 1, length: 1 }));
    let run = ward.cluster.sync(&ward.connection).await;
    let series = "tidemark_vendor_requests_total{operation=\"list members\",outcome=\"vendor_trouble\"}";
    ward.reaches("worker", series, |failed| failed >= 1.0).await;
    let problems = ward.problems().await;
    assert_eq!(subjects(&problems), Vec::<&str>::new());
    ward.told("vendor answers 503", &[series], "TidemarkVendorTrouble").await;
    ward.cluster.simulator.faults(KEY, |faults| faults.burst_5xx = None);
    ward.cluster.run_in(&run, RunState::Succeeded).await;
}

/// A message that a relay claimed and never gave back.
async fn outbox_stuck(ward: &Ward) {
    ward.sql(
        "insert into outbox (kind, message_id, ordering_key, name, body, created_at, claimed_until)
         values ('event', 'stuck', 'stuck', 'sync.failed', '{}', now() - interval '10 minutes', now() + interval '1 hour')",
    );
    ward.reaches("worker", "tidemark_outbox_oldest_age_seconds", |age| age > 60.0).await;
    let problems = ward.problems().await;
    assert_eq!(subjects(&problems), ["unsent messages"]);
    ward.told("stuck outbox", &["tidemark_outbox_oldest_age_seconds"], "TidemarkOutboxStuck").await;
    ward.sql("update outbox set sent_at = now() where message_id = 'stuck'");
    ward.reaches("worker", "tidemark_outbox_oldest_age_seconds", |age| age < 60.0).await;
}

async fn key_expired(ward: &Ward) {
    // One alone would be one customer's matter: the alarm is of three and more.
    let others = [ward.cluster.connect(KEY).await, ward.cluster.connect(KEY).await];
    ward.cluster.simulator.revoke(KEY);
    for connection in others.iter().chain([&ward.connection]) {
        let run = ward.cluster.sync(connection).await;
        ward.cluster.run_in(&run, RunState::ReconnectRequired).await;
    }
    let series = "tidemark_connections{state=\"reconnect_required\"}";
    ward.reaches("credentials", series, |number| number == 3.0).await;
    let open = "tidemark_sync_runs_open{waiting_for=\"reconnect\"}";
    ward.reaches("worker", open, |number| number == 3.0).await;
    let problems = ward.problems().await;
    assert_eq!(subjects(&problems), Vec::<&str>::new(), "one person's key is no fault of the cluster");
    let shown = ward.cluster.succeed(&["connections", "show", ward.connection.as_str(), "--json"]).await;
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(
        (&shown["state"], &shown["reason"]["code"]),
        (&"reconnect_required".into(), &"key_rejected".into())
    );
    ward.told("expired key", &[series, open], "TidemarkConnectionsNeedPeople").await;
}
