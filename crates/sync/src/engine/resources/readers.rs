//! Lists under way: each is read page by page in a task of its own, into one short channel. When the writer is behind, the
//! readers wait; what is in memory is a few pages per reader.

use std::collections::VecDeque;

use futures::TryStreamExt;
use tidemark_productboard::{Error, Page};
use tidemark_store::Listing;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    super::Engine,
    row::Received,
    source::{Rows, Source},
};
use crate::decision::Failure;

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
    /// The next page's cursor.
    pub(super) next: Option<String>,
    /// Whether the list is in whole with it.
    pub(super) is_last: bool,
}

type Answer = Result<Part, (usize, Error)>;

#[derive(Debug)]
pub(super) struct Readers<'a> {
    source: &'a Source,
    waiting: VecDeque<usize>,
    answers: mpsc::Receiver<Answer>,
    send: mpsc::Sender<Answer>,
    /// Dropped, they all stop.
    tasks: JoinSet<()>,
    under_way: usize,
}

impl<'a> Readers<'a> {
    pub(super) fn new(source: &'a Source, waiting: VecDeque<usize>) -> Self {
        let (send, answers) = mpsc::channel(WAITING);
        Self { source, waiting, answers, send, tasks: JoinSet::new(), under_way: 0 }
    }

    /// Begins lists until so many are under way.
    pub(super) fn begin(&mut self, lists: &[Listing], at_once: usize) {
        while self.under_way < at_once {
            let Some(list) = self.waiting.pop_front() else { break };
            self.tasks.spawn(read(self.source.rows(&lists[list]), list, self.send.clone()));
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
                Ok(part) => {
                    rows += part.rows.len();
                    self.under_way -= usize::from(part.is_last);
                    parts.push(part);
                }
                Err(error) => return Ok((parts, Some(error))),
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

async fn read(mut rows: Rows, list: usize, send: mpsc::Sender<Answer>) {
    loop {
        let page = match rows.try_next().await {
            // A list without any page is an empty one.
            Ok(page) => page.unwrap_or(Page { items: Vec::new(), next: None }),
            Err(error) => return drop(send.send(Err((list, error))).await),
        };
        // A link that leads nowhere is told behind the page that has it: only then it is known to be no end.
        let end = if page.next.is_none() { Some(rows.try_next().await) } else { None };
        let next = page.next.map(|cursor| cursor.as_str().to_owned());
        let is_last = matches!(end, Some(Ok(_)));
        if send.send(Ok(Part { list, rows: page.items, next, is_last })).await.is_err() || is_last {
            return;
        }
        if let Some(Err(error)) = end {
            return drop(send.send(Err((list, error))).await);
        }
    }
}
