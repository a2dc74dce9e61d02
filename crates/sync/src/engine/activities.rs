//! Member activity, slice by slice: a slice is a few days in a row, newest first. Several slices are fetched at once,
//! each page by page; rows are written as they come, and a slice's last write is the checkpoint.
//!
//! A day counts as covered only when its slice was fetched whole and can be believed: empty slices wait until some
//! other slice of the run has rows, where rows are known to have been; and a day that lost most of its rows stays as it
//! was known. What vanished from a day that is believed is removed with it.
//!
//! A row that cannot be read goes into quarantine: what its member did on its day is unknown. Where it does not say whose it
//! is, it may be anybody's who has no other row of that day, and nobody who has none may be called inactive: the day
//! counts as not covered, and each run fetches it again.

mod plan;
mod reader;
mod walks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Days, NaiveDate, Utc};
use tidemark_domain::{
    activity::MemberDay,
    id::RunId,
    quality,
    stream::{self, Stream},
};
use tidemark_productboard::{
    Client,
    vendor_check::{Assumption, Finding},
};
use tidemark_store::{Effect, QuarantinedRow, StreamProgress, Tx};
use uuid::Uuid;

use self::{
    plan::Plan,
    reader::{Part, Reach},
    walks::Walks,
};
use super::{
    Engine, Step, assumptions,
    quarantine::{self, Bad},
};
use crate::decision::Failure;

/// So many rows make a write worth its while.
const ROWS_PER_WRITE: usize = 1_000;
/// Rows that cannot be read which are kept where the stream stops for them.
const MOST_KEPT_OF_A_STOP: usize = 100;
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
    let begun_at = engine.writer.begun_at().await;
    let accepts_shrink = engine.cx.store.mark(&engine.connection, progress.stream).await?.accepts(begun_at);
    let expects_rows = progress.rows == 0 && !accepts_shrink && had_rows_lately(engine).await?;
    let (store, connection) = (&engine.cx.store, &engine.connection);
    let bad_rows = store.quarantined_by(connection, progress.stream, &engine.run).await?.len() as u64;
    let date_to = assumptions::known(engine, Assumption::DateToInclusive).await?;
    let reach = Arc::new(Reach::known(date_to));
    let is_fresh = plan.done == 0;
    let reader = Arc::clone(&reach);
    let mut fetched = Fetched {
        expects_rows,
        accepts_shrink,
        begun_at,
        doubted,
        bad_rows,
        reach,
        date_to,
        ..Fetched::default()
    };
    let mut walks = Walks::new(client.clone(), plan, reader);
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
        engine.say_if_empty(progress, part.is_empty).await?;
        fetched.take(part, progress.rows);
        if fetched.bad(progress).is_hopeless() {
            stop(engine, progress, &mut fetched).await?;
            return Ok(Step::Settled);
        }
        // As long as more has come, one larger write costs less than two: a slow database must not slow the fetching.
        let is_full = fetched.rows.len() >= MOST_ROWS_PER_WRITE;
        if fetched.is_worth_a_write() && (is_full || !walks.has_more()) {
            write(engine, progress, &mut fetched).await?;
        }
    }
    if progress.done + (fetched.unsure.len() as u64) < progress.total {
        return Ok(Step::Paused);
    }
    if fetched.bad(progress).is_too_much() {
        stop(engine, progress, &mut fetched).await?;
        return Ok(Step::Settled);
    }
    if is_fresh && fetched.flags.is_empty() {
        let write = engine.begin().await?;
        quarantine::put_flags(&write, connection, progress.stream, &fetched.flags, engine.cx.now()).await?;
        engine.commit(write, progress).await?;
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
    /// When the run began.
    begun_at: DateTime<Utc>,
    rows: Vec<MemberDay>,
    /// Rows that cannot be read.
    bad: Vec<QuarantinedRow>,
    /// How many of them the run has had.
    bad_rows: u64,
    /// What is wrong with one of them.
    problem: String,
    /// Days with a row that does not say whose it is.
    blind: BTreeSet<NaiveDate>,
    /// What is odd about the lists.
    flags: BTreeSet<&'static str>,
    reach: Arc<Reach>,
    /// What is written of it.
    date_to: Option<bool>,
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
        for row in &part.bad {
            let days = row
                .days
                .into_iter()
                .flat_map(|(from, to)| from.iter_days().take_while(move |day| *day <= to));
            for day in days {
                match row.id {
                    // What was known of the member's day stays.
                    Some(member) => drop(self.seen.entry(day).or_default().insert(member)),
                    None => drop(self.blind.insert(day)),
                }
            }
            self.problem.clone_from(&row.problem);
        }
        self.bad_rows += part.bad.len() as u64;
        self.bad.extend(part.bad);
        self.flags.extend(part.flags);
        if part.is_last {
            self.unsure.extend(part.slice.days());
        }
        if rows > 0 || !self.expects_rows {
            self.days.append(&mut self.unsure);
        }
    }

    /// The rows of the run, good and bad.
    fn bad(&self, progress: &StreamProgress) -> Bad {
        Bad { bad: self.bad_rows, rows: progress.rows + self.bad_rows }
    }

    fn is_worth_a_write(&self) -> bool {
        self.rows.len() >= ROWS_PER_WRITE || !self.days.is_empty()
    }
}

async fn write(engine: &Engine, progress: &mut StreamProgress, fetched: &mut Fetched) -> Result<(), Failure> {
    let (rows, days) = (std::mem::take(&mut fetched.rows), std::mem::take(&mut fetched.days));
    let mut seen: BTreeMap<_, _> =
        days.iter().map(|day| (*day, fetched.seen.remove(day).unwrap_or_default())).collect();
    // A row that is missing may be the one that does not say whose it is.
    seen.retain(|day, _| !fetched.blind.contains(day));
    progress.done += days.len() as u64;
    let (cx, connection) = (&engine.cx, &engine.connection);
    let write = engine.begin().await?;
    progress.effect += write.write_member_days(connection, &rows, &engine.run, cx.now()).await?;
    let vanished = write.remove_vanished(connection, &seen, fetched.accepts_shrink).await?;
    progress.effect += Effect { removed: vanished.removed, late: vanished.removed, ..Effect::default() };
    write.doubt_days(connection, &vanished.doubted, &engine.run).await?;
    fetched.doubted.extend(vanished.doubted);
    keep_bad(engine, &write, &days, fetched).await?;
    let is_believed = |day: &NaiveDate| !fetched.doubted.contains(day) && !fetched.blind.contains(day);
    let believed: Vec<_> = days.iter().copied().filter(is_believed).collect();
    write.cover_days(connection, &believed, cx.clock.today(), &engine.run).await?;
    write.add_drift(connection, progress.stream, &std::mem::take(&mut fetched.unknown), cx.now()).await?;
    let is_enough = !fetched.bad(progress).is_too_much();
    let is_last = progress.done >= progress.total && fetched.doubted.is_empty() && is_enough;
    if is_last {
        write.forget_acceptance(connection, progress.stream, fetched.begun_at).await?;
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

/// Puts rows that cannot be read into quarantine, lets those go that could be read on the days that are in whole, and says
/// what is odd about the lists.
async fn keep_bad(
    engine: &Engine,
    write: &Tx,
    days: &[NaiveDate],
    fetched: &mut Fetched,
) -> Result<(), Failure> {
    let (connection, now, stream) = (&engine.connection, engine.cx.now(), Stream::MemberActivities);
    let bad = std::mem::take(&mut fetched.bad);
    if !bad.is_empty() {
        write.quarantine(connection, stream, &bad, &engine.run, now).await?;
        write.uncover_days(connection, &fetched.blind).await?;
    }
    write.end_quarantine_of_days(connection, days, &engine.run, now).await?;
    if !fetched.flags.is_empty() {
        quarantine::put_flags(write, connection, stream, &fetched.flags, now).await?;
    }
    let proven = fetched.reach.proven();
    if let Some(is_inclusive) = proven.filter(|_| proven != fetched.date_to) {
        assumptions::put(write, connection, &[Finding::of_date_to(is_inclusive)], now).await?;
        fetched.date_to = proven;
    }
    Ok(())
}

/// Ends the stream: so many rows cannot be read that it is the vendor who changed.
async fn stop(engine: &Engine, progress: &StreamProgress, fetched: &mut Fetched) -> Result<(), Failure> {
    let write = engine.begin().await?;
    // Of a list without end, some tell as much as all.
    fetched.bad.truncate(MOST_KEPT_OF_A_STOP);
    keep_bad(engine, &write, &[], fetched).await?;
    engine.commit(write, progress).await?;
    let sentence = fetched.bad(progress).sentence(quality::rows_of(progress.stream), &fetched.problem);
    engine.settle_suspect(progress, sentence, None).await
}

/// Whether rows are known for the days that every run fetches again: then an answer without any row is no answer.
async fn had_rows_lately(engine: &Engine) -> Result<bool, Failure> {
    let from = engine.cx.clock.today() - Days::new(engine.cx.settings.trailing_days.into());
    Ok(engine.cx.store.has_member_days_since(&engine.connection, from).await?)
}
