//! The order for a generated workspace: how big, how healthy, from which seed, ending on which day.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// How healthy a generated workspace is: shapes the mix of people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Most seats are used every week.
    #[default]
    Engaged,
    /// Many dormant and never-seen seats.
    Sprawling,
    /// Leavers, pending invitations and use that fades.
    Shrinking,
}

/// What to generate. The same spec always gives the same workspace, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSpec {
    /// The workspace's domain, as in `https://{domain}.productboard.com`.
    pub domain: String,
    /// Where all randomness comes from.
    pub seed: u64,
    /// How many members, disabled and pending ones included.
    pub members: usize,
    /// How many teams.
    pub teams: usize,
    /// The last day of data; its rows are partial.
    pub today: NaiveDate,
    /// How many days of data, `today` included.
    pub days: u32,
    /// The mix of people.
    pub health: Health,
    /// How many entities, of all types together.
    pub entities: usize,
    /// How many notes.
    pub notes: usize,
}

impl WorkspaceSpec {
    /// 400 days of an engaged workspace, one team for every dozen members, some entities and notes for each member,
    /// seeded by the domain.
    pub fn new(domain: impl Into<String>, members: usize, today: NaiveDate) -> Self {
        let domain = domain.into();
        let seed = fnv1a(domain.as_bytes());
        let teams = (members / 12).clamp(1, 40);
        let (entities, notes) = ((120 + members * 3).min(3_000), (100 + members * 3).min(3_000));
        Self { domain, seed, members, teams, today, days: 400, health: Health::default(), entities, notes }
    }

    /// Takes another seed than the domain's.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the number of teams.
    #[must_use]
    pub fn teams(self, teams: usize) -> Self {
        Self { teams, ..self }
    }

    /// Sets the number of days of data.
    #[must_use]
    pub fn days(self, days: u32) -> Self {
        Self { days, ..self }
    }

    /// Sets the mix of people.
    #[must_use]
    pub fn health(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// Sets the number of entities.
    #[must_use]
    pub fn entities(self, entities: usize) -> Self {
        Self { entities, ..self }
    }

    /// Sets the number of notes.
    #[must_use]
    pub fn notes(self, notes: usize) -> Self {
        Self { notes, ..self }
    }
}

/// Std's hasher may change between releases; a seed must not.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Three workspaces of different health: what the demo and the simulator command serve.
pub fn showcase(today: NaiveDate) -> [WorkspaceSpec; 3] {
    [
        WorkspaceSpec::new("aurora-labs", 60, today),
        WorkspaceSpec::new("brightside", 140, today).health(Health::Sprawling),
        WorkspaceSpec::new("cobalt-works", 35, today).health(Health::Shrinking),
    ]
}
