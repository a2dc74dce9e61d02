//! Lists, page by page: whole, or read ahead while the page before is written.

use futures::TryStreamExt;
use tidemark_productboard::{Error, Page, Pages};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Engine;
use crate::decision::Failure;

/// Pages that may wait to be written.
const AHEAD: usize = 2;

/// A whole list.
pub(super) struct Listing<T> {
    pub(super) rows: Vec<T>,
    pub(super) pages: u64,
}

/// All pages of a list, or none of them. For lists that are small in every workspace.
pub(super) async fn collect<T>(mut pages: Pages<T>) -> Result<Listing<T>, Error> {
    let mut listing = Listing { rows: Vec::new(), pages: 0 };
    while let Some(page) = pages.try_next().await? {
        listing.rows.extend(page.items);
        listing.pages += 1;
    }
    Ok(listing)
}

/// A list that is fetched while the pages before are written: a few pages ahead, never more.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    pages: mpsc::Receiver<Result<Page<T>, Error>>,
    reader: AbortOnDropHandle<()>,
}

impl<T: Send + 'static> Ahead<T> {
    #[expect(dead_code, reason = "for the lists that are long in every workspace: entities and notes")]
    pub(super) fn read(mut pages: Pages<T>) -> Self {
        let (send, receive) = mpsc::channel(AHEAD);
        let reader = tokio::spawn(async move {
            loop {
                let page = match pages.try_next().await {
                    Ok(Some(page)) => Ok(page),
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                let is_last = page.is_err();
                if send.send(page).await.is_err() || is_last {
                    break;
                }
            }
        });
        Self { pages: receive, reader: AbortOnDropHandle::new(reader) }
    }

    /// The next page; nothing after the last one.
    #[expect(dead_code, reason = "for the lists that are long in every workspace: entities and notes")]
    pub(super) async fn next(&mut self, engine: &Engine) -> Result<Option<Page<T>>, Failure> {
        match engine.fetch(self.pages.recv()).await? {
            Some(page) => Ok(Some(page?)),
            // The end, unless the reader broke off.
            None => match (&mut self.reader).await {
                Ok(()) => Ok(None),
                Err(_) => Err(Failure::Panicked),
            },
        }
    }
}
