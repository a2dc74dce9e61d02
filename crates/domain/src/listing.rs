//! A whole list against what was known before: whether it is believed that what is missing from it is gone.
//!
//! Empty is not success, and a list that lost much is more often a fault of the vendor or of a permission than a
//! clean-up. What is not believed is told and changes nothing, until somebody who knows accepts it.

use chrono::{Days, NaiveDate};

/// Below this many known rows any share of them may well go at once.
const SHRINK_COUNTS_FROM: u64 = 10;
/// More than so many of a hundred known rows do not go at once.
const MOST_PERCENT: u64 = 30;

/// Rows of activity below which nothing follows from whose they are.
const PROOF_COUNTS_FROM: u64 = 10;
/// The days whose activity says who must be on a list of members.
const PROOF_DAYS: u64 = 28;

/// What the latest activity says about a list of members: whoever had a paid role in it is a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    /// Rows of activity in a paid role.
    pub rows: u64,
    /// Of those, how many are of members whom the list does not have.
    pub strangers: u64,
    /// How many these members are.
    pub stranger_members: u64,
}

/// The first of the days before `today` whose activity says who must be on a list of members. On the day that the
/// vendor's ids became others, older rows may not have been rewritten.
pub fn proof_from(today: NaiveDate) -> NaiveDate {
    let ids_changed = NaiveDate::from_ymd_opt(2026, 2, 24).expect("a date");
    (today - Days::new(PROOF_DAYS)).max(ids_changed.min(today))
}

impl Proof {
    /// Counts rows by member against who is on the list.
    pub fn of<K>(rows: impl IntoIterator<Item = (K, u64)>, is_listed: impl Fn(&K) -> bool) -> Self {
        rows.into_iter().fold(Self::default(), |sum, (member, rows)| Self {
            rows: sum.rows + rows,
            strangers: sum.strangers + if is_listed(&member) { 0 } else { rows },
            stranger_members: sum.stranger_members + u64::from(!is_listed(&member)),
        })
    }

    /// Why a list of so many members is not believed, if it is not. One without anybody never is: the credential itself
    /// belongs to a member.
    pub fn doubt(self, listed: u64) -> Option<String> {
        let Self { rows, strangers, stranger_members } = self;
        if listed == 0 {
            let why = match rows {
                0 => "every workspace has one at least".to_owned(),
                rows => format!("{rows} rows of activity in paid roles prove that there are some"),
            };
            return Some(format!("Productboard listed no members, and {why}; the list was not believed"));
        }
        let lacks_many = rows >= PROOF_COUNTS_FROM && strangers * 100 > rows * MOST_PERCENT;
        // One alone may be somebody whose account is gone.
        let lacks_many = lacks_many && stranger_members > 1;
        let (members, list) = if listed == 1 { ("member", "it has") } else { ("members", "they have") };
        lacks_many.then(|| {
            format!(
                "Productboard listed {listed} {members}, and of {rows} rows of activity in paid roles {list} only {}; \
                 a list that lacks so many was not believed",
                rows - strangers
            )
        })
    }
}

/// A listing, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Rows that were there before and not known to be gone.
    pub known: u64,
    /// Of those, how many the list does not have.
    pub missing: u64,
    /// Rows the list has.
    pub listed: u64,
}

impl Listing {
    /// Why it is not believed, if it is not. `what` is a plural, such as `members`.
    pub fn doubt(self, what: &str) -> Option<String> {
        let Self { known, missing, listed } = self;
        if known > 0 && listed == 0 {
            return Some(format!(
                "Productboard listed no {what} where {known} were known; the list was not believed and nothing was \
                 taken for deleted"
            ));
        }
        let is_shrunken = known >= SHRINK_COUNTS_FROM && missing * 100 > known * MOST_PERCENT;
        is_shrunken.then(|| {
            format!(
                "Productboard listed {listed} {what} where {known} were known, and {missing} of those are missing; \
                 a list that lost more than {MOST_PERCENT} % was not believed and nothing was taken for deleted"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubt(known: u64, missing: u64, listed: u64) -> Option<String> {
        Listing { known, missing, listed }.doubt("members")
    }

    #[test]
    fn activity_proves_members() {
        let doubt = |rows, strangers, listed| {
            Proof { rows, strangers, stranger_members: 2.min(strangers) }.doubt(listed)
        };
        assert_eq!(Proof { rows: 50, strangers: 50, stranger_members: 1 }.doubt(1), None, "one alone");
        let believed = [(0, 0, 1), (9, 9, 1), (10, 3, 1), (1_000, 0, 60), (1_000, 56, 60), (1_000, 300, 60)];
        for (rows, strangers, listed) in believed {
            assert_eq!(doubt(rows, strangers, listed), None, "{strangers} of {rows}, {listed} listed");
        }
        for (rows, strangers, listed) in
            [(0, 0, 0), (3_191, 3_191, 0), (10, 4, 5), (1_000, 980, 1), (1_000, 301, 60)]
        {
            assert!(doubt(rows, strangers, listed).is_some(), "{strangers} of {rows}, {listed} listed");
        }
        let counted = Proof::of([('a', 20), ('b', 5), ('c', 7)], |member| *member == 'b');
        assert_eq!(counted, Proof { rows: 32, strangers: 27, stranger_members: 2 });
        assert_eq!(
            counted.doubt(1).unwrap(),
            "Productboard listed 1 member, and of 32 rows of activity in paid roles it has only 5; a list that lacks so \
             many was not believed"
        );
    }

    #[test]
    fn an_empty_or_shrunken_list_is_doubted() {
        let believed =
            [(0, 0, 0), (0, 0, 60), (1, 0, 1), (9, 8, 1), (9, 9, 3), (10, 3, 7), (60, 18, 42), (60, 0, 900)];
        for (known, missing, listed) in believed {
            assert_eq!(doubt(known, missing, listed), None, "{known} known, {missing} missing");
        }
        let doubted = [(1, 1, 0), (60, 60, 0), (10, 4, 6), (60, 19, 41), (60, 19, 900), (61, 30, 31)];
        for (known, missing, listed) in doubted {
            assert!(doubt(known, missing, listed).is_some(), "{known} known, {missing} missing");
        }
    }
}
