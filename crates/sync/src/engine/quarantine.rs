//! What becomes of rows that cannot be read: each is kept in quarantine, and the others count. Where they are many, it is
//! the vendor that changed, and the stream stops. Beside it, what is odd about a list that was read all the same.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use tidemark_domain::{id::ConnectionId, quality, stream::Stream};
use tidemark_productboard::{ListFlag, UnreadableRow};
use tidemark_store::{QuarantinedRow, Tx};

use crate::decision::Failure;

/// So many rows may always be bad.
const MOST: u64 = 10;
/// Of a list with more bad ones, so many of a hundred rows.
const MOST_PERCENT: u64 = 1;
/// In the middle of a list: then the rest need not be read to be sure.
const HOPELESS_PERCENT: u64 = 10;

/// Of a list that has so many rows so far, bad ones included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bad {
    pub(super) bad: u64,
    pub(super) rows: u64,
}

impl Bad {
    /// Whether the vendor must have changed, once the whole list is there.
    pub(super) fn is_too_much(self) -> bool {
        self.bad > MOST && self.bad * 100 > self.rows * MOST_PERCENT
    }

    /// Whether that is sure before the list ends.
    pub(super) fn is_hopeless(self) -> bool {
        self.bad > MOST && self.bad * 100 > self.rows * HOPELESS_PERCENT
    }

    /// Why the stream stops. `what` is a plural, such as `members`.
    pub(super) fn sentence(self, what: &str, problem: &str) -> String {
        format!(
            "{} of {} {what} cannot be read, for example: {problem}; so many mean that Productboard changed what it sends, \
             and a newer version of Tidemark may be needed",
            self.bad, self.rows
        )
    }
}

/// A row for the quarantine; `days` is what a row of activity may be of.
pub(super) fn row(bad: UnreadableRow, days: Option<(NaiveDate, NaiveDate)>) -> QuarantinedRow {
    QuarantinedRow { id: bad.key.id, days, problem: bad.to_string(), raw: bad.raw }
}

/// Writes down what is odd about the lists of a stream, or that nothing is.
pub(super) async fn put_flags(
    write: &Tx,
    connection: &ConnectionId,
    stream: Stream,
    flags: &BTreeSet<&'static str>,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    for flag in ListFlag::ALL {
        let name = quality::of_list(flag.as_str(), stream);
        let detail = flags.contains(flag.as_str()).then(|| sentence(flag, stream));
        write.put_data_flag(connection, &name, detail.as_deref(), now).await?;
    }
    Ok(())
}

fn sentence(flag: ListFlag, stream: Stream) -> String {
    let what = quality::rows_of(stream);
    match flag {
        ListFlag::RepeatedCursor => format!(
            "A list of {what} names a page as the next one that it had before; everything up to there was read, and what is \
             behind it, if anything, cannot be reached"
        ),
        ListFlag::EmptyPages => format!(
            "A list of {what} went on with five empty pages in a row and was taken to end there; everything before them was \
             read"
        ),
        ListFlag::RepeatedRows => format!(
            "A list of {what} went on with five pages in a row of rows that had come before and was taken to end there; \
             everything before them was read"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_ten_and_more_than_one_of_a_hundred_are_too_many() {
        let of = |bad, rows| Bad { bad, rows };
        for few in [of(0, 0), of(10, 10), of(11, 1_100), of(31, 3_191), of(500, 50_000)] {
            assert!(!few.is_too_much(), "{few:?}");
        }
        for many in [of(11, 11), of(11, 1_099), of(32, 3_191)] {
            assert!(many.is_too_much(), "{many:?}");
        }
        assert!(of(11, 100).is_hopeless() && !of(11, 110).is_hopeless() && !of(10, 10).is_hopeless());
    }
}
