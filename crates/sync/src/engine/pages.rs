//! Whole lists in one piece.

use futures::TryStreamExt;
use tidemark_productboard::{Error, Pages};

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
