//! Which days a person comes: weekdays, holidays, beginnings, endings, and a today that is not over yet.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use rand::Rng;

use crate::people::{Habit, Person};
use crate::{Activity, WorkspaceSpec, counters};

/// The vendor sometimes writes a row for somebody who did nothing.
const EMPTY_ROW: f64 = 0.02;
/// The flag and the counters disagree now and then, as in the vendor's own example.
const WRONG_FLAG: f64 = 0.01;
/// Rows that leave their zero counters out.
pub(crate) const SPARSE_ROW: f64 = 0.4;

/// All rows of one person over the days of the spec.
pub(crate) fn live(rng: &mut impl Rng, person: &Person, spec: &WorkspaceSpec) -> Vec<Activity> {
    if person.presence == 0.0 {
        return Vec::new();
    }
    let Some(first) = spec.days.checked_sub(1).map(|days| spec.today - Days::new(days.into())) else {
        return Vec::new();
    };
    let landmark = landmark(person);
    first
        .max(person.joined)
        .iter_days()
        .take_while(|day| *day <= spec.today)
        .filter_map(|day| {
            if Some(day) == landmark || rng.random_bool(chance(person, day, spec.today)) {
                Some(worked(rng, person, day))
            } else if person.is_member() && !is_weekend(day) && rng.random_bool(EMPTY_ROW) {
                Some(row(rng, person, day, false, [0; 19]))
            } else {
                None
            }
        })
        .collect()
}

/// A day on which the person surely came, so that a newcomer has a beginning and a dormant seat a past.
fn landmark(person: &Person) -> Option<NaiveDate> {
    let day = match person.habit {
        Habit::Newcomer => Some(person.joined),
        _ => person.stopped,
    }?;
    Some(match day.weekday() {
        Weekday::Sat if person.stopped.is_some() => day - Days::new(1),
        Weekday::Sun if person.stopped.is_some() => day - Days::new(2),
        _ => day,
    })
}

fn chance(person: &Person, day: NaiveDate, today: NaiveDate) -> f64 {
    if person.stopped.is_some_and(|stopped| day > stopped) {
        return 0.0;
    }
    let fading = if person.habit == Habit::Fading { fade(day, today) } else { 1.0 };
    let unfinished = if day == today { 0.4 } else { 1.0 };
    (person.presence * weekday(day) * season(day) * fading * unfinished).min(1.0)
}

pub(crate) fn weekday(day: NaiveDate) -> f64 {
    match day.weekday() {
        Weekday::Tue | Weekday::Wed => 1.05,
        Weekday::Mon | Weekday::Thu => 1.0,
        Weekday::Fri => 0.8,
        Weekday::Sat | Weekday::Sun => 0.05,
    }
}

fn season(day: NaiveDate) -> f64 {
    match (day.month(), day.day()) {
        (12, 24..) | (1, 1) => 0.15,
        (7 | 8, _) => 0.8,
        _ => 1.0,
    }
}

/// Full use until four months ago, next to nothing today.
fn fade(day: NaiveDate, today: NaiveDate) -> f64 {
    ((today - day).num_days() as f64 / 120.0).clamp(0.02, 1.0)
}

pub(crate) fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

fn worked(rng: &mut impl Rng, person: &Person, day: NaiveDate) -> Activity {
    let counts = counters::draw(rng, &person.rates);
    let did_something = counts.iter().any(|count| *count > 0);
    let flag = !(did_something && rng.random_bool(WRONG_FLAG));
    row(rng, person, day, flag, counts)
}

fn row(
    rng: &mut impl Rng,
    person: &Person,
    day: NaiveDate,
    active_flag: bool,
    counts: [u32; 19],
) -> Activity {
    let sparse = rng.random_bool(SPARSE_ROW);
    let role = if person.rows_say_editor && rng.random_bool(0.8) { "editor" } else { person.role };
    Activity {
        date: day,
        member_id: person.id,
        role: role.to_owned(),
        active_flag,
        counters: counts.map(|count| (count > 0 || !sparse).then_some(count)),
    }
}
