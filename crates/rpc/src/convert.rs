//! Conversions between the wire and the domain.

mod invitation;

use std::{fmt::Display, str::FromStr};

use chrono::{DateTime, Utc};
use tidemark_domain::{
    capability::{Availability, Capability, Finding},
    connection::{Reason, Region, State},
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

impl From<State> for connections::ConnectionState {
    fn from(state: State) -> Self {
        match state {
            State::Connected => Self::Connected,
            State::ReconnectRequired => Self::ReconnectRequired,
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

impl From<Finding> for connections::CapabilityFinding {
    fn from(finding: Finding) -> Self {
        let capability = match finding.capability {
            Capability::Members => connections::Capability::Members,
            Capability::Teams => connections::Capability::Teams,
            Capability::Activity => connections::Capability::Activity,
        };
        let availability = match finding.availability {
            Availability::Available => connections::Availability::Available,
            Availability::Forbidden => connections::Availability::Forbidden,
            Availability::NotInPlan => connections::Availability::NotInPlan,
            Availability::Unknown => connections::Availability::Unknown,
        };
        Self {
            capability: capability.into(),
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
        }
    }
}
