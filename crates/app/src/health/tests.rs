use tidemark_store::RefusedMessage;
use tidemark_testkit::{ManualClock, TestDatabase, open_store};

use super::*;

/// Of that database, and of nothing else.
fn checks(store: &Store, clock: Arc<dyn Clock>) -> Checks {
    let (health, database) = (Health::default(), Database::default());
    Checks {
        store: store.clone(),
        database,
        clock,
        roles: Roles::ALL,
        broker: None,
        leases: None,
        health,
        certificates: Vec::new(),
    }
}

async fn condition(checks: &Checks, subject: &str) -> (&'static str, Condition) {
    checks.record().await;
    let (status, mut conditions) = checks.health.report();
    (status, conditions.remove(subject).expect("it was looked at"))
}

fn system() -> Arc<dyn Clock> {
    Arc::new(tidemark_runtime::SystemClock)
}

#[tokio::test]
async fn a_database_that_takes_writes_makes_a_process_ready() {
    let database = TestDatabase::sqlite_memory().await;
    let (status, found) = condition(&checks(&database.store(), system()), "database").await;
    assert_eq!((status, found.healthy), ("ok", true), "{found:?}");
}

#[tokio::test]
async fn a_read_only_database_makes_a_process_unready_and_says_so() {
    let database = TestDatabase::postgres().await;
    let url = database.url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options[default_transaction_read_only]=on");
    let store = open_store(&url).await;
    store.clock().await.expect("it answers");
    let (status, found) = condition(&checks(&store, system()), "database").await;
    assert_eq!(status, "unready", "{found:?}");
    assert!(found.detail.contains("read-only"), "{found:?}");
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn a_process_without_a_connection_left_is_unready_and_blames_itself() {
    let database = TestDatabase::sqlite_memory().await;
    let held = database.store().begin().await.expect("the only connection");
    let checks = checks(&database.store(), system());
    let asked = Instant::now();
    let (status, found) = condition(&checks, "database").await;
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(status, "unready");
    assert!(found.detail.contains("no connection is left"), "{found:?}");
    drop(held);
    let recovered = async {
        while condition(&checks, "database").await.0 != "ok" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), recovered).await.expect("it is ready again");
}

#[tokio::test]
async fn a_clock_off_by_minutes_degrades_a_process() {
    let database = TestDatabase::sqlite_memory().await;
    for minutes in [-7, 7] {
        let now = tidemark_runtime::SystemClock.now() + TimeDelta::minutes(minutes);
        let clock = ManualClock::noon(now.date_naive());
        clock.advance(now - clock.now());
        let (status, found) = condition(&checks(&database.store(), Arc::new(clock)), "clock").await;
        assert_eq!((status, found.healthy), ("degraded", false), "{found:?}");
        assert!(found.detail.contains("419 s") || found.detail.contains("420 s"), "{found:?}");
    }
}

#[tokio::test]
async fn a_message_that_was_set_aside_degrades_a_process_until_a_person_decides() {
    for database in [TestDatabase::sqlite_memory().await, TestDatabase::postgres().await] {
        let store = database.store();
        let checks = checks(&store, system());
        let outbox = async || {
            checks.waiting().await;
            let (status, mut conditions) = checks.health.report();
            (status, conditions.remove("outbox").expect("it was checked").detail)
        };
        assert_eq!(outbox().await, ("ok", "none is late".to_owned()));
        let now = checks.clock.now();
        let tx = store.begin().await.expect("a transaction");
        tx.command("name", "key", "id", Vec::new(), now).await.expect("a message");
        tx.commit().await.expect("it is written");
        let id = store.claim_outgoing(now, 1, Duration::from_secs(30)).await.expect("it is claimed")[0].id;
        let refused = RefusedMessage { id, failure: "too large", next_attempt_at: None };
        store.refuse_outgoing(&[refused], now).await.expect("it is set aside");
        let (status, detail) = outbox().await;
        assert_eq!(status, "degraded");
        assert!(detail.starts_with("1 message(s) were set aside"), "{detail}");
        store.drop_outgoing(id).await.expect("it is dropped");
        assert_eq!(outbox().await.0, "ok");
    }
}

#[tokio::test]
async fn a_task_that_was_started_again_degrades_a_process() {
    let database = TestDatabase::sqlite_memory().await;
    let checks = checks(&database.store(), system());
    checks.tasks();
    assert_eq!(checks.health.report().0, "ok");
    let shutdown = Shutdown::new();
    let died = std::sync::atomic::AtomicBool::new(false);
    tasks::supervise("of-this-test", &shutdown, || async {
        if died.swap(true, std::sync::atomic::Ordering::Relaxed) {
            shutdown.stop();
        }
    })
    .await;
    checks.tasks();
    let (status, conditions) = checks.health.report();
    assert_eq!(status, "degraded");
    assert!(conditions["tasks"].detail.contains("of-this-test"), "{conditions:?}");
}

#[test]
fn each_alarm_has_its_page_in_the_runbook() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    let read = |file: &str| std::fs::read_to_string(format!("{folder}/{file}")).expect("it can be read");
    let (alarms, runbook) = (read("prometheus/alerts.yml"), read("runbook.md"));
    let names: Vec<_> = alarms.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        assert!(runbook.lines().any(|line| line == format!("## {name}")), "{name} has no page");
        let link = format!("runbook: deploy/runbook.md#{}", name.to_lowercase());
        assert!(alarms.contains(&link), "{link}");
    }
}
