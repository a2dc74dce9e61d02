//! What can go wrong, named by what the caller can do about it.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Instant,
};

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
    /// Nothing was written; the same call may work later. The cause names the [`Outage`].
    #[error("{}", .0.outage())]
    Unavailable(#[source] Cause),
    /// A value of this row cannot be kept: trying again does not help, leaving the row out does.
    #[error("the database refused a value while it was to {attempted}")]
    BadData {
        /// What was tried, as a verb and its object.
        attempted: &'static str,
        /// What the database said, without the value.
        #[source]
        source: Cause,
    },
    /// The database refused the statement: a fault of this program, so trying again does not help.
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
    /// The server is another machine, and its URL allows that everything is sent unencrypted.
    #[error(
        "{0} is another machine, and its URL lets everything be sent there unencrypted; say `sslmode=verify-full` in the \
         URL (with `sslrootcert=FILE` for an authority of your own), or, in a network that nobody can listen in on, \
         set database.allow_plaintext = true"
    )]
    Plaintext(String),
}

impl Error {
    /// Why the database cannot be used, if that is what is wrong.
    pub fn outage(&self) -> Option<Outage> {
        match self {
            Self::Unavailable(cause) => Some(cause.outage()),
            _ => None,
        }
    }
}

/// Why the database cannot be used, with what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// It does not answer, or broke the connection off.
    #[error("the database cannot be used just now; check that it runs and is reachable, then try again")]
    Away,
    /// All connections are taken, here or there, or it has no memory for more.
    #[error(
        "no connection to the database is free; check that it runs, that its `max_connections` is enough for the \
         `database.max_connections` of all processes together, and that no statement blocks the others"
    )]
    NoConnection,
    /// A lock, a time-out, a deadlock, a conflict with another transaction.
    #[error("the database was busy and broke the statement off; try again")]
    Busy,
    /// Another process holds the SQLite file.
    #[error("another process has the database locked; wait until it is done or stop it, then try again")]
    Locked,
    /// No room for another row.
    #[error("the database's disk is full; make room, then try again")]
    DiskFull,
    /// A standby, a server that stopped writes, or a file that may not be written.
    #[error(
        "the database is read-only: a standby or a server that refuses writes, or a file or folder without the right \
         to write; connect to the primary or grant the right, then try again"
    )]
    ReadOnly,
    /// The SQLite file was deleted, moved or replaced.
    #[error("the database file was deleted or moved while it was open; put it back or restart the process")]
    FileGone,
    /// The SQLite file cannot be read or written.
    #[error("the disk of the database file fails or is full; check the disk, then try again")]
    DiskFailed,
    /// The SQLite file cannot be opened or created.
    #[error(
        "the database file cannot be opened; check that its folder exists, that it is a file and not a folder, and \
         that this user may read and write it"
    )]
    CannotOpen,
    /// The SQLite file's content is broken.
    #[error("the database file is damaged; restore it from a backup")]
    Damaged,
    /// Some other file.
    #[error("the file is not a SQLite database; give the path of another file")]
    NotADatabase,
    /// Tables, columns or rights do not fit this version.
    #[error(
        "the database's schema or rights do not fit this version; wait for the deployment that is under way, or run \
         `tidemark migrate`"
    )]
    Deploying,
    /// A pooler hands the connections of PostgreSQL around, and prepared statements stay behind.
    #[error(
        "the pooler in front of the database loses prepared statements; use PgBouncer's session mode, or its transaction \
         mode from version 1.21 on with `max_prepared_statements` above 0"
    )]
    Pooler,
    /// Wrong user, password or database name.
    #[error("the database refuses the login; check the user, the password and the database's name")]
    Login,
    /// No encrypted connection came about.
    #[error("no encrypted connection to the database could be made; check its certificate and `sslmode`")]
    Tls,
}

impl Outage {
    /// Whether it lasts until a person does something: nobody should wait for it without a word.
    pub fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::DiskFull
                | Self::ReadOnly
                | Self::FileGone
                | Self::DiskFailed
                | Self::CannotOpen
                | Self::Damaged
                | Self::NotADatabase
        )
    }
}

/// The newest outage that this process met and that needs a person, and when: what retries in the background for ever
/// must not hide it from whoever waits in the foreground.
static LATEST: Mutex<Option<(Outage, Instant)>> = Mutex::new(None);

/// What this process met since then, on any of its stores, if it needs a person.
pub fn outage_since(instant: Instant) -> Option<Outage> {
    let latest = *LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.filter(|(_, at)| *at >= instant).map(|(outage, _)| outage)
}

/// What a failure is, to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The same statement may work later.
    Passing(Outage),
    /// A value cannot be kept.
    Row,
    /// Trying again does not help.
    Refused,
}

/// What the database or its driver said, as text: the driver's own error prints row values in its `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause {
    text: String,
    outage: Outage,
}

impl Cause {
    pub(crate) fn new(outage: Outage, text: impl fmt::Display) -> Self {
        if outage.needs_a_person() {
            *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some((outage, Instant::now()));
        }
        Self { text: text.to_string(), outage }
    }

    /// What keeps the database from being used, where that is so.
    pub fn outage(&self) -> Outage {
        self.outage
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

/// The error of a failed attempt: retryable where the database was away, busy or broke off the statement.
pub(crate) fn failed(attempted: &'static str) -> impl FnOnce(DbErr) -> Error {
    move |error| {
        let cause = |text: String| Cause { text, outage: Outage::Away };
        match kind(&error) {
            Kind::Passing(outage) => Error::Unavailable(Cause::new(outage, &error)),
            Kind::Row => Error::BadData { attempted, source: cause(without_values(&error.to_string())) },
            Kind::Refused => Error::Query { attempted, source: cause(error.to_string()) },
        }
    }
}

/// The failure of an attempt to connect to that database.
pub(crate) fn unreachable(database: impl fmt::Display, error: &SqlxError) -> Error {
    let outage = match dialect::kind(error) {
        Kind::Passing(outage) => outage,
        Kind::Row | Kind::Refused => Outage::Away,
    };
    Error::Unavailable(Cause::new(outage, format!("{database}: {error}")))
}

fn kind(error: &DbErr) -> Kind {
    match error {
        DbErr::ConnectionAcquire(_) => Kind::Passing(Outage::NoConnection),
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => dialect::kind(error),
        _ => Kind::Refused,
    }
}

/// PostgreSQL quotes the value that it cannot read: `invalid input syntax for type integer: "…"`.
fn without_values(text: &str) -> String {
    let parts = text.split('"').enumerate();
    let parts: Vec<_> = parts.map(|(place, part)| if place % 2 == 0 { part } else { "…" }).collect();
    parts.join("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_value_is_not_shown() {
        let text = r#"invalid input syntax for type integer: "anna@acme.test""#;
        assert_eq!(without_values(text), r#"invalid input syntax for type integer: "…""#);
    }
}
