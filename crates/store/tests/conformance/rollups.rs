//! Rollups.

use tidemark_domain::{
    member::{Role, Standing, Version},
    rollup::{Coverage, DEFINITION_VERSION, Fold, MemberFacts, Rollup, WINDOWS},
};
use tidemark_store::{RollupHead, Store};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_rollup_reads_back_as_written,
    a_rollup_takes_the_place_of_the_one_before,
    a_rollup_of_an_older_day_stays_out,
}

/// A real rollup of the days `first..=last` for that many members.
fn rollup(first: u64, last: u64, members: u128) -> Rollup {
    let coverage: Coverage = (0..=last).map(day).collect();
    let mut fold = Fold::new(day(first), day(last), &coverage);
    for number in 0..members {
        let role = if number % 2 == 0 { Role::Maker } else { Role::Other("guest".to_owned()) };
        let standing = Some(Standing { role, disabled: number == 4, pending: number == 6 });
        let versions = [Version { valid_from: day(3), standing }];
        let days: Vec<_> = (0..last).step_by(3).map(|offset| member_day(number, offset, 2)).collect();
        let days = if number == 2 { &[][..] } else { &days[..] };
        fold.member(MemberFacts { member_id: member(number), versions: &versions, days });
    }
    fold.finish()
}

fn head(last: u64, members: u64) -> RollupHead {
    RollupHead {
        as_of: day(last),
        history_start: day(0),
        definition_version: DEFINITION_VERSION,
        run_id: run_id(last),
        members,
        computed_at: now(),
    }
}

async fn replace(store: &Store, head: &RollupHead, rollup: &Rollup) {
    let tx = store.begin().await.unwrap();
    tx.replace_rollup(&connection_id(1), head, rollup).await.unwrap();
    tx.commit().await.unwrap();
}

async fn assert_reads_back(store: &Store, rollup: &Rollup) {
    for (day, _) in rollup.windows.keys().filter(|(_, window)| *window == WINDOWS[0]) {
        let expected: Vec<_> =
            WINDOWS.iter().map(|window| (*window, rollup.windows[&(*day, *window)].clone())).collect();
        assert_eq!(store.windows_on(&connection_id(1), *day).await.unwrap(), expected);
    }
}

async fn a_rollup_reads_back_as_written(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    assert_eq!(store.rollup_head(&id).await.unwrap(), None);
    let written = rollup(0, 120, 9);
    assert!(written.windows.values().any(|window| window.areas[2].actions > 0));
    replace(&store, &head(120, 9), &written).await;
    assert_eq!(store.rollup_head(&id).await.unwrap(), Some(head(120, 9)));
    assert_eq!(store.seats(&id).await.unwrap(), written.seats);
    assert_reads_back(&store, &written).await;
    assert!(store.windows_on(&id, day(121)).await.unwrap().is_empty());
}

async fn a_rollup_takes_the_place_of_the_one_before(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let (old, new) = (rollup(90, 110, 9), rollup(105, 112, 3));
    replace(&store, &head(110, 9), &old).await;
    replace(&store, &head(112, 3), &new).await;
    assert_reads_back(&store, &new).await;
    assert_eq!(store.seats(&id).await.unwrap(), new.seats);
    assert_eq!(store.rollup_head(&id).await.unwrap(), Some(head(112, 3)));
    let kept = store.windows_on(&id, day(104)).await.unwrap();
    assert_eq!(kept[2], (28, old.windows[&(day(104), 28)].clone()), "the charts keep their history");
    let digest = store.facts_digest(&id).await.unwrap();
    replace(&store, &head(112, 3), &new).await;
    assert_eq!(store.facts_digest(&id).await.unwrap(), digest);
}

async fn a_rollup_of_an_older_day_stays_out(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let (newer, older) = (rollup(0, 30, 9), rollup(0, 29, 3));
    replace(&store, &head(30, 9), &newer).await;
    let digest = store.facts_digest(&id).await.unwrap();
    let tx = store.begin().await.unwrap();
    assert!(!tx.replace_rollup(&id, &head(29, 3), &older).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.facts_digest(&id).await.unwrap(), digest);
}
