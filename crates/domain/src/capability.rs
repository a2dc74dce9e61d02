//! What a credential can read, found by asking the vendor and not by guessing.

use serde::{Deserialize, Serialize};

/// One thing a credential may or may not be able to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// The list of members, disabled and pending ones included.
    Members,
    /// Teams and who belongs to them.
    Teams,
    /// Daily member activity.
    Activity,
    /// Names and mail addresses of members, not only their ids.
    PersonalData,
    /// Notes.
    Notes,
    /// Features and everything else in the hierarchy.
    Entities,
}

impl Capability {
    /// All capabilities, in the order they are shown.
    pub const ALL: [Self; 6] =
        [Self::Members, Self::Teams, Self::Activity, Self::PersonalData, Self::Notes, Self::Entities];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Teams => "teams",
            Self::Activity => "activity",
            Self::PersonalData => "personal_data",
            Self::Notes => "notes",
            Self::Entities => "entities",
        }
    }

    /// What stays unknown without it.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Members => "without the member list no seat can be counted",
            Self::Teams => "without teams no number can be cut by team",
            Self::Activity => "without member activity it stays unknown which seats are used",
            Self::PersonalData => "without names and mail addresses people are shown by their ids only",
            Self::Notes => "without notes it stays unknown who collects feedback",
            Self::Entities => "without the hierarchy it stays unknown who owns which features",
        }
    }
}

/// Whether a capability is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// The vendor answered with data.
    Available,
    /// The credential lacks the permission or scope.
    Forbidden,
    /// The workspace's plan does not have it.
    NotInPlan,
    /// The vendor could not be asked just now.
    Unknown,
}

impl Availability {
    /// Whether the vendor said no, and not merely nothing.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Forbidden | Self::NotInPlan)
    }
}

/// One line of the capability matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asked for.
    pub capability: Capability,
    /// What the vendor said.
    pub availability: Availability,
}

impl Finding {
    /// What stays unknown without this capability; nothing where it is available.
    pub fn consequence(self) -> Option<&'static str> {
        (self.availability != Availability::Available).then(|| self.capability.consequence())
    }
}

/// Of what several credentials of one connection can read, the best for each capability: what one of them has, the
/// connection has. In the order in which capabilities are shown; what nobody asked for is left out.
pub fn union<'a>(matrices: impl IntoIterator<Item = &'a [Finding]>) -> Vec<Finding> {
    let all: Vec<&Finding> = matrices.into_iter().flatten().collect();
    let best = |capability| {
        let found = all.iter().filter(|finding| finding.capability == capability);
        found.map(|finding| finding.availability).min_by_key(|availability| match availability {
            Availability::Available => 0,
            Availability::Unknown => 1,
            Availability::NotInPlan => 2,
            Availability::Forbidden => 3,
        })
    };
    let line = |capability| best(capability).map(|availability| Finding { capability, availability });
    Capability::ALL.into_iter().filter_map(line).collect()
}

/// A matrix after a new look: what could not be asked this time stays as it was known.
pub fn renewed(old: &[Finding], new: &[Finding]) -> Vec<Finding> {
    let of =
        |matrix: &[Finding], capability| matrix.iter().find(|line| line.capability == capability).copied();
    let line = |capability| match (of(old, capability), of(new, capability)) {
        (Some(old), Some(new)) if new.availability == Availability::Unknown => Some(old),
        (old, new) => new.or(old),
    };
    Capability::ALL.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(capability: Capability, availability: Availability) -> Finding {
        Finding { capability, availability }
    }

    #[test]
    fn a_connection_can_read_what_one_of_its_credentials_can() {
        use Availability::{Available, Forbidden, NotInPlan, Unknown};
        use Capability::{Members, Notes, Teams};
        let key = [line(Members, Available), line(Teams, Forbidden)];
        let grant = [line(Members, Forbidden), line(Teams, Unknown), line(Notes, NotInPlan)];
        let both = union([key.as_slice(), grant.as_slice()]);
        assert_eq!(both, [line(Members, Available), line(Teams, Unknown), line(Notes, NotInPlan)]);
        assert_eq!(union([]), []);
    }

    #[test]
    fn what_could_not_be_asked_stays_as_it_was() {
        use Availability::{Available, Forbidden, Unknown};
        use Capability::{Members, Notes, Teams};
        let old = [line(Members, Available), line(Teams, Available)];
        let new = [line(Members, Unknown), line(Teams, Forbidden), line(Notes, Unknown)];
        let expected = [line(Members, Available), line(Teams, Forbidden), line(Notes, Unknown)];
        assert_eq!(renewed(&old, &new), expected);
        assert_eq!(renewed(&old, &[]), old);
    }
}
