//! The definitions, read aloud: no bits, no sums carried along, every row looked at for every window.

use super::*;
use crate::{
    activity::{Area, Kind},
    member::standing_on,
    recommendation::{Action, Recommendation, Tier},
};

fn first_seen(person: &Person) -> Option<NaiveDate> {
    let listed = person.versions.first()?.valid_from;
    Some(person.days.iter().map(|row| row.day).chain([listed]).min().unwrap())
}

/// The cuts a person belongs to on a day, standing in that way.
fn belongs(person: &Person, standing: &Standing) -> Vec<Cut> {
    let mut cuts = vec![Cut::All, Cut::Role(standing.role.clone())];
    cuts.extend(person.teams.iter().map(|team| Cut::Team(*team)));
    cuts.extend(first_seen(person).map(Cut::cohort));
    cuts
}

pub(super) fn windows(
    people: &[Person],
    (first, last): (NaiveDate, NaiveDate),
    coverage: &Coverage,
    start: NaiveDate,
) -> BTreeMap<Key, WindowUse> {
    let mut all: BTreeMap<Key, WindowUse> = BTreeMap::new();
    for day in first.iter_days().take_while(|day| *day <= last) {
        for window in [1, 7, 28, 90] {
            let days: Vec<_> = (0..u64::from(window)).map(|back| day - Days::new(back)).collect();
            all.insert((Cut::All, day, window), WindowUse::default());
            for person in people {
                add(&mut all, person, day, window, &days, start);
            }
        }
    }
    for ((_, day, window), row) in &mut all {
        row.covered_days =
            (0..u64::from(*window)).filter(|back| coverage.contains(*day - Days::new(*back))).count() as u32;
    }
    let blank = |row: &WindowUse| {
        row.assigned + row.active_members + row.member_days + row.daily_actives == 0
            && row.areas.iter().all(|area| area.actions == 0)
    };
    all.retain(|key, row| key.0 == Cut::All || !blank(row));
    all
}

fn add(
    all: &mut BTreeMap<Key, WindowUse>,
    person: &Person,
    day: NaiveDate,
    window: u32,
    days: &[NaiveDate],
    start: NaiveDate,
) {
    // Of each day of the window, whether the person was active then and listed then, in the cuts of then.
    for row in person.days.iter().filter(|row| days.contains(&row.day) && row.is_active()) {
        if let Some(standing) = standing_on(&person.versions, start, row.day) {
            for cut in belongs(person, standing) {
                all.entry((cut, day, window)).or_default().daily_actives += 1;
            }
        }
    }
    let Some(standing) = standing_on(&person.versions, start, day) else { return };
    let rows: Vec<_> = person.days.iter().filter(|row| days.contains(&row.day)).collect();
    let active = rows.iter().filter(|row| row.is_active()).count() as u32;
    for cut in belongs(person, standing) {
        let sum = all.entry((cut, day, window)).or_default();
        sum.member_days += active;
        sum.active_members += u32::from(active > 0);
        if standing.is_paid_seat() {
            sum.assigned += 1;
            sum.active_seats += u32::from(active > 0);
            Area::ALL.into_iter().for_each(|area| add_area(sum, area, &rows));
        }
    }
}

fn add_area(sum: &mut WindowUse, area: Area, rows: &[&MemberDay]) {
    let list: Vec<_> =
        rows.iter().flat_map(|row| row.counters.actions()).filter(|(of, ..)| *of == area).collect();
    let sum = &mut sum.areas[area as usize];
    sum.members += u32::from(!list.is_empty());
    sum.creators += u32::from(list.iter().any(|(_, kind, _)| *kind == Kind::Edit));
    sum.openers += u32::from(list.iter().any(|(_, kind, _)| *kind == Kind::View));
    sum.actions += list.iter().map(|(.., value)| u64::from(*value)).sum::<u64>();
}

pub(super) fn seats(people: &[Person], as_of: NaiveDate, coverage: &Coverage, start: NaiveDate) -> Vec<Seat> {
    people.iter().filter_map(|person| seat(person, as_of, coverage, start)).collect()
}

fn seat(person: &Person, as_of: NaiveDate, coverage: &Coverage, start: NaiveDate) -> Option<Seat> {
    let present = person.versions.iter().rev().find(|version| version.valid_from <= as_of);
    let reaching = person.versions.first().filter(|version| version.valid_from == start);
    let standing = present.or(reaching)?.standing.clone()?;
    let rows = |window: u64| {
        let days = (0..window).map(|back| as_of - Days::new(back)).collect::<BTreeSet<_>>();
        person.days.iter().filter(move |row| days.contains(&row.day)).collect::<Vec<_>>()
    };
    let active: BTreeSet<_> =
        person.days.iter().filter(|row| row.day <= as_of && row.is_active()).map(|row| row.day).collect();
    let first_seen_day = first_seen(person)?;
    let covered = (0..28).all(|back| coverage.contains(as_of - Days::new(back)));
    let recent = rows(28).iter().filter(|row| row.is_active()).count();
    let state = match (&standing, covered, active.is_empty(), recent) {
        (Standing { disabled: true, .. }, ..) => SeatState::Disabled,
        (Standing { pending: true, .. }, ..) => SeatState::Pending,
        (_, false, ..) => SeatState::Unknown,
        (_, _, true, _) if (as_of - first_seen_day).num_days() < 30 => SeatState::New,
        (_, _, true, _) => SeatState::NeverSeen,
        (.., 0) => SeatState::Dormant,
        (.., 1..=3) => SeatState::Occasional,
        _ => SeatState::Engaged,
    };
    let mut pending_since = None;
    for version in person
        .versions
        .iter()
        .filter(|version| version.valid_from <= as_of || version.valid_from == person.versions[0].valid_from)
    {
        let waits = version.standing.as_ref().is_some_and(|standing| standing.pending);
        pending_since = if waits { pending_since.or(Some(version.valid_from)) } else { None };
    }
    let areas = |window| {
        let actions = rows(window).into_iter().flat_map(|row| row.counters.actions().collect::<Vec<_>>());
        actions.map(|(area, ..)| area).collect::<BTreeSet<_>>()
    };
    let uses = [7, 28, 90].map(|window| {
        let count = |of: fn(&str) -> bool| {
            let mut sum = 0;
            for row in rows(window) {
                for (counter, value) in COUNTER_TABLE.iter().zip(row.counters.0) {
                    let total = ["board_created", "board_opened"].contains(&counter.column);
                    if !total && of(counter.column) {
                        sum += u64::from(value.unwrap_or(0));
                    }
                }
            }
            sum
        };
        SeatUse {
            active_days: rows(window).iter().filter(|row| row.is_active()).count() as u32,
            areas: areas(window).len() as u32,
            actions: count(|_| true),
            views: count(|column| column.ends_with("_opened")),
            maker_actions: count(|column| {
                column == "note_state_changed" || column.ends_with("_created") && column != "note_created"
            }),
            notes: count(|column| column == "note_created"),
        }
    });
    Some(Seat {
        member_id: person.id,
        standing,
        state,
        first_seen_day,
        last_active_day: active.last().copied(),
        pending_since,
        uses,
        areas_used: areas(90),
    })
}

/// Whether, of the last 28 days, those on which at least two members did something are enough, and all of them such that
/// everybody did equally much.
pub(super) fn are_totals_repeated(people: &[Person], last: NaiveDate) -> bool {
    let listed = || people.iter().filter(|person| !person.versions.is_empty());
    let sums = |day: NaiveDate| -> Vec<u64> {
        let rows = listed().flat_map(|person| person.days.iter().filter(move |row| row.day == day));
        let sums = rows.map(|row| row.counters.actions().map(|(.., value)| u64::from(value)).sum());
        sums.filter(|sum| *sum > 0).collect()
    };
    let days = (0..28).map(|back| sums(last - Days::new(back)));
    let told: Vec<_> = days.filter(|sums| sums.len() >= 2).collect();
    told.len() >= 5 && told.iter().all(|sums| sums.iter().all(|sum| *sum == sums[0]))
}

pub(super) fn recommendations(
    people: &[Person],
    as_of: NaiveDate,
    coverage: &Coverage,
    start: NaiveDate,
) -> Vec<Recommendation> {
    let repeated = are_totals_repeated(people, as_of);
    let known = |days: u64| (0..days).all(|back| coverage.contains(as_of - Days::new(back)));
    let mut all = Vec::new();
    for person in people {
        let exempt = person.exemption.as_ref();
        let is_exempt = exempt.is_some_and(|it| it.ended_at.is_none() && it.until > as_of);
        let Some(seat) = seat(person, as_of, coverage, start).filter(|_| !is_exempt) else { continue };
        if !matches!(seat.standing.role, Role::Admin | Role::Maker) {
            continue;
        }
        let used = seat.uses[2];
        let active = |day: &NaiveDate| person.days.iter().any(|row| row.day == *day && row.is_active());
        let idle_60 = !(0..60).map(|back| as_of - Days::new(back)).any(|day| active(&day));
        let seen_60 = (as_of - seat.first_seen_day).num_days() >= 60;
        let advice = match seat.state {
            SeatState::Disabled => Some((Tier::Certain, Action::RemoveDisabled)),
            SeatState::Pending if seat.pending_since.unwrap() < as_of - Days::new(30) => {
                Some((Tier::Certain, Action::WithdrawInvitation))
            }
            SeatState::Dormant | SeatState::NeverSeen if idle_60 && seen_60 && known(60) => {
                Some((Tier::Probable, Action::Reassign))
            }
            SeatState::Occasional | SeatState::Engaged
                if used.maker_actions == 0 && known(90) && !repeated =>
            {
                match (used.notes, used.views) {
                    (1.., _) => Some((Tier::Review, Action::ReviewContributor)),
                    (0, 1..) => Some((Tier::Review, Action::ReviewViewer)),
                    (0, 0) => None,
                }
            }
            _ => None,
        };
        all.extend(advice.map(|(tier, action)| Recommendation { member_id: person.id, tier, action }));
    }
    all.sort_by_key(|it| (it.tier as usize, it.action as usize, it.member_id));
    all
}
