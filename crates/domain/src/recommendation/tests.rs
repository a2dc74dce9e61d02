use std::collections::BTreeMap;

use chrono::DateTime;

use super::*;
use crate::{
    member::{Role, Standing},
    rollup::{CutSet, SeatUse},
};

fn day(back: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 6, 30).unwrap() - Days::new(back)
}

fn seat(number: u128, state: SeatState) -> Seat {
    Seat {
        member_id: Uuid::from_u128(number),
        standing: Standing {
            role: Role::Maker,
            disabled: state == SeatState::Disabled,
            pending: state == SeatState::Pending,
        },
        state,
        first_seen_day: day(300),
        last_active_day: None,
        pending_since: None,
        uses: [SeatUse::default(); 3],
        areas_used: BTreeSet::new(),
    }
}

fn used(number: u128, use_90: SeatUse) -> Seat {
    Seat { uses: [SeatUse::default(), SeatUse::default(), use_90], ..seat(number, SeatState::Engaged) }
}

fn rollup(seats: Vec<Seat>) -> Rollup {
    Rollup { days: (day(0), day(0)), cuts: CutSet::Whole, windows: BTreeMap::new(), seats, flags: Vec::new() }
}

fn covered(days: u64) -> Coverage {
    (0..days).map(day).collect()
}

fn all(rollup: &Rollup, days: u64) -> Vec<(u128, Action)> {
    recommend(rollup, &covered(days), &[]).iter().map(|it| (it.member_id.as_u128(), it.action)).collect()
}

#[test]
fn nobody_can_use_a_disabled_seat_or_an_old_invitation() {
    let waiting = |number, days| Seat { pending_since: Some(day(days)), ..seat(number, SeatState::Pending) };
    let free = Seat {
        standing: Standing { role: Role::Viewer, disabled: true, pending: false },
        ..seat(4, SeatState::Disabled)
    };
    let rollup = rollup(vec![seat(1, SeatState::Disabled), waiting(2, 31), waiting(3, 30), free]);
    let expected = [(1, Action::RemoveDisabled), (2, Action::WithdrawInvitation)];
    assert_eq!(all(&rollup, 0), expected, "what the roster says needs no coverage");
}

#[test]
fn sixty_covered_days_without_activity_are_probable() {
    let dormant =
        |number, days| Seat { last_active_day: Some(day(days)), ..seat(number, SeatState::Dormant) };
    let newcomer = Seat { first_seen_day: day(59), ..seat(4, SeatState::NeverSeen) };
    let rollup = rollup(vec![dormant(1, 60), dormant(2, 59), seat(3, SeatState::NeverSeen), newcomer]);
    assert_eq!(all(&rollup, 60), [(1, Action::Reassign), (3, Action::Reassign)]);
    assert_eq!(all(&rollup, 59), [], "a day that is not covered might have had activity");
}

#[test]
fn free_work_on_a_paid_seat_is_for_review() {
    let notes = SeatUse { active_days: 9, actions: 9, notes: 3, views: 6, ..SeatUse::default() };
    let opens = SeatUse { active_days: 9, actions: 6, views: 6, ..SeatUse::default() };
    let makes = SeatUse { maker_actions: 1, ..notes };
    let flag_only = SeatUse { active_days: 9, ..SeatUse::default() };
    let mut rollup = rollup(vec![used(1, notes), used(2, opens), used(3, makes), used(4, flag_only)]);
    assert_eq!(all(&rollup, 90), [(1, Action::ReviewContributor), (2, Action::ReviewViewer)]);
    assert_eq!(all(&rollup, 89), []);
    rollup.flags.push(Flag::RepeatedTotals);
    assert_eq!(all(&rollup, 90), [], "the workspace's totals say nothing of a seat");
}

#[test]
fn the_exempt_are_in_no_tier_until_the_exemption_ends() {
    let rollup = rollup(vec![seat(1, SeatState::Disabled)]);
    let exemption = |until| Exemption {
        member_id: Uuid::from_u128(1),
        reason: "on leave".to_owned(),
        until,
        set_at: DateTime::UNIX_EPOCH,
        ended_at: None,
    };
    let count = |exemption| recommend(&rollup, &covered(90), &[exemption]).len();
    assert_eq!(count(exemption(day(0) + Days::new(1))), 0);
    assert_eq!(count(exemption(day(0))), 1, "its last day is over when the numbers are read");
    let ended = Exemption { ended_at: Some(DateTime::UNIX_EPOCH), ..exemption(day(0) + Days::new(9)) };
    assert_eq!(count(ended), 1);
}

#[test]
fn money_is_told_in_two_parts_and_review_saves_nothing() {
    let opens = SeatUse { active_days: 9, actions: 6, views: 6, ..SeatUse::default() };
    let rollup = rollup(vec![seat(1, SeatState::Disabled), seat(2, SeatState::NeverSeen), used(3, opens)]);
    let found = recommend(&rollup, &covered(90), &[]);
    let price = Price { minor: 2_000, currency: "EUR".parse().unwrap() };
    let contract =
        Contract { purchased: Some(10), minimum: Some(9), price: Some(price), ..Contract::default() };
    let savings = Savings::of(&found, &contract);
    assert_eq!((savings.certain, savings.probable, savings.review), (1, 1, 1));
    assert_eq!((savings.reassignable_now, savings.reassignable_per_month), (2, Some(4_000)));
    assert_eq!((savings.droppable_at_renewal, savings.saving_at_renewal), (Some(1), Some(24_000)));
    let unknown = Savings::of(&found, &Contract::default());
    assert_eq!((unknown.droppable_at_renewal, unknown.saving_at_renewal), (None, None));
}
