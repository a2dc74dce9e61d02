//! A whole list against what was known before: whether it is believed that what is missing from it is gone.
//!
//! Empty is not success, and a list that lost much is more often a fault of the vendor or of a permission than a
//! clean-up. What is not believed is told and changes nothing, until somebody who knows accepts it.

/// Below this many known rows any share of them may well go at once.
const SHRINK_COUNTS_FROM: u64 = 10;
/// More than so many of a hundred known rows do not go at once.
const MOST_PERCENT: u64 = 30;

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
