//! The numbers of the windows that end on one day, from members whose windows stand on it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{
    Amounts, AreaUse, Block, Coverage, Cut, DayUse, Key, LONGEST, Rolling, WINDOWS, WindowUse, horizon,
    rolling::{Pages, mask, page},
    tracks::{Spell, spells},
};
use crate::member::Version;

/// How a member stood and stands, and where the member counts besides.
#[derive(Debug, Clone, Copy)]
pub struct Stood<'a> {
    /// The roster history; empty for ids that the member list never had.
    pub versions: &'a [Version],
    /// The teams the member is in.
    pub teams: &'a [Uuid],
    /// The cohort, where anything is known of the member.
    pub cohort: Option<&'a Cut>,
}

/// Adds up the windows that end on one day, per cut.
#[derive(Debug, Default)]
pub struct Ending(BTreeMap<Cut, [WindowUse; WINDOWS.len()]>);

impl Ending {
    /// Adds a block's members on the day it stands on. `pages` has what they did on that day, and `stood` tells how each
    /// of them stands.
    pub fn block(&mut self, block: &Block, pages: &Pages, roster_start: NaiveDate, stood: &[Stood<'_>]) {
        let mut today = page(pages, block.on).iter().peekable();
        for (place, (member, stood)) in block.members.iter().zip(stood).enumerate() {
            let one = today.next_if(|(at, _)| *at == place).map(|(_, one)| one);
            self.member(member, block.on, one, roster_start, *stood);
        }
    }

    fn member(
        &mut self,
        member: &Rolling,
        day: NaiveDate,
        today: Option<&DayUse>,
        roster_start: NaiveDate,
        stood: Stood<'_>,
    ) {
        let spells: Vec<_> = spells(stood.versions, roster_start, horizon(day), LONGEST as usize).collect();
        let Some(newest) = spells.last() else { return };
        let windows = windows(member, today, &spells);
        let everywhere = std::iter::once(Cut::All)
            .chain(stood.teams.iter().copied().map(Cut::Team))
            .chain(stood.cohort.cloned());
        everywhere.for_each(|cut| self.add(cut, &windows));
        // Most members have one role all the time, and count in its cut as they do everywhere.
        if spells.iter().all(|spell| spell.role == newest.role) {
            self.add(Cut::Role(newest.role.clone()), &windows);
            return;
        }
        for role in spells.iter().map(|spell| spell.role).collect::<BTreeSet<_>>() {
            let own: Vec<_> = spells.iter().filter(|spell| spell.role == role).cloned().collect();
            self.add(Cut::Role(role.clone()), &self::windows(member, today, &own));
        }
    }

    fn add(&mut self, cut: Cut, windows: &[WindowUse; WINDOWS.len()]) {
        let sums = self.0.entry(cut).or_default();
        sums.iter_mut().zip(windows).for_each(|(sum, window)| sum.add(window));
    }

    /// The rows of that day. Cuts other than all have none where there is nothing to tell.
    pub fn finish(mut self, day: NaiveDate, coverage: &Coverage) -> impl Iterator<Item = (Key, WindowUse)> {
        self.0.entry(Cut::All).or_default();
        let covered = WINDOWS.map(|window| coverage.covered(day, window));
        let rows = self.0.into_iter().flat_map(move |(cut, windows)| {
            let told = WINDOWS.into_iter().zip(covered).zip(windows);
            told.map(move |((window, covered_days), use_of)| {
                ((cut.clone(), day, window), WindowUse { covered_days, ..use_of })
            })
        });
        rows.filter(|((cut, ..), window)| *cut == Cut::All || !window.is_blank())
    }
}

/// What a member adds to each window, as far as those spells go.
fn windows(member: &Rolling, today: Option<&DayUse>, spells: &[Spell<'_>]) -> [WindowUse; WINDOWS.len()] {
    let length = LONGEST as usize;
    // The days of a spell as bits, the last one being bit 0.
    let bits = |spell: &Spell<'_>| ((1_u128 << (spell.to - spell.from)) - 1) << (length - spell.to);
    let listed = spells.iter().map(bits).fold(0, |listed, bits| listed | bits);
    let now = spells.last().filter(|spell| spell.to == length);
    let day = today.map(Amounts::of).unwrap_or_default();
    std::array::from_fn(|at| {
        let mask = mask(WINDOWS[at]);
        let mut sum =
            WindowUse { daily_actives: (member.active & listed & mask).count_ones(), ..WindowUse::default() };
        let Some(now) = now else { return sum };
        sum.member_days = (member.active & mask).count_ones();
        sum.active_members = u32::from(sum.member_days > 0);
        if !now.paid {
            return sum;
        }
        sum.assigned = 1;
        sum.active_seats = sum.active_members;
        // The shortest window is the day itself.
        let amounts = at.checked_sub(1).map_or(&day, |shown| &member.sums[shown]);
        sum.areas = std::array::from_fn(|area| {
            let (created, opened) = (amounts.created_days[area] > 0, amounts.opened_days[area] > 0);
            AreaUse {
                members: u32::from(created || opened),
                creators: u32::from(created),
                openers: u32::from(opened),
                actions: amounts.actions[area],
            }
        });
        sum
    })
}
