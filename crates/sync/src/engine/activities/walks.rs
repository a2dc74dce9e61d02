//! Slices under way: each is read page by page in a task of its own, into one short channel. When the writer is behind,
//! the readers wait; what is in memory is a few pages per reader.

use std::sync::Arc;

use tidemark_productboard::{Client, Error};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    super::Engine,
    plan::Plan,
    reader::{self, Part, Reach},
};
use crate::decision::Failure;

/// Pages that may wait to be written: what comes in while one write takes half a second.
const WAITING: usize = 24;

#[derive(Debug)]
pub(super) struct Walks {
    client: Client,
    plan: Plan,
    reach: Arc<Reach>,
    parts: mpsc::Receiver<Result<Part, Error>>,
    send: mpsc::Sender<Result<Part, Error>>,
    /// Dropped, they all stop.
    readers: JoinSet<()>,
    under_way: usize,
}

impl Walks {
    pub(super) fn new(client: Client, plan: Plan, reach: Arc<Reach>) -> Self {
        let (send, parts) = mpsc::channel(WAITING);
        Self { client, plan, reach, parts, send, readers: JoinSet::new(), under_way: 0 }
    }

    /// Begins slices until so many are under way.
    pub(super) fn begin(&mut self, at_once: usize) {
        while self.under_way < at_once {
            let Some(slice) = self.plan.next_slice() else { break };
            let (client, reach, send) = (self.client.clone(), Arc::clone(&self.reach), self.send.clone());
            self.readers.spawn(reader::read(client, slice, reach, send));
            self.under_way += 1;
        }
    }

    /// Whether a page has come that was not taken.
    pub(super) fn has_more(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The next page of any slice under way; nothing where none is.
    pub(super) async fn next(&mut self, engine: &Engine) -> Result<Option<Part>, Failure> {
        while self.under_way > 0 {
            let received = async {
                tokio::select! {
                    biased;
                    part = self.parts.recv() => part.map(Ok),
                    Some(ended) = self.readers.join_next() => ended.err().map(Err),
                }
            };
            match engine.fetch(received).await? {
                Some(Ok(part)) => {
                    let part = part?;
                    self.plan.saw(part.slice, part.rows.len(), part.is_last);
                    self.under_way -= usize::from(part.is_last);
                    return Ok(Some(part));
                }
                Some(Err(_)) => return Err(Failure::Panicked),
                // A reader that is done.
                None => {}
            }
        }
        Ok(None)
    }
}
