//! What numbers stand on, in words: it stands beside every number.

use tidemark_rpc::utilization::{Basis as Wire, GetCoverageResponse};

use super::{Moment, moment, with_days};

/// What the numbers of a page stand on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basis {
    pub(crate) as_of: Option<Moment>,
    pub(crate) history_start: Option<Moment>,
    pub(crate) definition_version: u32,
    /// Why the numbers are older than they should be; empty where they are not.
    pub(crate) stale: String,
    pub(crate) computed: Option<Moment>,
    /// Something was changed that the numbers do not tell yet.
    pub(crate) is_pending: bool,
    /// Every row carries the workspace's totals.
    pub(crate) repeats_totals: bool,
}

impl From<Wire> for Basis {
    fn from(basis: Wire) -> Self {
        let mut stale = if basis.stale { with_days(&basis.stale_reason) } else { String::new() };
        if let Some(first) = stale.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self {
            as_of: Moment::day(&basis.as_of),
            history_start: Moment::day(&basis.history_start),
            definition_version: basis.definition_version,
            stale,
            computed: moment!(basis.computed_at),
            is_pending: basis.pending_changes,
            repeats_totals: basis.flags.iter().any(|flag| flag == "repeated_totals"),
        }
    }
}

/// Which days are known.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    pub(crate) windows: Vec<Covered>,
    pub(crate) gaps: Vec<Gap>,
    /// Gaps before those that are shown.
    pub(crate) more_gaps: usize,
    pub(crate) settled: Option<Moment>,
}

/// How much of one window is known.
#[derive(Debug, Clone)]
pub(crate) struct Covered {
    pub(crate) days: u32,
    pub(crate) covered: u64,
    pub(crate) is_whole: bool,
}

/// Days in a row that are not known.
#[derive(Debug, Clone)]
pub(crate) struct Gap {
    pub(crate) from: Option<Moment>,
    /// None where it is a single day.
    pub(crate) to: Option<Moment>,
}

/// The newest gaps say most.
const MOST_GAPS: usize = 10;

impl From<GetCoverageResponse> for Coverage {
    fn from(coverage: GetCoverageResponse) -> Self {
        let windows = coverage.windows.iter().map(|window| {
            let covered = window.coverage.as_ref().map_or(0, |share| share.numerator);
            Covered { days: window.days, covered, is_whole: covered >= u64::from(window.days) }
        });
        let gaps = coverage.gaps.iter().rev().take(MOST_GAPS).map(|gap| Gap {
            from: Moment::day(&gap.from),
            to: if gap.from == gap.to { None } else { Moment::day(&gap.to) },
        });
        Self {
            windows: windows.collect(),
            gaps: gaps.collect(),
            more_gaps: coverage.gaps.len().saturating_sub(MOST_GAPS),
            settled: Moment::day(&coverage.settled_until),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_rpc::utilization::DayRange;

    use super::*;

    #[test]
    fn stale_numbers_say_why() {
        let stale_reason = "no day after 2026-08-06 was fetched whole".to_owned();
        let basis = Wire { stale: true, stale_reason: stale_reason.clone(), ..Wire::default() };
        assert_eq!(Basis::from(basis).stale, "No day after 6 Aug 2026 was fetched whole");
        let fresh = Wire { stale_reason, flags: vec!["repeated_totals".to_owned()], ..Wire::default() };
        let fresh = Basis::from(fresh);
        assert!(fresh.stale.is_empty() && fresh.repeats_totals);
    }

    #[test]
    fn the_newest_gaps_are_shown() {
        let day = |day: usize| format!("2026-08-{:02}", 2 * day + 1);
        let gaps = (0..12).map(|at| DayRange { from: day(at), to: day(at) }).collect();
        let shown = Coverage::from(GetCoverageResponse { gaps, ..Default::default() });
        assert_eq!((shown.gaps.len(), shown.more_gaps), (10, 2));
        assert_eq!(shown.gaps[0].from.as_ref().unwrap().person, "23 Aug 2026");
        assert!(shown.gaps[0].to.is_none());
    }
}
