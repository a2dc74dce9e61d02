//! The one table from what went wrong to what is done about it. Whoever meets a failure asks here.

use std::time::Duration;

use tidemark_domain::run::ASKED_TO_WAIT;
use tidemark_ports::rate::LONGEST_PAUSE;
use tidemark_productboard as productboard;
use tidemark_rpc::status::{self, CAPABILITY_MISSING, DISCONNECTED, RECONNECT_REQUIRED};
use tidemark_store as store;
use tonic::{Code, Status};

/// After so many attempts in a row without progress the run fails, or the stream.
const MOST_ATTEMPTS: u32 = 12;
/// And a stream after so many where another stream of the run is all in: then it is this stream that is in trouble, and
/// the run should not stay open for it.
const MOST_ALONE: u32 = 6;
/// An answer of the wrong shape may be a proxy's page; one that comes this often is the vendor's word.
const BELIEVED_AFTER: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// Why a delivery could not go on. The texts are shown to people; internals are in the sources, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Vendor(#[from] productboard::Error),
    #[error("the database did not take the work")]
    Store(#[from] store::Error),
    #[error("the credential service answered {:?}: {}", .0.code(), .0.message())]
    Credentials(Status),
    #[error("the credential service named `{0}` as the vendor's address, which is no URL")]
    Address(String),
    /// The credential service could not confirm it, or a new token was refused again and again.
    #[error("Productboard refused the token, and the refusal could not be confirmed")]
    RejectionUnconfirmed,
    #[error("the worker failed on this run; the cause was logged")]
    Panicked,
    #[error("Productboard has not answered for {} s", .0.as_secs())]
    Silent(Duration),
    /// The lease may be somebody else's, or the process has to stop now.
    #[error("the work was interrupted")]
    Interrupted,
    /// Somebody else changed the run under this worker's hands.
    #[error("the run was moved on by somebody else")]
    Overtaken,
}

impl Failure {
    /// Whether the other streams of the run may well go on.
    fn is_of_one_stream(&self) -> bool {
        matches!(
            self,
            Self::Vendor(_)
                | Self::RejectionUnconfirmed
                | Self::Panicked
                | Self::Store(store::Error::BadData { .. })
        )
    }

    /// Why the run or the stream waits that long, for a person.
    pub(crate) fn reason_to_wait(&self, pause: Duration) -> String {
        use productboard::Error::{RateLimited, Transient};
        match self {
            Self::Vendor(RateLimited { .. } | Transient { retry_after: Some(_), .. }) => format!(
                "{ASKED_TO_WAIT} {}; the sync continues then, and what was fetched is kept.",
                span(pause)
            ),
            _ => format!("Trying again: {self}."),
        }
    }

    /// Whether the vendor said that the credential may not read this.
    pub(crate) fn is_forbidden(&self) -> bool {
        use productboard::Error::{Forbidden, NotAvailable};
        matches!(self, Self::Vendor(Forbidden { .. } | NotAvailable { .. }))
    }
}

/// What is done about a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after the usual pause.
    Retry,
    /// Try again after the pause the vendor asked for.
    RetryAfter(Duration),
    /// The stream cannot be read with this credential; the others go on.
    StreamUnavailable(String),
    /// The stream's answer cannot be used; the others go on.
    StreamSuspect(String),
    /// The stream has failed; the others go on.
    StreamFailed(String),
    /// Ask the credential service what to think of the refusal.
    ReconnectCheck,
    /// Wait for a new credential.
    AwaitReconnect(String),
    /// Write nothing more; whoever has the workspace now goes on.
    Stop,
    /// Leave the run to a process that can read all of it, and look again later.
    Leave,
    /// The run has failed.
    GiveUp(String),
}

/// The table. `attempt` counts from 1, in a row without progress.
pub(crate) fn decide(failure: &Failure, attempt: u32) -> Decision {
    match class(failure, attempt) {
        Decision::Retry | Decision::RetryAfter(_) if attempt >= MOST_ATTEMPTS => {
            Decision::GiveUp(format!("Given up after {attempt} attempts without progress: {failure}."))
        }
        decision => decision,
    }
}

/// The table for a failure that one stream met. `attempt` counts that stream's attempts.
pub(crate) fn decide_stream(failure: &Failure, attempt: u32, others_work: bool) -> Decision {
    let most = if others_work { MOST_ALONE } else { MOST_ATTEMPTS };
    match class(failure, attempt) {
        Decision::Retry | Decision::RetryAfter(_) if failure.is_of_one_stream() && attempt >= most => {
            Decision::StreamFailed(format!("Given up after {attempt} attempts: {failure}"))
        }
        decision @ (Decision::Retry | Decision::RetryAfter(_)) if failure.is_of_one_stream() => decision,
        // Not this stream's to try again.
        Decision::Retry | Decision::RetryAfter(_) => Decision::Stop,
        decision => decision,
    }
}

fn class(failure: &Failure, attempt: u32) -> Decision {
    use productboard::Error as Vendor;
    match failure {
        Failure::Vendor(error) => match error {
            Vendor::Rejected { .. } => Decision::ReconnectCheck,
            Vendor::Forbidden { .. } | Vendor::NotAvailable { .. } => {
                Decision::StreamUnavailable(error.to_string())
            }
            Vendor::RateLimited { retry_after: pause, .. }
            | Vendor::Transient { retry_after: Some(pause), .. } => {
                Decision::RetryAfter((*pause).min(LONGEST_PAUSE))
            }
            Vendor::Transient { .. } | Vendor::Unreachable { .. } => Decision::Retry,
            Vendor::VendorChanged { .. } | Vendor::Invalid { .. } if attempt < BELIEVED_AFTER => {
                Decision::Retry
            }
            Vendor::VendorChanged { .. } | Vendor::Invalid { .. } => {
                Decision::StreamSuspect(error.to_string())
            }
            Vendor::Configuration(_) => Decision::GiveUp(format!("{error}.")),
        },
        Failure::Store(error) => match error {
            store::Error::FenceLost => Decision::Stop,
            // Rows are written without those that the database refuses: this is no row's fault that a retry could end.
            store::Error::BadData { .. } if attempt >= BELIEVED_AFTER => {
                Decision::StreamFailed(error.to_string())
            }
            store::Error::Corrupt { .. } => Decision::Leave,
            _ => Decision::Retry,
        },
        Failure::Credentials(answer) => match answer.code() {
            Code::FailedPrecondition => match status::reason(answer).as_deref() {
                Some(RECONNECT_REQUIRED) => Decision::AwaitReconnect(answer.message().to_owned()),
                Some(CAPABILITY_MISSING) => Decision::StreamUnavailable(answer.message().to_owned()),
                Some(DISCONNECTED) => Decision::GiveUp("The workspace was disconnected.".to_owned()),
                _ => Decision::Retry,
            },
            Code::NotFound => Decision::GiveUp("The connection no longer exists.".to_owned()),
            _ => Decision::Retry,
        },
        Failure::Address(_) => Decision::GiveUp(format!("{failure}.")),
        Failure::RejectionUnconfirmed | Failure::Panicked | Failure::Silent(_) => Decision::Retry,
        Failure::Interrupted | Failure::Overtaken => Decision::Stop,
    }
}

/// A span of time as a person says it: to the minute where it is long.
fn span(pause: Duration) -> String {
    match pause.as_secs().max(1) {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

/// The usual pause before the attempt after this one, without jitter: it doubles from 1 s to 5 min.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_rpc::status::Refusal;

    use super::*;

    const ATTEMPTED: &str = "list teams";

    fn vendor(error: productboard::Error) -> Failure {
        Failure::Vendor(error)
    }

    fn transient() -> Failure {
        let (status, vendor_id, source) = (Some(503), None, None);
        let retry_after = None;
        vendor(productboard::Error::Transient {
            attempted: ATTEMPTED,
            status,
            retry_after,
            vendor_id,
            source,
        })
    }

    fn changed() -> Failure {
        let (path, problem, vendor_id) = (String::new(), "a repeated cursor".to_owned(), None);
        vendor(productboard::Error::VendorChanged { attempted: ATTEMPTED, path, problem, vendor_id })
    }

    proptest! {
        /// However long a pause, however many attempts: a decision, a pause of an hour at most, and a sentence.
        #[test]
        fn no_pause_panics(pause: Duration, attempt: u32, others_work: bool) {
            let (vendor_id, source, status) = (None, None, Some(503));
            let retry_after = pause;
            let limited = productboard::Error::RateLimited { attempted: ATTEMPTED, retry_after, vendor_id: None };
            let retry_after = Some(pause);
            let trouble =
                productboard::Error::Transient { attempted: ATTEMPTED, status, retry_after, vendor_id, source };
            for failure in [vendor(limited), vendor(trouble), Failure::Silent(pause)] {
                for decision in [decide(&failure, attempt), decide_stream(&failure, attempt, others_work)] {
                    if let Decision::RetryAfter(pause) = decision {
                        prop_assert!(pause <= LONGEST_PAUSE);
                    }
                }
                prop_assert!(!failure.reason_to_wait(pause).is_empty());
            }
            prop_assert!(backoff(attempt) <= LONGEST_BACKOFF);
        }
    }

    #[test]
    fn every_vendor_answer_has_its_decision() {
        let rejected = productboard::Error::Rejected {
            attempted: ATTEMPTED,
            reason: productboard::Rejection::Invalid,
            vendor_id: None,
        };
        assert_eq!(decide(&vendor(rejected), 1), Decision::ReconnectCheck);
        let forbidden = productboard::Error::Forbidden {
            attempted: ATTEMPTED,
            missing_scope: Some("teams:read".to_owned()),
            vendor_id: None,
        };
        let detail = "could not list teams: the token lacks the scope teams:read".to_owned();
        assert_eq!(decide(&vendor(forbidden), 1), Decision::StreamUnavailable(detail));
        let plan = productboard::Error::NotAvailable { attempted: ATTEMPTED, status: 501, vendor_id: None };
        assert!(matches!(decide(&vendor(plan), 1), Decision::StreamUnavailable(_)));
        let retry_after = Duration::from_secs(70);
        let limited = productboard::Error::RateLimited { attempted: ATTEMPTED, retry_after, vendor_id: None };
        assert_eq!(decide(&vendor(limited), 1), Decision::RetryAfter(retry_after));
        assert_eq!(decide(&transient(), 1), Decision::Retry);
        let configuration = productboard::Error::Configuration("the token is empty".to_owned());
        assert!(matches!(decide(&vendor(configuration), 1), Decision::GiveUp(_)));
    }

    #[test]
    fn an_unexpected_shape_is_believed_when_it_comes_again() {
        assert_eq!(decide(&changed(), 1), Decision::Retry);
        assert_eq!(decide(&changed(), 2), Decision::Retry);
        assert!(matches!(decide(&changed(), 3), Decision::StreamSuspect(_)));
    }

    #[test]
    fn the_twelfth_attempt_without_progress_is_the_last() {
        assert_eq!(decide(&transient(), 11), Decision::Retry);
        let Decision::GiveUp(reason) = decide(&transient(), 12) else { panic!("no end") };
        assert_eq!(
            reason,
            "Given up after 12 attempts without progress: \
             could not list teams: Productboard is in trouble (status 503)."
        );
        assert_eq!(decide(&Failure::Interrupted, 12), Decision::Stop, "stopping is no failure");
    }

    #[test]
    fn the_store_and_the_credential_service_have_theirs() {
        assert_eq!(decide(&Failure::Store(store::Error::FenceLost), 1), Decision::Stop);
        let sentence = "reconnect first".to_owned();
        let dead = Refusal::Precondition { reason: RECONNECT_REQUIRED, sentence: sentence.clone() };
        assert_eq!(decide(&Failure::Credentials(dead.into()), 1), Decision::AwaitReconnect(sentence));
        let other = Refusal::Precondition { reason: "ELSE", sentence: "something else".to_owned() };
        assert_eq!(decide(&Failure::Credentials(other.into()), 1), Decision::Retry);
        let refused = |reason| {
            let refusal = Refusal::Precondition { reason, sentence: "no teams".to_owned() };
            decide(&Failure::Credentials(refusal.into()), 1)
        };
        assert_eq!(refused(CAPABILITY_MISSING), Decision::StreamUnavailable("no teams".to_owned()));
        assert_eq!(refused(DISCONNECTED), Decision::GiveUp("The workspace was disconnected.".to_owned()));
        let gone = Refusal::NotFound { what: "connection" };
        assert!(matches!(decide(&Failure::Credentials(gone.into()), 1), Decision::GiveUp(_)));
        let silent = Refusal::Unavailable { what: "it".into(), retry_after: Duration::ZERO };
        assert_eq!(decide(&Failure::Credentials(silent.into()), 1), Decision::Retry);
        assert_eq!(decide(&Failure::Panicked, 1), Decision::Retry);
        assert_eq!(decide(&Failure::RejectionUnconfirmed, 1), Decision::Retry);
    }

    #[test]
    fn a_pause_of_the_vendor_is_an_hour_at_most_and_its_reason_says_how_long() {
        for asked in [3_601, 86_400, 1_796_099_990, u64::MAX] {
            let retry_after = Duration::from_secs(asked);
            let limited = vendor(productboard::Error::RateLimited {
                attempted: ATTEMPTED,
                retry_after,
                vendor_id: None,
            });
            assert_eq!(decide(&limited, 1), Decision::RetryAfter(LONGEST_PAUSE));
            assert_eq!(decide_stream(&limited, 1, true), Decision::RetryAfter(LONGEST_PAUSE));
            let reason = limited.reason_to_wait(Duration::from_secs(59 * 60));
            assert!(reason.starts_with("Productboard asked to wait 59 min; "), "{reason}");
        }
        let spans = [0, 5, 119, 120, 3_600].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["1 s", "5 s", "119 s", "2 min", "60 min"]);
    }

    #[test]
    fn what_a_newer_version_wrote_fails_no_run() {
        let failure = Failure::Store(store::Error::Corrupt { what: "a value in `stream`".to_owned() });
        for attempt in [1, 12, u32::MAX] {
            assert_eq!(decide(&failure, attempt), Decision::Leave);
            assert_eq!(decide_stream(&failure, attempt, true), Decision::Leave);
        }
    }

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let pauses = [1, 2, 3, 9, 10, 12, u32::MAX].map(|attempt| backoff(attempt).as_secs());
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300, 300]);
    }
}
