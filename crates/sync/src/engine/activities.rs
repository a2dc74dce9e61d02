//! Member activity, slice by slice: a slice is a few days in a row, newest first. Several slices are fetched at once,
//! each page by page; rows are written as they come, and a slice's last write is the checkpoint.
//!
//! A day counts as covered only when its slice was fetched whole and can be believed: empty slices wait until some
//! other slice of the run has rows, where rows are known to have been.

mod plan;
mod walks;

use chrono::{Days, NaiveDate};
use tidemark_domain::{activity::MemberDay, stream};
use tidemark_productboard::Client;
use tidemark_store::StreamProgress;

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
    let plan = plan(engine).await?;
    (progress.done, progress.total) = (plan.done, plan.total);
    if plan.is_empty() {
        engine.settle(progress.clone(), stream::State::Complete, None).await?;
        return Ok(Step::Settled);
    }
    let expects_rows = progress.rows == 0 && had_rows_lately(engine).await?;
    let mut fetched = Fetched { expects_rows, ..Fetched::default() };
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
    if !fetched.unsure.is_empty() {
        let doubt = "Productboard reported no activity at all, also for days on which some was known; the answer \
                     was not believed and the new days stay unknown";
        engine.settle(progress.clone(), stream::State::Suspect, Some(doubt.to_owned())).await?;
    }
    Ok(Step::Settled)
}

async fn plan(engine: &Engine) -> Result<Plan, Failure> {
    let cx = &engine.cx;
    let coverage = cx.store.coverage(&engine.connection).await?;
    let members = cx.store.member_count(&engine.connection).await?;
    let window = plan::Window {
        last: cx.clock.today() - Days::new(1),
        history_days: cx.settings.history_days,
        trailing_days: cx.settings.trailing_days,
    };
    Ok(Plan::new(window, &coverage, &engine.run, members))
}

/// What was fetched and is not written.
#[derive(Debug, Default)]
struct Fetched {
    expects_rows: bool,
    rows: Vec<MemberDay>,
    /// Days that are in whole.
    days: Vec<NaiveDate>,
    /// Days in whole that had no row, as long as no day had any.
    unsure: Vec<NaiveDate>,
}

impl Fetched {
    /// `rows` is how many rows the run has seen with this part.
    fn take(&mut self, part: Part, rows: u64) {
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
    progress.done += days.len() as u64;
    let is_last = progress.done >= progress.total;
    progress.state = if is_last { stream::State::Complete } else { stream::State::Running };
    progress.detail = None;
    let write = engine.begin().await?;
    if !rows.is_empty() {
        write.upsert_member_days(&engine.connection, &rows).await?;
    }
    write.cover_days(&engine.connection, &days, engine.cx.clock.today(), &engine.run).await?;
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
