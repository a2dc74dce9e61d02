//! Rollups, what marks them as due, and what hangs on them: seats, recommendations, contracts, exemptions, alerts.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tidemark_domain::{
    alert::{Alert, DataStale, SeatIdle, Turn},
    contract::{Contract, Price},
    event::{Changed, Data, Event, SyncCompleted, SyncFailed},
    exemption::Exemption,
    id::{ConnectionId, EventId},
    member::{Role, Standing, Version},
    recommendation::{self, Recommendation, Tier},
    rollup::{
        Block, Coverage, Cut, DEFINITION_VERSION, DayUse, Flag, Fold, Key, MemberFacts, Pages, Rolling,
        Rollup, Seat, SeatState, WINDOWS,
    },
    run,
};
use tidemark_store::{
    AlertFilter, FoldMember, KeptBlock, NewRollup, Packed, PackedBlock, Rest, RollupHead, RollupMark,
    RollupSettlement, RosterMember, Run, SeatCount, SeatDigest, SeatFilter, SeatList, SeatOrder, SeatRow,
    Store, TeamNumbers, TeamRoster,
};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};
use uuid::Uuid;

use crate::fixture::*;

on_both_databases! {
    a_rollup_reads_back_as_written,
    an_acceptance_lives_as_long_as_what_is_recommended,
    a_rollup_takes_the_place_of_the_one_before,
    a_rollup_of_an_older_day_stays_out,
    equal_rows_are_left_alone_and_lost_ones_go,
    many_seats_are_written_where_they_differ,
    numbers_of_teams_take_the_place_of_theirs_alone,
    lists_of_seats_are_filtered_sorted_and_cut_by_the_database,
    seats_are_counted_by_the_database,
    changed_facts_are_marked_and_equal_ones_are_not,
    teams_are_marked_where_their_members_change,
    a_mark_stays_where_something_was_added,
    a_connection_is_due_once_a_day_and_when_asked,
    a_first_rollup_is_due_as_soon_as_the_first_sync_is_over,
    a_rollup_is_claimed_by_one_until_its_time_is_over,
    a_failed_rollup_waits_for_all_and_the_longest_waiting_comes_first,
    the_end_of_a_sync_makes_its_rollup_due,
    what_later_definitions_computed_stays,
    many_alerts_end_at_once,
    older_days_are_told_in_two_dates,
    what_is_kept_of_activity_reads_back_as_written,
    flags_are_told_since_they_were_found,
    contract_and_exemptions_read_back_as_written,
    alerts_are_listed_until_long_after_they_ended,
}

/// A real rollup of the days `first..=last` for that many members.
fn rollup(first: u64, last: u64, members: u128) -> Rollup {
    let coverage: Coverage = (0..=last).map(day).collect();
    let mut fold = Fold::new(day(first), day(last), &coverage, day(3));
    for number in 0..members {
        let role = if number % 2 == 0 { Role::Maker } else { Role::Other("guest".to_owned()) };
        let standing = Some(Standing { role, disabled: number == 4, pending: number == 6 });
        let versions = [Version { valid_from: day(3), standing }];
        let days: Vec<_> = (0..last).step_by(3).map(|offset| member_day(number, offset, 2)).collect();
        let days = if number == 2 { &[][..] } else { &days[..] };
        fold.member(MemberFacts {
            member_id: member(number),
            versions: &versions,
            days: &days.iter().map(DayUse::from).collect::<Vec<_>>(),
            teams: &[member(number % 3)],
            first_row: None,
            active_before: None,
        });
    }
    fold.finish()
}

fn recommended(rollup: &Rollup) -> Vec<Recommendation> {
    recommendation::recommend(rollup, &Coverage::default(), &[])
}

fn head(last: u64, members: u64) -> RollupHead {
    RollupHead {
        as_of: day(last),
        history_start: day(0),
        definition_version: DEFINITION_VERSION,
        run_id: run_id(last),
        members,
        computed_at: now(),
        revision: 0,
        flags: vec![Flag::RepeatedTotals],
        kept_from: None,
    }
}

async fn replace(store: &Store, head: &RollupHead, rollup: &Rollup) -> Option<Changed> {
    write(store, NewRollup { recommendations: recommended(rollup), ..new(head, rollup) }).await
}

/// A rollup that recommends nothing and keeps nothing.
fn new(head: &RollupHead, rollup: &Rollup) -> NewRollup {
    let (head, rollup) = (head.clone(), rollup.clone());
    let rest = Rest::Put(Packed { from: day(0), blocks: Vec::new() });
    NewRollup { head, rollup, teams: None, recommendations: Vec::new(), rest }
}

async fn write(store: &Store, new: NewRollup) -> Option<Changed> {
    let tx = store.begin().await.unwrap();
    let changed = tx.write_rollup(&connection_id(1), &new).await.unwrap();
    tx.commit().await.unwrap();
    changed
}

async fn assert_reads_back(store: &Store, rollup: &Rollup) {
    let (first, last) = rollup.days;
    let read = store.numbers_between(&connection_id(1), first, last, None).await.unwrap();
    assert_eq!(read, rollup.windows);
    let expected: Vec<_> =
        WINDOWS.map(|window| (window, rollup.windows[&(Cut::All, last, window)].clone())).to_vec();
    assert_eq!(store.windows_on(&connection_id(1), last).await.unwrap(), expected);
}

async fn a_rollup_reads_back_as_written(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    assert_eq!(store.rollup_head(&id).await.unwrap(), None);
    let written = rollup(0, 120, 9);
    assert!(written.windows.values().any(|window| window.areas[2].actions > 0));
    replace(&store, &head(120, 9), &written).await.unwrap();
    assert_eq!(store.rollup_head(&id).await.unwrap(), Some(head(120, 9)));
    assert_eq!(store.seats(&id).await.unwrap(), written.seats);
    let recommended = recommended(&written);
    assert!(!recommended.is_empty());
    assert_eq!(store.recommendations(&id).await.unwrap(), recommended);
    assert_reads_back(&store, &written).await;
    assert!(store.windows_on(&id, day(121)).await.unwrap().is_empty());
    let team = Cut::Team(member(1));
    let trend = store.trend(&id, &team, 28, (day(100), day(105))).await.unwrap();
    let expected: Vec<_> =
        (100..=105).map(|at| (day(at), written.windows[&(team.clone(), day(at), 28)].clone())).collect();
    assert_eq!(trend, expected);
    let page = store.seat_page(&id, &SeatList::default(), None, 99).await.unwrap();
    assert_eq!(page.iter().map(|row| row.seat.clone()).collect::<Vec<_>>(), written.seats);
    let shown = page.iter().filter_map(|row| row.recommendation).collect::<Vec<_>>();
    assert_eq!(shown.len(), recommended.len());
}

async fn an_acceptance_lives_as_long_as_what_is_recommended(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let written = rollup(0, 120, 9);
    replace(&store, &head(120, 9), &written).await.unwrap();
    let first = recommended(&written)[0];
    let acceptance = recommendation::Acceptance {
        member_id: first.member_id,
        action: first.action,
        by: "Ada".to_owned(),
        at: now(),
    };
    let tx = store.begin().await.unwrap();
    tx.accept_recommendation(&id, &acceptance).await.unwrap();
    tx.commit().await.unwrap();
    let read = async || store.seat_row(&id, first.member_id).await.unwrap().unwrap().acceptance;
    assert_eq!(read().await, Some(acceptance.clone()));
    assert_eq!(store.seat_row(&id, member(99)).await.unwrap(), None);
    replace(&store, &head(120, 9), &written).await.unwrap();
    assert_eq!(read().await, Some(acceptance.clone()), "the same is still recommended");

    // Nothing is recommended, and then the same again: what was done about it before does not count again.
    let exempt = Rollup { seats: Vec::new(), ..written.clone() };
    replace(&store, &head(120, 9), &exempt).await.unwrap();
    replace(&store, &head(120, 9), &written).await.unwrap();
    assert_eq!(read().await, None);

    let tx = store.begin().await.unwrap();
    tx.accept_recommendation(&id, &acceptance).await.unwrap();
    assert!(tx.withdraw_acceptance(&id, first.member_id).await.unwrap());
    assert!(!tx.withdraw_acceptance(&id, first.member_id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(read().await, None);
}

async fn a_rollup_takes_the_place_of_the_one_before(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let (old, new) = (rollup(90, 110, 9), rollup(105, 112, 3));
    replace(&store, &head(110, 9), &old).await.unwrap();
    replace(&store, &head(112, 3), &new).await.unwrap();
    assert_reads_back(&store, &new).await;
    assert_eq!(store.seats(&id).await.unwrap(), new.seats);
    assert_eq!(store.recommendations(&id).await.unwrap(), recommended(&new));
    assert_eq!(store.rollup_head(&id).await.unwrap(), Some(head(112, 3)));
    let kept = store.windows_on(&id, day(104)).await.unwrap();
    assert_eq!(
        kept[2],
        (28, old.windows[&(Cut::All, day(104), 28)].clone()),
        "the charts keep their history"
    );
}

/// A workspace with names, teams and recommendations.
async fn listed_seats(store: &Store) -> Vec<Seat> {
    let id = connection_id(1);
    let people: Vec<_> = (0..40)
        .map(|number| RosterMember {
            member_id: member(number),
            name: (number % 5 > 0)
                .then(|| format!("{} Member_{}", ["zoe", "Bob", "100%"][number as usize % 3], number)),
            email: (number % 4 == 0).then(|| format!("M{number}@acme.test")),
            standing: maker(),
        })
        .collect();
    let team = TeamRoster {
        team_id: member(900),
        name: "a".to_owned(),
        handle: "a".to_owned(),
        members: (0..40).step_by(3).map(member).collect(),
    };
    let tx = store.begin().await.unwrap();
    tx.apply_roster(&id, &people, day(3)).await.unwrap();
    tx.replace_teams(&id, &[team]).await.unwrap();
    tx.commit().await.unwrap();
    let mut written = rollup(110, 120, 40);
    for (number, seat) in written.seats.iter_mut().enumerate() {
        seat.uses[1].active_days = (number % 7) as u32;
        seat.first_seen_day = day(number as u64 % 4);
        seat.last_active_day = (number % 6 > 0).then(|| day(90 + number as u64 % 6));
    }
    replace(store, &head(120, 40), &written).await.unwrap();
    // Of the head's day: one that holds, one whose last day it is, and one that was ended.
    let exempt = |number: u128, until: u64| Exemption {
        member_id: member(number),
        reason: "leave".to_owned(),
        until: day(until),
        set_at: now(),
        ended_at: None,
    };
    let tx = store.begin().await.unwrap();
    for exemption in [exempt(8, 121), exempt(9, 120), exempt(10, 130)] {
        tx.set_exemption(&id, &exemption).await.unwrap();
    }
    assert!(tx.end_exemption(&id, member(10), now()).await.unwrap());
    tx.commit().await.unwrap();
    written.seats
}

async fn all_pages(store: &Store, list: &SeatList, size: u64) -> Vec<SeatRow> {
    let mut all: Vec<SeatRow> = Vec::new();
    loop {
        let after = all.last().map(|row| (all.len() as u64, row.seat.member_id));
        let page = store.seat_page(&connection_id(1), list, after, size).await.unwrap();
        assert!(page.len() as u64 <= size);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn lists_of_seats_are_filtered_sorted_and_cut_by_the_database(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let seats = listed_seats(&store).await;
    let everybody = all_pages(&store, &SeatList::default(), 99).await;
    assert_eq!(everybody.iter().map(|row| row.seat.clone()).collect::<Vec<_>>(), seats);
    let rank = |row: &SeatRow| row.recommendation.map_or(9, |(_, action)| action as usize);
    type Compare<'a> = &'a dyn Fn(&SeatRow, &SeatRow) -> std::cmp::Ordering;
    let lower = |row: &SeatRow| row.name.as_deref().unwrap_or_default().to_lowercase();
    let orders: [(SeatOrder, Compare<'_>); 6] = [
        (SeatOrder::LastActive, &|a, b| a.seat.last_active_day.cmp(&b.seat.last_active_day)),
        (SeatOrder::ActiveDays, &|a, b| a.seat.uses[1].active_days.cmp(&b.seat.uses[1].active_days)),
        (SeatOrder::State, &|a, b| a.seat.state.cmp(&b.seat.state)),
        (SeatOrder::FirstSeen, &|a, b| a.seat.first_seen_day.cmp(&b.seat.first_seen_day)),
        (SeatOrder::Recommendation, &|a, b| rank(a).cmp(&rank(b))),
        (SeatOrder::Member, &|_, _| std::cmp::Ordering::Equal),
    ];
    for (order, compare) in orders {
        for descending in [false, true] {
            let mut expected = everybody.clone();
            expected.sort_by(|a, b| {
                let order = compare(a, b).then(a.seat.member_id.cmp(&b.seat.member_id));
                if descending { order.reverse() } else { order }
            });
            let list = SeatList { order, descending, ..SeatList::default() };
            for size in [1, 7, 40] {
                assert_eq!(all_pages(&store, &list, size).await, expected, "{list:?} by {size}");
            }
        }
    }
    // How a locale sorts is up to the database: those without a name first, and each once.
    let by_name = all_pages(&store, &SeatList { order: SeatOrder::Name, ..SeatList::default() }, 7).await;
    assert!(by_name[..8].iter().all(|row| row.name.is_none()) && by_name[8].name.is_some());
    assert_eq!(by_name.iter().map(lower).collect::<BTreeSet<_>>().len(), 33);

    let filters: [(SeatFilter, Admits<'_>); 9] = [
        (SeatFilter { states: vec![SeatState::Disabled], ..Default::default() }, &|row| {
            row.seat.state == SeatState::Disabled
        }),
        (SeatFilter { roles: vec!["guest".to_owned()], ..Default::default() }, &|row| {
            row.seat.standing.role.as_str() == "guest"
        }),
        (SeatFilter { team: Some(member(900)), ..Default::default() }, &|row| {
            (0..40).step_by(3).any(|number| member(number) == row.seat.member_id)
        }),
        (SeatFilter { member: Some(member(7)), ..Default::default() }, &|row| {
            row.seat.member_id == member(7)
        }),
        (SeatFilter { exempt_only: true, ..Default::default() }, &|row| row.seat.member_id == member(8)),
        (SeatFilter { paid_only: true, ..Default::default() }, &|row| row.seat.standing.is_paid_seat()),
        (SeatFilter { tiers: vec![Tier::Certain], ..Default::default() }, &|row| {
            row.recommendation.is_some_and(|(tier, _)| tier == Tier::Certain)
        }),
        (SeatFilter { recommended_only: true, ..Default::default() }, &|row| row.recommendation.is_some()),
        (SeatFilter { text: "bOb member_1".to_owned(), paid_only: true, ..Default::default() }, &|row| {
            lower(row).contains("bob member_1") && row.seat.standing.is_paid_seat()
        }),
    ];
    for (filter, admits) in filters {
        let expected: Vec<_> = everybody.iter().filter(|row| admits(row)).cloned().collect();
        let list = SeatList { filter, ..SeatList::default() };
        assert!(!expected.is_empty(), "{list:?}");
        assert_eq!(all_pages(&store, &list, 3).await, expected, "{list:?}");
        assert_eq!(store.seat_count(&id, &list.filter).await.unwrap(), expected.len() as u64);
    }
    for row in &everybody {
        let holds = row.exemption.as_ref().is_some_and(|it| it.holds(day(120)));
        assert_eq!(holds, row.seat.member_id == member(8), "the database says it as the domain does");
    }
    for (text, count) in [("100%", 10), ("0%_", 0), ("m4@ACME", 1), ("\\", 0), ("member_", 32)] {
        let filter = SeatFilter { text: text.to_owned(), ..Default::default() };
        assert_eq!(store.seat_count(&id, &filter).await.unwrap(), count, "{text}");
    }
    // Whoever is gone meanwhile leaves the place.
    let gone = store.seat_page(&id, &SeatList::default(), Some((5, member(999))), 2).await.unwrap();
    assert_eq!(gone, everybody[5..7]);
}

type Admits<'a> = &'a dyn Fn(&SeatRow) -> bool;

async fn seats_are_counted_by_the_database(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let seats = listed_seats(&store).await;
    let counts = store.seat_counts(&id).await.unwrap();
    let paid: Vec<_> = seats.iter().filter(|seat| seat.standing.is_paid_seat()).collect();
    for state in SeatState::ALL {
        let of: Vec<_> = paid.iter().filter(|seat| seat.state == state).collect();
        let idle = |at: usize| of.iter().filter(|seat| seat.uses[at].active_days == 0).count() as u32;
        let expected = SeatCount { state, seats: of.len() as u32, idle: [idle(0), idle(1), idle(2)] };
        let counted = counts.iter().find(|count| count.state == state);
        assert_eq!(counted, Some(&expected).filter(|_| !of.is_empty()));
    }
    let recommended = store.recommendations(&id).await.unwrap();
    let by_tier = Tier::ALL.map(|tier| recommended.iter().filter(|it| it.tier == tier).count() as u32);
    assert_eq!(store.recommendation_counts(&id).await.unwrap(), by_tier);
    assert!(by_tier[0] > 0);
    let held = |it: &&Recommendation| paid.iter().any(|seat| seat.member_id == it.member_id);
    let reclaimable = recommended.iter().filter(|it| it.tier != Tier::Review).filter(held).count();
    assert_eq!(store.reclaimable_seats(&id).await.unwrap() as usize, reclaimable);

    let rows = [(1, 5), (1, 6), (2, 6), (3, 6)].map(|(number, at)| member_day(number, at, 1));
    let tx = store.begin().await.unwrap();
    tx.upsert_member_days(&id, &rows).await.unwrap();
    tx.commit().await.unwrap();
    let active = store.active_days(&id, &[member(1), member(2), member(4)], (day(6), day(7))).await.unwrap();
    assert_eq!(active, [(member(1), vec![day(6)]), (member(2), vec![day(6)])].into());
}

async fn equal_rows_are_left_alone_and_lost_ones_go(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let written = rollup(90, 110, 9);
    let first = replace(&store, &head(110, 9), &written).await.unwrap();
    assert_eq!(first.numbers, written.windows.len() as u64);
    assert_eq!((first.seats, first.recommendations), (9, recommended(&written).len() as u64));
    let digest = store.facts_digest(&id).await.unwrap();
    let again = replace(&store, &head(110, 9), &written).await.unwrap();
    assert!(!again.is_anything(), "{again:?}");
    assert_eq!(store.facts_digest(&id).await.unwrap(), digest);
    // One member less: a row that is not told any more must not stay behind.
    let fewer = rollup(90, 110, 1);
    let changed = replace(&store, &head(110, 1), &fewer).await.unwrap();
    assert!(changed.numbers > 0 && changed.seats == 8, "{changed:?}");
    assert_reads_back(&store, &fewer).await;
}

/// More of them than one statement takes.
async fn many_seats_are_written_where_they_differ(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let mut written = rollup(110, 110, 4_200);
    replace(&store, &head(110, 4_200), &written).await.unwrap();
    written.seats.sort_by_key(|seat| seat.member_id);
    assert_eq!(store.seats(&id).await.unwrap(), written.seats);
    for (place, seat) in written.seats.iter_mut().enumerate().filter(|(place, _)| place % 3 > 0) {
        seat.uses[1].actions += 1 + place as u64;
        seat.pending_since = (place % 2 == 0).then(|| day(7));
    }
    let changed = replace(&store, &head(110, 4_200), &written).await.unwrap();
    assert_eq!((changed.seats, changed.numbers), (2_800, 0));
    assert_eq!(store.seats(&id).await.unwrap(), written.seats);
    let changed = replace(&store, &head(110, 4_200), &written).await.unwrap();
    assert_eq!(changed.seats, 0, "equal rows are left alone");
}

async fn numbers_of_teams_take_the_place_of_theirs_alone(database: &TestDatabase) {
    let store = database.store();
    let (old, other) = (rollup(90, 110, 9), rollup(90, 110, 3));
    replace(&store, &head(110, 9), &old).await.unwrap();
    // The day more knows the new teams; of the days before, the numbers of two teams are other ones: one is gone.
    let teams = BTreeSet::from([member(1), member(2)]);
    let of = |key: &Key, team: u128| key.0 == Cut::Team(member(team));
    let mut windows = other.windows.clone();
    windows.retain(|key, _| of(key, 1));
    let numbers = TeamNumbers { teams, days: (day(90), day(110)), windows: windows.clone() };
    let nothing = Rollup { windows: [].into(), ..old.clone() };
    let written = NewRollup { teams: Some(numbers), ..new(&head(110, 9), &nothing) };
    let changed = write(&store, written.clone()).await.unwrap();
    assert_eq!((changed.first_day, changed.last_day), (Some(day(90)), Some(day(110))));
    assert!(changed.numbers > 0 && changed.seats == 0, "{changed:?}");
    let mut expected = old.clone();
    expected.windows.retain(|key, _| !of(key, 1) && !of(key, 2));
    expected.windows.extend(windows);
    assert_reads_back(&store, &expected).await;
    assert!(!write(&store, written).await.unwrap().is_anything(), "equal rows are left alone");
}

async fn a_rollup_of_an_older_day_stays_out(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let (newer, older) = (rollup(0, 30, 9), rollup(0, 29, 3));
    replace(&store, &RollupHead { revision: 5, ..head(30, 9) }, &newer).await.unwrap();
    let digest = store.facts_digest(&id).await.unwrap();
    assert_eq!(replace(&store, &RollupHead { revision: 5, ..head(29, 3) }, &older).await, None);
    let stale = RollupHead { revision: 4, ..head(30, 3) };
    assert_eq!(replace(&store, &stale, &rollup(0, 30, 3)).await, None, "of facts from before");
    assert_eq!(store.facts_digest(&id).await.unwrap(), digest);
}

fn listed(numbers: impl IntoIterator<Item = u128>) -> Vec<RosterMember> {
    let member =
        |number| RosterMember { member_id: member(number), name: None, email: None, standing: maker() };
    numbers.into_iter().map(member).collect()
}

async fn dirty(store: &Store) -> Option<(NaiveDate, NaiveDate)> {
    store.rollup_mark(&connection_id(1)).await.unwrap().dirty
}

async fn forget_mark(store: &Store) {
    let revision = store.rollup_mark(&connection_id(1)).await.unwrap().revision;
    replace(store, &RollupHead { revision, ..head(110, 9) }, &rollup(110, 110, 9)).await.unwrap();
    let mark = store.rollup_mark(&connection_id(1)).await.unwrap();
    assert_eq!(mark, RollupMark { revision, ..RollupMark::default() });
}

async fn changed_facts_are_marked_and_equal_ones_are_not(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    assert_eq!(store.rollup_mark(&id).await.unwrap(), RollupMark::default());
    let write = async |days: &[(u64, u32)]| {
        let rows: Vec<_> = days.iter().map(|(offset, notes)| member_day(1, *offset, *notes)).collect();
        let tx = store.begin().await.unwrap();
        let written = tx.upsert_member_days(&id, &rows).await.unwrap();
        tx.commit().await.unwrap();
        written
    };
    assert_eq!(write(&[(7, 1), (5, 1), (9, 1)]).await, 3);
    assert_eq!(dirty(&store).await, Some((day(5), day(9))));
    forget_mark(&store).await;
    assert_eq!(write(&[(7, 1), (5, 1), (9, 1)]).await, 0);
    assert_eq!(dirty(&store).await, None, "nothing is new");
    assert_eq!(write(&[(7, 2), (9, 1), (5, 1)]).await, 1);
    assert_eq!(dirty(&store).await, Some((day(7), day(7))), "only what changed");

    let roster = async |numbers: &[u128], at: u64| {
        let tx = store.begin().await.unwrap();
        tx.apply_roster(&id, &listed(numbers.iter().copied()), day(at)).await.unwrap();
        tx.commit().await.unwrap();
    };
    roster(&[1, 2], 20).await;
    let (from, to) = dirty(&store).await.unwrap();
    assert!(from < day(0) && to > day(1_000), "the first listing stands for all days before it");
    forget_mark(&store).await;
    roster(&[1, 2], 21).await;
    assert_eq!(dirty(&store).await, None);
    roster(&[1, 2, 3], 22).await;
    assert_eq!(dirty(&store).await.unwrap().0, day(22), "who comes later changes nothing before");
    forget_mark(&store).await;

    let cover = async |days: &[u64]| {
        let days: Vec<_> = days.iter().map(|offset| day(*offset)).collect();
        let tx = store.begin().await.unwrap();
        tx.cover_days(&id, &days, day(50), &run_id(1)).await.unwrap();
        tx.commit().await.unwrap();
    };
    cover(&[40, 41]).await;
    assert_eq!(dirty(&store).await, Some((day(40), day(41))));
    forget_mark(&store).await;
    cover(&[40, 41, 42]).await;
    assert_eq!(dirty(&store).await, Some((day(42), day(42))));
}

async fn teams_are_marked_where_their_members_change(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let teams = async |teams: &[(u128, &str, &[u128])]| {
        let team = |(number, name, members): &(u128, &str, &[u128])| TeamRoster {
            team_id: member(*number),
            name: (*name).to_owned(),
            handle: "a".to_owned(),
            members: members.iter().map(|number| member(*number)).collect(),
        };
        let tx = store.begin().await.unwrap();
        tx.replace_teams(&id, &teams.iter().map(team).collect::<Vec<_>>()).await.unwrap();
        tx.commit().await.unwrap();
        let mark = store.rollup_mark(&id).await.unwrap();
        assert_eq!(mark.dirty, None, "no day of anybody else");
        mark.teams.iter().map(Uuid::as_u128).collect::<Vec<_>>()
    };
    assert_eq!(teams(&[(8, "a", &[1, 2]), (9, "b", &[2])]).await, [8, 9]);
    forget_mark(&store).await;
    assert_eq!(teams(&[(9, "b", &[2]), (8, "a", &[2, 1])]).await, []);
    assert_eq!(teams(&[(9, "b", &[2]), (8, "another name", &[2, 1])]).await, []);
    let seen = store.rollup_mark(&id).await.unwrap().revision;
    assert_eq!(teams(&[(9, "b", &[2, 3]), (8, "a", &[2, 1])]).await, [9], "one joined");
    assert_eq!(teams(&[(9, "b", &[2, 3])]).await, [8, 9], "all members of one went");
    replace(&store, &RollupHead { revision: seen + 1, ..head(110, 9) }, &rollup(110, 110, 9)).await.unwrap();
    assert_eq!(teams(&[(9, "b", &[2, 3])]).await, [8], "what came since stays marked");
}

async fn a_mark_stays_where_something_was_added(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let write = async |offset| {
        let tx = store.begin().await.unwrap();
        tx.upsert_member_days(&id, &[member_day(1, offset, 1)]).await.unwrap();
        tx.commit().await.unwrap();
    };
    write(5).await;
    let seen = store.rollup_mark(&id).await.unwrap();
    write(6).await;
    let before = RollupHead { revision: seen.revision, ..head(110, 9) };
    replace(&store, &before, &rollup(110, 110, 9)).await.unwrap();
    assert_eq!(dirty(&store).await, Some((day(5), day(6))));
}

async fn a_connection_is_due_once_a_day_and_when_asked(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let due = async |offset| store.rollups_due(day(offset), now(), 10).await.unwrap();
    assert_eq!(due(100).await, [], "without a covered day there is nothing to look at");
    let written = rollup(110, 110, 9);
    replace(&store, &head(110, 9), &written).await.unwrap();
    assert_eq!(due(100).await, [], "it was looked at today");
    assert_eq!(due(101).await, std::slice::from_ref(&id));
    let tx = store.begin().await.unwrap();
    tx.set_contract(&id, &Contract::default(), now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(due(100).await, std::slice::from_ref(&id), "somebody waits");
    let revision = store.rollup_mark(&id).await.unwrap().revision;
    replace(&store, &RollupHead { revision, ..head(110, 9) }, &written).await.unwrap();
    assert_eq!(due(100).await, []);
}

fn later(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

fn event_id(seed: u64) -> EventId {
    EventId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(seed))
}

/// With a covered day.
async fn covered(store: &Store, number: u64) -> ConnectionId {
    let id = connected(store, number).await.id;
    let tx = store.begin().await.unwrap();
    tx.cover_days(&id, &[day(9)], day(10), &run_id(1)).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn a_first_rollup_is_due_as_soon_as_the_first_sync_is_over(database: &TestDatabase) {
    let store = database.store();
    let id = covered(&store, 1).await;
    let due = async || store.is_rollup_due(&id, day(100), now()).await.unwrap();
    assert!(due().await);
    let claim = store.claim_rollup(&id, now(), later(1)).await.unwrap().unwrap();
    store.settle_rollup(&claim, RollupSettlement::Looked(day(100))).await.unwrap();
    assert!(!due().await, "there was nothing to write");
    assert!(store.is_rollup_due(&id, day(101), now()).await.unwrap(), "another day, another look");
    store.ask_for_rollup(&id).await.unwrap();
    assert!(due().await, "somebody waits");

    // While the first sync is under way, it is too early; a later one holds nothing up.
    let other = covered(&store, 2).await;
    let due = async || store.is_rollup_due(&other, day(100), now()).await.unwrap();
    assert!(due().await);
    let first = queued(&other, 1);
    let tx = store.begin().await.unwrap();
    assert!(tx.insert_run(&first).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!due().await);
    let tx = store.begin().await.unwrap();
    let ended =
        Run { state: run::State::Succeeded, wake_at: None, finished_at: Some(now()), ..first.clone() };
    assert!(tx.update_run(&ended, first.state).await.unwrap());
    tx.commit().await.unwrap();
    assert!(due().await);
    let tx = store.begin().await.unwrap();
    assert!(tx.insert_run(&queued(&other, 2)).await.unwrap());
    tx.commit().await.unwrap();
    assert!(due().await);
}

async fn a_rollup_is_claimed_by_one_until_its_time_is_over(database: &TestDatabase) {
    let store = database.store();
    let id = covered(&store, 1).await;
    let first = store.claim_rollup(&id, now(), later(1)).await.unwrap().unwrap();
    assert_eq!(store.claim_rollup(&id, now(), later(1)).await.unwrap(), None);
    assert_eq!(store.rollups_due(day(100), now(), 9).await.unwrap(), []);
    store.keep_rollup(&first, later(2)).await.unwrap();
    assert_eq!(store.claim_rollup(&id, later(1), later(3)).await.unwrap(), None, "it was kept");
    let second = store.claim_rollup(&id, later(2), later(3)).await.unwrap().unwrap();
    // Who lost it changes nothing any more.
    store.keep_rollup(&first, later(9)).await.unwrap();
    store.settle_rollup(&first, RollupSettlement::Failed(later(9))).await.unwrap();
    assert_eq!(store.claim_rollup(&id, later(2), later(3)).await.unwrap(), None);
    store.settle_rollup(&second, RollupSettlement::Released).await.unwrap();
    let third = store.claim_rollup(&id, later(2), later(3)).await.unwrap().unwrap();
    assert_eq!(third.failures, 0);
    let nobody = connection_id(77);
    assert_eq!(store.claim_rollup(&nobody, now(), later(1)).await.unwrap(), None, "never heard of");
    store.ask_for_rollup(&nobody).await.unwrap();
    assert_eq!(store.rollup_mark(&nobody).await.unwrap(), RollupMark::default());
}

async fn a_failed_rollup_waits_for_all_and_the_longest_waiting_comes_first(database: &TestDatabase) {
    let store = database.store();
    let mut ids = [covered(&store, 1).await, covered(&store, 2).await, covered(&store, 3).await];
    ids.sort();
    let due = async |at| store.rollups_due(day(100), at, 9).await.unwrap();
    assert_eq!(due(now()).await, ids);
    for (place, failures) in [(0, 0), (0, 1), (1, 0)] {
        let at = later(i64::from(failures) + 1);
        let claim = store.claim_rollup(&ids[place], at, at).await.unwrap().unwrap();
        assert_eq!(claim.failures, failures);
        store.settle_rollup(&claim, RollupSettlement::Failed(later(i64::from(failures) + 2))).await.unwrap();
    }
    assert_eq!(due(later(1)).await, [ids[2].clone()]);
    assert_eq!(store.claim_rollup(&ids[0], later(2), later(9)).await.unwrap(), None, "whoever asks");
    assert_eq!(due(later(3)).await, [2, 1, 0].map(|place: usize| ids[place].clone()), "the others first");
    let claim = store.claim_rollup(&ids[0], later(3), later(3)).await.unwrap().unwrap();
    store.settle_rollup(&claim, RollupSettlement::Looked(day(99))).await.unwrap();
    let again = store.claim_rollup(&ids[0], later(3), later(3)).await.unwrap().unwrap();
    assert_eq!(again.failures, 0, "a success forgets what failed before");
}

/// Whether or not its message arrives.
async fn the_end_of_a_sync_makes_its_rollup_due(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    replace(&store, &head(110, 9), &rollup(110, 110, 9)).await.unwrap();
    let due = async || store.is_rollup_due(&id, day(100), now()).await.unwrap();
    assert!(!due().await);
    let emit = async |data| {
        let tx = store.begin().await.unwrap();
        let event = Event { id: event_id(1), time: now(), connection_id: id.clone(), data };
        tx.emit(&event).await.unwrap();
        tx
    };
    let completed = || {
        let (run_id, state) = (run_id(1), run::State::Succeeded);
        Data::SyncCompleted(SyncCompleted { run_id, state, as_of: None })
    };
    drop(emit(completed()).await);
    assert!(!due().await, "it did not end");
    let failed = Data::SyncFailed(SyncFailed { run_id: run_id(1), reason: "a test".to_owned() });
    emit(failed).await.commit().await.unwrap();
    assert!(!due().await, "nor did it bring anything");
    let tx = store.begin().await.unwrap();
    let event = Event { id: event_id(2), time: now(), connection_id: id.clone(), data: completed() };
    tx.emit(&event).await.unwrap();
    tx.commit().await.unwrap();
    assert!(due().await);
}

async fn what_later_definitions_computed_stays(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let written = rollup(110, 110, 9);
    let later = RollupHead { definition_version: DEFINITION_VERSION + 1, ..head(110, 9) };
    replace(&store, &later, &written).await.unwrap();
    assert_eq!(replace(&store, &head(111, 9), &rollup(111, 111, 9)).await, None, "a newer day");
    let revised = RollupHead { revision: 7, ..head(110, 9) };
    assert_eq!(replace(&store, &revised, &written).await, None, "later facts");
    assert_eq!(store.rollup_head(&id).await.unwrap(), Some(later.clone()));
    assert_eq!(store.rollups_due(day(200), now(), 9).await.unwrap(), [], "its turn is not ours");
    let back = RollupHead { definition_version: DEFINITION_VERSION + 2, ..head(111, 9) };
    assert!(replace(&store, &back, &rollup(111, 111, 9)).await.is_some());
}

async fn many_alerts_end_at_once(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let idle = |number: u128| {
        let (as_of, state) = (day(9), SeatState::Dormant);
        Alert::SeatIdle(SeatIdle { as_of, member_id: member(number), state, last_active_day: None })
    };
    let stale = Alert::DataStale(DataStale { as_of: day(9), reconnect_required: false });
    let begun: Vec<_> = (0..2_500).map(idle).chain([stale]).collect();
    let key = |alert: &Alert| (alert.kind().to_owned(), alert.subject());
    let tx = store.begin().await.unwrap();
    tx.turn_alerts(&id, &Turn { begun: begun.clone(), ..Turn::default() }, now()).await.unwrap();
    assert_eq!(tx.told_alerts(&id).await.unwrap().len(), 2_501);
    let ended = begun[1..].iter().map(key).collect();
    tx.turn_alerts(&id, &Turn { ended, ..Turn::default() }, later(1)).await.unwrap();
    assert_eq!(tx.told_alerts(&id).await.unwrap(), BTreeSet::from([key(&begun[0])]));
    tx.commit().await.unwrap();
}

async fn older_days_are_told_in_two_dates(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let tx = store.begin().await.unwrap();
    tx.apply_roster(&id, &listed(1..=3), day(0)).await.unwrap();
    // Days with even numbers carry the flag; the others have no counter either.
    let days = [(1, 1), (1, 4), (1, 7), (1, 30), (2, 31)].map(|(number, at)| member_day(number, at, 0));
    tx.upsert_member_days(&id, &days).await.unwrap();
    let team = TeamRoster {
        team_id: member(9),
        name: "a".to_owned(),
        handle: "a".to_owned(),
        members: vec![member(1), member(3)],
    };
    tx.replace_teams(&id, &[team]).await.unwrap();
    tx.commit().await.unwrap();
    let page = store.fold_members(&id, None, 10, (day(20), day(30))).await.unwrap();
    let told = page.iter().map(|it| {
        let FoldMember { days, first_row, active_before, .. } = it;
        (days.len(), *first_row, *active_before, it.standing.teams.len())
    });
    let expected = [(1, Some(day(1)), Some(day(4)), 1), (0, None, None, 0), (0, None, None, 1)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let some = store.fold_these(&id, &[member(1), member(3)], (day(20), day(30))).await.unwrap();
    assert_eq!(some, [page[0].clone(), page[2].clone()]);
    let of_team = store.members_of_teams(&id, &[member(9)].into()).await.unwrap();
    assert_eq!(of_team, [member(1), member(3)].into());
    let histories = store.histories(&id).await.unwrap();
    assert!(page.iter().all(|it| histories[&it.member_id] == it.standing));
    let on = store.uses_on(&id, (day(4), day(30))).await.unwrap();
    assert_eq!(on[&member(1)].iter().map(|use_of| use_of.day).collect::<Vec<_>>(), [4, 7, 30].map(day));
    assert_eq!(store.roster_start(&id).await.unwrap(), Some(day(0)));
    assert_eq!(store.roster_start(&connection_id(2)).await.unwrap(), None);
}

async fn what_is_kept_of_activity_reads_back_as_written(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let used = |number: u128, offset: u64| DayUse::from(&member_day(number, offset, 3));
    let standing = |on: u64, members: &[(u128, &[u64])]| {
        let rolling = |(number, days): &(u128, &[u64])| {
            let facts = MemberFacts {
                member_id: member(*number),
                versions: &[],
                days: &days.iter().map(|offset| used(*number, *offset)).collect::<Vec<_>>(),
                teams: &[],
                first_row: Some(day(1)),
                active_before: None,
            };
            Rolling::new(&facts, day(on))
        };
        Block { on: day(on), members: members.iter().map(rolling).collect() }
    };
    let page = |offset: u64, uses: &[(usize, u128)]| {
        (day(offset), uses.iter().map(|(place, number)| (*place, used(*number, offset))).collect())
    };
    let write = async |revision: u64, from: u64, blocks: Vec<PackedBlock>| {
        let rest = Rest::Put(Packed { from: day(from), blocks });
        let head = RollupHead { revision, kept_from: Some(day(from)), ..head(110, 9) };
        self::write(&store, NewRollup { rest, ..new(&head, &rollup(110, 110, 9)) }).await.unwrap();
        store.rollup_head(&id).await.unwrap().unwrap().kept_from
    };
    let kept = async |number: u64, days: BTreeSet<NaiveDate>| {
        let packed = store.begin().await.unwrap().packed_block(&id, number, &days).await.unwrap();
        packed.map(|packed| (packed.on(), packed.unpacked().unwrap()))
    };
    let days = |from: u64, to: u64| (from..=to).map(day).collect::<BTreeSet<_>>();
    let (first, second) = (standing(23, &[(2, &[20, 21]), (1, &[21, 23])]), standing(23, &[(3, &[22])]));
    let pages =
        Pages::from([page(20, &[(0, 2)]), page(21, &[(0, 2), (1, 1)]), page(22, &[]), page(23, &[(1, 1)])]);
    let others = Pages::from([page(22, &[(0, 3)])]);
    // The digests are of any seats.
    let all = rollup(110, 110, 9).seats;
    let block = |number: u64, block: &Block, pages: &Pages| KeptBlock {
        number,
        block: block.clone(),
        seats: (0..block.members.len()).map(|place| SeatDigest::of(all.get(place))).collect(),
        pages: pages.clone(),
    };
    let packed = |number, members: &Block, pages: &Pages| PackedBlock::new(&block(number, members, pages));
    let blocks = || vec![packed(0, &first, &pages), packed(1, &second, &others)];
    assert_eq!(write(1, 20, blocks()).await, Some(day(20)));
    assert_eq!(store.begin().await.unwrap().packed_blocks(&id).await.unwrap(), 2);
    let mut filled = pages.clone();
    filled.retain(|_, uses| !uses.is_empty());
    assert_eq!(kept(0, days(1, 40)).await, Some((day(23), block(0, &first, &filled))), "in its own order");
    assert_eq!(kept(1, days(1, 40)).await, Some((day(23), block(1, &second, &others))));
    assert_eq!(kept(2, days(1, 40)).await, None);
    let asked = Pages::from([page(21, &[(0, 2), (1, 1)])]);
    let some = kept(0, [21, 22].map(day).into()).await;
    assert_eq!(some, Some((day(23), block(0, &first, &asked))), "those that were asked for");
    assert_eq!(kept(0, days(1, 0)).await, Some((day(23), block(0, &first, &Pages::new()))));
    // A day more, a day less, and a day on which nobody did anything after all.
    let later = standing(24, &[(2, &[24]), (1, &[23])]);
    let changed = Pages::from([page(21, &[]), page(24, &[(0, 2)])]);
    let tx = store.begin().await.unwrap();
    tx.put_packed_block(&id, &packed(0, &later, &changed)).await.unwrap();
    tx.forget_pages(&id, day(21)).await.unwrap();
    tx.commit().await.unwrap();
    let left = Pages::from([page(23, &[(1, 1)]), page(24, &[(0, 2)])]);
    assert_eq!(kept(0, days(1, 40)).await, Some((day(24), block(0, &later, &left))));
    assert_eq!(kept(1, days(1, 40)).await, Some((day(23), block(1, &second, &others))));
    write(3, 20, blocks().into_iter().take(1).collect()).await;
    assert_eq!(kept(1, days(1, 40)).await, None, "a rebuild leaves no block behind");
    let tx = store.begin().await.unwrap();
    tx.put_packed_block(&id, &packed(1, &second, &Pages::new())).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kept(1, days(1, 40)).await, Some((day(23), block(1, &second, &Pages::new()))), "nor a page");

    // Another program, which keeps nothing, writes a head.
    let head = RollupHead { revision: 4, kept_from: None, ..head(110, 9) };
    replace(&store, &head, &rollup(110, 110, 9)).await.unwrap();
    assert_eq!(store.rollup_head(&id).await.unwrap().unwrap().kept_from, None);
}

async fn flags_are_told_since_they_were_found(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let written = rollup(110, 110, 9);
    let later = now() + TimeDelta::days(1);
    replace(&store, &head(110, 9), &written).await.unwrap();
    replace(&store, &RollupHead { computed_at: later, ..head(110, 9) }, &written).await.unwrap();
    let flags = store.data_flags(&id).await.unwrap();
    assert_eq!(
        flags.iter().map(|it| (&it.flag[..], it.since)).collect::<Vec<_>>(),
        [("repeated_totals", now())]
    );
    replace(&store, &RollupHead { flags: Vec::new(), ..head(110, 9) }, &written).await.unwrap();
    assert!(store.data_flags(&id).await.unwrap().is_empty());
}

async fn contract_and_exemptions_read_back_as_written(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    assert_eq!(store.contract(&id).await.unwrap(), Contract::default());
    let contract = Contract {
        purchased: Some(50),
        price: Some(Price { minor: 2_000, currency: "EUR".parse().unwrap() }),
        minimum: Some(20),
        renewal: Some(day(200)),
        target_percent: Some(80),
    };
    let exemption = |reason: &str| Exemption {
        member_id: member(1),
        reason: reason.to_owned(),
        until: day(120),
        set_at: now(),
        ended_at: None,
    };
    let tx = store.begin().await.unwrap();
    tx.apply_roster(&id, &listed(1..=1), day(0)).await.unwrap();
    tx.set_contract(&id, &contract, now()).await.unwrap();
    tx.set_exemption(&id, &exemption("on leave")).await.unwrap();
    tx.set_exemption(&id, &exemption("on parental leave")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.contract(&id).await.unwrap(), contract);
    assert_eq!(store.exemptions(&id).await.unwrap(), [exemption("on parental leave")]);
    assert!(store.is_member(&id, member(1)).await.unwrap());
    assert!(!store.is_member(&id, member(2)).await.unwrap());

    let tx = store.begin().await.unwrap();
    let later = now() + TimeDelta::days(1);
    assert!(tx.end_exemption(&id, member(1), later).await.unwrap());
    assert!(!tx.end_exemption(&id, member(1), later).await.unwrap(), "it has ended already");
    tx.commit().await.unwrap();
    assert_eq!(store.exemptions(&id).await.unwrap()[0].ended_at, Some(later));
}

async fn alerts_are_listed_until_long_after_they_ended(database: &TestDatabase) {
    let store = database.store();
    let (one, other) = (connected(&store, 1).await, connected(&store, 2).await);
    let organization = one.organization_id.clone();
    assert_eq!(other.organization_id, organization);
    let idle = |number: u128| {
        Alert::SeatIdle(SeatIdle {
            as_of: day(9),
            member_id: member(number),
            state: SeatState::Dormant,
            last_active_day: None,
        })
    };
    let stale = Alert::DataStale(DataStale { as_of: day(8), reconnect_required: false });
    let key = |alert: &Alert| (alert.kind().to_owned(), alert.subject());
    let later = |hours| now() + TimeDelta::hours(hours);
    let tx = store.begin().await.unwrap();
    let named = RosterMember { name: Some("Ada".to_owned()), ..listed([1]).remove(0) };
    tx.apply_roster(&one.id, &[named], day(0)).await.unwrap();
    let turn = |begun: &[&Alert], silent: &[&Alert], ended: &[&Alert]| Turn {
        begun: begun.iter().map(|alert| (*alert).clone()).collect(),
        silent: silent.iter().map(|alert| key(alert)).collect(),
        ended: ended.iter().map(|alert| key(alert)).collect(),
    };
    tx.turn_alerts(&one.id, &turn(&[&idle(1)], &[&idle(2)], &[]), now()).await.unwrap();
    tx.turn_alerts(&other.id, &turn(&[&stale], &[], &[]), later(1)).await.unwrap();
    assert_eq!(tx.told_alerts(&one.id).await.unwrap(), BTreeSet::from([key(&idle(1)), key(&idle(2))]));
    tx.turn_alerts(&one.id, &turn(&[], &[], &[&idle(1), &idle(2)]), later(2)).await.unwrap();
    assert_eq!(tx.told_alerts(&one.id).await.unwrap(), BTreeSet::new());
    tx.commit().await.unwrap();

    let all = AlertFilter::default();
    let page = store.alerts_of(&organization, &all, None, 1).await.unwrap();
    assert_eq!((&page[0].alert, &page[0].connection_id), (&stale, &other.id), "the newest first");
    let rest = store.alerts_of(&organization, &all, Some(&page[0].place()), 9).await.unwrap();
    let [ended] = &rest[..] else { panic!("what was not told is not listed: {rest:?}") };
    assert_eq!((&ended.alert, ended.member_name.as_deref()), (&idle(1), Some("Ada")));
    assert_eq!((ended.told_at, ended.ended_at), (now(), Some(later(2))));
    assert_eq!(ended.definition_version, DEFINITION_VERSION);
    assert_eq!(store.alerts_of(&organization, &all, Some(&ended.place()), 9).await.unwrap(), []);
    assert_eq!(store.open_alerts(&organization, &all).await.unwrap(), 1);

    for (filter, count) in [
        (AlertFilter { open_only: true, ..all.clone() }, 1),
        (AlertFilter { kinds: ["seat_idle".to_owned()].into(), ..all.clone() }, 1),
        (AlertFilter { connection: Some(one.id.clone()), open_only: true, ..all.clone() }, 0),
    ] {
        assert_eq!(
            store.alerts_of(&organization, &filter, None, 9).await.unwrap().len(),
            count,
            "{filter:?}"
        );
    }
    let tx = store.begin().await.unwrap();
    tx.turn_alerts(&one.id, &turn(&[&idle(1)], &[], &[]), later(3)).await.unwrap();
    tx.commit().await.unwrap();
    let again = store.alerts_of(&organization, &all, None, 1).await.unwrap();
    assert_eq!((&again[0].alert, again[0].ended_at), (&idle(1), None), "it began again");
}
