//! No statement depends on statistics: on fresh tables, never analysed, no step of any plan visits more rows than a few
//! times those that there are. PostgreSQL tells the plan of each statement as it ran (`auto_explain`), so that every
//! statement of what is called here is judged, by its rows and not by the time.
//!
//! `TIDEMARK_TEST_PLAN_ROWS=500000` makes the tables larger.

mod calls;
mod filled;
mod seen;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, SqlxPostgresConnector,
    sqlx::postgres::{PgConnectOptions, PgPoolOptions},
};
use tidemark_store::{Settings, Store};
use tidemark_testkit::TestDatabase;

use seen::Seen;

/// Rows of a table, unless the environment says more.
const ROWS: u64 = 50_000;
/// Visits per row that a step may make: an inner join reads two tables, an update reads and writes one.
const VISITS_PER_ROW: u64 = 5;
/// So often PostgreSQL makes a plan for the values at hand, before it keeps one for all.
const UNTIL_A_PLAN_IS_KEPT: usize = 6;

fn rows() -> u64 {
    std::env::var("TIDEMARK_TEST_PLAN_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS)
}

/// A connection beside the store, for what no store does.
async fn beside(database: &TestDatabase) -> DatabaseConnection {
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
}

async fn prepare(db: &DatabaseConnection) {
    // Sessions from now on tell their plans; this one does not.
    let sql = "do $$ declare name text; part regclass; begin
        name := current_database();
        execute format('alter database %I set session_preload_libraries = ''auto_explain''', name);
        execute format('alter database %I set auto_explain.log_min_duration = 0', name);
        execute format('alter database %I set auto_explain.log_analyze = on', name);
        execute format('alter database %I set auto_explain.log_timing = off', name);
        execute format('alter database %I set auto_explain.log_format = ''json''', name);
        execute format('alter database %I set auto_explain.log_level = ''notice''', name);
        for part in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind = 'r' and n.nspname = 'public'
        loop
            execute format('alter table %s set (autovacuum_enabled = false)', part);
        end loop;
    end $$";
    db.execute_unprepared(sql).await.unwrap();
}

async fn one_connection(url: &str) -> Store {
    let settings = Settings { url: url.to_owned().into(), max_connections: 1, ..Settings::default() };
    Store::connect(&settings).await.unwrap()
}

/// On tables that were empty when PostgreSQL made its plans and are full now, and never analysed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_depends_on_statistics() {
    let seen = Seen::subscribe();
    let database = TestDatabase::postgres().await;
    let db = beside(&database).await;
    prepare(&db).await;
    let store = one_connection(&database.url()).await;
    filled::fill(&db, filled::SMALL, 20).await;
    for _ in 0..UNTIL_A_PLAN_IS_KEPT {
        calls::read(&store, filled::SMALL).await;
        calls::write(&store, filled::SMALL).await;
    }
    assert!(seen.take().len() > 100, "the server told no plans: is auto_explain installed?");
    filled::fill(&db, filled::LARGE, rows()).await;
    calls::read(&store, filled::LARGE).await;
    calls::write(&store, filled::LARGE).await;
    calls::purge(&store, filled::LARGE).await;
    seen.assert_linear(rows() * VISITS_PER_ROW);
}

/// The same with a session that knows nothing yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_session_has_linear_plans_on_fresh_tables() {
    let seen = Seen::subscribe();
    let database = TestDatabase::postgres().await;
    let db = beside(&database).await;
    prepare(&db).await;
    filled::fill(&db, filled::LARGE, rows()).await;
    let store = one_connection(&database.url()).await;
    calls::read(&store, filled::LARGE).await;
    calls::write(&store, filled::LARGE).await;
    calls::purge(&store, filled::LARGE).await;
    seen.assert_linear(rows() * VISITS_PER_ROW);
}

/// The measure itself: a join that compares each row with each is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quadratic_plan_is_seen() {
    let seen = Seen::subscribe();
    let database = TestDatabase::postgres().await;
    prepare(&beside(&database).await).await;
    let db = beside(&database).await;
    db.execute_unprepared(
        "set enable_hashjoin = off; set enable_mergejoin = off;
        select count(*) from generate_series(1, 1000) a join generate_series(1, 1000) b on a = b",
    )
    .await
    .unwrap();
    let most = seen.take().iter().map(|plan| plan.visits).max().unwrap();
    assert!(most >= 900_000, "{most}");
}
