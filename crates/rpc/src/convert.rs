//! Conversions between the wire and the domain.

mod invitation;

use std::{fmt::Display, str::FromStr};

use chrono::{DateTime, Utc};
use tidemark_domain::{
    capability::{Availability, Capability, Finding},
    connection::{AuthScheme, CredentialKind, Reason, Region, State},
    run, stream,
};
use tonic::Status;

use crate::{connections, status::Refusal, syncs};

/// Reads a field of a request, or refuses the request by the field's name.
pub fn parse<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, Status> {
    text.parse().map_err(|error: T::Err| Refusal::invalid(field, error.to_string()).into())
}

/// An instant on the wire.
pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// An instant from the wire; none where it is not one.
pub fn instant(timestamp: &prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)
}

impl From<Region> for connections::Region {
    fn from(region: Region) -> Self {
        match region {
            Region::Us => Self::Us,
            Region::Eu => Self::Eu,
        }
    }
}

impl From<connections::Region> for Region {
    fn from(region: connections::Region) -> Self {
        match region {
            connections::Region::Unspecified | connections::Region::Us => Self::Us,
            connections::Region::Eu => Self::Eu,
        }
    }
}

impl From<AuthScheme> for connections::AuthScheme {
    fn from(scheme: AuthScheme) -> Self {
        match scheme {
            AuthScheme::Bearer => Self::Bearer,
            AuthScheme::Basic => Self::Basic,
        }
    }
}

impl From<connections::AuthScheme> for AuthScheme {
    fn from(scheme: connections::AuthScheme) -> Self {
        match scheme {
            connections::AuthScheme::Unspecified | connections::AuthScheme::Bearer => Self::Bearer,
            connections::AuthScheme::Basic => Self::Basic,
        }
    }
}

impl From<CredentialKind> for connections::CredentialKind {
    fn from(kind: CredentialKind) -> Self {
        match kind {
            CredentialKind::ApiKey => Self::ApiKey,
            CredentialKind::Oauth => Self::Oauth,
            CredentialKind::Assertion => Self::Assertion,
        }
    }
}

impl From<State> for connections::ConnectionState {
    fn from(state: State) -> Self {
        match state {
            State::AwaitingConsent => Self::AwaitingConsent,
            State::Connected => Self::Connected,
            State::Degraded => Self::Degraded,
            State::Expiring => Self::Expiring,
            State::ReconnectRequired => Self::ReconnectRequired,
            State::Disconnected => Self::Disconnected,
        }
    }
}

impl From<Reason> for connections::Reason {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.as_str().to_owned(),
            sentence: reason.sentence().to_owned(),
            next_step: reason.next_step().to_owned(),
        }
    }
}

impl From<Capability> for connections::Capability {
    fn from(capability: Capability) -> Self {
        match capability {
            Capability::Members => Self::Members,
            Capability::Teams => Self::Teams,
            Capability::Activity => Self::Activity,
            Capability::PersonalData => Self::PersonalData,
            Capability::Notes => Self::Notes,
            Capability::Entities => Self::Entities,
        }
    }
}

/// The capability a caller names, if it names one.
pub fn capability(number: i32) -> Result<Option<Capability>, Refusal> {
    use connections::Capability as Wire;
    let wire = Wire::try_from(number);
    let wire = wire.map_err(|_| Refusal::invalid("capability", "expected one of the known capabilities"))?;
    Ok(match wire {
        Wire::Unspecified => None,
        Wire::Members => Some(Capability::Members),
        Wire::Teams => Some(Capability::Teams),
        Wire::Activity => Some(Capability::Activity),
        Wire::PersonalData => Some(Capability::PersonalData),
        Wire::Notes => Some(Capability::Notes),
        Wire::Entities => Some(Capability::Entities),
    })
}

impl From<Finding> for connections::CapabilityFinding {
    fn from(finding: Finding) -> Self {
        let availability = match finding.availability {
            Availability::Available => connections::Availability::Available,
            Availability::Forbidden => connections::Availability::Forbidden,
            Availability::NotInPlan => connections::Availability::NotInPlan,
            Availability::Unknown => connections::Availability::Unknown,
        };
        Self {
            capability: connections::Capability::from(finding.capability).into(),
            availability: availability.into(),
            consequence: finding.consequence().unwrap_or_default().to_owned(),
        }
    }
}

impl From<run::State> for syncs::RunState {
    fn from(state: run::State) -> Self {
        match state {
            run::State::Queued => Self::Queued,
            run::State::Running => Self::Running,
            run::State::ReconnectRequired => Self::ReconnectRequired,
            run::State::Succeeded => Self::Succeeded,
            run::State::Partial => Self::Partial,
            run::State::Failed => Self::Failed,
            run::State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<run::Priority> for syncs::Priority {
    fn from(priority: run::Priority) -> Self {
        match priority {
            run::Priority::Person => Self::Person,
            run::Priority::Schedule => Self::Schedule,
            run::Priority::Backfill => Self::Backfill,
        }
    }
}

impl From<syncs::Priority> for run::Priority {
    /// Who asks and says nothing else waits for it.
    fn from(priority: syncs::Priority) -> Self {
        match priority {
            syncs::Priority::Unspecified | syncs::Priority::Person => Self::Person,
            syncs::Priority::Schedule => Self::Schedule,
            syncs::Priority::Backfill => Self::Backfill,
        }
    }
}

impl From<stream::State> for syncs::StreamState {
    fn from(state: stream::State) -> Self {
        match state {
            stream::State::Pending => Self::Pending,
            stream::State::Running => Self::Running,
            stream::State::Complete => Self::Complete,
            stream::State::Unavailable => Self::Unavailable,
            stream::State::Suspect => Self::Suspect,
            stream::State::Failed => Self::Failed,
        }
    }
}
