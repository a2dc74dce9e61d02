//! Reads one slice. Whether the vendor's `dateTo` is the last day of the answer or the first one behind it is not
//! documented: a row of that day proves the one. Where none comes, that day is asked for once more with the day behind it,
//! and a row that only comes then proves the other; from then on each slice is asked for with a day more.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU8, Ordering},
};

use chrono::{Days, NaiveDate};
use futures::TryStreamExt;
use tidemark_domain::activity::MemberDay;
use tidemark_productboard::{Activity, Client, Error, Page};
use tidemark_store::QuarantinedRow;
use tokio::sync::mpsc;

use super::{super::quarantine, plan::Slice};

/// One page of a slice.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) slice: Slice,
    pub(super) rows: Vec<MemberDay>,
    pub(super) bad: Vec<QuarantinedRow>,
    /// Fields that are not known, once for each row that has them.
    pub(super) unknown: Vec<String>,
    /// What is odd about the list.
    pub(super) flags: BTreeSet<&'static str>,
    /// Whether the list has nothing here and goes on.
    pub(super) is_empty: bool,
    /// Whether the slice is in whole with it.
    pub(super) is_last: bool,
}

const UNPROVEN: u8 = 0;
const INCLUSIVE: u8 = 1;
const EXCLUSIVE: u8 = 2;

/// What is known of `dateTo`, by all readers of a workspace.
#[derive(Debug, Default)]
pub(super) struct Reach(AtomicU8);

impl Reach {
    /// Whether the day is in the answer, as it was found before. That it is has to be proven again.
    pub(super) fn known(is_inclusive: Option<bool>) -> Self {
        Self(AtomicU8::new(if is_inclusive == Some(false) { EXCLUSIVE } else { UNPROVEN }))
    }

    /// Whether the day is in the answer, where that is known.
    pub(super) fn proven(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            INCLUSIVE => Some(true),
            EXCLUSIVE => Some(false),
            _ => None,
        }
    }

    fn is_exclusive(&self) -> bool {
        self.proven() == Some(false)
    }

    fn is_inclusive(&self) -> bool {
        self.proven() == Some(true)
    }

    fn prove(&self, what: u8) {
        self.0.store(what, Ordering::Relaxed);
    }

    /// The `dateTo` that brings everything up to that day.
    fn date_to(&self, day: NaiveDate) -> NaiveDate {
        if self.is_exclusive() { day + Days::new(1) } else { day }
    }
}

type Send = mpsc::Sender<Result<Part, Error>>;

pub(super) async fn read(client: Client, slice: Slice, reach: std::sync::Arc<Reach>, send: Send) {
    if let Err(error) = slice_of(&client, slice, &reach, &send).await {
        // Nobody who listens any more is no failure: the delivery has ended.
        let _ = send.send(Err(error)).await;
    }
}

async fn slice_of(client: &Client, slice: Slice, reach: &Reach, send: &Send) -> Result<(), Error> {
    let date_to = reach.date_to(slice.to);
    let mut pages = client.member_activities(slice.from, date_to, None);
    let mut reached_end = false;
    loop {
        // A list without any page is an empty one.
        let page = pages.try_next().await?.unwrap_or_default();
        reached_end |= page.items.iter().any(|activity| activity.row.day == date_to);
        // A link that leads nowhere is told behind the page that has it: only then it is known to be no end.
        let end = if page.next.is_none() { Some(pages.try_next().await) } else { None };
        if reached_end && end.is_some() {
            reach.prove(INCLUSIVE);
        }
        let is_proven = reached_end || date_to > slice.to || reach.is_inclusive();
        let is_whole = matches!(end, Some(Ok(_)));
        let part = part(slice, slice, page, is_whole && is_proven);
        if send.send(Ok(part)).await.is_err() {
            return Ok(());
        }
        match end {
            Some(Err(error)) => return Err(error),
            Some(Ok(_)) if is_proven => return Ok(()),
            Some(Ok(_)) => return last_day(client, slice, reach, send).await,
            None => {}
        }
    }
}

/// The last day of a slice once more, with a day behind it.
async fn last_day(client: &Client, slice: Slice, reach: &Reach, send: &Send) -> Result<(), Error> {
    let only = Slice { from: slice.to, to: slice.to };
    let mut pages = client.member_activities(slice.to, slice.to + Days::new(1), None);
    loop {
        let page = pages.try_next().await?.unwrap_or_default();
        let end = if page.next.is_none() { Some(pages.try_next().await) } else { None };
        let part = part(slice, only, page, matches!(end, Some(Ok(_))));
        if !part.rows.is_empty() {
            reach.prove(EXCLUSIVE);
        }
        if send.send(Ok(part)).await.is_err() {
            return Ok(());
        }
        match end {
            Some(Err(error)) => return Err(error),
            Some(Ok(_)) => return Ok(()),
            None => {}
        }
    }
}

/// A page of a slice of which only the days of `wanted` count: what is of others was not asked for.
fn part(slice: Slice, wanted: Slice, page: Page<Activity>, is_last: bool) -> Part {
    let is_wanted = |day: NaiveDate| (wanted.from..=wanted.to).contains(&day);
    let is_empty = page.items.is_empty() && page.unreadable.is_empty() && page.next.is_some();
    let unknown = page.items.iter().flat_map(|activity| activity.unknown().map(str::to_owned)).collect();
    let rows = page.items.into_iter().map(|activity| activity.row).filter(|row| is_wanted(row.day)).collect();
    let bad = page.unreadable.into_iter().filter(|row| row.key.day.is_none_or(is_wanted)).map(|row| {
        let days = row.key.day.map_or((wanted.from, wanted.to), |day| (day, day));
        quarantine::row(row, Some(days))
    });
    let flags = page.flags.iter().map(|flag| flag.as_str()).collect();
    Part { slice, rows, bad: bad.collect(), unknown, flags, is_empty, is_last }
}
