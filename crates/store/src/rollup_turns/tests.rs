//! On PostgreSQL, with tables that were just loaded and never analyzed.

use std::time::Instant;

use chrono::TimeDelta;
use tidemark_runtime::config::Database;
use tidemark_testkit::TestDatabase;

use super::*;

const CONNECTIONS: u64 = 20_000;

async fn loaded() -> (TestDatabase, Store) {
    let database = TestDatabase::postgres().await;
    let settings = Database { url: database.url().into(), max_connections: 2, ..Database::default() };
    let store = Store::connect(&settings).await.unwrap();
    for table in [
        "connections",
        "rollup_heads",
        "rollup_marks",
        "rollup_turns",
        "day_coverage",
        "runs",
        "rollup_numbers",
    ] {
        let sql = format!("alter table {table} set (autovacuum_enabled = off)");
        execute(&store.db, "a test", sql, []).await.unwrap();
    }
    let id = "'conn_' || lpad(n::text, 26, '0')";
    let all = format!("from generate_series(1, {CONNECTIONS}) n");
    for sql in [
        format!(
            "insert into connections (id, organization_id, region, anchors, state, generation, capabilities, created_at,
                updated_at)
            select {id}, 'org_' || lpad(n::text, 26, '0'), 'us', '[]', 'connected', 1, '[]', now(), now() {all}"
        ),
        // Half of them have a rollup of today, and nobody waits.
        format!(
            "insert into rollup_heads (connection_id, as_of, history_start, definition_version, run_id, members,
                computed_at, revision, looked_on)
            select {id}, '2026-01-01', '2026-01-01', 1, 'run_' || lpad(n::text, 26, '0'), 1, now(), 1, '2026-01-02'
            {all} where n % 2 = 0"
        ),
        format!("insert into rollup_marks (connection_id, revision, asked_revision) select {id}, 1, 1 {all}"),
        // The other half has covered days, and no rollup.
        format!(
            "insert into day_coverage (connection_id, day, fetched_on, run_id)
            select {id}, date '2026-01-01' - d, '2026-01-02', 'run_' || lpad(n::text, 26, '0')
            {all}, generate_series(0, 9) d"
        ),
    ] {
        execute(&store.db, "a test", sql, []).await.unwrap();
    }
    (database, store)
}

#[tokio::test]
async fn what_is_due_is_found_and_claimed_without_statistics() {
    let (_database, store) = loaded().await;
    let today = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
    let now = today.and_hms_opt(12, 0, 0).unwrap().and_utc();
    let begun = Instant::now();
    let due = store.rollups_due(today, now, CONNECTIONS).await.unwrap();
    assert_eq!(due.len() as u64, CONNECTIONS / 2);
    let due = store.rollups_due(today, now, 3).await.unwrap();
    assert_eq!(due.len(), 3);
    assert!(store.is_rollup_due(&due[0], today, now).await.unwrap());
    // Without an index it would take as many steps as there are pairs of connections: hours.
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());

    for id in &due {
        let claim = store.claim_rollup(id, now, now + TimeDelta::seconds(20)).await.unwrap().unwrap();
        store.settle_rollup(&claim, RollupSettlement::Looked(today)).await.unwrap();
    }
    let (id, number) = (|| sea_orm::Value::from(due[0].as_str()), || sea_orm::Value::from(1_i64));
    for (sql, values) in [
        (
            "update rollup_turns set claimed_until = null where connection_id = $1 and claim = $2",
            vec![id(), number()],
        ),
        (
            "insert into rollup_turns (connection_id, claim, failures)
                select id, $2, 0 from connections where id = $1 on conflict do nothing",
            vec![id(), number()],
        ),
    ] {
        let plan = rows(&store.db, "a test", format!("explain {sql}"), values).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.at(0).unwrap()).collect();
        assert!(plan.iter().any(|line| line.contains("Index")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:#?}");
    }
}
