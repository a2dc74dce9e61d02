//! Entities and notes. Most runs ask for what changed; now and then one reads the whole lists, since only they tell what
//! is gone. A run's lists are read at once, and each write says how far each of them is: a redelivery goes on there.

mod plan;
mod readers;
mod related;
mod row;
mod source;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidemark_domain::{
    quality,
    stream::{self, Capture, Stream},
};
use tidemark_productboard::{Client, Error, ListFlag, UnreadableRow};
use tidemark_store::{Listing, Mark, Resource, StreamProgress, Tx};

use self::{
    readers::{Part, Readers},
    row::Received,
    source::Source,
};
use super::{
    Engine, Step,
    pages::put_place,
    quarantine::{self, Bad},
};
use crate::decision::Failure;

/// An answer that cannot be used is believed when it comes so often.
const BELIEVED_AFTER: u32 = 3;
/// Lists of a stream that are read at once where the documents are kept: a page of them is large while it is read.
const FULL_AT_ONCE: usize = 1;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let source = Source::new(client.clone(), progress.stream);
    loop {
        let mut lists = open(engine, progress).await?;
        match read(engine, &source, progress, &mut lists).await? {
            Read::Whole => {
                if let Some(detail) = unreadable(engine, progress).await? {
                    engine.settle_suspect(progress, detail, None).await?;
                    return Ok(Step::Settled);
                }
            }
            Read::Paused => return Ok(Step::Paused),
            Read::Unusable(detail) => {
                engine.settle_suspect(progress, detail, None).await?;
                return Ok(Step::Settled);
            }
        }
        if lists.iter().all(|list| list.updated_from.is_none()) {
            sweep::close(engine, &source, progress, &lists).await?;
            return Ok(Step::Settled);
        }
        if is_believable(engine, progress, &lists).await? {
            close_changes(engine, progress, &lists).await?;
            return Ok(Step::Settled);
        }
        tracing::info!(
            run = %engine.run, stream = progress.stream.as_str(),
            "no change was found where known ones should be; the whole lists are read"
        );
        let whole = plan::whole(progress.stream, &engine.run, lists[0].capture, engine.cx.now());
        begin(engine, progress, &whole).await?;
    }
}

/// The run's lists: those that it has begun, or new ones.
async fn open(engine: &Engine, progress: &mut StreamProgress) -> Result<Vec<Listing>, Failure> {
    let (store, connection, stream) = (&engine.cx.store, &engine.connection, progress.stream);
    let lists = store.listings(connection, stream).await?;
    if !lists.is_empty() && lists.iter().all(|list| list.run_id == engine.run) {
        return Ok(lists);
    }
    let mark = store.mark(connection, stream).await?;
    let capture = store.sync_options(connection).await?.capture;
    let every = engine.cx.settings.full_sweep_days;
    let lists = plan::lists(stream, &engine.run, &mark, capture, engine.cx.now(), every);
    begin(engine, progress, &lists).await?;
    Ok(lists)
}

async fn begin(engine: &Engine, progress: &mut StreamProgress, lists: &[Listing]) -> Result<(), Failure> {
    progress.state = stream::State::Running;
    (progress.done, progress.total) = (0, lists.len() as u64);
    let write = engine.begin().await?;
    write.begin_listings(&engine.connection, progress.stream, lists).await?;
    engine.commit(write, progress).await
}

/// How reading the lists ended.
enum Read {
    Whole,
    Paused,
    Unusable(String),
}

async fn read(
    engine: &Engine,
    source: &Source,
    progress: &mut StreamProgress,
    lists: &mut [Listing],
) -> Result<Read, Failure> {
    let open = (0..lists.len()).filter(|at| !lists[*at].is_done).collect();
    let mut readers = Readers::new(source, open, Arc::clone(&engine.cx.documents));
    // A page in full may take many requests, and what is under way is waited for at the end of a delivery.
    let most = if lists[0].capture == Capture::Full { FULL_AT_ONCE } else { usize::MAX };
    loop {
        if engine.should_pause() {
            readers.pause();
        }
        let is_whole = lists.iter().all(|list| list.is_done);
        if engine.is_stopping() && !is_whole {
            // What is under way is lost; the pages that are in are not.
            return Ok(Read::Paused);
        }
        readers.begin(lists, engine.fetches_at_once().min(most));
        let (parts, error) = readers.next(engine).await?;
        if parts.is_empty() && error.is_none() {
            return Ok(if is_whole { Read::Whole } else { Read::Paused });
        }
        if !parts.is_empty() {
            write(engine, progress, lists, parts).await?;
        }
        if let Some((list, error)) = error {
            return refused(engine, progress, &mut lists[list], error).await;
        }
    }
}

async fn write(
    engine: &Engine,
    progress: &mut StreamProgress,
    lists: &mut [Listing],
    parts: Vec<Part>,
) -> Result<(), Failure> {
    let (mut received, mut touched, mut rooms) = (Vec::new(), BTreeSet::new(), Vec::new());
    let (mut bad, mut flags, mut is_barren) = (Vec::new(), BTreeSet::new(), true);
    for part in parts {
        let list = &mut lists[part.list];
        list.newest = part.rows.iter().filter_map(|row| row.resource.updated_at).chain(list.newest).max();
        if let Some(next) = &part.next {
            put_place(list, next);
        }
        is_barren &= part.rows.is_empty() && part.bad.is_empty() && part.next.is_some();
        list.is_done = part.is_last;
        touched.insert(part.list);
        progress.pages += 1;
        received.extend(part.rows);
        bad.extend(part.bad);
        flags.extend(part.flags.into_iter().map(ListFlag::as_str));
        rooms.push(part.room);
    }
    progress.done = lists.iter().filter(|list| list.is_done).count() as u64;
    let (connection, stream) = (&engine.connection, progress.stream);
    let is_whole = lists[0].updated_from.is_none();
    let write = engine.begin().await?;
    let (resources, unknown) = split(received);
    progress.rows += resources.len() as u64;
    progress.effect +=
        write.upsert_resources(connection, stream, &resources, &engine.run, engine.cx.now()).await?;
    write.add_drift(connection, stream, &unknown, engine.cx.now()).await?;
    keep_bad(engine, &write, stream, &resources, bad).await?;
    if is_whole {
        write.add_listed(connection, stream, resources.iter().map(|it| (it.id, None))).await?;
    }
    if !flags.is_empty() {
        quarantine::put_flags(&write, connection, stream, &flags, engine.cx.now()).await?;
    }
    for list in touched {
        write.put_listing(connection, stream, &lists[list]).await?;
    }
    progress.detail = is_barren.then(|| quality::empty_pages(stream));
    let written = engine.commit(write, progress).await;
    drop(rooms);
    written
}

/// Puts rows that cannot be read into quarantine, and lets those go that can be read now.
async fn keep_bad(
    engine: &Engine,
    write: &Tx,
    stream: Stream,
    resources: &[Resource],
    bad: Vec<UnreadableRow>,
) -> Result<(), Failure> {
    let (connection, now) = (&engine.connection, engine.cx.now());
    let ids: Vec<_> = resources.iter().map(|it| it.id).collect();
    write.end_quarantine_of(connection, stream, &ids, now).await?;
    if bad.is_empty() {
        return Ok(());
    }
    // They are there, whatever they say: not among what is gone.
    let listed: Vec<_> = bad.iter().filter_map(|row| Some((row.key.id?, None))).collect();
    let bad: Vec<_> = bad.into_iter().map(|row| quarantine::row(row, None)).collect();
    write.quarantine(connection, stream, &bad, &engine.run, now).await?;
    Ok(write.add_listed(connection, stream, listed).await?)
}

/// Why the lists are of no use, if so many of their rows cannot be read.
async fn unreadable(engine: &Engine, progress: &StreamProgress) -> Result<Option<String>, Failure> {
    let (store, connection, stream) = (&engine.cx.store, &engine.connection, progress.stream);
    let bad = store.quarantined_by(connection, stream, &engine.run).await?.len() as u64;
    let rows = Bad { bad, rows: progress.rows + bad };
    if !rows.is_too_much() && (bad == 0 || progress.rows > 0) {
        return Ok(None);
    }
    let one = store.quarantined_rows(connection, stream, 1).await?.pop();
    let problem = one.map(|row| row.problem).unwrap_or_default();
    Ok(Some(rows.sentence(quality::rows_of(stream), &problem)))
}

/// The rows, and how many of them have each field that is not known.
fn split(received: Vec<Received>) -> (Vec<Resource>, BTreeMap<String, u64>) {
    let mut unknown = BTreeMap::new();
    let resources = received.into_iter().map(|row| {
        row.unknown.into_iter().for_each(|path| *unknown.entry(path).or_default() += 1);
        row.resource
    });
    (resources.collect(), unknown)
}

/// A list whose answer cannot be used is begun anew, since its cursor may be at fault; after a few times it is believed
/// that it cannot be read.
async fn refused(
    engine: &Engine,
    progress: &StreamProgress,
    list: &mut Listing,
    error: Error,
) -> Result<Read, Failure> {
    if !matches!(error, Error::VendorChanged { .. } | Error::Invalid { .. }) {
        return Err(error.into());
    }
    list.faults += 1;
    (list.next_cursor, list.way) = (None, None);
    if list.faults >= BELIEVED_AFTER {
        return Ok(Read::Unusable(error.to_string()));
    }
    let write = engine.begin().await?;
    write.put_listing(&engine.connection, progress.stream, list).await?;
    engine.commit(write, progress).await?;
    Err(error.into())
}

/// Whether the changes can be all there are: the latest known ones must be among them, unless they are gone.
async fn is_believable(
    engine: &Engine,
    progress: &StreamProgress,
    lists: &[Listing],
) -> Result<bool, Failure> {
    let Some(changes) = lists.iter().find(|list| list.part == plan::CHANGES) else { return Ok(true) };
    let (None, Some(from)) = (changes.newest, changes.updated_from) else { return Ok(true) };
    let store = &engine.cx.store;
    let known = store.resources_since(&engine.connection, progress.stream, from, plan::OBJECTIVE).await?;
    Ok(known == 0)
}

async fn close_changes(
    engine: &Engine,
    progress: &mut StreamProgress,
    lists: &[Listing],
) -> Result<(), Failure> {
    let (connection, stream) = (&engine.connection, progress.stream);
    let mark = engine.cx.store.mark(connection, stream).await?;
    let mark = Mark { watermark: mark.watermark.max(watermark(lists)), ..mark };
    progress.state = stream::State::Complete;
    let write = engine.begin().await?;
    write.end_listings(connection, stream).await?;
    write.put_mark(connection, stream, &mark).await?;
    engine.commit(write, progress).await
}

/// The latest change that is in. One from the future says nothing about what is still to come.
fn watermark(lists: &[Listing]) -> Option<chrono::DateTime<chrono::Utc>> {
    lists.iter().filter_map(|list| Some(list.newest?.min(list.begun_at))).max()
}
