//! The one table from error class to status code, with machine-readable details and no internals.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::scope::Scope;

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
    /// There is no such thing, for a reason that a person can act on.
    Absent {
        /// A stable code, `UPPER_SNAKE_CASE`.
        reason: &'static str,
        /// What is the matter and what to do.
        sentence: String,
        /// Whether that is about to be looked at again.
        pending: bool,
    },
    /// The state does not allow it: do what the sentence says first.
    Precondition {
        /// A stable code, `UPPER_SNAKE_CASE`.
        reason: &'static str,
        /// What is the matter and what to do.
        sentence: String,
    },
    /// Somebody else changed the same thing at the same time: look at it, and try again if needed.
    Overtaken {
        /// What was changed.
        what: &'static str,
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
    /// The call took longer than it was given.
    DeadlineExceeded,
    /// Who calls is not known.
    Unauthenticated,
    /// The token's time is over: get a new one.
    TokenExpired,
    /// The token was taken back: get a new one.
    TokenRevoked,
    /// The caller's token was not made for this.
    PermissionDenied {
        /// What it would have to be made for.
        scope: Scope,
    },
    /// A fault of this service; the cause was logged and is not told.
    Internal,
}

/// Reason code: the connection has no working credential.
pub const RECONNECT_REQUIRED: &str = "RECONNECT_REQUIRED";
/// Reason code: somebody ended the connection.
pub const DISCONNECTED: &str = "DISCONNECTED";
/// Reason code: no credential of the connection can read what is wanted.
pub const CAPABILITY_MISSING: &str = "CAPABILITY_MISSING";
/// Reason code: without a believed list of members no seat is counted.
pub const ROSTER_UNREAD: &str = "ROSTER_UNREAD";
/// Beside the reason of [`Refusal::Absent`]: whether it is about to be looked at again.
const PENDING: &str = "pending";

impl Refusal {
    /// A wrong field.
    pub fn invalid(field: &'static str, expected: impl Into<String>) -> Self {
        Self::Invalid { field, expected: expected.into() }
    }

    fn message(&self) -> String {
        match self {
            Self::Invalid { field, expected } => format!("field `{field}`: {expected}"),
            Self::NotFound { what } => format!("no such {what}"),
            Self::Absent { sentence, .. }
            | Self::Precondition { sentence, .. }
            | Self::Exhausted { sentence, .. }
            | Self::OutOfRange { sentence } => sentence.clone(),
            Self::Overtaken { what } => format!(
                "the {what} was changed by another call at the same time; look at it, and try again if needed"
            ),
            Self::Unavailable { what, .. } => format!("{what} does not answer just now; try again"),
            Self::DeadlineExceeded => {
                "the call took longer than its deadline allows; what it was asked for may still happen"
                    .to_owned()
            }
            Self::Unauthenticated => {
                "the call carries no valid service token; send `authorization: Bearer <token>`".to_owned()
            }
            Self::TokenExpired => {
                "the service token has expired; ask the operator for a new one (`tidemark token create`)"
                    .to_owned()
            }
            Self::TokenRevoked => {
                "the service token was revoked; ask the operator for a new one (`tidemark token create`)"
                    .to_owned()
            }
            Self::PermissionDenied { scope } => {
                format!("the service token lacks the scope `{scope}`; ask the operator for one that has it")
            }
            Self::Internal => "the service failed on this request; it was logged".to_owned(),
        }
    }
}

/// The table: code and reason of each refusal.
fn entry(refusal: &Refusal) -> (Code, &'static str) {
    match refusal {
        Refusal::Invalid { .. } => (Code::InvalidArgument, "INVALID_FIELD"),
        Refusal::NotFound { .. } => (Code::NotFound, "NOT_FOUND"),
        Refusal::Absent { reason, .. } => (Code::NotFound, reason),
        Refusal::Precondition { reason, .. } => (Code::FailedPrecondition, reason),
        Refusal::Overtaken { .. } => (Code::Aborted, "OVERTAKEN"),
        Refusal::Unavailable { .. } => (Code::Unavailable, "UNAVAILABLE"),
        Refusal::Exhausted { .. } => (Code::ResourceExhausted, "LIMIT_EXCEEDED"),
        Refusal::OutOfRange { .. } => (Code::OutOfRange, "OUT_OF_RANGE"),
        Refusal::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        Refusal::Unauthenticated => (Code::Unauthenticated, "TOKEN_UNKNOWN"),
        Refusal::TokenExpired => (Code::Unauthenticated, "TOKEN_EXPIRED"),
        Refusal::TokenRevoked => (Code::Unauthenticated, "TOKEN_REVOKED"),
        Refusal::PermissionDenied { .. } => (Code::PermissionDenied, "SCOPE_MISSING"),
        Refusal::Internal => (Code::Internal, "INTERNAL"),
    }
}

pub(crate) fn code(refusal: &Refusal) -> Code {
    entry(refusal).0
}

pub(crate) fn reason_of(refusal: &Refusal) -> &'static str {
    entry(refusal).1
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let (code, reason) = entry(&refusal);
        let mut details = ErrorDetails::new();
        let mut metadata = HashMap::new();
        match &refusal {
            Refusal::Invalid { field, expected } => {
                details.add_bad_request_violation(*field, expected);
            }
            Refusal::Unavailable { retry_after, .. } | Refusal::Exhausted { retry_after, .. } => {
                details.set_retry_info(Some(*retry_after));
            }
            Refusal::PermissionDenied { scope } => {
                metadata.insert("scope".to_owned(), scope.to_string());
            }
            Refusal::Absent { pending, .. } => {
                metadata.insert(PENDING.to_owned(), pending.to_string());
            }
            _ => {}
        }
        details.set_error_info(reason, DOMAIN, metadata);
        Status::with_error_details(code, refusal.message(), details)
    }
}

/// Whether a status says that its reason is about to be looked at again.
pub fn is_pending(status: &Status) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.metadata.get(PENDING).is_some_and(|pending| pending == "true"))
}

/// When a status says that it is worth trying again.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
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
        let retry = Duration::from_millis(1500);
        let status: Status =
            Refusal::Exhausted { sentence: "too many calls".to_owned(), retry_after: retry }.into();
        assert_eq!((status.code(), retry_after(&status)), (Code::ResourceExhausted, Some(retry)));
        let status: Status = Refusal::PermissionDenied { scope: Scope::SyncsRead }.into();
        assert_eq!(status.get_details_error_info().unwrap().metadata["scope"], "syncs:read");
        for pending in [true, false] {
            let sentence = "no list of members".to_owned();
            let status: Status = Refusal::Absent { reason: ROSTER_UNREAD, sentence, pending }.into();
            assert_eq!(is_pending(&status), pending);
        }
    }

    #[test]
    fn every_refusal_has_a_reason_of_its_own() {
        let retry_after = Duration::ZERO;
        let all = [
            Refusal::invalid("a", "b"),
            Refusal::NotFound { what: "run" },
            Refusal::Absent {
                reason: ROSTER_UNREAD,
                sentence: "no list of members".to_owned(),
                pending: false,
            },
            Refusal::Overtaken { what: "run" },
            Refusal::Unavailable { what: "it".into(), retry_after },
            Refusal::Exhausted { sentence: "too many calls".to_owned(), retry_after },
            Refusal::DeadlineExceeded,
            Refusal::Unauthenticated,
            Refusal::TokenExpired,
            Refusal::TokenRevoked,
            Refusal::PermissionDenied { scope: Scope::SyncsRead },
            Refusal::Internal,
        ];
        let reasons: std::collections::BTreeSet<_> =
            all.iter().map(|refusal| reason(&refusal.clone().into()).unwrap()).collect();
        assert_eq!(reasons.len(), all.len());
    }
}
