//! What the codes of both databases mean for whoever asked: later, on another server, after a person has acted, or never.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// Why a database did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is away, busy, or broke off the statement.
    Away,
    /// It takes no writes: a standby after a failover, a file or a folder without the permission.
    ReadOnly,
    /// Its disk is full.
    Full,
    /// Its schema is not this version's: a deploy is under way, or `tidemark migrate` has not run.
    Schema,
    /// Another process has the file.
    Locked,
    /// The file is not there, or cannot be opened.
    Unopened,
    /// The file is damaged, or is no database.
    Damaged,
    /// A value cannot be stored. It concerns its row and no other.
    Value,
    /// It refused for any other reason: a fault of this program.
    Refused,
}

impl Trouble {
    /// Whether the same statement may work later.
    pub(crate) fn passes(self) -> bool {
        !matches!(self, Self::Damaged | Self::Value | Self::Refused)
    }

    /// What it means and what to do.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Away | Self::Value | Self::Refused => {
                "the database cannot be used just now; check that it runs and is reachable, then try again"
            }
            Self::ReadOnly => {
                "the database is read-only; after a failover, point database.url at the new primary; for a file, give \
                 this user the right to write the file and its folder"
            }
            Self::Full => "the disk of the database is full; make room, and the work goes on",
            Self::Schema => {
                "the database's schema is not that of this version; wait for the deploy to end, or run \
                 `tidemark migrate`"
            }
            Self::Locked => {
                "another process is using the database file; wait for it or stop it, then try again"
            }
            Self::Unopened => {
                "the database file cannot be opened; check that its folder exists and is a folder"
            }
            Self::Damaged => {
                "the database file is damaged or is not a database; restore it from a backup, or name another file"
            }
        }
    }
}

pub(crate) fn of(error: &DbErr) -> Trouble {
    match error {
        DbErr::ConnectionAcquire(_) => Trouble::Away,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => of_driver(error),
        _ => Trouble::Refused,
    }
}

pub(crate) fn of_driver(error: &SqlxError) -> Trouble {
    match error {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Trouble::Away,
        SqlxError::Database(error) => error.code().map_or(Trouble::Refused, |code| of_code(&code)),
        _ => Trouble::Refused,
    }
}

/// SQLSTATEs have five characters, SQLite's codes are shorter numbers.
fn of_code(code: &str) -> Trouble {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => of_sqlite(number),
        _ => of_sqlstate(code),
    }
}

fn of_sqlstate(code: &str) -> Trouble {
    match code {
        "25006" => Trouble::ReadOnly,
        "53100" => Trouble::Full,
        // Serialization, deadlock, unknown completion, lock time-out, statement time-out, idle in a transaction.
        "40001" | "40P01" | "40003" | "55P03" | "57014" | "25P03" | "25P04" => Trouble::Away,
        // A check or a missing value; a row that is too large for a page or an index.
        "23502" | "23514" | "54000" => Trouble::Value,
        // A permission, which waiting does not bring.
        "42501" => Trouble::Refused,
        // The plan of a prepared statement is older than its table.
        "0A000" => Trouble::Schema,
        _ => match code.get(..2) {
            // Connections, resources, the operator, the system.
            Some("08" | "53" | "57" | "58") => Trouble::Away,
            Some("22") => Trouble::Value,
            Some("42") => Trouble::Schema,
            _ => Trouble::Refused,
        },
    }
}

/// The low byte is the class, the rest says more.
fn of_sqlite(code: u32) -> Trouble {
    const CHECK: u32 = 275;
    const NOT_NULL: u32 = 1299;
    match (code, code & 0xff) {
        (CHECK | NOT_NULL, _) => Trouble::Value,
        (_, 5 | 6) => Trouble::Locked,
        // The file was moved or deleted underneath, too: writes to it would be lost.
        (_, 8) => Trouble::ReadOnly,
        (_, 10) => Trouble::Away,
        (_, 13) => Trouble::Full,
        (_, 14) => Trouble::Unopened,
        (_, 11 | 26) => Trouble::Damaged,
        // Too big, of the wrong type.
        (_, 18 | 20) => Trouble::Value,
        _ => Trouble::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_faults_of_a_server_are_not_the_statements_fault() {
        for code in ["08006", "53300", "53200", "57P01", "57P02", "57P03", "58000", "58030", "40001", "57014"]
        {
            assert_eq!(of_code(code), Trouble::Away, "{code}");
        }
        assert_eq!(of_code("25006"), Trouble::ReadOnly, "a standby after a failover");
        assert_eq!(of_code("53100"), Trouble::Full);
        for code in ["25006", "53100", "42P01", "0A000"] {
            assert!(of_code(code).passes(), "{code}");
        }
    }

    #[test]
    fn a_deploy_in_progress_is_waited_for_and_a_missing_permission_is_not() {
        for code in ["42P01", "42703", "42883", "0A000"] {
            assert_eq!(of_code(code), Trouble::Schema, "{code}");
        }
        assert_eq!(of_code("42501"), Trouble::Refused);
    }

    #[test]
    fn a_value_that_cannot_be_stored_concerns_its_row() {
        for code in ["22021", "22P05", "22001", "22003", "22P02", "23514", "54000", "275", "1299", "18", "20"]
        {
            assert_eq!(of_code(code), Trouble::Value, "{code}");
            assert!(!of_code(code).passes(), "{code}");
        }
        for code in ["23505", "23503", "XX000", "2067", "787", "1"] {
            assert_eq!(of_code(code), Trouble::Refused, "{code}");
        }
    }

    #[test]
    fn what_can_be_wrong_with_a_file_is_told_apart() {
        let cases = [
            ("5", Trouble::Locked),
            ("262", Trouble::Locked),
            ("8", Trouble::ReadOnly),
            ("1032", Trouble::ReadOnly),
            ("13", Trouble::Full),
            ("14", Trouble::Unopened),
            ("526", Trouble::Unopened),
            ("26", Trouble::Damaged),
            ("11", Trouble::Damaged),
            ("778", Trouble::Away),
        ];
        for (code, expected) in cases {
            assert_eq!(of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn each_trouble_of_a_file_has_its_own_sentence() {
        use Trouble::{Away, Damaged, Full, Locked, ReadOnly, Schema, Unopened};
        let all = [Away, Damaged, Full, Locked, ReadOnly, Schema, Unopened].map(Trouble::sentence);
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
