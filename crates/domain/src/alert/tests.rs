use super::*;
use crate::{
    member::{Role, Standing},
    rollup::SeatUse,
};

fn day(offset: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(offset)
}

fn seat(state: SeatState) -> Seat {
    Seat {
        member_id: Uuid::from_u128(1),
        standing: Standing { role: Role::Maker, disabled: false, pending: false },
        state,
        first_seen_day: day(0),
        last_active_day: None,
        pending_since: None,
        uses: [SeatUse::default(); 3],
        areas_used: BTreeSet::new(),
    }
}

/// A connection over time: what was told is remembered as the database does.
#[derive(Default)]
struct Watch {
    told: BTreeSet<Told>,
    looked: bool,
    contract: Contract,
    exempt: BTreeSet<Uuid>,
}

impl Watch {
    fn look(&mut self, today: u64, as_of: u64, seats: &[Seat], utilization: [u32; 2]) -> Vec<&'static str> {
        let [now, before] = utilization.map(|used| Some(Ratio::of(used, 100_u32)));
        let situation = Situation {
            as_of: day(as_of),
            today: day(today),
            utilization: now,
            utilization_before: before,
            assigned: 100,
            seats,
            exempt: &self.exempt,
            contract: &self.contract,
            droppable: None,
            reconnect_required: false,
        };
        let turn = situation.turn(&self.told, !self.looked);
        self.looked = true;
        self.told.retain(|one| !turn.ended.contains(one));
        self.told.extend(turn.silent);
        self.told.extend(turn.begun.iter().map(|alert| (alert.kind().to_owned(), alert.subject())));
        turn.begun.iter().map(Alert::kind).collect()
    }
}

#[test]
fn a_seat_that_goes_idle_is_told_once_each_time() {
    let mut watch = Watch::default();
    let (idle, engaged) = ([seat(SeatState::Dormant)], [seat(SeatState::Engaged)]);
    assert!(watch.look(101, 100, &idle, [90, 90]).is_empty(), "it was idle before anybody looked");
    assert!(watch.look(102, 101, &engaged, [90, 90]).is_empty());
    assert_eq!(watch.look(103, 102, &idle, [90, 90]), ["seat_idle"]);
    assert!(watch.look(104, 103, &idle, [90, 90]).is_empty());
    assert!(watch.look(105, 104, &[seat(SeatState::Unknown)], [90, 90]).is_empty());
    assert!(watch.look(106, 105, &idle, [90, 90]).is_empty(), "a gap in the coverage is no return");
    watch.look(107, 106, &engaged, [90, 90]);
    watch.exempt.insert(Uuid::from_u128(1));
    assert!(watch.look(108, 107, &idle, [90, 90]).is_empty(), "an exempt seat may be idle");
}

#[test]
fn two_windows_under_the_target_are_told_once() {
    let mut watch = Watch::default();
    watch.contract.target_percent = Some(80);
    assert!(watch.look(101, 100, &[], [70, 85]).is_empty(), "one window may be a holiday");
    assert_eq!(watch.look(129, 128, &[], [70, 70]), ["below_target"]);
    assert!(watch.look(130, 129, &[], [69, 70]).is_empty());
    assert!(watch.look(160, 159, &[], [81, 69]).is_empty());
    assert_eq!(watch.look(220, 219, &[], [60, 60]), ["below_target"], "another time");
    watch.contract.target_percent = None;
    assert!(watch.look(221, 220, &[], [10, 10]).is_empty(), "nobody asked");
}

#[test]
fn a_renewal_is_told_at_each_distance_once() {
    let mut watch = Watch::default();
    watch.contract.renewal = Some(day(200));
    let told: Vec<_> =
        (70..=210).filter(|today| !watch.look(*today, today - 1, &[], [90, 90]).is_empty()).collect();
    assert_eq!(told, [80, 110, 140]);
    let mut late = Watch::default();
    late.contract.renewal = Some(day(200));
    assert_eq!(late.look(150, 149, &[], [90, 90]), ["renewal_near"], "only the nearest of those passed");
    assert!(late.look(151, 150, &[], [90, 90]).is_empty());
    late.contract.renewal = Some(day(565));
    assert_eq!(late.look(460, 459, &[], [90, 90]), ["renewal_near"], "the next term's");
}

#[test]
fn old_numbers_and_too_many_seats_are_told_until_they_end() {
    let mut watch = Watch::default();
    assert!(watch.look(103, 100, &[], [90, 90]).is_empty());
    assert_eq!(watch.look(104, 100, &[], [90, 90]), ["data_stale"]);
    assert!(watch.look(105, 100, &[], [90, 90]).is_empty());
    assert!(watch.look(106, 105, &[], [90, 90]).is_empty());
    watch.contract.purchased = Some(99);
    assert_eq!(watch.look(110, 105, &[], [90, 90]), ["data_stale", "over_allocated"]);
    assert!(watch.look(111, 105, &[], [90, 90]).is_empty());
}

#[test]
fn an_alert_reads_back_and_says_what_it_is() {
    let as_of = Some(day(109));
    let renewal = RenewalNear { renewal: day(200), days: 90, droppable_seats: Some(7), as_of };
    let stale = DataStale { as_of: day(100), reconnect_required: true };
    for (alert, sentence) in [
        (
            Alert::RenewalNear(renewal),
            "the contract renews on 2026-07-20, in at most 90 days; 7 seats fewer could be bought",
        ),
        (
            Alert::DataStale(stale),
            "the newest numbers are of 2026-04-11: the workspace has to be reconnected",
        ),
    ] {
        let text = serde_json::to_string(&alert).unwrap();
        assert!(text.contains(&format!("\"kind\":\"{}\"", alert.kind())), "{text}");
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), alert);
        assert_eq!(alert.sentence(), sentence);
    }
}

#[test]
fn a_share_is_told_with_both_its_halves_and_every_number_with_its_day() {
    let as_of = day(100);
    let below = BelowTarget { as_of, active_seats: 7, assigned_seats: 10, target_percent: 80 };
    let over = OverAllocated { as_of, assigned_seats: 12, purchased_seats: 10 };
    let near = RenewalNear { renewal: day(200), days: 120, droppable_seats: Some(7), as_of: Some(as_of) };
    for (alert, share) in [
        (Alert::BelowTarget(below), Some(Ratio::of(7_u64, 10_u64))),
        (Alert::OverAllocated(over), Some(Ratio::of(12_u32, 10_u32))),
        (Alert::RenewalNear(near), None),
    ] {
        assert_eq!((alert.share(), alert.as_of()), (share, Some(as_of)), "{}", alert.kind());
    }
}

/// A whole cohort passes the threshold on one day.
#[test]
fn seats_that_go_idle_together_are_one_announcement() {
    let idle = |number: u128| {
        let last_active_day = number.is_multiple_of(2).then(|| day(3));
        let (as_of, state) = (day(100), SeatState::Dormant);
        Alert::SeatIdle(SeatIdle { as_of, member_id: Uuid::from_u128(number), state, last_active_day })
    };
    let stale = Alert::DataStale(DataStale { as_of: day(100), reconnect_required: false });
    let turn = |seats: u128| Turn {
        begun: std::iter::once(stale.clone()).chain((1..=seats).map(idle)).collect(),
        ..Turn::default()
    };
    assert_eq!(turn(0).announcements(), [Data::from(stale.clone())]);
    for (seats, listed) in [(1, 1), (100, 100), (101, 100), (5_000, 100)] {
        let announced = turn(seats).announcements();
        let [Data::DataStale(_), Data::SeatsIdle(burst)] = &announced[..] else { panic!("{announced:?}") };
        assert_eq!((burst.as_of, u128::from(burst.total), burst.seats.len()), (day(100), seats, listed));
        let first = &burst.seats[0];
        assert_eq!((first.member_id, first.last_active_day), (Uuid::from_u128(1), None));
    }
}

/// A later version announces what this one does not know.
#[test]
fn alerts_of_a_later_version_are_left_alone() {
    let mut watch = Watch::default();
    let later = ("seat_shared".to_owned(), Uuid::from_u128(1).to_string());
    watch.told.extend([later.clone(), ("seat_idle".to_owned(), Uuid::from_u128(1).to_string())]);
    watch.look(101, 100, &[seat(SeatState::Engaged)], [90, 90]);
    assert_eq!(watch.told, BTreeSet::from([later]));
}
