//! The last days of activity, packed for the next rollup: blocks of members, and a page for each block and day.
//!
//! Invariant: what is kept is of the facts at the head's `kept_revision`, which is written in the same transaction.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::NaiveDate;
use tidemark_domain::{id::ConnectionId, rollup::Recent};

use crate::{
    error::Result,
    packed,
    statement::{Table, corrupt, count, execute, int, row, rows},
    store::{Store, Tx},
};

/// Members of a block: a page is some kilobytes, and what one block unfolds to fits into memory many times.
pub const BLOCK: usize = 2_048;

const BLOCKS: Table<'static> =
    Table { name: "activity_blocks", key: 2, columns: Cow::Borrowed(&["connection_id", "block", "members"]) };

const PAGES: Table<'static> = Table {
    name: "activity_pages",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "block", "day", "uses"]),
};

/// A block as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBlock {
    number: u64,
    members: Vec<u8>,
    pages: BTreeMap<NaiveDate, Vec<u8>>,
}

impl PackedBlock {
    /// The pages of those days of a block. Other days stay as they are.
    pub fn new(number: u64, block: &[Recent], days: impl IntoIterator<Item = NaiveDate>) -> Self {
        let pages = days.into_iter().map(|day| (day, packed::page(block, day)));
        Self { number, members: packed::members(block), pages: pages.collect() }
    }
}

/// What is kept of a connection's activity after a rollup, as far as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The first of the days that are kept.
    pub from: NaiveDate,
    /// The blocks with their pages that are new or other than before.
    pub blocks: Vec<PackedBlock>,
    /// Whether these are all there are.
    pub is_whole: bool,
}

impl Store {
    /// How many blocks there are.
    pub async fn recent_blocks(&self, connection: &ConnectionId) -> Result<u64> {
        let sql = "select count(*) as count from activity_blocks where connection_id = $1";
        count(&self.db, "count blocks", sql, [connection.as_str().into()]).await
    }

    /// The members of a block with their days, oldest first; none where there is no such block.
    pub async fn recent_block(&self, connection: &ConnectionId, number: u64) -> Result<Option<Vec<Recent>>> {
        let key = || [connection.as_str().into(), int(number)];
        let sql = "select members from activity_blocks where connection_id = $1 and block = $2";
        let Some(found) = row(&self.db, "read recent members", sql, key()).await? else { return Ok(None) };
        let members: Vec<u8> = found.at(0)?;
        let mut block = packed::read_members(&members).ok_or_else(|| corrupt("members"))?;
        let sql = "select day, uses from activity_pages where connection_id = $1 and block = $2 order by day";
        let pages = rows(&self.db, "read recent activity", sql, key()).await?;
        // And some that are put in.
        block.iter_mut().for_each(|member| member.days.reserve_exact(pages.len() + 8));
        for page in pages {
            let (day, bytes): (NaiveDate, Vec<u8>) = (page.at(0)?, page.at(1)?);
            packed::read_page(&mut block, day, &bytes).ok_or_else(|| corrupt("uses"))?;
        }
        Ok(Some(block))
    }
}

impl Tx {
    /// Makes what is kept what the rollup saw. What is the same is left alone.
    pub(crate) async fn put_packed(&self, connection: &ConnectionId, packed: &Packed) -> Result<()> {
        let id = || connection.as_str().into();
        let rows = packed.blocks.iter().map(|it| vec![id(), int(it.number), it.members.clone().into()]);
        BLOCKS.put(&self.tx, "write recent members", rows).await?;
        for block in &packed.blocks {
            let filled = block.pages.iter().filter(|(_, uses)| !uses.is_empty());
            let rows =
                filled.map(|(day, uses)| vec![id(), int(block.number), (*day).into(), uses.clone().into()]);
            PAGES.put(&self.tx, "write recent activity", rows).await?;
            for (day, _) in block.pages.iter().filter(|(_, uses)| uses.is_empty()) {
                let sql = "delete from activity_pages where connection_id = $1 and block = $2 and day = $3";
                let values = [id(), int(block.number), (*day).into()];
                execute(&self.tx, "delete recent activity", sql, values).await?;
            }
        }
        let sql = "delete from activity_pages where connection_id = $1 and day < $2";
        execute(&self.tx, "forget old activity", sql, [id(), packed.from.into()]).await?;
        if packed.is_whole {
            for table in ["activity_pages", "activity_blocks"] {
                let sql = format!("delete from {table} where connection_id = $1 and block >= $2");
                let values = [id(), int(packed.blocks.len() as u64)];
                execute(&self.tx, "forget blocks", sql, values).await?;
            }
        }
        Ok(())
    }
}
