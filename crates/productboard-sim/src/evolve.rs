//! How a workspace lives on: day by day, people come and go, days get their rows, plans and notes change.
//!
//! Each day has its own randomness, made from the seed and the day: a workspace that lives on in two steps is the one
//! that lives on in one.

use chrono::{Datelike, NaiveDate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::Workspace;
use crate::spec::fnv1a;

mod activity;
mod members;
mod news;
mod notes;
mod plans;

pub(crate) use self::news::news;

/// What changed, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Days lived.
    pub days: u32,
    /// Members who joined or were invited.
    pub members_joined: usize,
    /// Members who accepted their invitation.
    pub members_accepted: usize,
    /// Members who were disabled.
    pub members_disabled: usize,
    /// Members who got another role.
    pub roles_changed: usize,
    /// Memberships of teams that began or ended.
    pub memberships_changed: usize,
    /// Activity rows of new days.
    pub activities_added: usize,
    /// Activity rows of days before, added late.
    pub activities_late: usize,
    /// Activity rows of the day before that counted on.
    pub activities_changed: usize,
    /// Entities made.
    pub entities_created: usize,
    /// Updates of entities, archiving included.
    pub entities_updated: usize,
    /// Entities put away.
    pub entities_archived: usize,
    /// Entities deleted, those below others included.
    pub entities_deleted: usize,
    /// Notes made.
    pub notes_created: usize,
    /// Updates of notes, archiving included.
    pub notes_updated: usize,
    /// Notes put away.
    pub notes_archived: usize,
    /// Notes deleted.
    pub notes_deleted: usize,
}

impl Workspace {
    /// Lives on until `to`, which becomes the last day. Does nothing when that day is already there. The same
    /// workspace, day and seed give the same result.
    pub fn evolve(&mut self, to: NaiveDate, seed: u64) -> Changes {
        let mut changes = Changes::default();
        let seed = seed ^ fnv1a(self.domain.as_bytes());
        self.sort();
        for day in self.today.iter_days().skip(1).take_while(|day| *day <= to) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(&day.num_days_from_ce().to_be_bytes()));
            let newcomers = members::live(&mut rng, self, day, &mut changes);
            activity::live(&mut rng, self, day, &newcomers, &mut changes);
            plans::live(&mut rng, self, day, &mut changes);
            notes::live(&mut rng, self, day, &mut changes);
            self.today = day;
            self.sort();
            changes.days += 1;
        }
        changes
    }
}
