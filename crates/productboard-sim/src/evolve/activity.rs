//! Activity of one day: everybody goes on as in the last weeks. Some rows come up to three days late, and the day
//! before may still count on.

use std::collections::{BTreeMap, HashSet};

use chrono::{Days, NaiveDate};
use rand::Rng;
use uuid::Uuid;

use super::Changes;
use crate::people::Habit;
use crate::{Activity, Member, Workspace, calendar, counters};

/// How far back habits are read.
const WEEKS: u64 = 8;
/// The share of rows that are there on their day.
const IN_TIME: f64 = 0.75;
/// The chance of a missing row to come on each of the next days.
const LATE: f64 = 0.1;
const LATEST: u64 = 3;
const COUNTS_ON: f64 = 0.05;
/// Somebody without any use for weeks comes back now and then.
const COMES_BACK: f64 = 0.004;

/// How somebody used the product lately.
struct Pulse {
    first: NaiveDate,
    days: u32,
    sums: [f64; 19],
    says_editor: bool,
}

impl Pulse {
    /// The chance to come on a plain weekday, a little less sure than what was seen.
    fn presence(&self, day: NaiveDate) -> f64 {
        let weekdays = (day - self.first).num_days() as f64 * 5.0 / 7.0;
        ((f64::from(self.days) + 1.0) / (weekdays + 2.0)).min(1.0)
    }

    fn rates(&self) -> [f64; 19] {
        self.sums.map(|sum| sum / f64::from(self.days.max(1)))
    }
}

pub(super) fn live(
    rng: &mut impl Rng,
    workspace: &mut Workspace,
    day: NaiveDate,
    newcomers: &[Uuid],
    changes: &mut Changes,
) {
    let pulses = pulses(workspace, day);
    let recent = workspace.window(Some(day - Days::new(LATEST)), None);
    let there: HashSet<(NaiveDate, Uuid)> =
        workspace.activities[recent].iter().map(|row| (row.date, row.member_id)).collect();
    let members: BTreeMap<Uuid, &Member> = workspace.members.iter().map(|it| (it.id, it)).collect();
    let mut rows = Vec::new();
    for (id, pulse) in &pulses {
        let role = match members.get(id) {
            Some(member) if member.disabled || member.invitation_pending => continue,
            Some(member) if pulse.says_editor && member.role == "maker" => "editor",
            Some(member) => &member.role,
            None => "viewer",
        };
        for date in coming(rng, pulse, day).into_iter().filter(|date| !there.contains(&(*date, *id))) {
            rows.push(row(rng, date, *id, role, &pulse.rates()));
        }
    }
    for member in workspace.members.iter().filter(|it| !it.disabled && !it.invitation_pending) {
        let back = !pulses.contains_key(&member.id) && rng.random_bool(COMES_BACK);
        if back || newcomers.contains(&member.id) {
            let rates = first_rates(rng, &member.role);
            rows.push(row(rng, day, member.id, &member.role, &rates));
        }
    }
    rows.sort_by_key(|row| (row.date, row.member_id));
    rows.dedup_by_key(|row| (row.date, row.member_id));
    changes.activities_late += rows.iter().filter(|row| row.date < day).count();
    changes.activities_added += rows.iter().filter(|row| row.date == day).count();
    changes.activities_changed += count_on(rng, workspace, day);
    workspace.activities.extend(rows);
}

/// The days whose rows come today: today's own, and late ones.
fn coming(rng: &mut impl Rng, pulse: &Pulse, day: NaiveDate) -> Vec<NaiveDate> {
    let presence = pulse.presence(day);
    let comes = |ago: &u64| {
        let share = if *ago == 0 { IN_TIME } else { LATE };
        rng.random_bool((presence * share * calendar::weekday(day - Days::new(*ago))).min(1.0))
    };
    let days = (0..=LATEST).filter(comes).map(|ago| day - Days::new(ago));
    days.filter(|date| *date >= pulse.first).collect()
}

/// Habits of the last weeks, by member. People who are no members go on as well.
fn pulses(workspace: &Workspace, day: NaiveDate) -> BTreeMap<Uuid, Pulse> {
    let mut pulses: BTreeMap<Uuid, Pulse> = BTreeMap::new();
    for row in &workspace.activities[workspace.window(Some(day - Days::new(WEEKS * 7)), None)] {
        if row.counters.iter().flatten().all(|count| *count == 0) {
            continue;
        }
        let fresh = || Pulse { first: row.date, days: 0, sums: [0.0; 19], says_editor: false };
        let pulse = pulses.entry(row.member_id).or_insert_with(fresh);
        pulse.days += 1;
        pulse.says_editor |= row.role == "editor";
        for (sum, count) in pulse.sums.iter_mut().zip(row.counters) {
            *sum += f64::from(count.unwrap_or(0));
        }
    }
    pulses
}

fn first_rates(rng: &mut impl Rng, role: &str) -> [f64; 19] {
    let habit = match role {
        "viewer" => Habit::Viewer,
        "contributor" => Habit::Contributor,
        _ => Habit::Newcomer,
    };
    counters::rates(rng, habit)
}

fn row(rng: &mut impl Rng, date: NaiveDate, member_id: Uuid, role: &str, rates: &[f64; 19]) -> Activity {
    let counts = counters::draw(rng, rates);
    let sparse = rng.random_bool(calendar::SPARSE_ROW);
    let counters = counts.map(|count| (count > 0 || !sparse).then_some(count));
    Activity { date, member_id, role: role.to_owned(), active_flag: true, counters }
}

/// Some rows of the day before were not final: one more opened grid.
fn count_on(rng: &mut impl Rng, workspace: &mut Workspace, day: NaiveDate) -> usize {
    let before = day - Days::new(1);
    let rows = workspace.window(Some(before), Some(before));
    let mut changed = 0;
    for row in &mut workspace.activities[rows] {
        if row.active_flag && rng.random_bool(COUNTS_ON) {
            for counter in [1, 14] {
                row.counters[counter] = Some(row.counters[counter].unwrap_or(0) + 1);
            }
            changed += 1;
        }
    }
    changed
}
