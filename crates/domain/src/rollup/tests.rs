//! The fold against a naive computation that follows the definitions word by word, on random workspaces.

use proptest::prelude::*;

use super::*;
use crate::{
    activity::{COUNTER_TABLE, Counters},
    member::{Role, Standing},
};

fn origin() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap()
}

fn at(offset: u64) -> NaiveDate {
    origin() + Days::new(offset)
}

#[derive(Debug, Clone)]
struct Person {
    id: Uuid,
    versions: Vec<Version>,
    days: Vec<MemberDay>,
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Admin), Just(Role::Maker), Just(Role::Viewer), Just(Role::Contributor)]
}

fn version() -> impl Strategy<Value = Option<Standing>> {
    prop_oneof![
        6 => (role(), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
            .prop_map(|(role, disabled, pending)| Some(Standing { role, disabled, pending })),
        1 => Just(None),
    ]
}

fn person() -> impl Strategy<Value = Person> {
    let versions = prop::collection::btree_map(0_u64..200, version(), 0..4);
    let day = (any::<bool>(), prop::collection::vec((0..COUNTER_TABLE.len(), 0_u32..5), 0..4));
    let days = prop::collection::btree_map(0_u64..200, day, 0..40);
    (any::<u128>(), versions, days).prop_map(|(id, versions, days)| {
        let id = Uuid::from_u128(id);
        let versions = versions.into_iter();
        let days = days.into_iter().map(|(offset, (active_flag, set))| {
            let mut counters = Counters::default();
            set.into_iter().for_each(|(counter, value)| counters.0[counter] = Some(value));
            MemberDay { member_id: id, day: at(offset), role: Role::Maker, active_flag, counters }
        });
        Person {
            id,
            versions: versions.map(|(from, standing)| Version { valid_from: at(from), standing }).collect(),
            days: days.collect(),
        }
    })
}

/// The definitions, read aloud: no bits, no sums carried along.
fn naive(people: &[Person], day: NaiveDate, window: u32, coverage: &Coverage) -> WindowUse {
    let days: Vec<_> = (0..u64::from(window)).map(|back| day - Days::new(back)).collect();
    let covered_days = days.iter().filter(|day| coverage.contains(**day)).count() as u32;
    let mut result = WindowUse { covered_days, ..WindowUse::default() };
    for person in people {
        let Some(standing) = standing_on(&person.versions, day) else { continue };
        let rows: Vec<_> = person.days.iter().filter(|row| days.contains(&row.day)).collect();
        let active = rows.iter().filter(|row| row.is_active()).count() as u32;
        result.member_days += active;
        result.active_members += u32::from(active > 0);
        if standing.is_paid_seat() {
            result.assigned += 1;
            result.active_seats += u32::from(active > 0);
            for area in Area::ALL {
                let mut actions =
                    rows.iter().flat_map(|row| row.counters.actions()).filter(|(of, ..)| *of == area);
                let list: Vec<_> = actions.by_ref().collect();
                let sum = &mut result.areas[area as usize];
                sum.members += u32::from(!list.is_empty());
                sum.creators += u32::from(list.iter().any(|(_, kind, _)| *kind == Kind::Edit));
                sum.openers += u32::from(list.iter().any(|(_, kind, _)| *kind == Kind::View));
                sum.actions += list.iter().map(|(.., value)| u64::from(*value)).sum::<u64>();
            }
        }
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_fold_equals_the_naive_computation(
        people in prop::collection::vec(person(), 0..8),
        first in 0_u64..150, span in 0_u64..40,
        covered in prop::collection::btree_set(0_u64..200, 0..200),
    ) {
        let coverage: Coverage = covered.into_iter().map(at).collect();
        let (first, last) = (at(first), at(first + span));
        let mut fold = Fold::new(first, last, &coverage);
        for person in &people {
            fold.member(MemberFacts { member_id: person.id, versions: &person.versions, days: &person.days });
        }
        let rollup = fold.finish();
        prop_assert_eq!(rollup.windows.len() as u64, (span + 1) * 4);
        for ((day, window), row) in &rollup.windows {
            prop_assert_eq!(row, &naive(&people, *day, *window, &coverage), "{} over {}", day, window);
        }
        for seat in &rollup.seats {
            let unsure = matches!(seat.state, SeatState::Dormant | SeatState::NeverSeen | SeatState::New);
            prop_assert!(!unsure || coverage.is_full(last, 28), "unknown is not inactive");
        }
    }
}

#[test]
fn each_seat_state_has_its_case() {
    let coverage: Coverage = (0..200).map(at).collect();
    let as_of = at(199);
    let maker = Standing { role: Role::Maker, disabled: false, pending: false };
    let state = |standing: Standing, seen: u64, active: &[u64], coverage: &Coverage| {
        let versions = [Version { valid_from: at(seen), standing: Some(standing) }];
        let days: Vec<_> = active
            .iter()
            .map(|offset| MemberDay {
                member_id: Uuid::nil(),
                day: at(*offset),
                role: Role::Maker,
                active_flag: true,
                counters: Counters::default(),
            })
            .collect();
        let facts = MemberFacts { member_id: Uuid::nil(), versions: &versions, days: &days };
        seat::judge(&facts, as_of, coverage).unwrap().state
    };
    let full = &coverage;
    assert_eq!(state(Standing { disabled: true, ..maker.clone() }, 0, &[199], full), SeatState::Disabled);
    assert_eq!(state(Standing { pending: true, ..maker.clone() }, 0, &[], full), SeatState::Pending);
    let gap: Coverage = (0..200).filter(|offset| *offset != 190).map(at).collect();
    assert_eq!(state(maker.clone(), 0, &[], &gap), SeatState::Unknown);
    assert_eq!(state(maker.clone(), 170, &[], full), SeatState::New, "29 days before");
    assert_eq!(state(maker.clone(), 169, &[], full), SeatState::NeverSeen, "30 days before");
    assert_eq!(state(maker.clone(), 0, &[171], full), SeatState::Dormant, "the day before the window");
    assert_eq!(state(maker.clone(), 0, &[172], full), SeatState::Occasional, "the window's first day");
    assert_eq!(state(maker.clone(), 0, &[172, 180, 199], full), SeatState::Occasional);
    assert_eq!(state(maker, 0, &[172, 180, 190, 199], full), SeatState::Engaged);
}
