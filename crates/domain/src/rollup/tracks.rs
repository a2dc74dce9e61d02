//! One member's days as bits, and how the member stood on them.

use chrono::NaiveDate;

use super::bits::Bits;
use crate::{
    activity::{Area, Kind, MemberDay},
    member::{Role, Version},
};

/// What a member did on each day of a range.
pub(super) struct Tracks {
    pub(super) active: Bits,
    pub(super) areas: [AreaTrack; 5],
}

pub(super) struct AreaTrack {
    pub(super) created: Bits,
    pub(super) opened: Bits,
    /// Actions per day; days without any are left out.
    pub(super) actions: Vec<(usize, i64)>,
}

impl Tracks {
    pub(super) fn new(origin: NaiveDate, length: usize, days: &[MemberDay]) -> Self {
        let mut tracks = Self {
            active: Bits::new(length),
            areas: Area::ALL.map(|_| AreaTrack {
                created: Bits::new(length),
                opened: Bits::new(length),
                actions: Vec::new(),
            }),
        };
        for row in days {
            if let Some(at) = place(origin, length, row.day) {
                tracks.add(at, row);
            }
        }
        tracks
    }

    fn add(&mut self, at: usize, row: &MemberDay) {
        let mut sums = [0_i64; 5];
        for (area, kind, value) in row.counters.actions() {
            let track = &mut self.areas[area as usize];
            let seen = if kind == Kind::View { &mut track.opened } else { &mut track.created };
            seen.set(at);
            sums[area as usize] += i64::from(value);
        }
        for (track, sum) in self.areas.iter_mut().zip(sums).filter(|(_, sum)| *sum > 0) {
            track.actions.push((at, sum));
        }
        if row.active_flag || sums.iter().any(|sum| *sum > 0) {
            self.active.set(at);
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
