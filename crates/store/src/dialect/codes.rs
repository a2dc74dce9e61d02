//! What the codes of both databases mean for the caller: try again, this row cannot be kept, or a bug of this program.
//! SQLSTATEs have five characters, SQLite's codes are short numbers whose low byte is the class.

use sea_orm::SqlxError;

use crate::error::{Kind, Outage};

/// Why the driver did not do it.
pub(crate) fn kind(error: &SqlxError) -> Kind {
    match error {
        SqlxError::PoolTimedOut => Kind::Passing(Outage::NoConnection),
        // The handshake's error comes as one of the socket.
        SqlxError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Kind::Passing(Outage::Tls),
        SqlxError::Io(_) | SqlxError::PoolClosed | SqlxError::WorkerCrashed => Kind::Passing(Outage::Away),
        // A connection that speaks out of turn is broken, and so is a transaction whose `begin` did not begin one.
        SqlxError::Protocol(_) | SqlxError::BeginFailed | SqlxError::InvalidSavePointStatement => {
            Kind::Passing(Outage::Away)
        }
        SqlxError::Tls(_) => Kind::Passing(Outage::Tls),
        SqlxError::Encode(_) => Kind::Row,
        SqlxError::Database(error) => match error.code() {
            Some(state) if state.len() == 5 => sqlstate(&state),
            Some(code) => code.parse().map_or(Kind::Refused, |code| sqlite(code, error.message())),
            None => Kind::Refused,
        },
        _ => Kind::Refused,
    }
}

fn sqlstate(state: &str) -> Kind {
    let outage = match state {
        // Read-only after a failover, or because the provider stopped a full disk.
        "25006" => Outage::ReadOnly,
        "53100" => Outage::DiskFull,
        // Its own transaction ran too long without a word or as a whole.
        "25P03" | "25P04" => Outage::Busy,
        // The password is being changed, or the database is being restored.
        "3D000" => Outage::Login,
        // An index row, or a row, that is too large.
        "54000" | "23502" | "23514" => return Kind::Row,
        // A syntax error is a bug of this program; so is a statement with another number of columns than values.
        "42601" => return Kind::Refused,
        // The statement was prepared on a connection that a pooler gave to somebody else, or by somebody else on this one.
        // The last one is how PgBouncer's older versions lose a statement: it is then another connection's.
        "26000" | "42P05" | "08P01" => Outage::Pooler,
        "55P03" | "57014" => Outage::Busy,
        _ => match &state[..2] {
            "08" | "57" | "58" | "F0" | "XX" => Outage::Away,
            "22" => return Kind::Row,
            "28" => Outage::Login,
            "40" | "55" => Outage::Busy,
            // Tables, columns, functions and rights that are not there yet or no more; a plan that no longer fits.
            "42" | "0A" | "3F" => Outage::Deploying,
            "53" => Outage::NoConnection,
            _ => return Kind::Refused,
        },
    };
    Kind::Passing(outage)
}

fn sqlite(code: u32, message: &str) -> Kind {
    const NO_ROOM_FOR_SHARED_MEMORY: u32 = 10 | 19 << 8;
    const FILE_MOVED: u32 = 8 | 4 << 8;
    const CHECK: u32 = 19 | 1 << 8;
    const NOT_NULL: u32 = 19 | 5 << 8;
    const DATATYPE: u32 = 19 | 12 << 8;
    let outage = match code {
        NO_ROOM_FOR_SHARED_MEMORY => Outage::DiskFull,
        FILE_MOVED => Outage::FileGone,
        CHECK | NOT_NULL | DATATYPE => return Kind::Row,
        _ => match code & 0xff {
            // Busy, locked, lock protocol.
            5 | 6 | 15 => Outage::Locked,
            // No memory, interrupted.
            7 | 9 => Outage::Busy,
            // No permission, read-only.
            3 | 8 => Outage::ReadOnly,
            10 => Outage::DiskFailed,
            11 => Outage::Damaged,
            13 => Outage::DiskFull,
            14 => Outage::CannotOpen,
            26 => Outage::NotADatabase,
            17 => Outage::Deploying,
            1 if message.contains("no such ") || message.contains("has no column") => Outage::Deploying,
            // Too big, of the wrong type.
            18 | 20 => return Kind::Row,
            _ => return Kind::Refused,
        },
    };
    Kind::Passing(outage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_never_the_fault_of_a_statement() {
        let cases = [
            ("25006", Outage::ReadOnly),
            ("08006", Outage::Away),
            ("57P01", Outage::Away),
            ("57P02", Outage::Away),
            ("57P03", Outage::Away),
            ("58030", Outage::Away),
            ("53300", Outage::NoConnection),
            ("53200", Outage::NoConnection),
            ("53100", Outage::DiskFull),
            ("40001", Outage::Busy),
            ("40P01", Outage::Busy),
            ("55P03", Outage::Busy),
            ("57014", Outage::Busy),
            ("26000", Outage::Pooler),
            ("08P01", Outage::Pooler),
            ("42P05", Outage::Pooler),
            ("28P01", Outage::Login),
            ("42P01", Outage::Deploying),
            ("42703", Outage::Deploying),
            ("42883", Outage::Deploying),
            ("42501", Outage::Deploying),
            ("0A000", Outage::Deploying),
        ];
        for (state, outage) in cases {
            assert_eq!(sqlstate(state), Kind::Passing(outage), "{state}");
        }
    }

    #[test]
    fn data_concerns_its_row_only() {
        for state in ["22001", "22003", "22021", "22P02", "22P05", "23502", "23514", "54000"] {
            assert_eq!(sqlstate(state), Kind::Row, "{state}");
        }
        for state in ["23505", "23503", "42601", "P0001", "21000", "25P02"] {
            assert_eq!(sqlstate(state), Kind::Refused, "{state}");
        }
    }

    #[test]
    fn each_code_of_sqlite_has_its_name() {
        let cases = [
            (5, Outage::Locked),
            (517, Outage::Locked),
            (6, Outage::Locked),
            (13, Outage::DiskFull),
            (4874, Outage::DiskFull),
            (10, Outage::DiskFailed),
            (778, Outage::DiskFailed),
            (8, Outage::ReadOnly),
            (1544, Outage::ReadOnly),
            (1032, Outage::FileGone),
            (14, Outage::CannotOpen),
            (11, Outage::Damaged),
            (26, Outage::NotADatabase),
        ];
        for (code, outage) in cases {
            assert_eq!(sqlite(code, ""), Kind::Passing(outage), "{code}");
        }
        assert_eq!(sqlite(1, "no such table: members"), Kind::Passing(Outage::Deploying));
        assert_eq!(sqlite(1, "near \"selec\": syntax error"), Kind::Refused);
        assert_eq!(sqlite(2067, "UNIQUE constraint failed"), Kind::Refused);
        for code in [275, 1299, 3091, 18, 20] {
            assert_eq!(sqlite(code, ""), Kind::Row, "{code}");
        }
    }
}
