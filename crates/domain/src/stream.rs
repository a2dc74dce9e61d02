//! The streams of a workspace: what is fetched, in which order, and how each one stands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;

/// One kind of data that is fetched from a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The roster with its history.
    Members,
    /// Teams and their membership.
    Teams,
    /// One row per member and day.
    MemberActivities,
    /// Features and everything else that is planned, and companies and users.
    Entities,
    /// What customers said.
    Notes,
    /// Which fields the workspace has for entities and notes.
    Configurations,
}

impl Stream {
    /// All streams, in the order they are fetched.
    pub const ALL: [Self; 6] = [
        Self::Members,
        Self::Teams,
        Self::MemberActivities,
        Self::Entities,
        Self::Notes,
        Self::Configurations,
    ];
    /// Those that a connection may have on or off. The others are what utilization is made of.
    pub const OPTIONAL: [Self; 3] = [Self::Entities, Self::Notes, Self::Configurations];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Teams => "teams",
            Self::MemberActivities => "member_activities",
            Self::Entities => "entities",
            Self::Notes => "notes",
            Self::Configurations => "configurations",
        }
    }

    /// The stream of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == text)
    }

    /// What a credential must be able to read for this stream.
    pub fn needs(self) -> Capability {
        match self {
            Self::Members => Capability::Members,
            Self::Teams => Capability::Teams,
            Self::MemberActivities => Capability::Activity,
            Self::Entities | Self::Configurations => Capability::Entities,
            Self::Notes => Capability::Notes,
        }
    }

    /// Whether a connection may have it off.
    pub fn is_optional(self) -> bool {
        Self::OPTIONAL.contains(&self)
    }
}

/// How much is kept of an entity or a note.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Ids, types, states, owners and times.
    #[default]
    Metadata,
    /// The vendor's whole document beside them.
    Full,
}

impl Capture {
    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Full => "full",
        }
    }

    /// The capture of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Metadata, Self::Full].into_iter().find(|capture| capture.as_str() == text)
    }
}

/// What is synced of one workspace. By default what utilization needs, and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    optional: BTreeSet<Stream>,
    /// How much is kept of entities and notes.
    pub capture: Capture,
}

impl Options {
    /// These streams beside those that are always on.
    pub fn new(optional: impl IntoIterator<Item = Stream>, capture: Capture) -> Self {
        let optional = optional.into_iter().filter(|stream| stream.is_optional()).collect();
        Self { optional, capture }
    }

    /// The optional streams that are on.
    pub fn optional(&self) -> impl Iterator<Item = Stream> + '_ {
        self.optional.iter().copied()
    }

    /// All streams that are on, in the order they are fetched.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        Stream::ALL.into_iter().filter(|stream| !stream.is_optional() || self.optional.contains(stream))
    }
}

/// How a stream of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not begun.
    Pending,
    /// Some of it is in.
    Running,
    /// All of it is in.
    Complete,
    /// The credential may not read it, or the plan lacks it: its numbers stay unknown.
    Unavailable,
    /// The answer was not believable (empty, or far shorter than before) and was not applied.
    Suspect,
    /// It failed again and again while others went on: what is in stays, the rest is for the next run.
    Failed,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Complete, Self::Unavailable, Self::Suspect, Self::Failed];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Unavailable => "unavailable",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether this run has nothing more to do for the stream.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_utilization_needs_is_always_on() {
        let streams = |options: &Options| options.streams().collect::<Vec<_>>();
        assert_eq!(streams(&Options::default()), [Stream::Members, Stream::Teams, Stream::MemberActivities]);
        let all = Options::new(Stream::ALL, Capture::Full);
        assert_eq!(streams(&all), Stream::ALL);
        assert_eq!(all.optional().collect::<Vec<_>>(), Stream::OPTIONAL);
    }

    #[test]
    fn names_read_back() {
        for stream in Stream::ALL {
            assert_eq!(Stream::parse(stream.as_str()), Some(stream));
        }
        for capture in [Capture::Metadata, Capture::Full] {
            assert_eq!(Capture::parse(capture.as_str()), Some(capture));
        }
    }
}
