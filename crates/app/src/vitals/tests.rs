use tidemark_testkit::{ManualClock, TestDatabase, open_store};

use super::*;

/// Looks after that database, and at nothing else.
fn vitals(store: &Store, clock: Arc<dyn Clock>) -> Vitals {
    let health = Health::default();
    Vitals {
        store: store.clone(),
        clock,
        roles: Roles::ALL,
        broker: None,
        leases: None,
        health,
        certificates: Vec::new(),
    }
}

async fn condition(vitals: &Vitals, subject: &str) -> (&'static str, Condition) {
    vitals.record().await;
    let (status, mut conditions) = vitals.health.report();
    (status, conditions.remove(subject).expect("it was looked at"))
}

fn system() -> Arc<dyn Clock> {
    Arc::new(tidemark_runtime::SystemClock)
}

#[tokio::test]
async fn a_database_that_takes_writes_makes_a_process_ready() {
    let database = TestDatabase::sqlite_memory().await;
    let (status, found) = condition(&vitals(&database.store(), system()), "database").await;
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
    let (status, found) = condition(&vitals(&store, system()), "database").await;
    assert_eq!(status, "unready", "{found:?}");
    assert!(found.detail.contains("read-only"), "{found:?}");
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn a_process_without_a_connection_left_is_unready_and_blames_itself() {
    let database = TestDatabase::sqlite_memory().await;
    let held = database.store().begin().await.expect("the only connection");
    let vitals = vitals(&database.store(), system());
    let asked = Instant::now();
    let (status, found) = condition(&vitals, "database").await;
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(status, "unready");
    assert!(found.detail.contains("no connection is left"), "{found:?}");
    drop(held);
    let recovered = async {
        while condition(&vitals, "database").await.0 != "ok" {
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
        let (status, found) = condition(&vitals(&database.store(), Arc::new(clock)), "clock").await;
        assert_eq!((status, found.healthy), ("degraded", false), "{found:?}");
        assert!(found.detail.contains("419 s") || found.detail.contains("420 s"), "{found:?}");
    }
}

#[test]
fn what_is_late_is_named_with_its_age() {
    let seconds = Duration::from_secs;
    assert!(late(&[("due", seconds(180), LATE_DUE)]).is_ok());
    let found = late(&[("due", seconds(181), LATE_DUE), ("without a worker", seconds(10), LATE_READY)]);
    assert_eq!(found.unwrap_err(), "one is due for 181 s");
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
