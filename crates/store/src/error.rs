//! What can go wrong, named by what the caller can do about it.

use std::fmt;

use sea_orm::{DbErr, RuntimeErr, SqlxError};

use crate::dialect;

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another worker took the workspace: stop, write nothing more.
    #[error("another worker holds this workspace now; this one must stop and write nothing more")]
    FenceLost,
    /// Nothing was written; the same call may work later.
    #[error("the database cannot be used just now; check that it runs and is reachable, then try again")]
    Unavailable(#[source] Cause),
    /// The database refused the statement: a fault of this program or of the data, so trying again does not help.
    #[error("the database refused to {attempted}")]
    Query {
        /// What was tried, as a verb and its object.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// A row holds what this version cannot read.
    #[error("the database holds {what}, which this version cannot read; was it written by a newer one?")]
    Corrupt {
        /// Which column.
        what: String,
    },
    /// The URL names no database; its password is left out.
    #[error(
        "{0} is not a database this program can use; expected postgres://user@host:5432/name, \
         sqlite:///path/file.sqlite or sqlite::memory:"
    )]
    InvalidUrl(String),
}

/// What the database or its driver said, as text: the driver's own error prints row values in its `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// The error of a failed attempt: retryable where the database was away, busy or broke off the statement.
pub(crate) fn failed(attempted: &'static str) -> impl FnOnce(DbErr) -> Error {
    move |error| {
        let source = Cause::new(&error);
        if is_transient(&error) { Error::Unavailable(source) } else { Error::Query { attempted, source } }
    }
}

fn is_transient(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            SqlxError::Io(_)
            | SqlxError::Tls(_)
            | SqlxError::PoolTimedOut
            | SqlxError::PoolClosed
            | SqlxError::WorkerCrashed => true,
            SqlxError::Database(error) => error.code().is_some_and(|code| dialect::is_transient(&code)),
            _ => false,
        },
        _ => false,
    }
}
