//! The roster and its history.

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use tidemark_domain::{
    member::{Role, Standing, Version},
    stream::Stream,
};
use tidemark_store::{Effect, Resource, RosterChange, RosterMember, Store, TeamRoster};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_version_is_written_where_the_standing_changed,
    the_same_day_replaces_its_version,
    who_left_may_come_back,
    the_last_of_two_lines_counts,
    an_earlier_day_does_not_hide_what_is_seen_now,
    a_large_listing_goes_in_at_once,
    teams_are_replaced,
    any_text_that_is_written_can_be_read_back,
}

/// Texts as the client lets them in: no NUL, no control characters, of bounded length; all of Unicode beside that.
fn texts(longest: usize, many: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let any = proptest::collection::vec(proptest::char::any(), 0..longest);
    let text = |_| {
        let characters = any.new_tree(&mut runner).expect("any characters will do").current();
        characters.into_iter().filter(|it| !it.is_control()).collect()
    };
    let odd = [
        "",
        " ",
        "\u{FFFD}",
        "'; drop table members; --",
        "%_\\",
        "null",
        "\u{FEFF}",
        "e\u{301}",
        "\u{10FFFF}",
    ];
    odd.into_iter().map(str::to_owned).chain((0..many).map(text)).collect()
}

async fn any_text_that_is_written_can_be_read_back(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let (names, words) = (texts(320, 200), texts(140, 200));
    let roster: Vec<_> = names
        .iter()
        .zip(&words)
        .zip(1_u128..)
        .map(|((name, word), number)| RosterMember {
            member_id: member(number),
            name: Some(name.clone()),
            email: Some(name.clone()),
            standing: Standing { role: Role::from(word.as_str()), disabled: false, pending: false },
        })
        .collect();
    apply(&store, &roster, 1).await;
    let read = store.member_facts(&id, None, 5_000, day(0)).await.unwrap();
    assert_eq!(read.len(), roster.len());
    for (facts, written) in read.iter().zip(&roster) {
        assert_eq!(facts.versions.last().unwrap().standing.as_ref(), Some(&written.standing), "{written:?}");
        let role = &written.standing.role;
        assert_eq!(&Role::from(role.as_str()), role, "what is read is what was written");
    }
    assert_eq!(apply(&store, &roster, 2).await, change(0, 0, 0), "nothing is new about it");

    let teams: Vec<_> = names
        .iter()
        .zip(&words)
        .zip(1_u128..)
        .map(|((name, word), number)| TeamRoster {
            team_id: member(number),
            name: name.clone(),
            handle: word.clone(),
            members: vec![member(1)],
        })
        .collect();
    let resources: Vec<_> = words
        .iter()
        .zip(1_u128..)
        .map(|(word, number)| Resource {
            id: member(number),
            kind: word.clone(),
            status: Some(word.clone()),
            archived: Some(false),
            processed: None,
            owner_id: None,
            creator_id: None,
            parent_id: None,
            created_at: None,
            updated_at: None,
            deleted_at: None,
            document: None,
        })
        .collect();
    let tx = store.begin().await.unwrap();
    tx.replace_teams(&id, &teams).await.unwrap();
    tx.upsert_resources(&id, Stream::Entities, &resources, &run_id(1), now()).await.unwrap();
    tx.commit().await.unwrap();
    let tx = store.begin().await.unwrap();
    let again = tx.replace_teams(&id, &teams).await.unwrap();
    assert_eq!((again.written, again.removed), (0, 0), "teams read back as they were written");
    let again = tx.upsert_resources(&id, Stream::Entities, &resources, &run_id(2), now()).await.unwrap();
    assert_eq!(again.written, 0, "statuses and types, too");
    tx.commit().await.unwrap();
}

fn line(number: u128, standing: Standing) -> RosterMember {
    RosterMember { member_id: member(number), name: Some(format!("Member {number}")), email: None, standing }
}

fn viewer() -> Standing {
    Standing { role: Role::Viewer, disabled: false, pending: false }
}

fn change(added: u64, changed: u64, closed: u64) -> RosterChange {
    RosterChange { added, changed, closed }
}

async fn apply(store: &Store, listing: &[RosterMember], offset: u64) -> RosterChange {
    let tx = store.begin().await.unwrap();
    let change = tx.apply_roster(&connection_id(1), listing, day(offset)).await.unwrap();
    tx.commit().await.unwrap();
    change
}

async fn versions(store: &Store, number: u128) -> Vec<(u64, Option<Standing>)> {
    let facts = store.member_facts(&connection_id(1), None, 5_000, day(0)).await.unwrap();
    let facts = facts.into_iter().find(|facts| facts.member_id == member(number)).unwrap();
    let offset = |version: &Version| (version.valid_from - day(0)).num_days().try_into().unwrap();
    facts.versions.iter().map(|version| (offset(version), version.standing.clone())).collect()
}

async fn a_version_is_written_where_the_standing_changed(database: &TestDatabase) {
    let store = database.store();
    assert_eq!(apply(&store, &[line(1, maker()), line(2, maker())], 1).await, change(2, 0, 0));
    assert_eq!(apply(&store, &[line(1, maker()), line(2, maker())], 2).await, change(0, 0, 0));
    assert_eq!(apply(&store, &[line(1, viewer()), line(2, maker())], 3).await, change(0, 1, 0));
    assert_eq!(versions(&store, 1).await, [(1, Some(maker())), (3, Some(viewer()))]);
    assert_eq!(versions(&store, 2).await, [(1, Some(maker()))]);
    let before = store.facts_digest(&connection_id(1)).await.unwrap();
    let renamed = RosterMember { email: Some("new@example.com".to_owned()), ..line(2, maker()) };
    assert_eq!(apply(&store, &[line(1, viewer()), renamed], 4).await, change(0, 0, 0));
    assert_ne!(store.facts_digest(&connection_id(1)).await.unwrap(), before, "the address is new");
    assert_eq!(versions(&store, 2).await, [(1, Some(maker()))], "its history is not");
}

async fn the_same_day_replaces_its_version(database: &TestDatabase) {
    let store = database.store();
    apply(&store, &[line(1, maker())], 1).await;
    apply(&store, &[line(1, viewer())], 2).await;
    let disabled = Standing { disabled: true, ..maker() };
    assert_eq!(apply(&store, &[line(1, disabled.clone())], 2).await, change(0, 1, 0));
    assert_eq!(versions(&store, 1).await, [(1, Some(maker())), (2, Some(disabled))]);
}

async fn who_left_may_come_back(database: &TestDatabase) {
    let store = database.store();
    let pending = Standing { pending: true, ..maker() };
    apply(&store, &[line(1, maker()), line(2, pending)], 1).await;
    assert_eq!(store.member_count(&connection_id(1)).await.unwrap(), 2);
    assert_eq!(apply(&store, &[line(2, maker())], 2).await, change(0, 1, 1));
    assert_eq!(apply(&store, &[line(2, maker())], 3).await, change(0, 0, 0), "closed once");
    assert_eq!(store.member_count(&connection_id(1)).await.unwrap(), 1);
    assert_eq!(store.member_ids(&connection_id(1)).await.unwrap(), [member(2)].into());
    assert_eq!(apply(&store, &[line(1, maker()), line(2, maker())], 4).await, change(1, 0, 0));
    assert_eq!(versions(&store, 1).await, [(1, Some(maker())), (2, None), (4, Some(maker()))]);
    assert_eq!(store.member_count(&connection_id(1)).await.unwrap(), 2);
    assert_eq!(store.member_count(&connection_id(2)).await.unwrap(), 0);
}

async fn the_last_of_two_lines_counts(database: &TestDatabase) {
    let store = database.store();
    assert_eq!(apply(&store, &[line(1, viewer()), line(1, maker())], 1).await, change(1, 0, 0));
    assert_eq!(versions(&store, 1).await, [(1, Some(maker()))]);
}

async fn an_earlier_day_does_not_hide_what_is_seen_now(database: &TestDatabase) {
    let store = database.store();
    apply(&store, &[line(1, maker())], 5).await;
    assert_eq!(apply(&store, &[line(1, viewer())], 4).await, change(0, 1, 0));
    assert_eq!(versions(&store, 1).await, [(5, Some(viewer()))]);
}

async fn a_large_listing_goes_in_at_once(database: &TestDatabase) {
    let store = database.store();
    let mut listing: Vec<_> = (0..3_000).map(|number| line(number, maker())).collect();
    assert_eq!(apply(&store, &listing, 1).await, change(3_000, 0, 0));
    listing.truncate(2_000);
    listing[..700].iter_mut().for_each(|line| line.standing = viewer());
    assert_eq!(apply(&store, &listing, 2).await, change(0, 700, 1_000));
    assert_eq!(store.member_count(&connection_id(1)).await.unwrap(), 2_000);
}

async fn teams_are_replaced(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let team = |number: u128, members: &[u128]| TeamRoster {
        team_id: member(number),
        name: format!("Team {number}"),
        handle: format!("team-{number}"),
        members: members.iter().map(|number| member(*number)).collect(),
    };
    let replace = async |teams: &[TeamRoster]| {
        let tx = store.begin().await.unwrap();
        let effect = tx.replace_teams(&id, teams).await.unwrap();
        tx.commit().await.unwrap();
        (store.facts_digest(&id).await.unwrap(), effect)
    };
    let effect = |written, unchanged, removed| Effect { written, unchanged, removed, late: 0 };
    let (none, nothing) = replace(&[]).await;
    assert_eq!(nothing, Effect::default());
    let (two, new) = replace(&[team(1, &[1, 2, 2]), team(2, &[])]).await;
    assert_eq!(new, effect(4, 0, 0), "two teams and two members");
    assert_ne!(two, none);
    let (one, less) = replace(&[team(1, &[1])]).await;
    assert_eq!(less, effect(0, 2, 2));
    assert_ne!(one, two);
    assert_eq!(store.team_ids(&id).await.unwrap(), [member(1)].into());
    let (again, more) = replace(&[team(2, &[]), team(1, &[2, 1]), team(1, &[2, 1])]).await;
    assert_eq!((again == two, more), (true, effect(2, 2, 0)));
    assert_eq!(replace(&[]).await.0, none);
}
