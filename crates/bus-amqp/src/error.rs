//! What can go wrong before messages flow. Never with the URL itself: it holds a password.

use std::{error::Error, io};

use tidemark_runtime::server::ServerError;

/// The URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what it is")]
pub enum InvalidUrl {
    #[error("not a usable RabbitMQ URL, expected amqp[s]://user:password@host[:port]/vhost")]
    Unusable,
    #[error("the prefix is longer than 100 bytes")]
    Prefix,
    #[error(transparent)]
    Settings(#[from] ServerError),
}

/// The broker cannot be used; says what was attempted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each says what it is")]
pub enum ConnectError {
    #[error("the settings of {address} cannot be used")]
    Settings { address: String, source: InvalidUrl },
    #[error("cannot reach {address}")]
    Unreachable { address: String, source: io::Error },
    #[error("{address} accepts connections but does not answer as RabbitMQ within {seconds} s")]
    Silent { address: String, seconds: u64 },
    #[error("{address} answers, but not in AMQP 0-9-1")]
    NotAmqp { address: String },
    #[error("{address} could not {attempt}")]
    Refused { address: String, attempt: &'static str, source: lapin::Error },
    #[error("{address} did not {attempt} within {seconds} s")]
    TimedOut { address: String, attempt: &'static str, seconds: u64 },
}

/// The error and what is behind it, for a log line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // lapin's errors repeat their sources.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
