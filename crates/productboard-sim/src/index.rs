//! A served workspace: its facts, and where each thing lies in them. Facts do not change while they are served.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use uuid::Uuid;

use crate::rendered::Rendered;
use crate::taken::Taken;
use crate::{Entity, Member, Note, Team, Workspace};

/// A workspace with its lookups and the rows rendered so far. These are no facts: they never leave the process.
pub(crate) struct Served {
    facts: Arc<Workspace>,
    members: HashMap<Uuid, usize>,
    teams: HashMap<Uuid, usize>,
    entities: HashMap<Uuid, usize>,
    notes: HashMap<Uuid, usize>,
    pub(crate) rendered_entities: Rendered,
    pub(crate) rendered_notes: Rendered,
    pub(crate) taken: Taken,
    /// Places of each team's members, newest membership first.
    of_team: HashMap<Uuid, Vec<usize>>,
}

impl Served {
    pub(crate) fn new(mut facts: Workspace) -> Self {
        facts.sort();
        let members = places(facts.members.iter().map(|member| member.id));
        let mut of_team: HashMap<Uuid, Vec<usize>> = HashMap::new();
        for membership in &facts.memberships {
            if let Some(member) = members.get(&membership.member_id) {
                of_team.entry(membership.team_id).or_default().push(*member);
            }
        }
        Self {
            teams: places(facts.teams.iter().map(|team| team.id)),
            entities: places(facts.entities.iter().map(|entity| entity.id)),
            notes: places(facts.notes.iter().map(|note| note.id)),
            members,
            of_team,
            rendered_entities: Rendered::default(),
            rendered_notes: Rendered::default(),
            taken: Taken::default(),
            facts: Arc::new(facts),
        }
    }

    pub(crate) fn facts(&self) -> Arc<Workspace> {
        Arc::clone(&self.facts)
    }

    pub(crate) fn member(&self, id: Uuid) -> Option<&Member> {
        self.members.get(&id).map(|at| &self.facts.members[*at])
    }

    pub(crate) fn team(&self, id: Uuid) -> Option<&Team> {
        self.teams.get(&id).map(|at| &self.facts.teams[*at])
    }

    pub(crate) fn entity(&self, id: Uuid) -> Option<&Entity> {
        self.entities.get(&id).map(|at| &self.facts.entities[*at])
    }

    pub(crate) fn note(&self, id: Uuid) -> Option<&Note> {
        self.notes.get(&id).map(|at| &self.facts.notes[*at])
    }

    /// Places of a team's members in `members`, newest membership first.
    pub(crate) fn of_team(&self, id: Uuid) -> &[usize] {
        self.of_team.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// Lists are read from the facts as they stand.
impl Deref for Served {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.facts
    }
}

/// Of a thing that is listed twice, the first counts.
fn places(ids: impl Iterator<Item = Uuid>) -> HashMap<Uuid, usize> {
    let mut places = HashMap::new();
    for (at, id) in ids.enumerate() {
        places.entry(id).or_insert(at);
    }
    places
}
