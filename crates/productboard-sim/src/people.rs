//! The people of a workspace: their habits and the mix of habits that each [`crate::Health`] has.
//!
//! Which days they come is `calendar`, what they do on a day is `counters`.

use std::collections::HashSet;

use chrono::{Days, NaiveDate};
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use crate::{WorkspaceSpec, counters, names};

/// How somebody uses the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// A paid seat, most weekdays.
    Engaged,
    /// A paid seat, a few days a month.
    Occasional,
    /// A paid seat that was used once and is not any more.
    Dormant,
    /// A paid seat without any activity.
    NeverSeen,
    /// A paid seat that began in the last weeks.
    Newcomer,
    /// Disabled, with old activity.
    Leaver,
    /// Invited, never came.
    Pending,
    /// Opens boards.
    Viewer,
    /// Creates notes.
    Contributor,
    /// A paid seat that only does what a free one could.
    Onlooker,
    /// A paid seat used less each week.
    Fading,
    /// No member at all: a portal voter with activity rows.
    Outsider,
}

/// One person before they become a member, a set of memberships and rows.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) role: &'static str,
    pub(crate) habit: Habit,
    /// Their rows say `editor` where the members list says `maker`.
    pub(crate) rows_say_editor: bool,
    pub(crate) joined: NaiveDate,
    /// The last day of use, for those who stopped.
    pub(crate) stopped: Option<NaiveDate>,
    /// The chance to come on a plain weekday.
    pub(crate) presence: f64,
    /// What they do on a day, as mean counts.
    pub(crate) rates: [f64; 19],
}

impl Person {
    pub(crate) fn is_member(&self) -> bool {
        self.habit != Habit::Outsider
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.habit == Habit::Leaver
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.habit == Habit::Pending
    }
}

/// Every habit of a member with its weight in an engaged, a sprawling and a shrinking workspace. A workspace takes one
/// of each in this order as far as its size allows; the weights share out the rest.
const MIX: [(Habit, [u32; 3]); 11] = [
    (Habit::Engaged, [38, 14, 12]),
    (Habit::Viewer, [14, 12, 10]),
    (Habit::Occasional, [12, 12, 10]),
    (Habit::Dormant, [5, 18, 12]),
    (Habit::NeverSeen, [4, 20, 6]),
    (Habit::Contributor, [9, 7, 6]),
    (Habit::Newcomer, [6, 4, 2]),
    (Habit::Leaver, [5, 4, 20]),
    (Habit::Pending, [3, 4, 10]),
    (Habit::Onlooker, [4, 5, 2]),
    (Habit::Fading, [1, 1, 12]),
];

/// Draws all members, oldest first, then the outsiders.
pub(crate) fn draw(rng: &mut impl Rng, spec: &WorkspaceSpec) -> Vec<Person> {
    let weight = |(_, weights): &(Habit, [u32; 3])| weights[spec.health as usize];
    let mut taken = HashSet::new();
    let mut people: Vec<Person> = (0..spec.members)
        .map(|index| {
            let fallback = &MIX[index % MIX.len()];
            let drawn = if index < MIX.len() {
                fallback
            } else {
                MIX.choose_weighted(rng, weight).unwrap_or(fallback)
            };
            person(rng, spec, drawn.0, index, &mut taken)
        })
        .collect();
    people.sort_by_key(|person| person.joined);
    let outsiders = if spec.members == 0 { 0 } else { 3 + spec.members / 40 };
    people.extend((0..outsiders).map(|index| person(rng, spec, Habit::Outsider, index, &mut taken)));
    people
}

fn person(
    rng: &mut impl Rng,
    spec: &WorkspaceSpec,
    habit: Habit,
    index: usize,
    taken: &mut HashSet<String>,
) -> Person {
    let names::FullName { name, username, email } = names::person(rng, &spec.domain, taken);
    let role = role(rng, habit, index);
    let (joined, stopped) = tenure(rng, habit, spec.today);
    Person {
        id: uuid::Builder::from_random_bytes(rng.random()).into_uuid(),
        name,
        username,
        email,
        role,
        habit,
        rows_say_editor: role == "maker" && rng.random_bool(0.15),
        joined,
        stopped,
        presence: presence(rng, habit),
        rates: counters::rates(rng, habit),
    }
}

/// The first member is the admin who bought the workspace.
fn role(rng: &mut impl Rng, habit: Habit, index: usize) -> &'static str {
    match habit {
        Habit::Viewer | Habit::Outsider => "viewer",
        Habit::Contributor => "contributor",
        Habit::Engaged if index == 0 => "admin",
        Habit::Pending | Habit::Leaver if rng.random_bool(0.25) => "viewer",
        Habit::Engaged | Habit::Dormant | Habit::Occasional if rng.random_bool(0.12) => "admin",
        _ => "maker",
    }
}

fn tenure(rng: &mut impl Rng, habit: Habit, today: NaiveDate) -> (NaiveDate, Option<NaiveDate>) {
    let mut ago = |days: std::ops::RangeInclusive<u64>| today - Days::new(rng.random_range(days));
    match habit {
        Habit::Newcomer => (ago(4..=20), None),
        Habit::Pending => (ago(2..=75), None),
        Habit::NeverSeen => (ago(15..=420), None),
        Habit::Dormant => (ago(250..=600), Some(ago(35..=200))),
        Habit::Leaver => (ago(250..=600), Some(ago(30..=220))),
        _ => (ago(120..=700), None),
    }
}

fn presence(rng: &mut impl Rng, habit: Habit) -> f64 {
    let range = match habit {
        Habit::NeverSeen | Habit::Pending => return 0.0,
        Habit::Engaged => 0.55..0.9,
        Habit::Newcomer => 0.6..0.9,
        Habit::Fading | Habit::Leaver => 0.4..0.8,
        Habit::Onlooker => 0.2..0.5,
        Habit::Dormant => 0.1..0.6,
        Habit::Viewer | Habit::Contributor => 0.08..0.45,
        Habit::Occasional => 0.07..0.14,
        Habit::Outsider => 0.02..0.05,
    };
    rng.random_range(range)
}
