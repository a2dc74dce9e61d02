//! Which days are to be computed: those whose facts changed, and the 89 days after each.

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    id::{ConnectionId, RunId},
    rollup::{Coverage, DEFINITION_VERSION, reach},
};
use tidemark_store::{Error, RollupHead, RollupMark, Store};

/// The days a rollup speaks for, and the run that brought the last of them.
pub(super) struct Span {
    pub(super) coverage: Coverage,
    pub(super) first: NaiveDate,
    pub(super) last: NaiveDate,
    pub(super) roster_start: NaiveDate,
    pub(super) run_id: RunId,
}

impl Span {
    /// Where nothing is covered, there is no rollup: unknown is not inactive.
    pub(super) async fn read(store: &Store, connection: &ConnectionId) -> Result<Option<Self>, Error> {
        let days = store.coverage(connection).await?;
        let coverage: Coverage = days.iter().map(|covered| covered.day).collect();
        let (Some(first), Some(last)) = (coverage.history_start(), coverage.as_of()) else { return Ok(None) };
        let roster_start = store.roster_start(connection).await?.unwrap_or(last);
        let run_id = days.into_iter().find(|covered| covered.day == last).map(|covered| covered.run_id);
        Ok(run_id.map(|run_id| Self { coverage, first, last, roster_start, run_id }))
    }
}

/// The ranges of days to be folded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Ends on the as-of day, by which the seats are judged.
    pub(super) judged: (NaiveDate, NaiveDate),
    /// Where what changed lies so far back that it does not reach the as-of day.
    pub(super) apart: Option<(NaiveDate, NaiveDate)>,
    extent: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Part,
    /// No facts changed: numbers and seats are what they were.
    Nothing,
}

impl Plan {
    /// All days.
    pub(super) fn whole(span: &Span) -> Self {
        Self { judged: (span.first, span.last), apart: None, extent: Extent::Whole }
    }

    /// What changed since the rollup before. Without one, or by other definitions, or where the history reaches further
    /// back than it did, that is everything.
    pub(super) fn new(span: &Span, mark: &RollupMark, before: Option<&RollupHead>) -> Self {
        let comparable = before.filter(|before| {
            before.definition_version == DEFINITION_VERSION
                && before.history_start == span.first
                && before.as_of <= span.last
        });
        let Some(before) = comparable else { return Self::whole(span) };
        let fresh = (before.as_of < span.last).then(|| before.as_of + Days::new(1));
        let dirty = mark.dirty.and_then(|(from, to)| {
            let to = if to >= span.last { span.last } else { reach(to).min(span.last) };
            let from = from.max(span.first);
            (from <= to).then_some((from, to))
        });
        match (dirty, fresh) {
            (None, None) => Self { judged: (span.last, span.last), apart: None, extent: Extent::Nothing },
            (None, Some(fresh)) => Self { judged: (fresh, span.last), apart: None, extent: Extent::Part },
            (Some((from, to)), None) if to < span.last => {
                Self { judged: (span.last, span.last), apart: Some((from, to)), extent: Extent::Part }
            }
            (Some((from, _)), fresh) => {
                let from = fresh.map_or(from, |fresh| fresh.min(from));
                let extent = if from <= span.first { Extent::Whole } else { Extent::Part };
                Self { judged: (from, span.last), apart: None, extent }
            }
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.extent == Extent::Nothing
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn day(offset: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(offset)
    }

    fn plan(
        dirty: Option<(u64, u64)>,
        before: Option<u64>,
    ) -> ((NaiveDate, NaiveDate), Option<(NaiveDate, NaiveDate)>) {
        let run_id: RunId = "run_01jd0000000000000000000000".parse().unwrap();
        let coverage = (0..=300).map(day).collect();
        let span =
            Span { coverage, first: day(0), last: day(300), roster_start: day(0), run_id: run_id.clone() };
        let head = before.map(|as_of| RollupHead {
            as_of: day(as_of),
            history_start: day(0),
            definition_version: DEFINITION_VERSION,
            run_id,
            members: 1,
            computed_at: DateTime::UNIX_EPOCH,
            revision: 1,
            flags: Vec::new(),
        });
        let mark = RollupMark { dirty: dirty.map(|(from, to)| (day(from), day(to))), revision: 1 };
        let plan = Plan::new(&span, &mark, head.as_ref());
        (plan.judged, plan.apart)
    }

    #[test]
    fn what_changed_reaches_ninety_days_and_no_further() {
        let days = |from, to| (day(from), day(to));
        assert_eq!(plan(None, None), (days(0, 300), None), "the first time, everything");
        assert_eq!(plan(None, Some(300)), (days(300, 300), None), "nothing changed: the seats alone");
        assert_eq!(plan(None, Some(299)), (days(300, 300), None), "one day more");
        assert_eq!(plan(Some((295, 300)), Some(299)), (days(295, 300), None), "late rows and a new day");
        assert_eq!(plan(Some((250, 250)), Some(300)), (days(250, 300), None));
        assert_eq!(plan(Some((100, 110)), Some(300)), (days(300, 300), Some(days(100, 199))), "far back");
        assert_eq!(plan(Some((100, 110)), Some(298)), (days(100, 300), None), "far back, and new days");
    }
}
