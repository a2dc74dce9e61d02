//! Lists that are applied in one piece. Their rows are held until the last one is there; of a long list they are put
//! aside now and then, with the place in the list, so that a redelivery goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, de::DeserializeOwned};
use tidemark_domain::stream::{Capture, Stream};
use tidemark_productboard::{Cursor, Document, Error, ListFlag, Schema, UnreadableRow};
use tidemark_store::{Listing, QuarantinedRow, StreamProgress, Tx, Unread};
use uuid::Uuid;

use super::{
    Engine,
    pages::{place_of, put_place},
    quarantine::{self, Bad},
};
use crate::decision::Failure;

/// A list that can be read in so many steps is read again from its start.
const STEPS_HELD: u32 = 10;
/// A list that is not in whole after so long is begun anew.
const LISTS_KEEP: TimeDelta = TimeDelta::minutes(15);
/// An answer that cannot be used is believed when it comes so often.
const BELIEVED_AFTER: u32 = 3;

#[derive(Debug)]
pub(super) struct Staged<T> {
    stream: Stream,
    list: Listing,
    /// By id; the last of several counts.
    pub(super) rows: BTreeMap<Uuid, T>,
    /// What is not put aside yet.
    fresh: Vec<Uuid>,
    steps: u32,
    /// Whether anything is put aside.
    is_kept: bool,
    unknown: BTreeMap<String, u64>,
    /// Rows that cannot be read and are not put aside yet.
    bad: Vec<QuarantinedRow>,
    /// The ids of all that the list has had, as far as they can be told.
    bad_ids: Vec<Option<Uuid>>,
    problem: String,
    flags: BTreeSet<&'static str>,
    /// Whether a part was read in an earlier delivery, with what was odd about it.
    is_resumed: bool,
}

impl<T: Serialize + DeserializeOwned> Staged<T> {
    /// The run's list: what is put aside of it, or nothing yet.
    pub(super) async fn open(engine: &Engine, stream: Stream) -> Result<Self, Failure> {
        let (store, connection) = (&engine.cx.store, &engine.connection);
        let mut lists = store.listings(connection, stream).await?.into_iter();
        // Of a list that was begun long ago the part that is in may not fit the part that is still to come.
        let is_present = |it: &Listing| it.run_id == engine.run && engine.cx.now() - it.begun_at < LISTS_KEEP;
        let list = lists.find(is_present);
        let mut staged = Self {
            stream,
            is_kept: list.is_some(),
            is_resumed: list.is_some(),
            list: list.unwrap_or_else(|| fresh(engine)),
            rows: BTreeMap::new(),
            fresh: Vec::new(),
            steps: 0,
            unknown: BTreeMap::new(),
            bad: Vec::new(),
            bad_ids: Vec::new(),
            problem: String::new(),
            flags: BTreeSet::new(),
        };
        if staged.is_kept {
            staged.bad_ids = store.quarantined_by(connection, stream, &engine.run).await?;
            let kept = store.listed(connection, stream).await?.into_iter();
            // What this version cannot read is fetched again with the rest.
            let read = |text: Option<String>| serde_json::from_str(&text?).ok();
            staged.rows = kept.filter_map(|(id, text)| Some((id, read(text)?))).collect();
        }
        Ok(staged)
    }

    /// Where to go on.
    pub(super) fn start(&self) -> Option<Cursor> {
        place_of(&self.list)
    }

    /// When its first page was asked for.
    pub(super) fn begun_at(&self) -> DateTime<Utc> {
        self.list.begun_at
    }

    /// Whether the list is in whole.
    pub(super) fn is_whole(&self) -> bool {
        self.list.is_done
    }

    /// The list is in whole.
    pub(super) fn end(&mut self) {
        self.list.is_done = true;
    }

    /// Takes a page that is followed by that one.
    pub(super) fn take(&mut self, rows: impl IntoIterator<Item = (Uuid, T)>, next: Option<Cursor>) {
        for (id, row) in rows {
            self.put(id, row);
        }
        if let Some(next) = next {
            put_place(&mut self.list, &next);
        }
        self.steps += 1;
    }

    /// Puts a row in the place of the one with that id.
    pub(super) fn put(&mut self, id: Uuid, row: T) {
        self.rows.insert(id, row);
        self.fresh.push(id);
    }

    /// Notes rows that cannot be read, and what is odd about their list.
    pub(super) fn note_bad(
        &mut self,
        bad: impl IntoIterator<Item = UnreadableRow>,
        flags: impl IntoIterator<Item = ListFlag>,
    ) {
        for row in bad {
            self.bad_ids.push(row.key.id);
            self.problem = row.to_string();
            self.bad.push(quarantine::row(row, None));
        }
        self.flags.extend(flags.into_iter().map(ListFlag::as_str));
    }

    /// How many of the rows cannot be read.
    pub(super) fn bad(&self) -> Bad {
        let bad = self.bad_ids.len() as u64;
        Bad { bad, rows: self.rows.len() as u64 + bad }
    }

    /// Why the list is of no use, if it is not: too many rows cannot be read, or all.
    pub(super) fn unreadable(&self, what: &str) -> Option<String> {
        let bad = self.bad();
        (bad.is_too_much() || (bad.bad > 0 && self.rows.is_empty()))
            .then(|| bad.sentence(what, &self.problem))
    }

    /// What the list does not say.
    pub(super) fn unread(&self) -> Unread {
        let ids = self.bad_ids.iter().flatten().copied().collect();
        Unread { ids, is_nameless: self.bad_ids.contains(&None) }
    }

    /// Notes the fields of a document that are not known.
    pub(super) fn note<D: Schema>(&mut self, document: &Document<D>) {
        document.unknown().for_each(|path| *self.unknown.entry(path).or_default() += 1);
    }

    /// Whether so much was read that it should not be read again.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.steps >= STEPS_HELD
    }

    /// Puts aside what was read.
    pub(super) async fn put_aside(
        &mut self,
        engine: &Engine,
        progress: &StreamProgress,
    ) -> Result<(), Failure> {
        let fresh = std::mem::take(&mut self.fresh);
        let text = |row| serde_json::to_string(row).expect("JSON has string keys only");
        let rows: Vec<_> =
            fresh.into_iter().filter_map(|id| Some((id, Some(text(self.rows.get(&id)?))))).collect();
        let (connection, stream) = (&engine.connection, self.stream);
        let write = engine.begin().await?;
        if !self.is_kept {
            write.begin_listings(connection, stream, std::slice::from_ref(&self.list)).await?;
        }
        write.put_listing(connection, stream, &self.list).await?;
        write.add_listed(connection, stream, rows).await?;
        self.keep_bad(engine, &write).await?;
        if !self.flags.is_empty() {
            quarantine::put_flags(&write, connection, stream, &self.flags, engine.cx.now()).await?;
        }
        write.add_drift(connection, stream, &std::mem::take(&mut self.unknown), engine.cx.now()).await?;
        engine.commit(write, progress).await?;
        (self.is_kept, self.steps) = (true, 0);
        Ok(())
    }

    async fn keep_bad(&mut self, engine: &Engine, write: &Tx) -> Result<(), Failure> {
        let bad = std::mem::take(&mut self.bad);
        if !bad.is_empty() {
            write.quarantine(&engine.connection, self.stream, &bad, &engine.run, engine.cx.now()).await?;
        }
        Ok(())
    }

    /// Ends the list in the transaction that applies it.
    pub(super) async fn finish(&mut self, engine: &Engine, write: &Tx) -> Result<(), Failure> {
        let (connection, now) = (&engine.connection, engine.cx.now());
        self.keep_bad(engine, write).await?;
        write.end_quarantine(connection, self.stream, &engine.run, now).await?;
        if !self.is_resumed || !self.flags.is_empty() {
            quarantine::put_flags(write, connection, self.stream, &self.flags, now).await?;
        }
        write.end_listings(&engine.connection, self.stream).await?;
        write.add_drift(&engine.connection, self.stream, &self.unknown, engine.cx.now()).await?;
        write.forget_acceptance(&engine.connection, self.stream, self.list.begun_at).await?;
        Ok(())
    }

    /// What to do about an answer that was no page. What was read before an outage is put aside. An answer that cannot
    /// be used may be the cursor's fault: the list is begun anew, a few times; after that its sentence is given.
    pub(super) async fn refused(
        &mut self,
        engine: &Engine,
        progress: &StreamProgress,
        error: Error,
    ) -> Result<String, Failure> {
        if !matches!(error, Error::VendorChanged { .. } | Error::Invalid { .. }) {
            if self.steps > 0 && matches!(error, Error::Transient { .. } | Error::RateLimited { .. }) {
                self.put_aside(engine, progress).await?;
            }
            return Err(error.into());
        }
        if !self.is_kept {
            return Err(error.into());
        }
        let list = Listing { faults: self.list.faults + 1, ..fresh(engine) };
        if list.faults >= BELIEVED_AFTER {
            return Ok(error.to_string());
        }
        let write = engine.begin().await?;
        write.begin_listings(&engine.connection, self.stream, &[list]).await?;
        engine.commit(write, progress).await?;
        Err(error.into())
    }
}

fn fresh(engine: &Engine) -> Listing {
    Listing {
        part: "all".to_owned(),
        run_id: engine.run.clone(),
        updated_from: None,
        begun_at: engine.cx.now(),
        next_cursor: None,
        newest: None,
        is_done: false,
        capture: Capture::Metadata,
        faults: 0,
        way: None,
    }
}
