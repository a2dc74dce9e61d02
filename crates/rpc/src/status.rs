//! The one table from error class to status code, with machine-readable details and no internals.

use std::{borrow::Cow, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "tidemark";

/// Why a call is refused, by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A field is wrong: correct it.
    Invalid {
        /// Which field.
        field: &'static str,
        /// What was expected.
        expected: String,
    },
    /// There is no such thing, or it is not the caller's to see.
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The state does not allow it: do what the sentence says first.
    Precondition {
        /// A stable code, `UPPER_SNAKE_CASE`.
        reason: &'static str,
        /// What is the matter and what to do.
        sentence: String,
    },
    /// Try the same again later.
    Unavailable {
        /// What does not answer.
        what: Cow<'static, str>,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// A limit is reached: wait that long.
    Exhausted {
        /// Which limit, and what to do.
        sentence: String,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// What was asked for lies outside of what is kept: begin anew as the sentence says.
    OutOfRange {
        /// What is the matter and what to do.
        sentence: String,
    },
    /// Who calls is not known.
    Unauthenticated,
    /// A fault of this service; the cause was logged and is not told.
    Internal,
}

/// Reason code: the connection has no working credential.
pub const RECONNECT_REQUIRED: &str = "RECONNECT_REQUIRED";
/// Reason code: somebody ended the connection.
pub const DISCONNECTED: &str = "DISCONNECTED";
/// Reason code: no credential of the connection can read what is wanted.
pub const CAPABILITY_MISSING: &str = "CAPABILITY_MISSING";

impl Refusal {
    /// A wrong field.
    pub fn invalid(field: &'static str, expected: impl Into<String>) -> Self {
        Self::Invalid { field, expected: expected.into() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::new();
        let (code, message) = match refusal {
            Refusal::Invalid { field, expected } => {
                details.add_bad_request_violation(field, &expected);
                (Code::InvalidArgument, format!("field `{field}`: {expected}"))
            }
            Refusal::NotFound { what } => (Code::NotFound, format!("no such {what}")),
            Refusal::Precondition { reason, sentence } => {
                details.set_error_info(reason, DOMAIN, std::collections::HashMap::<String, String>::new());
                (Code::FailedPrecondition, sentence)
            }
            Refusal::Unavailable { what, retry_after } => {
                details.set_retry_info(Some(retry_after));
                (Code::Unavailable, format!("{what} does not answer just now; try again"))
            }
            Refusal::Exhausted { sentence, retry_after } => {
                details.set_retry_info(Some(retry_after));
                (Code::ResourceExhausted, sentence)
            }
            Refusal::OutOfRange { sentence } => (Code::OutOfRange, sentence),
            Refusal::Unauthenticated => (
                Code::Unauthenticated,
                "the call carries no valid service token; send `authorization: Bearer <token>`".to_owned(),
            ),
            Refusal::Internal => {
                (Code::Internal, "the service failed on this request; it was logged".to_owned())
            }
        };
        Status::with_error_details(code, message, details)
    }
}

/// The reason code of a status, where it has one.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_survive_the_wire() {
        let status: Status = Refusal::invalid("api_key", "a key without spaces").into();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "api_key");
        let sentence = "reconnect first".to_owned();
        let status: Status = Refusal::Precondition { reason: RECONNECT_REQUIRED, sentence }.into();
        assert_eq!(reason(&status).as_deref(), Some(RECONNECT_REQUIRED));
    }
}
