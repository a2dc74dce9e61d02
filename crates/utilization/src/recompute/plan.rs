//! Which days are to be computed: those whose facts changed, and the 89 days after each. And whether any are: a number
//! whose base was not read is not a number.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    id::{ConnectionId, RunId},
    listing::{Proof, proof_from},
    quality::NO_ROSTER,
    rollup::{Coverage, CutSet, DEFINITION_VERSION, Fold, UnknownDays, reach},
};
use tidemark_store::{Error, RollupHead, RollupMark, Store};
use tokio::try_join;

/// Days that are read at once, of everybody. Of more, members are read page by page.
const MOST_DAYS: i64 = 15;

/// The days a rollup speaks for, and the run that brought the last of them.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) coverage: Coverage,
    pub(super) first: NaiveDate,
    pub(super) last: NaiveDate,
    pub(super) roster_start: NaiveDate,
    pub(super) run_id: RunId,
    pub(super) unknown: Arc<UnknownDays>,
}

/// What there is to compute from.
#[derive(Debug)]
pub(super) enum Base {
    Read(Span),
    /// No day was fetched whole: unknown is not inactive.
    NothingCovered,
    /// No list of members was believed, or activity contradicts it, for this reason: no seat is counted.
    NoRoster(String),
}

impl Base {
    pub(super) async fn read(store: &Store, connection: &ConnectionId) -> Result<Self, Error> {
        let Some(span) = Span::read(store, connection).await? else { return Ok(Self::NothingCovered) };
        if store.roster_start(connection).await?.is_none() {
            return Ok(Self::NoRoster(NO_ROSTER.to_owned()));
        }
        let (rows, known) = try_join!(
            store.maker_rows(connection, (proof_from(span.last), span.last)),
            store.known_member_ids(connection),
        )?;
        let proof = Proof::of(rows, |member| known.contains(member));
        Ok(match proof.doubt(known.len() as u64) {
            Some(doubt) => {
                Self::NoRoster(format!("{doubt}, and without a complete one no seat can be counted"))
            }
            None => Self::Read(span),
        })
    }
}

impl Span {
    /// A fold of some of its days and some cuts.
    pub(super) fn fold(&self, (first, last): (NaiveDate, NaiveDate), cuts: CutSet) -> Fold {
        let fold = Fold::new(first, last, &self.coverage, self.roster_start);
        fold.with_unknown(&self.unknown).of(cuts)
    }

    /// None where nothing is covered.
    pub(super) async fn read(store: &Store, connection: &ConnectionId) -> Result<Option<Self>, Error> {
        let days = store.coverage(connection).await?;
        let coverage: Coverage = days.iter().map(|covered| covered.day).collect();
        let (Some(first), Some(last)) = (coverage.history_start(), coverage.as_of()) else { return Ok(None) };
        let roster_start = store.roster_start(connection).await?.unwrap_or(last);
        let run_id = days.into_iter().find(|covered| covered.day == last).map(|covered| covered.run_id);
        let unknown = Arc::new(UnknownDays::new(store.unknown_days(connection).await?));
        Ok(run_id.map(|run_id| Self { coverage, first, last, roster_start, run_id, unknown }))
    }
}

/// What is to be computed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// All days, from the facts alone.
    Whole,
    /// The days from the first of these on, from what is kept of activity and the facts of these days.
    Recent {
        /// The days whose facts are read again.
        read: (NaiveDate, NaiveDate),
    },
    /// No facts changed: numbers and seats are what they were.
    Nothing,
}

impl Plan {
    /// What changed since the rollup before. Without one, or by other definitions, or where the history reaches further
    /// back than it did, or what changed lies before what is kept, that is everything.
    pub(super) fn new(span: &Span, mark: &RollupMark, before: Option<&RollupHead>) -> Self {
        let comparable = before.filter(|before| {
            before.definition_version == DEFINITION_VERSION
                && before.history_start == span.first
                && before.as_of <= span.last
        });
        let Some(before) = comparable else { return Self::Whole };
        let fresh = (before.as_of < span.last).then(|| (before.as_of + Days::new(1), span.last));
        let dirty = mark.dirty.map(|(from, to)| (from, to.min(span.last))).filter(|(from, to)| from <= to);
        let read = match (dirty, fresh) {
            (None, None) => return Self::Nothing,
            (Some(only), None) | (None, Some(only)) => only,
            (Some((dirty, _)), Some((fresh, last))) => (dirty.min(fresh), last),
        };
        // Of every window that changes, all days have to be there, and the one that goes out of it.
        match before.kept_from {
            Some(kept) if read.0 > reach(kept) && (read.1 - read.0).num_days() < MOST_DAYS => {
                Self::Recent { read }
            }
            _ => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn day(offset: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(offset)
    }

    fn plan(dirty: Option<(u64, u64)>, before: Option<u64>, kept: Option<u64>) -> Plan {
        let run_id: RunId = "run_01jd0000000000000000000000".parse().unwrap();
        let coverage = (0..=300).map(day).collect();
        let span = Span {
            coverage,
            first: day(0),
            last: day(300),
            roster_start: day(0),
            run_id: run_id.clone(),
            unknown: Arc::default(),
        };
        let head = before.map(|as_of| RollupHead {
            as_of: day(as_of),
            history_start: day(0),
            definition_version: DEFINITION_VERSION,
            run_id,
            members: 1,
            computed_at: DateTime::UNIX_EPOCH,
            revision: 1,
            flags: Vec::new(),
            kept_from: kept.map(day),
        });
        let dirty = dirty.map(|(from, to)| (day(from), day(to)));
        let mark = RollupMark { dirty, revision: 1, ..RollupMark::default() };
        Plan::new(&span, &mark, head.as_ref())
    }

    #[test]
    fn what_changed_lately_is_read_again_and_what_changed_long_ago_is_a_rebuild() {
        let recent = |from, to| Plan::Recent { read: (day(from), day(to)) };
        let kept = Some(196);
        assert_eq!(plan(None, None, None), Plan::Whole, "the first time");
        assert_eq!(plan(None, Some(300), kept), Plan::Nothing);
        assert_eq!(plan(Some((301, 400)), Some(300), kept), Plan::Nothing, "days that are not told yet");
        assert_eq!(plan(None, Some(299), kept), recent(300, 300), "one day more");
        assert_eq!(plan(Some((295, 297)), Some(300), kept), recent(295, 297), "late rows");
        assert_eq!(plan(Some((295, 297)), Some(299), kept), recent(295, 300), "late rows and a new day");
        assert_eq!(plan(Some((299, 9_999)), Some(299), kept), recent(299, 300), "the roster from a day on");
        assert_eq!(plan(Some((286, 286)), Some(300), kept), recent(286, 286), "90 days before are kept");
        assert_eq!(plan(Some((285, 285)), Some(300), kept), Plan::Whole, "one more is not");
        assert_eq!(plan(None, Some(299), None), Plan::Whole, "nothing is kept");
        assert_eq!(plan(None, Some(285), Some(181)), recent(286, 300), "two weeks later");
        assert_eq!(
            plan(None, Some(284), Some(180)),
            Plan::Whole,
            "after that, everybody's days are too many"
        );
    }
}
