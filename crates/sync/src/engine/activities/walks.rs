//! Slices under way: each is read page by page in a task of its own, into one short channel. When the writer is behind,
//! the readers wait; what is in memory is a few pages per reader.

use futures::TryStreamExt;
use tidemark_domain::activity::MemberDay;
use tidemark_productboard::{Client, Error};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    super::Engine,
    plan::{Plan, Slice},
};
use crate::decision::Failure;

/// Pages that may wait to be written: what comes in while one write takes half a second.
const WAITING: usize = 24;

/// One page of a slice.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) slice: Slice,
    pub(super) rows: Vec<MemberDay>,
    /// Fields that are not known, once for each row that has them.
    pub(super) unknown: Vec<String>,
    /// Whether the slice is in whole with it.
    pub(super) is_last: bool,
}

#[derive(Debug)]
pub(super) struct Walks {
    client: Client,
    plan: Plan,
    parts: mpsc::Receiver<Result<Part, Error>>,
    send: mpsc::Sender<Result<Part, Error>>,
    /// Dropped, they all stop.
    readers: JoinSet<()>,
    under_way: usize,
}

impl Walks {
    pub(super) fn new(client: Client, plan: Plan) -> Self {
        let (send, parts) = mpsc::channel(WAITING);
        Self { client, plan, parts, send, readers: JoinSet::new(), under_way: 0 }
    }

    /// Begins slices until so many are under way.
    pub(super) fn begin(&mut self, at_once: usize) {
        while self.under_way < at_once {
            let Some(slice) = self.plan.next_slice() else { break };
            self.readers.spawn(read(self.client.clone(), slice, self.send.clone()));
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

async fn read(client: Client, slice: Slice, send: mpsc::Sender<Result<Part, Error>>) {
    let mut pages = client.member_activities(slice.from, slice.to, None);
    loop {
        let page = match pages.try_next().await {
            // A list without any page is an empty one.
            Ok(page) => page.unwrap_or_default(),
            Err(error) => return drop(send.send(Err(error)).await),
        };
        // A link that leads nowhere is told behind the page that has it: only then it is known to be no end.
        let end = if page.next.is_none() { Some(pages.try_next().await) } else { None };
        let is_last = matches!(end, Some(Ok(_)));
        let unknown = page.items.iter().flat_map(|activity| activity.unknown().map(str::to_owned)).collect();
        let rows = page.items.into_iter().map(|activity| activity.row).collect();
        if send.send(Ok(Part { slice, rows, unknown, is_last })).await.is_err() || is_last {
            return;
        }
        if let Some(Err(error)) = end {
            return drop(send.send(Err(error)).await);
        }
    }
}
