//! Whole lists in one piece, and places in longer ones.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use tidemark_productboard::{Cursor, Error, Pages, UnreadableRow};
use tidemark_store as store;

/// A whole list.
pub(super) struct Listing<T> {
    pub(super) rows: Vec<T>,
    pub(super) pages: u64,
    /// Rows that cannot be read.
    pub(super) bad: Vec<UnreadableRow>,
    /// What is odd about the list.
    pub(super) flags: BTreeSet<&'static str>,
}

/// Where to go on with a list that was begun.
pub(super) fn place_of(list: &store::Listing) -> Option<Cursor> {
    let cursor = Cursor::new(list.next_cursor.as_deref()?);
    Some(cursor.after(list.way.as_deref().unwrap_or_default()))
}

/// The list was read up to there.
pub(super) fn put_place(list: &mut store::Listing, next: &Cursor) {
    list.next_cursor = Some(next.as_str().to_owned());
    list.way = Some(next.way());
}

/// All pages of a list, or none of them. For lists that are small in every workspace.
pub(super) async fn collect<T>(mut pages: Pages<T>) -> Result<Listing<T>, Error> {
    let mut listing = Listing { rows: Vec::new(), pages: 0, bad: Vec::new(), flags: BTreeSet::new() };
    while let Some(page) = pages.try_next().await? {
        listing.rows.extend(page.items);
        listing.pages += 1;
        listing.bad.extend(page.unreadable);
        listing.flags.extend(page.flags.iter().map(|flag| flag.as_str()));
    }
    Ok(listing)
}
