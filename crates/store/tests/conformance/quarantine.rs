//! Rows that could not be read or kept.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tidemark_domain::member::{Role, Standing};
use tidemark_domain::stream::Stream;
use tidemark_store::{QuarantinedRow, Resource, RosterMember, Store};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    what_cannot_be_read_is_kept_and_counted,
    what_can_be_read_leaves,
    unknown_days_are_told_by_member,
    a_purge_leaves_nothing_in_quarantine,
    a_value_that_is_refused_concerns_its_row_alone,
}

const ACTIVITY: Stream = Stream::MemberActivities;

fn bad(number: Option<u128>, days: (u64, u64), raw: &str) -> QuarantinedRow {
    QuarantinedRow {
        id: number.map(member),
        days: Some((day(days.0), day(days.1))),
        problem: "expected a role at role".to_owned(),
        raw: raw.to_owned(),
    }
}

async fn quarantine(store: &Store, rows: &[QuarantinedRow], run: u64) {
    let tx = store.begin().await.unwrap();
    let at = now() + TimeDelta::minutes(run.try_into().unwrap());
    tx.quarantine(&connection_id(1), ACTIVITY, rows, &run_id(run), at).await.unwrap();
    tx.commit().await.unwrap();
}

async fn what_cannot_be_read_is_kept_and_counted(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    assert!(store.quarantine(&id).await.unwrap().is_empty());
    let long = "é".repeat(5_000);
    let rows = [
        bad(Some(1), (3, 3), "{}"),
        bad(None, (4, 4), "a"),
        bad(None, (4, 4), "b"),
        bad(Some(2), (1, 9), &long),
    ];
    quarantine(&store, &rows, 1).await;
    quarantine(&store, &rows[..1], 2).await;
    let told = store.quarantine(&id).await.unwrap();
    assert_eq!((told[0].stream, told[0].rows), (ACTIVITY, 4));
    assert_eq!(told[0].first_seen_at, now() + TimeDelta::minutes(1), "since the first time");
    assert_eq!(told[0].last_seen_at, now() + TimeDelta::minutes(2));
    let kept = store.quarantined_rows(&id, ACTIVITY, 10).await.unwrap();
    assert!(kept.iter().all(|row| row.raw.len() <= 2_048), "bounded");
    assert!(kept.contains(&rows[0]) && kept.contains(&rows[1]));
    assert!(!format!("{:?}", rows[1]).contains("raw"), "what is kept is not printed");
    let flags = store.data_flags(&id).await.unwrap();
    assert_eq!(flags[0].flag, "quarantined_rows.member_activities");
    assert!(flags[0].detail.starts_with("4 rows of activity"), "{}", flags[0].detail);
    assert!(flags[0].detail.contains("2 of them do not say whose they are"), "{}", flags[0].detail);
    assert_eq!(store.quarantined_by(&id, ACTIVITY, &run_id(2)).await.unwrap(), [Some(member(1))]);
}

async fn what_can_be_read_leaves(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let rows = [bad(Some(1), (3, 3), "{}"), bad(None, (4, 4), "a"), bad(Some(2), (1, 9), "b")];
    quarantine(&store, &rows, 1).await;
    let left = async || store.quarantined_rows(&id, ACTIVITY, 10).await.unwrap().len();
    let before = store.rollup_mark(&id).await.unwrap().revision;
    let tx = store.begin().await.unwrap();
    tx.end_quarantine_of_days(&id, &[day(3)], &run_id(1), now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(left().await, 3, "the run that found them does not let them go");
    let tx = store.begin().await.unwrap();
    tx.end_quarantine_of_days(&id, &[day(3), day(4), day(5)], &run_id(2), now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(left().await, 1, "a row that may be of another day stays");
    let mark = store.rollup_mark(&id).await.unwrap();
    assert!(mark.revision > before, "their days are computed again");
    let tx = store.begin().await.unwrap();
    tx.end_quarantine_of(&id, ACTIVITY, &[member(2), member(7)], now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(left().await, 0);
    assert!(store.data_flags(&id).await.unwrap().is_empty());
    quarantine(&store, &rows, 3).await;
    let tx = store.begin().await.unwrap();
    tx.end_quarantine(&id, ACTIVITY, &run_id(4), now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(left().await, 0);
}

async fn unknown_days_are_told_by_member(database: &TestDatabase) {
    let store = database.store();
    quarantine(&store, &[bad(Some(1), (3, 3), "{}"), bad(None, (4, 4), "a"), bad(Some(2), (1, 3), "b")], 1)
        .await;
    let expected =
        BTreeMap::from([(member(1), [day(3)].into()), (member(2), [day(1), day(2), day(3)].into())]);
    assert_eq!(store.unknown_days(&connection_id(1)).await.unwrap(), expected);
    assert!(store.unknown_days(&connection_id(2)).await.unwrap().is_empty());
}

async fn a_purge_leaves_nothing_in_quarantine(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    connected(&store, 1).await;
    quarantine(&store, &[bad(Some(1), (3, 3), "{}")], 1).await;
    while store.purge_facts(&id, 100).await.unwrap() > 0 {}
    assert!(store.quarantine(&id).await.unwrap().is_empty());
}

/// PostgreSQL takes no NUL in a text; SQLite does.
async fn a_value_that_is_refused_concerns_its_row_alone(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let refuses = u64::from(!database.url().starts_with("sqlite"));
    let mut rows: Vec<_> = (1..=900).map(|number| member_day(number, 5, 1)).collect();
    for place in [0, 411, 899] {
        rows[place].role = Role::Other("a\0b".to_owned());
    }
    let tx = store.begin().await.unwrap();
    let effect = tx.write_member_days(&id, &rows, &run_id(1), now()).await.unwrap();
    let note = |number: u128, status: &str| Resource {
        id: member(number),
        kind: "textNote".to_owned(),
        status: Some(status.to_owned()),
        archived: None,
        processed: None,
        owner_id: None,
        creator_id: None,
        parent_id: None,
        created_at: None,
        updated_at: None,
        deleted_at: None,
        document: None,
    };
    let notes = [note(1, "new"), note(2, "a\0b"), note(3, "new")];
    let written = tx.upsert_resources(&id, Stream::Notes, &notes, &run_id(1), now()).await.unwrap();
    let standing = Standing { role: Role::Maker, disabled: false, pending: false };
    let people = [(1, "Ada"), (2, "a\0b")].map(|(number, name)| RosterMember {
        member_id: member(number),
        name: Some(name.to_owned()),
        email: None,
        standing: standing.clone(),
    });
    tx.apply_roster(&id, &people, day(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((effect.written, written.written), (900 - 3 * refuses, 3 - refuses));
    assert_eq!(store.member_day_count(&id).await.unwrap(), 900 - 3 * refuses);
    assert_eq!(store.resource_count(&id, Stream::Notes).await.unwrap(), 3 - refuses);
    assert_eq!(store.member_count(&id).await.unwrap(), 2, "a member without a name is one");
    let told: Vec<_> = store.quarantine(&id).await.unwrap().iter().map(|it| (it.stream, it.rows)).collect();
    let expected = [(ACTIVITY, 3), (Stream::Notes, 1)];
    assert_eq!(told, if refuses == 1 { &expected[..] } else { &[] });
    let unknown = store.unknown_days(&id).await.unwrap();
    let whose: Vec<_> = unknown.into_keys().collect();
    let expected = [1, 412, 900].map(member);
    assert_eq!(whose, if refuses == 1 { &expected[..] } else { &[] });
}
