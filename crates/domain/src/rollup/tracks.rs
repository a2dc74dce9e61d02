//! One member's days as bits, and how the member stood on them.

use chrono::NaiveDate;

use super::{bits::Bits, day::DayUse};
use crate::member::{Role, Version};

/// What a member did on each day of a range. Filled anew for each member, so that nothing is allocated for one.
#[derive(Debug)]
pub(super) struct Tracks {
    pub(super) active: Bits,
    pub(super) areas: [AreaTrack; 5],
}

#[derive(Debug)]
pub(super) struct AreaTrack {
    pub(super) created: Bits,
    pub(super) opened: Bits,
    /// Actions per day; days without any are left out.
    pub(super) actions: Vec<(usize, i64)>,
}

impl Tracks {
    pub(super) fn new(length: usize) -> Self {
        let area =
            || AreaTrack { created: Bits::new(length), opened: Bits::new(length), actions: Vec::new() };
        Self { active: Bits::new(length), areas: std::array::from_fn(|_| area()) }
    }

    /// Makes it the tracks of those days.
    pub(super) fn fill(&mut self, origin: NaiveDate, length: usize, days: &[DayUse]) {
        self.active.clear();
        for track in &mut self.areas {
            track.created.clear();
            track.opened.clear();
            track.actions.clear();
        }
        for row in days {
            if let Some(at) = place(origin, length, row.day) {
                self.add(at, row);
            }
        }
    }

    fn add(&mut self, at: usize, row: &DayUse) {
        if row.active {
            self.active.set(at);
        }
        let mut rest = row.areas();
        while rest != 0 {
            let (area, bit) = (rest.trailing_zeros() as usize, rest & rest.wrapping_neg());
            rest ^= bit;
            let track = &mut self.areas[area];
            if row.created & bit != 0 {
                track.created.set(at);
            }
            if row.opened & bit != 0 {
                track.opened.set(at);
            }
            // A member day's actions are at most 17 counters of 32 bits.
            track.actions.push((at, i64::try_from(row.actions[area]).unwrap_or(i64::MAX)));
        }
    }
}

/// Where a day stands in a range, if it does.
pub(super) fn place(origin: NaiveDate, length: usize, day: NaiveDate) -> Option<usize> {
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
) -> Vec<Spell<'a>> {
    let clamp = |day: NaiveDate| usize::try_from((day - origin).num_days()).unwrap_or(0).min(length);
    let spell = |(at, version): (usize, &'a Version)| {
        let standing = version.standing.as_ref()?;
        let reaches_back = at == 0 && version.valid_from <= roster_start;
        let from = if reaches_back { 0 } else { clamp(version.valid_from) };
        let to = versions.get(at + 1).map_or(length, |next| clamp(next.valid_from));
        let paid = standing.is_paid_seat();
        (from < to).then_some(Spell { from, to, role: &standing.role, paid })
    };
    versions.iter().enumerate().filter_map(spell).collect()
}
