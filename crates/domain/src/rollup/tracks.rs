//! One member's days as bits, and how the member stood on them.

use chrono::NaiveDate;

use super::{bits::Bits, day::DayUse};
use crate::member::{Role, Version};

/// Amounts of one day: an active member, and the actions per area.
pub(super) const AMOUNTS: usize = 1 + 5;

/// What a member did on each day of a range. Filled anew for each member, so that nothing is allocated for one.
#[derive(Debug)]
pub(super) struct Tracks {
    pub(super) active: Bits,
    pub(super) areas: [AreaTrack; 5],
    /// Per active day, by its place in the range.
    pub(super) amounts: Vec<(usize, [i64; AMOUNTS])>,
    /// Where the days that were filled in stand.
    places: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct AreaTrack {
    pub(super) created: Bits,
    pub(super) opened: Bits,
}

impl Tracks {
    pub(super) fn new(length: usize) -> Self {
        let area = || AreaTrack { created: Bits::new(length), opened: Bits::new(length) };
        Self {
            active: Bits::new(length),
            areas: std::array::from_fn(|_| area()),
            amounts: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Makes it the tracks of those days, which come oldest first; gives those that lie in the range.
    pub(super) fn fill<'a>(&mut self, origin: NaiveDate, length: usize, days: &'a [DayUse]) -> &'a [DayUse] {
        self.active.clear();
        for track in &mut self.areas {
            track.created.clear();
            track.opened.clear();
        }
        self.amounts.clear();
        self.places.clear();
        let days = &days[days.partition_point(|row| row.day < origin)..];
        let places = days.iter().map_while(|row| place(origin, length, row.day));
        self.places.extend(places);
        let days = &days[..self.places.len()];
        for (at, row) in self.places.iter().zip(days).filter(|(_, row)| row.active) {
            self.active.set(*at);
            // A member day's actions are at most 17 counters of 32 bits.
            let actions = row.actions.map(|actions| i64::try_from(actions).unwrap_or(i64::MAX));
            let [a, b, c, d, e] = actions;
            self.amounts.push((*at, [1, a, b, c, d, e]));
            for (area, track) in self.areas.iter_mut().enumerate() {
                if row.created & 1 << area != 0 {
                    track.created.set(*at);
                }
                if row.opened & 1 << area != 0 {
                    track.opened.set(*at);
                }
            }
        }
        days
    }

    /// How many days before the last of the range each day that was filled in lies.
    pub(super) fn ages(&self, length: usize) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().map(move |at| length - 1 - at)
    }
}

/// Where a day stands in a range, if it does.
fn place(origin: NaiveDate, length: usize, day: NaiveDate) -> Option<usize> {
    usize::try_from((day - origin).num_days()).ok().filter(|at| *at < length)
}

/// Days `from..to` on which a member was on the list in one way.
#[derive(Debug, Clone)]
pub(super) struct Spell<'a> {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) role: &'a Role,
    pub(super) paid: bool,
}

/// The spells of a member's history within a range. What was seen at the very first listing, on `roster_start`, stands
/// for all days before it.
pub(super) fn spells<'a>(
    versions: &'a [Version],
    roster_start: NaiveDate,
    origin: NaiveDate,
    length: usize,
) -> impl Iterator<Item = Spell<'a>> {
    let clamp = move |day: NaiveDate| usize::try_from((day - origin).num_days()).unwrap_or(0).min(length);
    let spell = move |(at, version): (usize, &'a Version)| {
        let standing = version.standing.as_ref()?;
        let reaches_back = at == 0 && version.valid_from <= roster_start;
        let from = if reaches_back { 0 } else { clamp(version.valid_from) };
        let to = versions.get(at + 1).map_or(length, |next| clamp(next.valid_from));
        let paid = standing.is_paid_seat();
        (from < to).then_some(Spell { from, to, role: &standing.role, paid })
    };
    versions.iter().enumerate().filter_map(spell)
}
