//! Lists under way: each is read page by page in a task of its own, into one short channel. When the writer is behind, the
//! readers wait; what is in memory is a few pages per reader. Pages with documents wait as well while those of all
//! workspaces in this process are more than it has room for.

use std::{collections::VecDeque, sync::Arc};

use futures::TryStreamExt;
use tidemark_productboard::{Cursor, Error, ListFlag, UnreadableRow};
use tidemark_store::Listing;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    super::Engine,
    row::Received,
    source::{Rows, Source},
};
use crate::{context::DOCUMENTS_KIB, decision::Failure};

/// Pages that may wait to be written.
const WAITING: usize = 8;
/// So many rows make a write.
const ROWS_PER_WRITE: usize = 1_000;

/// One page of a list.
#[derive(Debug)]
pub(super) struct Part {
    /// Which list.
    pub(super) list: usize,
    pub(super) rows: Vec<Received>,
    /// Rows that cannot be read.
    pub(super) bad: Vec<UnreadableRow>,
    /// What is odd about the list.
    pub(super) flags: Vec<ListFlag>,
    /// The next page's cursor.
    pub(super) next: Option<Cursor>,
    /// Whether the list is in whole with it.
    pub(super) is_last: bool,
    /// The room that its documents take, until they are written.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

enum Answer {
    Part(Part),
    /// The list ended, but not well.
    Failed(usize, Error),
    /// The rest of the list is for the next delivery.
    Paused,
}

#[derive(Debug)]
pub(super) struct Readers<'a> {
    source: &'a Source,
    waiting: VecDeque<usize>,
    answers: mpsc::Receiver<Answer>,
    send: mpsc::Sender<Answer>,
    /// Dropped, they all stop.
    tasks: JoinSet<()>,
    under_way: usize,
    /// Tells the readers to end behind the page that they are at.
    pause: CancellationToken,
    documents: Arc<Semaphore>,
}

impl<'a> Readers<'a> {
    pub(super) fn new(source: &'a Source, waiting: VecDeque<usize>, documents: Arc<Semaphore>) -> Self {
        let (send, answers) = mpsc::channel(WAITING);
        let pause = CancellationToken::new();
        Self { source, waiting, answers, send, tasks: JoinSet::new(), under_way: 0, pause, documents }
    }

    /// Begins no page any more. Those under way are still given.
    pub(super) fn pause(&mut self) {
        self.waiting.clear();
        self.pause.cancel();
    }

    /// Begins lists until so many are under way.
    pub(super) fn begin(&mut self, lists: &[Listing], at_once: usize) {
        while self.under_way < at_once {
            let Some(list) = self.waiting.pop_front() else { break };
            let reader = Reader {
                list,
                send: self.send.clone(),
                pause: self.pause.clone(),
                documents: Arc::clone(&self.documents),
            };
            self.tasks.spawn(reader.read(self.source.rows(&lists[list])));
            self.under_way += 1;
        }
    }

    /// What has come, as much as one write takes, and what a list ended with if it was no good end. Nothing at all once
    /// all lists are in.
    pub(super) async fn next(
        &mut self,
        engine: &Engine,
    ) -> Result<(Vec<Part>, Option<(usize, Error)>), Failure> {
        let (mut parts, mut rows) = (Vec::new(), 0);
        while self.under_way > 0 && rows < ROWS_PER_WRITE {
            let answer = match self.answers.try_recv() {
                Ok(answer) => answer,
                Err(_) if !parts.is_empty() => break,
                Err(_) => match engine.fetch(self.received()).await? {
                    Some(answer) => answer?,
                    None => continue,
                },
            };
            match answer {
                Answer::Part(part) => {
                    rows += part.rows.len();
                    self.under_way -= usize::from(part.is_last);
                    parts.push(part);
                }
                Answer::Failed(list, error) => return Ok((parts, Some((list, error)))),
                Answer::Paused => self.under_way -= 1,
            }
        }
        Ok((parts, None))
    }

    async fn received(&mut self) -> Option<Result<Answer, Failure>> {
        tokio::select! {
            biased;
            answer = self.answers.recv() => answer.map(Ok),
            // One that is done has said so; one that broke off has not.
            Some(ended) = self.tasks.join_next() => ended.err().map(|_| Err(Failure::Panicked)),
        }
    }
}

struct Reader {
    list: usize,
    send: mpsc::Sender<Answer>,
    pause: CancellationToken,
    documents: Arc<Semaphore>,
}

impl Reader {
    async fn read(self, mut rows: Rows) {
        loop {
            let page = match rows.try_next().await {
                // A list without any page is an empty one.
                Ok(page) => page.unwrap_or_default(),
                Err(error) => return self.give(Answer::Failed(self.list, error)).await,
            };
            // A link that leads nowhere is told behind the page that has it: only then it is known to be no end.
            let end = if page.next.is_none() { Some(rows.try_next().await) } else { None };
            let next = page.next;
            let is_last = matches!(end, Some(Ok(_)));
            let room = self.room(&page.items).await;
            let (list, bad, flags) = (self.list, page.unreadable, page.flags);
            self.give(Answer::Part(Part { list, rows: page.items, bad, flags, next, is_last, room })).await;
            match end {
                Some(Err(error)) => return self.give(Answer::Failed(self.list, error)).await,
                Some(Ok(_)) => return,
                None if self.pause.is_cancelled() => return self.give(Answer::Paused).await,
                None => {}
            }
        }
    }

    /// Nobody who listens any more is no failure: the delivery has ended.
    async fn give(&self, answer: Answer) {
        let _ = self.send.send(answer).await;
    }

    /// Waits until there is room for the documents of these rows.
    async fn room(&self, rows: &[Received]) -> Option<OwnedSemaphorePermit> {
        let bytes: usize =
            rows.iter().filter_map(|row| row.resource.document.as_ref()).map(String::len).sum();
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).min(DOCUMENTS_KIB);
        if kib == 0 {
            return None;
        }
        Arc::clone(&self.documents).acquire_many_owned(kib).await.ok()
    }
}
