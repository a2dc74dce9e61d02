//! The fold against a naive computation that follows the definitions word by word, on random workspaces: members who
//! change role, leave, return, come later, are exempt; gaps in the coverage; rows that come late; several teams.

mod naive;

use std::collections::BTreeSet;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::{
    activity::{COUNTER_TABLE, Counters, MemberDay},
    exemption::Exemption,
    member::{Role, Standing},
    recommendation::recommend,
};

const LAST: u64 = 200;

pub(super) fn at(offset: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(offset)
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) versions: Vec<Version>,
    pub(super) days: Vec<MemberDay>,
    pub(super) teams: Vec<Uuid>,
    pub(super) exemption: Option<Exemption>,
}

impl Person {
    fn uses(&self) -> Vec<DayUse> {
        self.days.iter().map(DayUse::from).collect()
    }

    /// Nobody knows of later rows yet.
    fn until(mut self, last: NaiveDate) -> Self {
        self.days.retain(|row| row.day <= last);
        self
    }

    fn facts<'a>(&'a self, days: &'a [DayUse]) -> MemberFacts<'a> {
        let Self { id, versions, teams, .. } = self;
        MemberFacts { member_id: *id, versions, days, teams, first_row: None, active_before: None }
    }
}

fn role() -> impl Strategy<Value = Role> {
    let other = Role::Other("steward".to_owned());
    prop_oneof![
        Just(Role::Admin),
        Just(Role::Maker),
        Just(Role::Viewer),
        Just(Role::Contributor),
        Just(other)
    ]
}

fn version() -> impl Strategy<Value = Option<Standing>> {
    prop_oneof![
        6 => (role(), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
            .prop_map(|(role, disabled, pending)| Some(Standing { role, disabled, pending })),
        1 => Just(None),
    ]
}

pub(super) fn row(id: Uuid, offset: u64, active_flag: bool, set: &[(usize, u32)]) -> MemberDay {
    let mut counters = Counters::default();
    set.iter().for_each(|(counter, value)| counters.0[*counter] = Some(*value));
    MemberDay { member_id: id, day: at(offset), role: Role::Maker, active_flag, counters }
}

type Day = (bool, Vec<(usize, u32)>);

fn day() -> impl Strategy<Value = Day> {
    (any::<bool>(), prop::collection::vec((0..COUNTER_TABLE.len(), 0_u32..5), 0..4))
}

fn person() -> impl Strategy<Value = Person> {
    let versions = prop::collection::btree_map(0_u64..LAST, version(), 0..4);
    let days = prop::collection::btree_map(0_u64..LAST, day(), 0..40);
    let teams = prop::collection::btree_set(1_u128..4, 0..4);
    let exempt = prop::option::weighted(0.3, (0_u64..LAST, prop::bool::weighted(0.2)));
    (any::<u128>(), versions, days, teams, exempt).prop_map(|(id, versions, days, teams, exempt)| {
        let id = Uuid::from_u128(id);
        let exemption = |(until, ended): (u64, bool)| Exemption {
            member_id: id,
            reason: "on leave".to_owned(),
            until: at(until),
            set_at: DateTime::UNIX_EPOCH,
            ended_at: ended.then_some(DateTime::UNIX_EPOCH),
        };
        let version = |(from, standing)| Version { valid_from: at(from), standing };
        Person {
            id,
            versions: versions.into_iter().map(version).collect(),
            days: days.into_iter().map(|(offset, (flag, set))| row(id, offset, flag, &set)).collect(),
            teams: teams.into_iter().map(Uuid::from_u128).collect(),
            exemption: exempt.map(exemption),
        }
    })
}

fn fold(
    people: &[Person],
    first: NaiveDate,
    last: NaiveDate,
    coverage: &Coverage,
    start: NaiveDate,
) -> Rollup {
    let mut fold = Fold::new(first, last, coverage, start);
    for person in people {
        fold.member(person.facts(&person.uses()));
    }
    fold.finish()
}

fn roster_start(people: &[Person]) -> NaiveDate {
    let listed = people.iter().filter_map(|person| Some(person.versions.first()?.valid_from));
    listed.min().unwrap_or(at(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_fold_equals_the_naive_computation(
        people in prop::collection::vec(person(), 0..8),
        first in 0_u64..150, span in 0_u64..40,
        covered in prop_oneof![prop::collection::btree_set(0_u64..LAST, 0..200), Just((0..LAST).collect())],
    ) {
        let coverage: Coverage = covered.into_iter().map(at).collect();
        let (first, last, start) = (at(first), at(first + span), roster_start(&people));
        let people: Vec<_> = people.into_iter().map(|person| person.until(last)).collect();
        let rollup = fold(&people, first, last, &coverage, start);
        let expected = naive::windows(&people, (first, last), &coverage, start);
        prop_assert_eq!(format!("{:?}", rollup.windows), format!("{expected:?}"), "byte for byte");
        let expected = naive::seats(&people, last, &coverage, start);
        prop_assert_eq!(format!("{:?}", rollup.seats), format!("{expected:?}"));
        for seat in &rollup.seats {
            let unsure = matches!(seat.state, SeatState::Dormant | SeatState::NeverSeen | SeatState::New);
            prop_assert!(!unsure || coverage.is_full(last, 28), "unknown is not inactive");
        }
        prop_assert_eq!(!rollup.flags.is_empty(), naive::are_totals_repeated(&people, last));
        let exemptions: Vec<_> = people.iter().filter_map(|person| person.exemption.clone()).collect();
        let expected = naive::recommendations(&people, last, &coverage, start);
        prop_assert_eq!(recommend(&rollup, &coverage, &exemptions), expected);
    }

    /// A change of the facts of day d touches the rows of d … d + 89, and computing those alone gives the whole.
    #[test]
    fn a_late_row_touches_ninety_days_and_no_more(
        people in prop::collection::vec(person(), 1..6), late in 0_u64..LAST, changed in day(),
    ) {
        let coverage: Coverage = (0..LAST).map(at).collect();
        let (first, last, start) = (at(0), at(LAST - 1), roster_start(&people));
        let before = fold(&people, first, last, &coverage, start);
        let mut people = people;
        let person = &mut people[0];
        person.days.retain(|row| row.day != at(late));
        person.days.push(row(person.id, late, changed.0, &changed.1));
        person.days.sort_by_key(|row| row.day);
        let after = fold(&people, first, last, &coverage, start);
        let touched = at(late)..=reach(at(late)).min(last);
        let part = fold(&people, *touched.start(), *touched.end(), &coverage, start);
        // The first seen day may change with the row, and with it the cohort: that is a change of the first row's day.
        let apart = |key: &Key| !matches!(key.0, Cut::Cohort(_));
        let mut mended = before.windows;
        mended.retain(|key, _| !touched.contains(&key.1));
        mended.extend(part.windows);
        let only = |windows: &BTreeMap<Key, WindowUse>| {
            windows.clone().into_iter().filter(|(key, _)| apart(key)).collect::<Vec<_>>()
        };
        prop_assert_eq!(only(&mended), only(&after.windows));
    }

    /// Blocks of days, the last one first, give what all days at once do: also where a member is first seen after a block.
    #[test]
    fn blocks_of_days_give_the_whole(
        people in prop::collection::vec(person(), 1..6), length in 1_u64..90,
    ) {
        let coverage: Coverage = (0..LAST).map(at).collect();
        let (first, last, start) = (at(20), at(LAST - 1), roster_start(&people));
        let whole = fold(&people, first, last, &coverage, start);
        let cohorts = people.iter().map(|person| {
            Rolling::new(&person.facts(&person.uses()), last).cohort(&person.versions, last)
        });
        let cohorts: Vec<_> = cohorts.collect();
        let (mut windows, mut to) = (BTreeMap::new(), last);
        while to >= first {
            let from = first.max(to - Days::new(length - 1));
            let mut block = Fold::new(from, to, &coverage, start);
            for (person, cohort) in people.iter().zip(&cohorts) {
                let near = |row: &DayUse| (horizon(from)..=to).contains(&row.day);
                let days: Vec<_> = person.uses().into_iter().filter(near).collect();
                block.member_of(person.facts(&days), cohort.clone());
            }
            windows.extend(block.finish().windows);
            to = from - Days::new(1);
        }
        prop_assert_eq!(windows, whole.windows);
    }

    /// Without the rows before the horizon, but with what is told of them, a seat is judged the same.
    #[test]
    fn older_rows_may_be_told_in_two_days(
        people in prop::collection::vec(person(), 1..6),
    ) {
        let coverage: Coverage = (0..LAST).map(at).collect();
        let (last, start) = (at(LAST - 1), roster_start(&people));
        let whole = fold(&people, last, last, &coverage, start);
        let mut short = Fold::new(last, last, &coverage, start);
        for person in &people {
            let (old, new): (Vec<_>, Vec<_>) =
                person.uses().into_iter().partition(|row| row.day < horizon(last));
            let facts = MemberFacts {
                first_row: old.iter().map(|row| row.day).min(),
                active_before: old.iter().filter(|row| row.active).map(|row| row.day).max(),
                ..person.facts(&new)
            };
            short.member(facts);
        }
        prop_assert_eq!(short.finish(), whole);
    }
}

/// What these people did on those days.
fn pages(people: &[Person], days: impl IntoIterator<Item = NaiveDate>) -> Pages {
    let page = |day: NaiveDate| {
        let uses = people.iter().map(Person::uses).enumerate();
        let on = uses.flat_map(|(place, uses)| uses.into_iter().map(move |one| (place, one)));
        (day, on.filter(|(_, one)| one.day == day).collect())
    };
    days.into_iter().map(page).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Days that are new, or whose rows are others than they were: a block goes back to the day before the first of them
    /// and on to the last, and then says on each day what the definitions say, and stands as the facts would have it.
    #[test]
    fn a_block_that_goes_back_and_on_says_what_the_definitions_say(
        known in prop::collection::vec((person(), person()), 0..6),
        on in 110_u64..LAST - 30, late in 0_u64..=15, more in 0_u64..30,
        covered in prop::collection::btree_set(0_u64..LAST, 0..200),
    ) {
        let coverage: Coverage = covered.into_iter().map(at).collect();
        let (on, from) = (at(on), at(on + 1 - late));
        let last = (on + Days::new(more)).max(from);
        let read = || from.iter_days().take_while(|day| *day <= last);
        let before: Vec<_> = known.iter().map(|(person, _)| person.clone().until(on)).collect();
        let after = known.iter().map(|(person, other)| {
            let mut person = person.clone().until(last);
            person.days.retain(|row| row.day < from);
            let fresh = other.days.iter().filter(|row| row.day >= from && row.day <= last).cloned();
            person.days.extend(fresh.map(|row| MemberDay { member_id: person.id, ..row }));
            person
        });
        let after: Vec<_> = after.collect();
        let stands = |people: &[Person], on| {
            let members = people.iter().map(|person| Rolling::new(&person.facts(&person.uses()), on));
            Block { on, members: members.collect() }
        };
        let (expected, start) = (stands(&after, last), roster_start(&after));
        let cohorts = after.iter().zip(&expected.members);
        let cohorts: Vec<_> = cohorts.map(|(person, it)| it.cohort(&person.versions, last)).collect();
        let stood = after.iter().zip(&cohorts).map(|(Person { versions, teams, .. }, cohort)| Stood {
            versions,
            teams,
            cohort: cohort.as_ref(),
        });
        let stood: Vec<_> = stood.collect();

        let mut block = stands(&before, on);
        let needed = Block::needed(block.on, from, last);
        prop_assert!(needed.iter().all(|day| *day >= kept_from(on)), "what is not kept is not asked for");
        let old = pages(&before, needed);
        while block.on >= from {
            prop_assert_eq!(block.back(&old), Some(()));
        }
        let mut fresh = old;
        fresh.extend(pages(&after, read()));
        let mut windows = BTreeMap::new();
        while block.on < last {
            prop_assert_eq!(block.forward(&fresh), Some(()));
            let mut ending = Ending::default();
            ending.block(&block, &fresh, start, &stood);
            windows.extend(ending.finish(block.on, &coverage));
        }
        prop_assert_eq!(&block, &expected);
        let told = naive::windows(&after, (from, last), &coverage, start);
        prop_assert_eq!(format!("{windows:?}"), format!("{told:?}"));
        let judge = Judge::new(last, &coverage, start);
        let seats = after.iter().zip(&block.members).filter_map(|(person, it)| judge.seat(it, &person.versions));
        prop_assert_eq!(seats.collect::<Vec<_>>(), naive::seats(&after, last, &coverage, start));
    }

    /// The numbers of some and of the others, added up, are those of all.
    #[test]
    fn what_is_added_up_is_what_all_come_to(people in prop::collection::vec(person(), 0..6), split in 0_usize..6) {
        let coverage: Coverage = (0..LAST).map(at).collect();
        let (first, last, start) = (at(LAST - 9), at(LAST - 1), roster_start(&people));
        let folded = |people: &[Person]| fold(people, first, last, &coverage, start);
        let (some, others) = people.split_at(split.min(people.len()));
        let (mut sum, others) = (folded(some), folded(others));
        sum.add(others.windows, others.seats);
        let all = folded(&people);
        prop_assert_eq!((sum.windows, sum.seats), (all.windows, all.seats));
    }
}

#[test]
fn pages_that_do_not_fit_are_not_added_up() {
    let maker = Standing { role: Role::Maker, disabled: false, pending: false };
    let versions = vec![Version { valid_from: at(0), standing: Some(maker) }];
    let days = vec![row(Uuid::nil(), 150, true, &[(5, 3)])];
    let person = Person { id: Uuid::nil(), versions, days, teams: Vec::new(), exemption: None };
    let rolling = |on| Rolling::new(&person.facts(&person.uses()), on);
    let other = Pages::from([(at(150), vec![(0, DayUse { actions: [0, 0, 4, 0, 0], ..person.uses()[0] })])]);
    let elsewhere = Pages::from([(at(150), vec![(1, person.uses()[0])])]);
    for pages in [other, elsewhere] {
        let mut block = Block { on: at(150), members: vec![rolling(at(150))] };
        assert_eq!(block.back(&pages), None);
        let mut block = Block { on: at(156), members: vec![rolling(at(156))] };
        assert_eq!(block.forward(&pages), None);
    }
}

#[test]
fn each_seat_state_has_its_case() {
    let coverage: Coverage = (0..200).map(at).collect();
    let as_of = at(199);
    let maker = Standing { role: Role::Maker, disabled: false, pending: false };
    let judged = |standing: Standing, seen: u64, active: &[u64], coverage: &Coverage| {
        let versions = vec![Version { valid_from: at(seen), standing: Some(standing) }];
        let days = active.iter().map(|offset| row(Uuid::nil(), *offset, true, &[])).collect();
        let person = Person { id: Uuid::nil(), versions, days, teams: Vec::new(), exemption: None };
        fold(&[person], as_of, as_of, coverage, at(0)).seats.remove(0)
    };
    let state = |standing, seen, active: &[u64], coverage| judged(standing, seen, active, coverage).state;
    let full = &coverage;
    assert_eq!(state(Standing { disabled: true, ..maker.clone() }, 0, &[199], full), SeatState::Disabled);
    let pending = Standing { pending: true, ..maker.clone() };
    assert_eq!(state(pending.clone(), 0, &[], full), SeatState::Pending);
    assert_eq!(judged(pending, 7, &[], full).pending_since, Some(at(7)));
    let gap: Coverage = (0..200).filter(|offset| *offset != 190).map(at).collect();
    assert_eq!(state(maker.clone(), 0, &[], &gap), SeatState::Unknown);
    assert_eq!(state(maker.clone(), 170, &[], full), SeatState::New, "29 days before");
    assert_eq!(state(maker.clone(), 169, &[], full), SeatState::NeverSeen, "30 days before");
    assert_eq!(state(maker.clone(), 0, &[171], full), SeatState::Dormant, "the day before the window");
    assert_eq!(state(maker.clone(), 0, &[172], full), SeatState::Occasional, "the window's first day");
    assert_eq!(state(maker.clone(), 0, &[172, 180, 199], full), SeatState::Occasional);
    assert_eq!(state(maker, 0, &[172, 180, 190, 199], full), SeatState::Engaged);
}

#[test]
fn a_member_of_two_teams_counts_in_both_and_once_in_all() {
    let coverage: Coverage = (0..100).map(at).collect();
    let versions = vec![Version {
        valid_from: at(0),
        standing: Some(Standing { role: Role::Maker, disabled: false, pending: false }),
    }];
    let teams = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
    let days = vec![row(Uuid::nil(), 99, true, &[])];
    let person = Person { id: Uuid::nil(), versions, days, teams, exemption: None };
    let rollup = fold(&[person], at(99), at(99), &coverage, at(0));
    let seats = |cut: Cut| rollup.windows[&(cut, at(99), 7)].active_seats;
    assert_eq!([1, 2].map(|team| seats(Cut::Team(Uuid::from_u128(team)))), [1, 1]);
    assert_eq!(seats(Cut::All), 1);
    let kinds: BTreeSet<_> = rollup.windows.keys().map(|key| key.0.kind()).collect();
    assert_eq!(kinds, ["all", "team", "role", "cohort"].into());
}
