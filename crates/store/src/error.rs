//! What can go wrong, named by what the caller can do about it.

use std::fmt;

use sea_orm::DbErr;

use crate::dialect::trouble::{self, Trouble};

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another worker took the workspace: stop, write nothing more.
    #[error("another worker holds this workspace now; this one must stop and write nothing more")]
    FenceLost,
    /// Nothing was written; the same call may work later.
    #[error("{}", .0.trouble().sentence())]
    Unavailable(#[source] Cause),
    /// A value cannot be stored: it concerns the row that holds it, and not the others.
    #[error("the database refused a value, trying to {attempted}")]
    BadValue {
        /// What was tried, as a verb and its object.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: Cause,
    },
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
pub struct Cause {
    trouble: Trouble,
    text: String,
}

impl Cause {
    pub(crate) fn of(trouble: Trouble, text: impl fmt::Display) -> Self {
        Self { trouble, text: text.to_string() }
    }

    /// What kind of trouble it is.
    pub fn trouble(&self) -> Trouble {
        self.trouble
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}

/// The error of a failed attempt, by what the caller can do about it.
pub(crate) fn failed(attempted: &'static str) -> impl FnOnce(DbErr) -> Error {
    move |error| {
        let trouble = trouble::of(&error);
        let source = Cause::of(trouble, &error);
        match trouble {
            Trouble::Value => Error::BadValue { attempted, source },
            trouble if trouble.passes() => Error::Unavailable(source),
            _ => Error::Query { attempted, source },
        }
    }
}
