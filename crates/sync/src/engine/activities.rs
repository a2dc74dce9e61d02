//! Member activity, slice by slice: a slice is a few days in a row, newest first, and its write is the checkpoint.
//!
//! A day counts as covered only when its slice was fetched whole and can be believed: empty slices wait until some
//! other slice of the run has rows, where rows are known to have been.

mod plan;

use std::pin::pin;

use chrono::{Days, NaiveDate};
use futures::{StreamExt, stream as flow};
use tidemark_domain::{activity::MemberDay, stream};
use tidemark_productboard::{Client, Error};
use tidemark_store::StreamProgress;

use self::plan::{Plan, Slice};
use super::{Engine, FETCHES_AT_ONCE, Step, collect};
use crate::decision::Failure;

/// How many members' days are looked through at a time.
const LOOK: u64 = 200;

pub(super) async fn sync(
    engine: &mut Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let plan = plan(engine).await?;
    progress.done = plan.done;
    progress.total = plan.total;
    if plan.slices.is_empty() {
        engine.settle(progress.clone(), stream::State::Complete, None).await?;
        return Ok(Step::Settled);
    }
    let expects_rows = progress.rows == 0 && had_rows_lately(engine).await?;
    let client = client.clone();
    let slices =
        flow::iter(plan.slices).map(move |slice| fetch(client.clone(), slice)).buffered(FETCHES_AT_ONCE);
    let mut slices = pin!(slices);
    let mut unsure = Vec::new();
    while let Some(fetched) = engine.fetch(slices.next()).await? {
        let Fetched { slice, rows, pages } = fetched?;
        progress.pages += pages;
        if rows.is_empty() && progress.rows == 0 && expects_rows {
            unsure.extend(slice.days());
            continue;
        }
        let mut days = std::mem::take(&mut unsure);
        days.extend(slice.days());
        write(engine, progress, &days, &rows).await?;
        if progress.done < progress.total && engine.should_pause() {
            return Ok(Step::Paused);
        }
    }
    if !unsure.is_empty() {
        let doubt = "Productboard reported no activity at all, also for days on which some was known; the answer \
                     was not believed and the new days stay unknown";
        engine.settle(progress.clone(), stream::State::Suspect, Some(doubt.to_owned())).await?;
    }
    Ok(Step::Settled)
}

async fn plan(engine: &Engine) -> Result<Plan, Failure> {
    let cx = &engine.cx;
    let coverage = cx.store.coverage(&engine.run.connection_id).await?;
    let members = cx.store.member_count(&engine.run.connection_id).await?;
    let window = plan::Window {
        last: cx.clock.today() - Days::new(1),
        history_days: cx.settings.history_days,
        trailing_days: cx.settings.trailing_days,
    };
    Ok(Plan::new(window, &coverage, &engine.run.id, plan::days_per_slice(members)))
}

struct Fetched {
    slice: Slice,
    rows: Vec<MemberDay>,
    pages: u64,
}

async fn fetch(client: Client, slice: Slice) -> Result<Fetched, Error> {
    let listing = collect(client.member_activities(slice.from, slice.to, None)).await?;
    let rows = listing.rows.into_iter().map(|activity| activity.row).collect();
    Ok(Fetched { slice, rows, pages: listing.pages })
}

async fn write(
    engine: &mut Engine,
    progress: &mut StreamProgress,
    days: &[NaiveDate],
    rows: &[MemberDay],
) -> Result<(), Failure> {
    progress.rows += rows.len() as u64;
    progress.done += days.len() as u64;
    let is_last = progress.done >= progress.total;
    progress.state = if is_last { stream::State::Complete } else { stream::State::Running };
    progress.detail = None;
    let tx = engine.begin().await?;
    let connection = &engine.run.connection_id;
    if !rows.is_empty() {
        tx.upsert_member_days(connection, rows).await?;
    }
    tx.cover_days(connection, days, engine.cx.clock.today(), &engine.run.id).await?;
    engine.commit(tx, progress).await?;
    tracing::debug!(
        run = %engine.run.id, days = days.len(), rows = rows.len(), done = progress.done, total = progress.total,
        "days covered"
    );
    Ok(())
}

/// Whether rows are known for the days that every run fetches again: then an answer without any row is no answer.
async fn had_rows_lately(engine: &Engine) -> Result<bool, Failure> {
    let (store, connection) = (&engine.cx.store, &engine.run.connection_id);
    if store.member_day_count(connection).await? == 0 {
        return Ok(false);
    }
    let from = engine.cx.clock.today() - Days::new(engine.cx.settings.trailing_days.into());
    let mut after = None;
    loop {
        let members = store.member_facts(connection, after, LOOK, from).await?;
        if members.iter().any(|member| !member.days.is_empty()) {
            return Ok(true);
        }
        let Some(last) = members.last() else { return Ok(false) };
        after = Some(last.member_id);
    }
}
