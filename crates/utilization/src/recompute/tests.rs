use std::{collections::BTreeSet, sync::Arc};

use tidemark_domain::{
    contract::Contract,
    rollup::{Cut, Rolling, SeatState, WindowUse},
};
use tidemark_rpc::{identity::Identity, utilization as wire};
use tidemark_store::{KeptBlock, PackedBlock, QuarantinedRow, SeatDigest};
use tidemark_testkit::{ManualClock, TestDatabase};
use uuid::Uuid;

use super::*;
use crate::{
    alerts::list as alerts_list,
    sample::{DAYS, ROSTERS, Sample, at, bare},
    service::{Desk, Fault},
    summary,
};

/// More than there are.
const EVERYTHING: Share = Share { days: 9_999, teams: None };

async fn recomputed(sample: &Sample, event: &Event) -> Outcome {
    let cause = Cause::Sync(event.clone());
    recompute(&sample.store(), &sample.clock, &sample.entropy, &cause).await.unwrap()
}

#[tokio::test]
async fn the_summary_equals_the_definitions_read_aloud() {
    let sample = Sample::new(0..DAYS).await;
    let outcome = recomputed(&sample, &sample.completed()).await;
    let expected = sample.expected();
    let Outcome::Written { as_of, members, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((as_of, members), (at(DAYS - 1), u64::from(expected.members)));
    let summary = bare(summary::answer(&Desk::of(&sample)).await.unwrap());
    assert_eq!(summary, expected);
    let states: Vec<_> = summary.seat_states.iter().map(|count| count.state.as_str()).collect();
    assert_eq!(
        states,
        ["new", "never_seen", "dormant", "occasional", "engaged"],
        "the sample has all of them"
    );
}

#[tokio::test]
async fn the_same_event_twice_has_one_effect() {
    let sample = Sample::new(0..DAYS).await;
    let event = sample.completed();
    assert!(matches!(recomputed(&sample, &event).await, Outcome::Written { .. }));
    sample.add_activity(1, DAYS - 1).await;
    let before = summary::answer(&Desk::of(&sample)).await.unwrap();
    assert_eq!(recomputed(&sample, &event).await, Outcome::Duplicate);
    let after = summary::answer(&Desk::of(&sample)).await.unwrap();
    assert_eq!(bare(after.clone()), bare(before));
    assert!(after.basis.unwrap().pending_changes, "the new row waits for another look");
    assert_eq!(sample.announced("utilization.updated").await, 1);
}

#[tokio::test]
async fn recomputing_gives_the_same_rows() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let digest = sample.store().facts_digest(&sample.connection).await.unwrap();
    assert!(matches!(recomputed(&sample, &sample.completed()).await, Outcome::Written { .. }));
    assert_eq!(sample.store().facts_digest(&sample.connection).await.unwrap(), digest);
    assert_eq!(sample.announced("utilization.updated").await, 2, "one per completed sync");
}

#[tokio::test]
async fn a_day_that_is_not_covered_makes_seats_unknown_and_never_dormant() {
    let sample = Sample::new((0..DAYS).filter(|offset| *offset != DAYS - 10)).await;
    recomputed(&sample, &sample.completed()).await;
    let summary = bare(summary::answer(&Desk::of(&sample)).await.unwrap());
    assert_eq!(summary, sample.expected());
    let states: Vec<_> = summary.seat_states.iter().map(|count| count.state.as_str()).collect();
    assert_eq!(states, ["unknown"]);
    assert_eq!(summary.windows[2].covered_days, 27);
}

#[tokio::test]
async fn without_a_covered_day_there_is_no_rollup() {
    let sample = Sample::new([]).await;
    assert_eq!(recomputed(&sample, &sample.completed()).await, Outcome::NothingCovered);
    assert!(summary::answer(&Desk::of(&sample)).await.is_err());
    assert_eq!(sample.announced("utilization.updated").await, 0);
}

#[tokio::test]
async fn a_rollup_of_an_older_day_does_not_replace_a_newer_one() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let digest = store.facts_digest(connection).await.unwrap();
    // Another aggregator read the coverage the day before, and comes to write only now.
    let span = Span {
        coverage: (0..DAYS - 1).map(at).collect(),
        first: at(0),
        last: at(DAYS - 2),
        roster_start: at(40),
        run_id: sample.run.clone(),
        unknown: Arc::default(),
    };
    let late = async || {
        let whole = fold::whole(&store, connection, &span, EVERYTHING).await.unwrap();
        Prepared {
            source: Source::Made { whole, share: EVERYTHING },
            span: span.clone(),
            ..prepare(&store, connection, true).await.unwrap().unwrap()
        }
    };
    let cause = Cause::Sync(sample.completed());
    let (clock, entropy) = (&sample.clock, &sample.entropy);
    let outcome = carry_out(&store, clock, entropy, &cause, late().await).await.unwrap();
    assert_eq!(outcome, Attempt::Ended(Outcome::Superseded { as_of: span.last }));
    assert_eq!(store.facts_digest(connection).await.unwrap(), digest);
    assert_eq!(sample.announced("utilization.updated").await, 1);
    let again = carry_out(&store, clock, entropy, &cause, late().await).await.unwrap();
    assert_eq!(again, Attempt::Ended(Outcome::Duplicate), "the message is remembered all the same");
}

/// What a rebuild from nothing would give stands: numbers, seats, and what is kept for the next time.
async fn assert_rebuilt(sample: &Sample) {
    let store = sample.store();
    let connection = &sample.connection;
    let head = store.rollup_head(connection).await.unwrap().unwrap();
    let span = Span::read(&store, connection).await.unwrap().unwrap();
    let (whole, packed, _) = fold::whole(&store, connection, &span, EVERYTHING).await.unwrap().apart();
    let numbers = store.numbers_between(connection, span.first, span.last, None).await.unwrap();
    assert_eq!(numbers, whole.windows, "as of {}", head.as_of);
    assert_eq!(store.seats(connection).await.unwrap(), whole.seats);
    assert_eq!(head.flags, whole.flags);
    assert_eq!(head.kept_from, Some(packed.from));
    // In an order of its own.
    let tx = store.begin().await.unwrap();
    let days = packed.from.iter_days().take_while(|day| *day <= span.last).collect();
    let held: BTreeMap<_, _> = whole.seats.iter().map(|seat| (seat.member_id, seat)).collect();
    let mut kept = BTreeMap::new();
    for number in 0..tx.packed_blocks(connection).await.unwrap() {
        let packed = tx.packed_block(connection, number, &days).await.unwrap().unwrap();
        let KeptBlock { block, seats, pages, .. } = packed.unpacked().unwrap();
        let ids: Vec<_> = block.members.iter().map(|member| member.member_id).collect();
        for (id, seat) in ids.iter().zip(seats) {
            assert_eq!(seat, SeatDigest::of(held.get(id).copied()), "{id}");
        }
        kept.extend(block.members.into_iter().map(|member| (member.member_id, (member, Vec::new()))));
        for (_, uses) in pages {
            uses.into_iter().for_each(|(place, one)| kept.get_mut(&ids[place]).unwrap().1.push(one));
        }
    }
    drop(tx);
    let facts = (head.kept_from.unwrap(), span.last);
    let members = store.fold_members(connection, None, 10_000, facts).await.unwrap().into_iter();
    let members =
        members.map(|member| (member.member_id, (Rolling::new(&member.borrowed(), span.last), member.days)));
    assert_eq!(kept, members.collect());
}

#[tokio::test]
async fn changes_are_followed_day_by_day_as_a_rebuild_would() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    assert_rebuilt(&sample).await;
    // Late rows: of yesterday, of weeks ago, of a time that reaches no window of today, and of somebody never seen.
    for (member, offset) in [(1, DAYS - 1), (2, DAYS - 12), (2, DAYS - 30), (3, 20), (4, 0), (519, 3), (7, 1)]
    {
        let before = sample.store().facts_digest(&sample.connection).await.unwrap();
        sample.add_activity(member, offset).await;
        recomputed(&sample, &sample.completed()).await;
        assert_rebuilt(&sample).await;
        let after = sample.store().facts_digest(&sample.connection).await.unwrap();
        assert_ne!(after, before, "member {member} on day {offset}");
    }
    // A rebuild of everything at any time changes nothing.
    sample.mark_everything().await;
    recomputed(&sample, &sample.completed()).await;
    let digest = sample.store().facts_digest(&sample.connection).await.unwrap();
    sample.mark_everything().await;
    let outcome = recomputed(&sample, &sample.completed()).await;
    let Outcome::Written { rows, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(sample.store().facts_digest(&sample.connection).await.unwrap(), digest);
    assert_eq!(rows, 0, "equal rows are not written again");
}

#[tokio::test]
async fn weeks_of_small_steps_lead_where_a_rebuild_does() {
    weeks(TestDatabase::sqlite_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weeks_of_small_steps_lead_there_on_postgres_too() {
    weeks(TestDatabase::postgres().await).await;
}

/// Weeks of syncs: a day or some more each time, rows that come late or go, people who come, leave, return and change.
async fn weeks(database: TestDatabase) {
    let mut sample = Sample::within(database, 0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    for step in 0..24 {
        sample.step(step).await;
        recomputed(&sample, &sample.completed()).await;
        assert_rebuilt(&sample).await;
    }
    let told = sample.events("utilization.updated").await;
    let first_days = told.iter().filter_map(|event| match &event.data {
        Data::UtilizationUpdated(updated) => updated.changed.as_ref()?.first_day,
        other => panic!("{other:?}"),
    });
    let small = first_days.filter(|first| *first > at(0)).count();
    assert!(small > 12, "most steps look at the last days alone: {small}");
}

/// Two aggregators go on from the same rollup: the second begins anew, since it may have read the first one's rows.
#[tokio::test]
async fn what_goes_on_from_a_rollup_that_was_written_again_begins_anew() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    sample.add_activity(sample.seen_by(DAYS - 9), DAYS - 9).await;
    let slow = prepare(&store, connection, true).await.unwrap().unwrap();
    assert!(matches!(slow.source, Source::Kept(..)));
    sample.add_activity(sample.seen_by(DAYS - 3), DAYS - 3).await;
    let faster = recomputed(&sample, &sample.completed()).await;
    assert!(matches!(faster, Outcome::Written { .. }));
    let digest = store.facts_digest(connection).await.unwrap();
    let cause = Cause::Sync(sample.completed());
    let outcome = carry_out(&store, &sample.clock, &sample.entropy, &cause, slow).await.unwrap();
    assert_eq!(outcome, Attempt::Outrun);
    assert_eq!(store.facts_digest(connection).await.unwrap(), digest, "nothing was written");
    let outcome = recompute(&store, &sample.clock, &sample.entropy, &cause).await.unwrap();
    assert!(
        matches!(outcome, Outcome::Written { rows: 0, .. }),
        "nor was the message remembered: {outcome:?}"
    );
    assert_rebuilt(&sample).await;
}

/// A turn of the day found nothing new, and meanwhile another aggregator wrote what a row changed, by the same mark: its
/// seats stay.
#[tokio::test]
async fn a_turn_with_nothing_new_leaves_seats_alone_that_were_written_meanwhile() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let slow = prepare(&store, connection, true).await.unwrap().unwrap();
    assert!(matches!(slow.source, Source::Standing(..)));
    sample.add_activity(sample.seen_by(DAYS - 9), DAYS - 9).await;
    let faster = prepare(&store, connection, true).await.unwrap().unwrap();
    let faster = Prepared { revision: slow.revision, ..faster };
    let (later, cause) = (ManualClock::noon(at(DAYS + 1)), Cause::Sync(sample.completed()));
    let outcome = carry_out(&store, &later, &sample.entropy, &cause, faster).await.unwrap();
    assert!(matches!(outcome, Attempt::Ended(Outcome::Written { .. })), "{outcome:?}");
    let seats = store.seats(connection).await.unwrap();

    let turn = Cause::Turn(connection.clone());
    let outcome = carry_out(&store, &sample.clock, &sample.entropy, &turn, slow).await.unwrap();
    assert_eq!(outcome, Attempt::Outrun);
    assert_eq!(store.seats(connection).await.unwrap(), seats);
    recomputed(&sample, &sample.completed()).await;
    assert_rebuilt(&sample).await;
}

/// What is kept of a block and does not fit is made again, and holds nobody up.
#[tokio::test]
async fn a_block_that_does_not_fit_is_made_again() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let tx = store.begin().await.unwrap();
    let packed = tx.packed_block(connection, 0, &BTreeSet::new()).await.unwrap().unwrap();
    let KeptBlock { mut block, seats, .. } = packed.unpacked().unwrap();
    block.members.iter_mut().for_each(|member| member.sums = Default::default());
    let wrong = KeptBlock { block, seats, ..KeptBlock::empty(0, at(0)) };
    tx.put_packed_block(connection, &PackedBlock::new(&wrong)).await.unwrap();
    tx.commit().await.unwrap();
    sample.add_activity(sample.seen_by(DAYS - 9), DAYS - 9).await;
    recomputed(&sample, &sample.completed()).await;
    assert_rebuilt(&sample).await;
}

/// Another aggregator wrote between the look at the mark and the one at the head: its facts are the later ones.
#[tokio::test]
async fn what_goes_on_from_later_facts_than_it_knows_writes_nothing() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    sample.add_activity(sample.seen_by(DAYS - 9), DAYS - 9).await;
    let prepared = prepare(&store, connection, true).await.unwrap().unwrap();
    assert!(matches!(prepared.source, Source::Kept(..)));
    let digest = store.facts_digest(connection).await.unwrap();
    let cause = Cause::Sync(sample.completed());
    let earlier = Prepared { revision: 0, ..prepared };
    let outcome = carry_out(&store, &sample.clock, &sample.entropy, &cause, earlier).await.unwrap();
    assert_eq!(outcome, Attempt::Ended(Outcome::Superseded { as_of: at(DAYS - 1) }));
    assert_eq!(store.facts_digest(connection).await.unwrap(), digest);
    recomputed(&sample, &sample.completed()).await;
    assert_rebuilt(&sample).await;
}

#[tokio::test]
async fn seats_that_change_are_written_and_lost_ones_found_then() {
    for database in [TestDatabase::sqlite_memory().await, TestDatabase::postgres().await] {
        seats_that_change(Sample::within(database, 0..DAYS).await).await;
    }
}

/// Only seats that changed are written; where one of them is not there after all, everything is computed.
async fn seats_that_change(sample: Sample) {
    recomputed(&sample, &sample.completed()).await;
    let member = sample.seen_by(DAYS - 9);
    sample.add_activity(member, DAYS - 9).await;
    recomputed(&sample, &sample.completed()).await;
    let written = async |place: usize| {
        let told = sample.events("utilization.updated").await;
        let Data::UtilizationUpdated(updated) = &told[place].data else { panic!("{told:?}") };
        updated.changed.unwrap()
    };
    assert_eq!(written(1).await.seats, 1, "nobody else did anything");

    let (store, connection) = (sample.store(), &sample.connection);
    let (id, seats) = (Uuid::from_u128(member), store.seats(connection).await.unwrap());
    let seat = seats.iter().find(|seat| seat.member_id == id);
    let lost = store.seat_writer(connection).statements([(id, SeatDigest::of(seat), None)].into_iter());
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.write_seats(connection, lost).await.unwrap(), 1);
    tx.commit().await.unwrap();
    sample.add_activity(member, DAYS - 8).await;
    recomputed(&sample, &sample.completed()).await;
    let changed = written(2).await;
    assert_eq!((changed.seats, changed.first_day), (1, Some(at(0))), "everything was read");
    assert_rebuilt(&sample).await;
}

/// A day on which one member did something says nothing about totals, however late that member is listed.
#[tokio::test]
async fn days_of_newcomers_count_once() {
    let sample = Sample::new(0..DAYS).await;
    sample.clear(DAYS - 40..DAYS).await;
    for offset in DAYS - 12..DAYS - 2 {
        sample.add_notes(9_001, offset, 3).await;
    }
    recomputed(&sample, &sample.completed()).await;
    sample.list_also([9_001], DAYS - 1).await;
    recomputed(&sample, &sample.completed()).await;
    let told = sample.events("utilization.updated").await;
    let Data::UtilizationUpdated(updated) = &told[1].data else { panic!("{told:?}") };
    assert_eq!(updated.changed.as_ref().unwrap().first_day, Some(at(DAYS - 1)), "not everything was read");
    assert_rebuilt(&sample).await;
    let head = sample.store().rollup_head(&sample.connection).await.unwrap().unwrap();
    assert_eq!(head.flags, []);
}

/// More members than a block takes, newcomers who fill the last one, and then one block more.
#[tokio::test]
async fn blocks_go_on_one_after_the_other() {
    let sample = Sample::new(0..DAYS).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let mut last = 23_000;
    for (newcomers, blocks) in [(0, 2), (450, 2), (450, 2), (9, 3), (1, 3)] {
        last += newcomers;
        sample.list_also(20_000..last, DAYS - 3).await;
        for member in [1, 20_001, last - 1] {
            sample.add_activity(member, DAYS - 2).await;
        }
        recomputed(&sample, &sample.completed()).await;
        assert_eq!(store.begin().await.unwrap().packed_blocks(connection).await.unwrap(), blocks);
    }
    assert_rebuilt(&sample).await;
    let told = sample.events("utilization.updated").await;
    for event in &told[1..] {
        let Data::UtilizationUpdated(updated) = &event.data else { panic!("{told:?}") };
        assert_eq!(
            updated.changed.as_ref().unwrap().first_day,
            Some(at(DAYS - 3)),
            "not everything was read"
        );
    }
}

/// The first listing stands for all days before it; and so does whoever is on another one of the same day.
#[tokio::test]
async fn who_is_listed_later_on_the_first_day_was_always_there() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    for (member, offset) in [(7_001, ROSTERS[0]), (7_002, ROSTERS[0] + 1), (7_003, DAYS - 2)] {
        sample.list_also([member], offset).await;
        recomputed(&sample, &sample.completed()).await;
        assert_rebuilt(&sample).await;
    }
}

/// Days before the first covered one are in the windows, too, and their rows may come late.
#[tokio::test]
async fn late_rows_of_days_before_the_history_are_followed() {
    let sample = Sample::new(DAYS - 6..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    assert_rebuilt(&sample).await;
    for offset in [DAYS - 10, DAYS - 2, DAYS - 12, DAYS - 10] {
        sample.add_activity(sample.seen_by(offset), offset).await;
        recomputed(&sample, &sample.completed()).await;
        assert_rebuilt(&sample).await;
    }
}

#[tokio::test]
async fn only_what_changed_is_computed_again() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    // Of somebody whose first seen month it leaves alone.
    sample.add_activity(sample.seen_by(DAYS - 9), DAYS - 9).await;
    recomputed(&sample, &sample.completed()).await;
    let told = sample.events("utilization.updated").await;
    let changed: Vec<_> = told
        .iter()
        .map(|event| match &event.data {
            Data::UtilizationUpdated(updated) => updated.changed.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((changed[0].first_day, changed[0].last_day), (Some(at(0)), Some(at(DAYS - 1))));
    assert_eq!((changed[1].first_day, changed[1].last_day), (Some(at(DAYS - 9)), Some(at(DAYS - 1))));
    assert!(changed[1].numbers > 0 && changed[1].numbers < changed[0].numbers / 9, "{changed:?}");
}

/// Teams have no past: who joins one counts there on all days. Nobody else's numbers are looked at.
#[tokio::test]
async fn a_changed_team_is_computed_again_alone() {
    let sample = Sample::new(0..DAYS).await;
    sample.replace_teams(&[(8, 1..200), (9, 100..300), (10, 1..400)]).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    // A number of everybody that is wrong: it stays as it is until its day is computed again.
    let wrong = BTreeMap::from([((Cut::All, at(3), 7), WindowUse { assigned: 4_711, ..Default::default() })]);
    let rollup = Rollup {
        days: (at(3), at(3)),
        cuts: CutSet::Whole,
        windows: wrong.clone(),
        seats: Vec::new(),
        flags: Vec::new(),
    };
    let head = store.rollup_head(connection).await.unwrap().unwrap();
    let (teams, recommendations) = (None, Vec::new());
    let planted = NewRollup { head, rollup, teams, recommendations, rest: Rest::Written { seats: 0 } };
    let tx = store.begin().await.unwrap();
    tx.write_rollup(connection, &planted).await.unwrap().unwrap();
    tx.commit().await.unwrap();

    sample.replace_teams(&[(8, 1..200), (9, 100..310)]).await;
    // And a day's row, which is computed in its own way in the same turn.
    sample.add_activity(sample.seen_by(DAYS - 9), DAYS - 9).await;
    recomputed(&sample, &sample.completed()).await;
    let span = Span::read(&store, connection).await.unwrap().unwrap();
    let mut expected = fold::whole(&store, connection, &span, EVERYTHING).await.unwrap().rollup.windows;
    expected.retain(|key, _| key.1 != at(3) || matches!(key.0, Cut::Team(_)));
    expected.extend(wrong);
    // The planted day has nothing else: the teams that did not change lost theirs with it.
    expected.retain(|key, _| key.1 != at(3) || key.0 != Cut::Team(Uuid::from_u128(8)));
    let numbers = store.numbers_between(connection, span.first, span.last, None).await.unwrap();
    assert_eq!(numbers, expected);
    assert!(!numbers.keys().any(|key| key.0 == Cut::Team(Uuid::from_u128(10))), "the team is gone");
    assert_eq!(store.rollup_mark(connection).await.unwrap().teams, [].into());
    let told = sample.events("utilization.updated").await;
    let Data::UtilizationUpdated(updated) = &told[1].data else { panic!("{told:?}") };
    assert_eq!(updated.changed.as_ref().unwrap().first_day, Some(at(0)));
}

/// A turn without any new facts: a day later, and a connection that needs a reconnect.
#[tokio::test]
async fn a_frozen_connection_keeps_its_verdicts_and_is_told_stale_once() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let before = sample.store().seats(&sample.connection).await.unwrap();
    sample.lose_key().await;
    let turn = Cause::Turn(sample.connection.clone());
    for later in 1..60 {
        let clock = ManualClock::noon(at(DAYS + later));
        let outcome = recompute(&sample.store(), &clock, &sample.entropy, &turn).await.unwrap();
        assert!(
            matches!(outcome, Outcome::Written { as_of, rows: 0, .. } if as_of == at(DAYS - 1)),
            "{outcome:?}"
        );
    }
    assert_eq!(sample.store().seats(&sample.connection).await.unwrap(), before, "nobody drifts to dormant");
    let stale = sample.events("utilization.data_stale").await;
    let [event] = &stale[..] else { panic!("{stale:?}") };
    assert!(matches!(&event.data, Data::DataStale(stale) if stale.reconnect_required));
    assert_eq!(sample.announced("utilization.updated").await, 1, "nothing changed, nothing is told");
}

#[tokio::test]
async fn a_contract_is_followed_and_its_alerts_are_told_once() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let contract = Contract {
        purchased: Some(10),
        renewal: Some(at(DAYS + 80)),
        target_percent: Some(100),
        ..Contract::default()
    };
    let tx = sample.store().begin().await.unwrap();
    tx.set_contract(&sample.connection, &contract, sample.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        sample.store().rollups_due(at(DAYS), sample.clock.now(), 9).await.unwrap(),
        std::slice::from_ref(&sample.connection)
    );
    let turn = Cause::Turn(sample.connection.clone());
    for _ in 0..3 {
        recompute(&sample.store(), &sample.clock, &sample.entropy, &turn).await.unwrap();
        assert_eq!(sample.store().rollups_due(at(DAYS), sample.clock.now(), 9).await.unwrap(), []);
    }
    for kind in ["utilization.below_target", "utilization.over_allocated", "utilization.renewal_near"] {
        assert_eq!(sample.announced(kind).await, 1, "{kind}");
    }
    assert_eq!(sample.announced("utilization.seat_idle").await, 0, "they were idle before anybody looked");
    let organization = sample.store().organization_of(&sample.connection).await.unwrap().unwrap();
    let listed = |asked: wire::ListAlertsRequest| {
        let (store, caller) = (sample.store(), Identity::new("anybody", None));
        let asked = wire::ListAlertsRequest { organization_id: organization.to_string(), ..asked };
        async move { alerts_list(&store, &caller, asked).await }
    };
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = listed(wire::ListAlertsRequest { page_size: 1, page_token, ..Default::default() });
        let page = page.await.unwrap();
        assert_eq!(page.open, 3, "what was not told is not listed");
        seen.extend(page.alerts.into_iter().map(|alert| (alert.kind, alert.sentence)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let kinds: Vec<_> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["renewal_near", "over_allocated", "below_target"]);
    assert!(seen[0].1.contains("in at most 90 days"), "{seen:?}");
    for wrong in [
        wire::ListAlertsRequest { kinds: vec!["seats".to_owned()], ..Default::default() },
        wire::ListAlertsRequest { page_token: "x".to_owned(), ..Default::default() },
    ] {
        assert!(matches!(listed(wrong).await, Err(Fault::Refused(_))));
    }
}

#[tokio::test]
async fn a_connection_that_was_never_seen_has_nothing_to_tell() {
    let sample = Sample::new([]).await;
    let other = ConnectionId::generate(&sample.clock, &sample.entropy);
    let event = Event { connection_id: other.clone(), ..sample.completed() };
    assert_eq!(recomputed(&sample, &event).await, Outcome::NothingCovered);
    assert_eq!(sample.store().rollup_head(&other).await.unwrap(), None);
}

/// What the vendor's known fault makes of every row is seen, told, and forgotten when it has ended.
#[tokio::test]
async fn repeated_totals_are_flagged_until_they_end() {
    let sample = Sample::new(0..DAYS).await;
    let flags = async || {
        recomputed(&sample, &sample.completed()).await;
        let store = sample.store();
        let told = store.data_flags(&sample.connection).await.unwrap();
        let head = store.rollup_head(&sample.connection).await.unwrap().unwrap();
        assert_eq!(told.iter().map(|it| &it.flag[..]).collect::<Vec<_>>(), {
            head.flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>()
        });
        told
    };
    assert_eq!(flags().await, []);
    sample.repeat_totals(DAYS - 28..DAYS, 0).await;
    let told = flags().await;
    let [flag] = &told[..] else { panic!("{told:?}") };
    assert!(flag.flag == "repeated_totals" && flag.detail.contains("the workspace's totals"), "{flag:?}");
    // A late day says the same as the others, and by itself nothing: those that are kept are looked at, too.
    sample.repeat_totals(DAYS - 3..DAYS - 2, 50).await;
    assert_eq!(flags().await.len(), 1);
    let told = sample.events("utilization.updated").await;
    let Data::UtilizationUpdated(updated) = &told[2].data else { panic!("{told:?}") };
    assert_eq!(updated.changed.as_ref().unwrap().first_day, Some(at(DAYS - 3)), "not everything was read");
    sample.add_notes(1, DAYS - 2, 5_000).await;
    assert_eq!(flags().await, [], "one day tells");
}

/// Activity proves that there are members, and nobody has read who they are.
#[tokio::test]
async fn without_a_list_of_members_no_seat_is_counted_and_the_reason_is_told() {
    let sample = Sample::unlisted(0..DAYS).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let outcome = recomputed(&sample, &sample.completed()).await;
    let Outcome::NoRoster { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("no seat can be counted"), "{reason}");
    assert_eq!(store.rollup_head(connection).await.unwrap(), None);
    assert!(store.seats(connection).await.unwrap().is_empty());
    assert_eq!(sample.announced("utilization.updated").await, 0, "no numbers in events");
    assert_eq!(store.data_flags(connection).await.unwrap()[0].flag, "roster_unread");
    let desk = Desk::of(&sample);
    let refused = [
        summary::answer(&desk).await.unwrap_err(),
        crate::seats::list(&desk, wire::ListSeatsRequest::default()).await.unwrap_err(),
        crate::seats::recommendations(&desk, wire::ListRecommendationsRequest::default()).await.unwrap_err(),
        crate::trend::trend(&desk, wire::GetTrendRequest::default()).await.unwrap_err(),
        crate::contract::preview(&desk, wire::PreviewRenewalRequest::default()).await.unwrap_err(),
    ];
    for fault in refused {
        let status = fault.into_status(connection.as_str());
        assert_eq!(tidemark_rpc::status::reason(&status).as_deref(), Some("ROSTER_UNREAD"), "{status}");
        assert_eq!(status.code(), tonic::Code::NotFound);
    }

    // Nothing is written of a workspace that was disconnected in between.
    let purged = Sample::unlisted(0..DAYS).await;
    purged.disconnect().await;
    assert_eq!(recomputed(&purged, &purged.completed()).await, Outcome::Disconnected);
    assert!(purged.store().data_flags(&purged.connection).await.unwrap().is_empty());

    // A list that lacks the active members is no base either, and one that has them is.
    sample.list_also([9_999], DAYS - 1).await;
    let outcome = recomputed(&sample, &sample.completed()).await;
    let Outcome::Written { members, .. } = outcome else { panic!("{outcome:?}") };
    assert!(members > 1);
    assert!(store.data_flags(connection).await.unwrap().is_empty(), "the reason is gone");
}

#[tokio::test]
async fn a_list_that_activity_contradicts_is_no_base_and_earlier_numbers_stand() {
    let sample = Sample::unlisted(0..DAYS).await;
    let (store, connection) = (sample.store(), &sample.connection);
    sample.list_only(9_999, DAYS - 1).await;
    let outcome = recomputed(&sample, &sample.completed()).await;
    let Outcome::NoRoster { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("listed 1 member"), "{reason}");
    assert_eq!(store.rollup_head(connection).await.unwrap(), None);

    // The vendor gives everybody another id.
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let before = summary::answer(&Desk::of(&sample)).await.unwrap();
    sample.rename_active(DAYS - 20..DAYS).await;
    let outcome = recomputed(&sample, &sample.completed()).await;
    assert!(matches!(outcome, Outcome::NoRoster { .. }), "{outcome:?}");
    let after = summary::answer(&Desk::of(&sample)).await.unwrap();
    assert_eq!(bare(after.clone()), bare(before));
    let basis = after.basis.unwrap();
    assert!(basis.stale && basis.flags == ["roster_unread"], "{basis:?}");
    assert!(basis.stale_reason.contains("in paid roles"), "{}", basis.stale_reason);
}

/// A row that could not be read.
#[tokio::test]
async fn nobody_is_idle_by_a_day_that_could_not_be_read() {
    let sample = Sample::new(0..DAYS).await;
    let (store, connection) = (sample.store(), &sample.connection);
    recomputed(&sample, &sample.completed()).await;
    let dormant = store.seats(connection).await.unwrap();
    let dormant =
        dormant.iter().find(|it| it.state == SeatState::Dormant && it.standing.is_paid_seat()).unwrap();
    let before = summary::answer(&Desk::of(&sample)).await.unwrap();
    let row = QuarantinedRow {
        id: Some(dormant.member_id),
        days: Some((at(DAYS - 3), at(DAYS - 3))),
        problem: "expected a number at noteCreatedCount".to_owned(),
        raw: "{}".to_owned(),
    };
    let stream = tidemark_domain::stream::Stream::MemberActivities;
    let tx = store.begin().await.unwrap();
    tx.quarantine(connection, stream, &[row], &sample.run, sample.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    recomputed(&sample, &sample.completed()).await;
    let seats = store.seats(connection).await.unwrap();
    let seat = seats.iter().find(|it| it.member_id == dormant.member_id).unwrap();
    assert_eq!(seat.state, SeatState::Unknown);
    let recommended = store.recommendations(connection).await.unwrap();
    assert!(recommended.iter().all(|it| it.member_id != dormant.member_id));
    let after = summary::answer(&Desk::of(&sample)).await.unwrap();
    let month = |summary: &wire::Summary| summary.windows.iter().find(|it| it.days == 28).cloned().unwrap();
    let (was, is) = (month(&before), month(&after));
    assert_eq!((is.idle_seats, is.unknown_seats, is.active_seats), (was.idle_seats - 1, 1, was.active_seats));
    let idle: u32 = after.idle[1].states.iter().map(|it| it.seats).sum();
    assert_eq!(idle, is.idle_seats, "the states come to the idle seats");
    assert_eq!(after.basis.unwrap().flags, ["quarantined_rows.member_activities"]);

    // It could be read.
    let later = "run_01jd0000000000000000000000".parse().unwrap();
    let tx = store.begin().await.unwrap();
    tx.end_quarantine_of_days(connection, &[at(DAYS - 3)], &later, sample.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    recomputed(&sample, &sample.completed()).await;
    assert_eq!(month(&summary::answer(&Desk::of(&sample)).await.unwrap()), was);
    let seats = store.seats(connection).await.unwrap();
    assert!(seats.contains(dormant));
}

#[tokio::test]
async fn any_role_and_team_that_is_written_can_be_read_back() {
    for role in ["", "owner", "Ünïcødé 🦀", "role 'quoted'", "%_\\", &"r".repeat(3_000)] {
        let sample = Sample::new(0..DAYS).await;
        sample.list_as(7, role, DAYS - 1).await;
        let outcome = recomputed(&sample, &sample.completed()).await;
        assert!(matches!(outcome, Outcome::Written { .. }), "{role}: {outcome:?}");
        sample.mark_everything().await;
        let again = recomputed(&sample, &sample.completed()).await;
        assert!(matches!(again, Outcome::Written { .. }), "{role}: {again:?}");
        let summary = summary::answer(&Desk::of(&sample)).await.unwrap();
        let expected = tidemark_domain::member::Role::from(role).to_string();
        assert!(summary.unknown_roles.contains(&wire::RoleCount { role: expected, members: 1 }));
        let cuts = crate::trend::cuts(&Desk::of(&sample), wire::ListCutsRequest::default()).await.unwrap();
        assert!(!cuts.cuts.is_empty());
    }
}

/// Prepared while the workspace was connected, it comes to write after its facts were deleted.
#[tokio::test]
async fn a_rollup_that_was_prepared_before_a_purge_is_not_written_after_it() {
    for database in [TestDatabase::sqlite_memory().await, TestDatabase::postgres().await] {
        let sample = Sample::within(database, 0..DAYS).await;
        let (store, connection) = (sample.store(), &sample.connection);
        let (clock, entropy) = (&sample.clock, &sample.entropy);
        let late = prepare(&store, connection, true).await.unwrap().unwrap();
        sample.disconnect().await;
        while store.purge_facts(connection, 10_000).await.unwrap() > 0 {}
        let digest = store.facts_digest(connection).await.unwrap();
        let cause = Cause::Sync(sample.completed());
        let outcome = carry_out(&store, clock, entropy, &cause, late).await.unwrap();
        assert_eq!(outcome, Attempt::Ended(Outcome::Disconnected));
        assert_eq!(store.rollup_head(connection).await.unwrap(), None);
        assert_eq!(store.seats(connection).await.unwrap(), []);
        assert_eq!(store.facts_digest(connection).await.unwrap(), digest);
        assert_eq!(sample.announced("utilization.updated").await, 0);
    }
}

/// Disconnected, with its facts kept: what was computed stays as it stood.
#[tokio::test]
async fn a_disconnected_workspace_keeps_the_rollup_that_it_had() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let digest = store.facts_digest(connection).await.unwrap();
    let head = store.rollup_head(connection).await.unwrap();
    sample.disconnect().await;
    assert_eq!(recomputed(&sample, &sample.completed()).await, Outcome::Disconnected);
    assert_eq!(store.rollup_head(connection).await.unwrap(), head);
    assert_eq!(store.facts_digest(connection).await.unwrap(), digest);
    assert_eq!(store.rollups_due(at(DAYS + 9), sample.clock.now(), 9).await.unwrap(), []);
}

/// Two versions run side by side.
#[tokio::test]
async fn what_later_definitions_computed_is_left_to_them() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let (store, connection) = (sample.store(), &sample.connection);
    let late = prepare(&store, connection, true).await.unwrap().unwrap();
    let head = store.rollup_head(connection).await.unwrap().unwrap();
    let head = RollupHead { definition_version: DEFINITION_VERSION + 1, ..head };
    let tx = store.begin().await.unwrap();
    assert!(tx.write_head(connection, &head).await.unwrap());
    tx.commit().await.unwrap();
    sample.add_activity(1, DAYS - 1).await;

    let left = Outcome::LeftToNewer { definition_version: DEFINITION_VERSION + 1 };
    assert_eq!(recomputed(&sample, &sample.completed()).await, left);
    assert_eq!(store.rollups_due(at(DAYS + 9), sample.clock.now(), 9).await.unwrap(), []);
    // What began before the other version came writes nothing either.
    let whole = fold::whole(&store, connection, &late.span, EVERYTHING).await.unwrap();
    let late = Prepared { source: Source::Made { whole, share: EVERYTHING }, ..late };
    let cause = Cause::Sync(sample.completed());
    let outcome = carry_out(&store, &sample.clock, &sample.entropy, &cause, late).await.unwrap();
    assert_eq!(outcome, Attempt::Ended(Outcome::Superseded { as_of: at(DAYS - 1) }));
    assert_eq!(store.rollup_head(connection).await.unwrap(), Some(head));
}

/// With many cuts, neither all days nor all teams fit into memory at once.
#[tokio::test]
async fn days_and_teams_that_are_folded_one_part_after_the_other_are_the_same() {
    for database in [TestDatabase::sqlite_memory().await, TestDatabase::postgres().await] {
        let sample = Sample::within(database, 0..DAYS).await;
        sample.replace_teams(&[(7, 1..9), (8, 1..30), (9, 20..50)]).await;
        // All in one block, the last day alone, and two more that do not divide the days; then teams apart from the rest.
        for (days, teams) in [
            (EVERYTHING.days, None),
            (1, None),
            (17, None),
            (100, None),
            (EVERYTHING.days, Some(2)),
            (17, Some(1)),
            (100, Some(9)),
        ] {
            let share = Share { days, teams };
            let rows = rebuilt_in(&sample, share).await;
            assert!((rows == 0) == (share != EVERYTHING), "the first writes everything: {share:?} {rows}");
        }
        // The numbers of a team that is gone go as well.
        sample.replace_teams(&[(9, 20..50), (11, 1..40)]).await;
        assert!(rebuilt_in(&sample, Share { days: 40, teams: Some(1) }).await > 0);
        let gone = Cut::Team(Uuid::from_u128(7));
        let days = (at(0), at(DAYS - 1));
        assert_eq!(sample.store().trend(&sample.connection, &gone, 28, days).await.unwrap(), []);
    }
}

/// Computes everything again, so much at once; gives how many rows changed.
async fn rebuilt_in(sample: &Sample, share: Share) -> u64 {
    let (store, connection) = (sample.store(), &sample.connection);
    sample.mark_everything().await;
    let prepared = prepare(&store, connection, true).await.unwrap().unwrap();
    let whole = fold::whole(&store, connection, &prepared.span, share).await.unwrap();
    let prepared = Prepared { source: Source::Made { whole, share }, ..prepared };
    let cause = Cause::Sync(sample.completed());
    let outcome = carry_out(&store, &sample.clock, &sample.entropy, &cause, prepared).await.unwrap();
    let Attempt::Ended(Outcome::Written { rows, .. }) = outcome else { panic!("{outcome:?}") };
    assert_rebuilt(sample).await;
    rows
}

/// A cohort that was seen on one day, and not since.
#[tokio::test]
async fn a_burst_of_idle_seats_is_one_event_and_every_alert_is_listed() {
    let mut sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    for step in 0..40 {
        sample.step(step).await;
        recomputed(&sample, &sample.completed()).await;
    }
    let bursts = sample.events("utilization.seat_idle").await;
    assert!(!bursts.is_empty(), "somebody goes idle in forty days");
    let mut total = 0;
    for burst in &bursts {
        let Data::SeatsIdle(idle) = &burst.data else { panic!("{burst:?}") };
        assert!(idle.total > 0 && idle.seats.len() as u64 == idle.total.min(100));
        total += idle.total;
    }
    let days: BTreeSet<_> = bursts.iter().map(|burst| format!("{:?}", burst.time)).collect();
    assert!(bursts.len() <= 40 && !days.is_empty(), "one at each look at most");
    let store = sample.store();
    let organization = store.organization_of(&sample.connection).await.unwrap().unwrap();
    let filter = tidemark_store::AlertFilter { kinds: ["seat_idle".to_owned()].into(), ..Default::default() };
    let listed = store.alerts_of(&organization, &filter, None, 10_000).await.unwrap();
    assert!(!listed.is_empty() && listed.len() as u64 <= total);
}
