//! The lines about tables, held against the schema itself on both databases, and against the grants.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait as _, DbBackend};
use tidemark_domain::id::ConnectionId;

use super::*;
use crate::{
    statement::{count, rows},
    test_databases::{on_both_databases, opened},
};

/// Tables with their columns, each with its type and whether it must have a value.
async fn tables(store: &Store) -> BTreeMap<String, Vec<Column>> {
    let sql = match store.db.get_database_backend() {
        DbBackend::Postgres => {
            "select c.table_name as name, c.column_name as col, c.data_type as kind,
                c.is_nullable = 'NO' and c.column_default is null and c.is_identity = 'NO' as needed
            from information_schema.columns c join pg_class k on k.relname = c.table_name
            where c.table_schema = 'public' and k.relkind in ('r', 'p') and not k.relispartition"
        }
        _ => {
            "select t.name as name, c.name as col, lower(c.type) as kind,
                (c.\"notnull\" = 1 or c.pk > 0 and lower(c.type) <> 'integer') and c.dflt_value is null as needed
            from sqlite_master t join pragma_table_info(t.name) c where t.type = 'table' and t.name not like 'sqlite%'"
        }
    };
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for row in rows(&store.db, "a test", sql, []).await.unwrap() {
        let text = |column: &str| row.get::<String>(column).unwrap();
        let column = Column { name: text("col"), kind: text("kind"), needed: row.get("needed").unwrap() };
        tables.entry(text("name")).or_default().push(column);
    }
    tables
}

struct Column {
    name: String,
    kind: String,
    needed: bool,
}

fn names() -> BTreeSet<String> {
    TABLES.iter().map(|table| table.name.to_owned()).collect()
}

async fn every_table_says_how_long_its_rows_are_kept(store: &Store) {
    let there: BTreeSet<_> = tables(store).await.into_keys().collect();
    let why = "store/src/retention.rs says for every table how long its rows are kept";
    assert_eq!(names(), there, "{why}; on the left its lines, on the right the schema");
    assert_eq!(TABLES.len(), there.len(), "one line per table");
}

fn connection(mark: &str) -> ConnectionId {
    format!("conn_{mark:0>26}").parse().unwrap()
}

/// A row in every table, of a connection or beside it, with what it must have and nothing else.
async fn fill(store: &Store, mark: &str) {
    let columns = tables(store).await;
    let postgres = store.db.get_database_backend() == DbBackend::Postgres;
    // Parents first.
    for table in TABLES.iter().rev().filter(|table| !["feed_head", "seaql_migrations"].contains(&table.name))
    {
        let mut given = Vec::new();
        for column in &columns[table.name] {
            if column.needed || column.name == "connection_id" {
                given.push((column.name.as_str(), value(table.name, column, mark, postgres)));
            }
        }
        let (names, values): (Vec<_>, Vec<_>) = given.into_iter().unzip();
        let sql = format!("insert into {} ({}) values ({})", table.name, names.join(", "), values.join(", "));
        execute(&store.db, "a test", sql.as_str(), []).await.unwrap_or_else(|error| {
            panic!("{error:?}: this test fills {} and does not know how: {sql}", table.name)
        });
    }
}

fn value(table: &str, column: &Column, mark: &str, postgres: bool) -> String {
    match (table, column.name.as_str(), column.kind.as_str()) {
        ("connections", "id", _) | (_, "connection_id" | "ordering_key", _) => {
            format!("'{}'", connection(mark))
        }
        ("runs", "id", _) => format!("'run{mark}'"),
        ("webhook_deliveries", "id", _) => format!("'delivery{mark}'"),
        ("webhook_endpoints", "id", _) => format!("'endpoint{mark}'"),
        ("invitations", "id", _) => format!("'invitation{mark}'"),
        // Another row of it.
        (_, name, "uuid") => format!("'{:0>32}'", hex::encode(format!("{mark}{}", name.len()))),
        (_, _, "bigint" | "integer") => "1".to_owned(),
        (_, _, "boolean") => "false".to_owned(),
        (_, _, "bytea") => format!("decode('{}', 'hex')", hex::encode(mark)),
        (_, _, "blob") => format!("x'{:0>32}'", hex::encode(mark)),
        (_, _, "timestamp with time zone" | "date") => "'2026-01-01'".to_owned(),
        (_, name, "text") if !postgres && (name.ends_with("_at") || ["at", "day"].contains(&name)) => {
            "'2026-01-01'".to_owned()
        }
        (_, name, _) => format!("'{}{mark}'", name.trim_end_matches("_id")),
    }
}

async fn counts(store: &Store) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for table in TABLES {
        let sql = format!("select count(*) as count from {}", table.name);
        counts.insert(table.name, count(&store.db, "a test", sql, []).await.unwrap());
    }
    counts
}

async fn purge(store: &Store, connection: &ConnectionId) {
    let sql = "update connections set purge = 'asked' where id = $1";
    execute(&store.db, "a test", sql, [connection.as_str().into()]).await.unwrap();
    while store.purge_facts(connection, 10).await.unwrap() > 0 {}
}

async fn a_purge_leaves_nothing_of_its_connection_and_all_of_others(store: &Store) {
    fill(store, "a").await;
    fill(store, "b").await;
    let before = counts(store).await;
    purge(store, &connection("a")).await;
    let after = counts(store).await;
    let columns = tables(store).await;
    for table in TABLES {
        let is_of_connection = !table.of_connection.is_empty();
        let gone = before[table.name] - after[table.name];
        assert_eq!(gone, u64::from(is_of_connection), "{}", table.name);
        let names_one = columns[table.name].iter().any(|column| column.name == "connection_id");
        // A fence says no more than its number, and outlives whoever may still hold it.
        assert!(is_of_connection || !names_one || table.name == "fences", "{} is not purged", table.name);
    }
    let row = crate::statement::row(
        &store.db,
        "a test",
        "select workspace, anchors, purge from connections where id = $1",
        [connection("a").as_str().into()],
    );
    let row = row.await.unwrap().unwrap();
    assert_eq!(row.get::<Option<String>>("workspace").unwrap(), None);
    assert_eq!(row.get::<String>("anchors").unwrap(), "[]");
    assert_eq!(row.get::<String>("purge").unwrap(), "done");
}

async fn an_invitation_goes_with_the_connection_that_came_of_it(store: &Store) {
    fill(store, "a").await;
    fill(store, "b").await;
    for table in ["invitations", "connect_links"] {
        let sql = format!(
            "update {table} set connection_id = null, made_connection_id = $1 where connection_id = $1"
        );
        execute(&store.db, "a test", sql, [connection("a").as_str().into()]).await.unwrap();
    }
    purge(store, &connection("a")).await;
    let after = counts(store).await;
    assert_eq!((after["invitations"], after["invitation_tokens"], after["connect_links"]), (1, 1, 1));
}

async fn the_news_of_the_end_outlives_the_purge(store: &Store) {
    fill(store, "a").await;
    for sql in [
        "update feed set kind = 'connection.disconnected'",
        "update outbox set name = 'connection.disconnected'",
    ] {
        execute(&store.db, "a test", sql, []).await.unwrap();
    }
    purge(store, &connection("a")).await;
    let after = counts(store).await;
    assert_eq!((after["feed"], after["outbox"], after["webhook_deliveries"]), (1, 1, 1));
}

const RETENTION: Retention =
    Retention { messages_days: 14, links_days: 30, invitations_days: 180, history_days: 400 };

fn instant(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
}

async fn forget(store: &Store, days: i64) -> BTreeMap<&'static str, u64> {
    let mut gone = BTreeMap::new();
    for aging in Aging::all() {
        *gone.entry(aging.table).or_default() +=
            store.forget_old(aging, instant(days), &RETENTION, 10).await.unwrap();
    }
    gone.retain(|_, rows| *rows > 0);
    gone
}

/// So many days that no instant lies before them.
async fn what_is_kept_for_ever_is_kept(store: &Store) {
    fill(store, "a").await;
    let days = u32::MAX;
    let for_ever =
        Retention { messages_days: days, links_days: days, invitations_days: days, history_days: days };
    for now in [instant(0), DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        for aging in Aging::all() {
            assert_eq!(store.forget_old(aging, now, &for_ever, 10).await.unwrap(), 0, "{aging:?}");
        }
    }
}

async fn what_has_ended_is_forgotten_when_its_days_are_over(store: &Store) {
    fill(store, "a").await;
    fill(store, "b").await;
    // Ended on day 0, all of them.
    for (table, column) in [
        ("alerts", "ended_at"),
        ("reconnect_episodes", "closed_at"),
        ("outbox", "dead_at"),
        ("service_tokens", "revoked_at"),
        ("webhook_secrets", "signs_until"),
        ("invitations", "updated_at"),
        ("inbox", "seen_at"),
        ("webhook_deliveries", "created_at"),
        ("consents", "expires_at"),
        ("connect_links", "expires_at"),
        ("console_sessions", "expires_at"),
        ("invitation_mails", "give_up_at"),
    ] {
        let sql = format!("update {table} set {column} = $1");
        execute(&store.db, "a test", sql, [instant(0).into()]).await.unwrap();
    }
    for table in ["feed", "invitation_quotas"] {
        execute(&store.db, "a test", format!("delete from {table}"), []).await.unwrap();
    }
    assert_eq!(forget(store, 14).await, BTreeMap::new());
    let messages = [("inbox", 2), ("outbox", 2), ("webhook_deliveries", 2)];
    assert_eq!(forget(store, 15).await, BTreeMap::from(messages));
    let links = ["connect_links", "console_sessions", "consents", "invitation_mails", "invitation_tokens"];
    let links = links.into_iter().chain(["webhook_secrets"]).map(|table| (table, 2));
    assert_eq!(forget(store, 31).await, links.collect());
    assert_eq!(forget(store, 181).await, BTreeMap::from([("invitations", 2)]));
    assert_eq!(forget(store, 400).await, BTreeMap::new());
    let history = [("alerts", 2), ("reconnect_episodes", 2), ("service_tokens", 2)];
    assert_eq!(forget(store, 401).await, BTreeMap::from(history));
}

async fn a_connection_keeps_its_newest_run(store: &Store) {
    fill(store, "a").await;
    let sql = "update runs set state = 'succeeded', finished_at = $1";
    execute(&store.db, "a test", sql, [instant(0).into()]).await.unwrap();
    let sql = "insert into runs (id, connection_id, state, attempts, created_at, updated_at, finished_at)
        select 'runz' || id, connection_id, state, attempts, created_at, updated_at, finished_at from runs";
    execute(&store.db, "a test", sql, []).await.unwrap();
    let gone = forget(store, 401).await;
    assert_eq!((gone["runs"], gone["run_streams"]), (1, 1), "with its streams");
    let left = rows(&store.db, "a test", "select id from runs", []).await.unwrap();
    assert_eq!(left[0].get::<String>("id").unwrap(), "runzruna");
}

async fn a_purged_connection_is_forgotten_in_the_end(store: &Store) {
    fill(store, "a").await;
    fill(store, "b").await;
    purge(store, &connection("a")).await;
    execute(&store.db, "a test", "update connections set updated_at = $1", [instant(0).into()])
        .await
        .unwrap();
    assert!(!forget(store, 400).await.contains_key("connections"));
    let gone = forget(store, 401).await;
    assert_eq!((gone["connections"], gone["fences"]), (1, 1), "the one that is disconnected");
    let left = rows(&store.db, "a test", "select id from connections", []).await.unwrap();
    assert_eq!(left[0].get::<String>("id").unwrap(), connection("b").as_str());
}

on_both_databases! {
    every_table_says_how_long_its_rows_are_kept,
    a_purge_leaves_nothing_of_its_connection_and_all_of_others,
    an_invitation_goes_with_the_connection_that_came_of_it,
    the_news_of_the_end_outlives_the_purge,
    what_has_ended_is_forgotten_when_its_days_are_over,
    what_is_kept_for_ever_is_kept,
    a_connection_keeps_its_newest_run,
    a_purged_connection_is_forgotten_in_the_end,
}

/// As the role that does it, with nothing but its grants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credential_service_may_delete_what_is_kept_no_longer_and_nobody_the_audit_log() {
    let database = tidemark_testkit::TestDatabase::postgres().await;
    let store = opened(&database.url()).await;
    store.grant_roles().await.unwrap();
    fill(&store, "a").await;
    let privilege = async |role: &str, what: &str| {
        let sql = format!("select has_table_privilege('tidemark_{role}', 'audit', '{what}') as may");
        let row = crate::statement::row(&store.db, "a test", sql, []).await.unwrap().unwrap();
        row.get::<bool>("may").unwrap()
    };
    for role in ["credentials", "worker", "aggregator"] {
        assert!(!privilege(role, "delete").await && !privilege(role, "update").await, "{role}");
        assert!(privilege(role, "insert").await, "{role}");
    }
    store.db.execute_unprepared("set role tidemark_credentials").await.unwrap();
    purge(&store, &connection("a")).await;
    forget(&store, 1_000).await;
    store.db.execute_unprepared("reset role").await.unwrap();
}
