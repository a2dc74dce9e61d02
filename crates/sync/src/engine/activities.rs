//! Member activity, slice by slice: a slice is a few days in a row, newest first. Several slices are fetched at once,
//! each page by page; rows are written as they come, and a slice's last write is the checkpoint.
//!
//! A day counts as covered only when its slice was fetched whole and can be believed: empty slices wait until some
//! other slice of the run has rows, where rows are known to have been; and a day that lost most of its rows stays as it
//! was known. What vanished from a day that is believed is removed with it.

mod plan;
mod walks;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use tidemark_domain::{activity::MemberDay, id::RunId, stream};
use tidemark_productboard::Client;
use tidemark_store::{Effect, StreamProgress};
use uuid::Uuid;

use self::{
    plan::Plan,
    walks::{Part, Walks},
};
use super::{Engine, Step};
use crate::decision::Failure;

/// So many rows make a write worth its while.
const ROWS_PER_WRITE: usize = 1_000;
/// And so many make one, whatever else is there: they are held in memory.
const MOST_ROWS_PER_WRITE: usize = 4_000;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let doubted = engine.cx.store.doubted_days(&engine.connection).await?;
    let plan = plan(engine, &doubted).await?;
    (progress.done, progress.total) = (plan.done, plan.total);
    let doubted: BTreeSet<_> =
        doubted.into_iter().filter(|(_, run)| *run == engine.run).map(|(day, _)| day).collect();
    if plan.is_empty() && doubted.is_empty() {
        engine.settle(progress.clone(), stream::State::Complete, None).await?;
        return Ok(Step::Settled);
    }
    let accepts_shrink = engine.cx.store.mark(&engine.connection, progress.stream).await?.accepts_shrink;
    let expects_rows = progress.rows == 0 && !accepts_shrink && had_rows_lately(engine).await?;
    let mut fetched = Fetched { expects_rows, accepts_shrink, doubted, ..Fetched::default() };
    let mut walks = Walks::new(client.clone(), plan);
    loop {
        if !engine.should_pause() {
            walks.begin(engine.fetches_at_once());
        } else if engine.is_stopping() {
            // What is under way is lost; the days that are in are not.
            break;
        }
        let Some(part) = walks.next(engine).await? else { break };
        progress.rows += part.rows.len() as u64;
        progress.pages += 1;
        fetched.take(part, progress.rows);
        // As long as more has come, one larger write costs less than two: a slow database must not slow the fetching.
        let is_full = fetched.rows.len() >= MOST_ROWS_PER_WRITE;
        if fetched.is_worth_a_write() && (is_full || !walks.has_more()) {
            write(engine, progress, &mut fetched).await?;
        }
    }
    if progress.done + (fetched.unsure.len() as u64) < progress.total {
        return Ok(Step::Paused);
    }
    if let Some(day) = fetched.doubted.first() {
        let doubt = format!(
            "Productboard reported far fewer rows than before on {} days, the first of them {day}; nothing was \
             removed from them",
            fetched.doubted.len()
        );
        engine.settle_suspect(progress, doubt, None).await?;
        return Ok(Step::Settled);
    }
    if !fetched.unsure.is_empty() {
        let doubt = "Productboard reported no activity at all, also for days on which some was known; the answer \
                     was not believed and the new days stay unknown";
        engine.settle(progress.clone(), stream::State::Suspect, Some(doubt.to_owned())).await?;
    }
    Ok(Step::Settled)
}

async fn plan(engine: &Engine, doubted: &[(NaiveDate, RunId)]) -> Result<Plan, Failure> {
    let cx = &engine.cx;
    let coverage = cx.store.coverage(&engine.connection).await?;
    let members = cx.store.member_count(&engine.connection).await?;
    let window = plan::Window {
        last: cx.clock.today() - Days::new(1),
        history_days: cx.settings.history_days,
        trailing_days: cx.settings.trailing_days,
    };
    Ok(Plan::new(window, &coverage, doubted, &engine.run, members))
}

/// What was fetched and is not written.
#[derive(Debug, Default)]
struct Fetched {
    expects_rows: bool,
    accepts_shrink: bool,
    rows: Vec<MemberDay>,
    /// Who was on each day that is not written as covered yet.
    seen: BTreeMap<NaiveDate, BTreeSet<Uuid>>,
    /// Fields that are not known, and in how many rows they were.
    unknown: BTreeMap<String, u64>,
    /// Days that are in whole.
    days: Vec<NaiveDate>,
    /// Days in whole that had no row, as long as no day had any.
    unsure: Vec<NaiveDate>,
    /// Days that lost more rows than is believed, in this run.
    doubted: BTreeSet<NaiveDate>,
}

impl Fetched {
    /// `rows` is how many rows the run has seen with this part.
    fn take(&mut self, part: Part, rows: u64) {
        for row in &part.rows {
            self.seen.entry(row.day).or_default().insert(row.member_id);
        }
        part.unknown.into_iter().for_each(|path| *self.unknown.entry(path).or_default() += 1);
        self.rows.extend(part.rows);
        if part.is_last {
            self.unsure.extend(part.slice.days());
        }
        if rows > 0 || !self.expects_rows {
            self.days.append(&mut self.unsure);
        }
    }

    fn is_worth_a_write(&self) -> bool {
        self.rows.len() >= ROWS_PER_WRITE || !self.days.is_empty()
    }
}

async fn write(engine: &Engine, progress: &mut StreamProgress, fetched: &mut Fetched) -> Result<(), Failure> {
    let (rows, days) = (std::mem::take(&mut fetched.rows), std::mem::take(&mut fetched.days));
    let seen = days.iter().map(|day| (*day, fetched.seen.remove(day).unwrap_or_default())).collect();
    progress.done += days.len() as u64;
    let (cx, connection) = (&engine.cx, &engine.connection);
    let write = engine.begin().await?;
    progress.effect += write.write_member_days(connection, &rows).await?;
    let vanished = write.remove_vanished(connection, &seen, fetched.accepts_shrink).await?;
    progress.effect += Effect { removed: vanished.removed, late: vanished.removed, ..Effect::default() };
    write.doubt_days(connection, &vanished.doubted, &engine.run).await?;
    fetched.doubted.extend(vanished.doubted);
    let believed: Vec<_> = days.iter().copied().filter(|day| !fetched.doubted.contains(day)).collect();
    write.cover_days(connection, &believed, cx.clock.today(), &engine.run).await?;
    write.add_drift(connection, progress.stream, &std::mem::take(&mut fetched.unknown), cx.now()).await?;
    let is_last = progress.done >= progress.total && fetched.doubted.is_empty();
    if is_last {
        write.forget_acceptance(connection, progress.stream).await?;
    }
    progress.state = if is_last { stream::State::Complete } else { stream::State::Running };
    progress.detail = None;
    engine.commit(write, progress).await?;
    tracing::debug!(
        run = %engine.run, days = days.len(), rows = rows.len(), done = progress.done, total = progress.total,
        "activity written"
    );
    Ok(())
}

/// Whether rows are known for the days that every run fetches again: then an answer without any row is no answer.
async fn had_rows_lately(engine: &Engine) -> Result<bool, Failure> {
    let from = engine.cx.clock.today() - Days::new(engine.cx.settings.trailing_days.into());
    Ok(engine.cx.store.has_member_days_since(&engine.connection, from).await?)
}
