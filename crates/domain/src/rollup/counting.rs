//! What one member adds to and takes from the numbers, from day to day.

use super::{
    WINDOWS,
    bits::Bits,
    sums::{Changes, Number},
    tracks::{Spell, Tracks},
};

/// Writes down what one member changes from day to day.
pub(super) struct Counting<'a> {
    pub(super) length: usize,
    /// The first day whose windows are wanted; of the days before it only the daily actives.
    pub(super) kept: usize,
    pub(super) changes: &'a mut Changes,
}

impl Counting<'_> {
    /// With the amounts left out of a steady member, who counts with days.
    pub(super) fn member(&mut self, tracks: &Tracks, spells: &[Spell<'_>], steady: bool) {
        for spell in spells.iter().filter(|spell| spell.paid) {
            let run = (spell.from.max(self.kept), spell.to);
            self.changes.add(self.length, 0, Number::Assigned, run, 1);
        }
        if tracks.active.is_empty() {
            return;
        }
        let mut scratch = Bits::new(self.length);
        for (window, days) in WINDOWS.into_iter().enumerate() {
            let from = if window == 0 { 0 } else { self.kept };
            scratch.copy_from(&tracks.active);
            scratch.smear(days);
            self.present(&scratch, spells, window, from, Number::ActiveMembers, false);
            self.present(&scratch, spells, window, self.kept, Number::ActiveSeats, true);
            self.areas(tracks, spells, window, &mut scratch);
            if !steady {
                self.amounts(tracks, spells, window);
            }
        }
    }

    fn areas(&mut self, tracks: &Tracks, spells: &[Spell<'_>], window: usize, scratch: &mut Bits) {
        for (area, track) in tracks.areas.iter().enumerate() {
            let mut used = 0;
            for (bits, number) in
                [(&track.created, Number::AreaCreators(area)), (&track.opened, Number::AreaOpeners(area))]
            {
                if !bits.is_empty() {
                    used += 1;
                    scratch.copy_from(bits);
                    scratch.smear(WINDOWS[window]);
                    self.present(scratch, spells, window, self.kept, number, true);
                }
            }
            match used {
                0 => continue,
                // What is smeared already is all there is.
                1 => {}
                _ => {
                    scratch.copy_from(&track.created);
                    scratch.or(&track.opened);
                    scratch.smear(WINDOWS[window]);
                }
            }
            self.present(scratch, spells, window, self.kept, Number::AreaMembers(area), true);
        }
    }

    fn amounts(&mut self, tracks: &Tracks, spells: &[Spell<'_>], window: usize) {
        for (day, [active, actions @ ..]) in &tracks.amounts {
            self.amount(spells, window, Number::MemberDays, *day, *active, false);
            for (area, actions) in actions.iter().enumerate().filter(|(_, actions)| **actions > 0) {
                self.amount(spells, window, Number::AreaActions(area), *day, *actions, true);
            }
        }
    }

    /// One on every day of the spells on which the bits are set.
    fn present(
        &mut self,
        bits: &Bits,
        spells: &[Spell<'_>],
        window: usize,
        start: usize,
        number: Number,
        paid: bool,
    ) {
        for spell in spells.iter().filter(|spell| spell.paid || !paid) {
            bits.runs(spell.from.max(start), spell.to, |from, to| {
                self.changes.add(self.length, window, number, (from, to), 1);
            });
        }
    }

    /// An amount of one day, on every day of the spells whose window it lies in.
    fn amount(
        &mut self,
        spells: &[Spell<'_>],
        window: usize,
        number: Number,
        day: usize,
        amount: i64,
        paid: bool,
    ) {
        let end = day + WINDOWS[window] as usize;
        for spell in spells.iter().filter(|spell| spell.paid || !paid) {
            let run = (day.max(spell.from).max(self.kept), end.min(spell.to));
            self.changes.add(self.length, window, number, run, amount);
        }
    }
}
