//! Which lists a run reads of a stream. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::{
    id::RunId,
    stream::{Capture, Stream},
};
use tidemark_productboard::EntityType;
use tidemark_store::{Listing, Mark};

/// The list of all changes.
pub(super) const CHANGES: &str = "changes";
/// Searches do not find objectives: they are listed.
pub(super) const OBJECTIVE: &str = "objective";
/// Changes are asked for from so long before the last known one: they may become visible out of order.
const OVERLAP: TimeDelta = TimeDelta::hours(1);
/// A whole list of notes is read by their age in days, all ages at once.
const AGES: [i64; 5] = [30, 90, 180, 365, 730];

/// The lists of changes, or whole lists where their time has come: after so many days, when other things are kept than
/// before, and when somebody accepts what they lost.
pub(super) fn lists(
    stream: Stream,
    run: &RunId,
    mark: &Mark,
    capture: Capture,
    now: DateTime<Utc>,
    every_days: u32,
) -> Vec<Listing> {
    let is_fresh = |at: DateTime<Utc>| at + TimeDelta::days(every_days.into()) > now;
    let swept = mark.swept_at.filter(|at| is_fresh(*at) && mark.capture == capture && !mark.accepts_shrink);
    let Some(from) = swept.and(mark.watermark) else { return whole(stream, run, capture, now) };
    let parts = if stream == Stream::Entities { &[CHANGES, OBJECTIVE][..] } else { &[CHANGES] };
    let list = |part: &&str| Listing {
        updated_from: Some(from - OVERLAP),
        ..listing((*part).to_owned(), run, capture, now)
    };
    parts.iter().map(list).collect()
}

/// Whole lists, one for each type of entity or each age of notes.
pub(super) fn whole(stream: Stream, run: &RunId, capture: Capture, now: DateTime<Utc>) -> Vec<Listing> {
    let parts: Vec<String> = if stream == Stream::Entities {
        EntityType::KNOWN.iter().map(|kind| kind.as_str().to_owned()).collect()
    } else {
        (0..=AGES.len()).map(|age| age.to_string()).collect()
    };
    parts.into_iter().map(|part| listing(part, run, capture, now)).collect()
}

fn listing(part: String, run: &RunId, capture: Capture, now: DateTime<Utc>) -> Listing {
    Listing {
        part,
        run_id: run.clone(),
        updated_from: None,
        begun_at: now,
        next_cursor: None,
        newest: None,
        is_done: false,
        capture,
        faults: 0,
        way: None,
    }
}

/// When the notes of a part were made; both ends belong to it, an absent one is open.
pub(super) fn made(list: &Listing) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let age: usize = list.part.parse().unwrap_or(0);
    let ago = |age: usize| AGES.get(age).map(|days| list.begun_at - TimeDelta::days(*days));
    (ago(age), age.checked_sub(1).and_then(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-08-12T12:00:00Z".parse().unwrap()
    }

    fn planned(stream: Stream, mark: &Mark, capture: Capture) -> Vec<(String, Option<i64>)> {
        let run = format!("run_{}", "a".repeat(26)).parse().unwrap();
        let lists = lists(stream, &run, mark, capture, now(), 7);
        let hours = |from: DateTime<Utc>| (now() - from).num_hours();
        lists.into_iter().map(|list| (list.part, list.updated_from.map(hours))).collect()
    }

    #[test]
    fn changes_are_asked_for_with_an_overlap() {
        let mark = Mark {
            watermark: Some(now() - TimeDelta::hours(5)),
            swept_at: Some(now() - TimeDelta::days(6)),
            ..Mark::default()
        };
        let notes = planned(Stream::Notes, &mark, Capture::Metadata);
        assert_eq!(notes, [("changes".to_owned(), Some(6))]);
        let entities = planned(Stream::Entities, &mark, Capture::Metadata);
        assert_eq!(entities, [("changes".to_owned(), Some(6)), ("objective".to_owned(), Some(6))]);
    }

    #[test]
    fn whole_lists_have_their_time() {
        let mark = Mark { watermark: Some(now()), swept_at: Some(now()), ..Mark::default() };
        let is_whole = |mark: &Mark, capture| {
            let lists = planned(Stream::Entities, mark, capture);
            lists.len() == 11 && lists.iter().all(|(_, from)| from.is_none())
        };
        assert!(!is_whole(&mark, Capture::Metadata));
        assert!(is_whole(&mark, Capture::Full), "more is kept than before");
        assert!(is_whole(&Mark::default(), Capture::Metadata), "the first run");
        let old = Mark { swept_at: Some(now() - TimeDelta::days(7)), ..mark };
        assert!(is_whole(&old, Capture::Metadata));
        assert!(is_whole(&Mark { accepts_shrink: true, ..mark }, Capture::Metadata));
    }

    #[test]
    fn ages_leave_no_gap() {
        let run = format!("run_{}", "a".repeat(26)).parse().unwrap();
        let lists = whole(Stream::Notes, &run, Capture::Metadata, now());
        let spans: Vec<_> = lists.iter().map(made).collect();
        assert_eq!((spans[0].1, spans[spans.len() - 1].0), (None, None), "open at both ends");
        assert!(spans.windows(2).all(|pair| pair[0].0.is_some() && pair[0].0 == pair[1].1));
    }
}
