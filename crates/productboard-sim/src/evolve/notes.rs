//! Notes of one day: they come in, are dealt with, put away, taken out again, and sometimes deleted.

use chrono::NaiveDate;
use rand::Rng;
use rand::seq::{IndexedMutRandom, IteratorRandom};

use super::Changes;
use crate::feedback::{self, Subjects};
use crate::ground::{Ground, moment};
use crate::{Note, Workspace, calendar};

/// One of so many is touched on a weekday.
const PER_UPDATE: usize = 60;
const PER_CREATION: usize = 200;
const PER_DELETION: f64 = 600.0;

pub(super) fn live(rng: &mut impl Rng, workspace: &mut Workspace, day: NaiveDate, changes: &mut Changes) {
    if calendar::is_weekend(day) || workspace.notes.is_empty() {
        return;
    }
    let mut notes = std::mem::take(&mut workspace.notes);
    let (ground, subjects) = (Ground::of(workspace), Subjects::of(&workspace.entities));
    let count = notes.len();
    for _ in 0..count.div_ceil(PER_UPDATE) {
        if let Some(note) = notes.choose_mut(rng) {
            update(rng, note, day, ground, changes);
        }
    }
    for _ in 0..count.div_ceil(PER_CREATION) {
        let (kind, at) = (feedback::kind(rng), moment(rng, day));
        notes.push(feedback::note(rng, kind, at, ground, &subjects));
        changes.notes_created += 1;
    }
    if rng.random_bool((count as f64 / PER_DELETION).min(1.0))
        && let Some(at) = (0..count).choose(rng)
    {
        notes.remove(at);
        changes.notes_deleted += 1;
    }
    workspace.notes = notes;
}

/// Archived notes are not processed; taking one out again makes it so.
fn update(rng: &mut impl Rng, note: &mut Note, day: NaiveDate, ground: Ground<'_>, changes: &mut Changes) {
    note.updated_at = note.updated_at.max(moment(rng, day));
    changes.notes_updated += 1;
    match rng.random_range(0..10) {
        0..4 if !note.archived => note.processed = true,
        4..6 if !note.archived => {
            (note.archived, note.processed) = (true, false);
            changes.notes_archived += 1;
        }
        4..6 => (note.archived, note.processed) = (false, true),
        6..8 => note.tags = ground.some_tags(rng),
        _ => note.owner = ground.somebody(rng),
    }
}
