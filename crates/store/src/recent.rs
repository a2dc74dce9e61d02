//! What a rollup leaves for the next one, packed: blocks of members with their rolling windows, and what the members of a
//! block did on each of the last days.
//!
//! Invariant: it stands on the head's day and is of the facts that the head is of; it is written in the same transaction,
//! at the head's `rolled_at`.

use std::{borrow::Cow, collections::BTreeSet};

use chrono::NaiveDate;
use sea_orm::ConnectionTrait as _;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Block, Pages},
};

use crate::{
    error::Result,
    packed,
    statement::{Table, corrupt, count, execute, int, placeholders, row, rows},
    store::{Store, Tx},
};

/// Members of a block, and as many as are new on one day: a page is some kilobytes, and what one block unfolds to fits
/// into memory many times.
pub const BLOCK: usize = 2_048;

const WINDOWS: Table<'static> = Table {
    name: "activity_windows",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "block", "stands_on", "members"]),
};

const PAGES: Table<'static> = Table {
    name: "activity_pages",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "block", "day", "uses"]),
};

/// A block as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBlock {
    number: u64,
    on: NaiveDate,
    members: Vec<u8>,
    pages: Vec<(NaiveDate, Vec<u8>)>,
}

impl PackedBlock {
    /// A block with these pages. Those of other days stay as they are.
    pub fn new(number: u64, block: &Block, pages: &Pages) -> Self {
        let pages = pages.iter().map(|(day, uses)| (*day, packed::page(uses)));
        Self { number, on: block.on, members: packed::members(&block.members), pages: pages.collect() }
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
        let sql = "select count(*) as count from activity_windows where connection_id = $1";
        count(&self.db, "count blocks", sql, [connection.as_str().into()]).await
    }

    /// The members of a block; none where there is no such block.
    pub async fn recent_block(&self, connection: &ConnectionId, number: u64) -> Result<Option<Block>> {
        let sql = "select stands_on, members from activity_windows where connection_id = $1 and block = $2";
        let values = [connection.as_str().into(), int(number)];
        let Some(found) = row(&self.db, "read rolling windows", sql, values).await? else { return Ok(None) };
        let members: Vec<u8> = found.at(1)?;
        let members = packed::read_members(&members).ok_or_else(|| corrupt("members"))?;
        Ok(Some(Block { on: found.at(0)?, members }))
    }

    /// What the members of a block did on those days. A day on which nobody did anything has no page.
    pub async fn recent_pages(
        &self,
        connection: &ConnectionId,
        number: u64,
        days: &BTreeSet<NaiveDate>,
    ) -> Result<Pages> {
        if days.is_empty() {
            return Ok(Pages::new());
        }
        let sql = format!(
            "select day, uses from activity_pages where connection_id = $1 and block = $2 and day in ({})",
            placeholders(3, days.len())
        );
        let values = [connection.as_str().into(), int(number)].into_iter();
        let values = values.chain(days.iter().map(|day| (*day).into()));
        let pages = rows(&self.db, "read recent activity", sql, values).await?;
        let page = |row: &crate::statement::Row| {
            let (day, bytes): (NaiveDate, Vec<u8>) = (row.at(0)?, row.at(1)?);
            Ok((day, packed::read_page(day, &bytes).ok_or_else(|| corrupt("uses"))?))
        };
        pages.iter().map(page).collect()
    }
}

impl Tx {
    /// Makes what is kept what the rollup saw. What is the same is left alone.
    pub(crate) async fn put_packed(&self, connection: &ConnectionId, packed: &Packed) -> Result<()> {
        let id = || connection.as_str().into();
        // They differ every day.
        let upsert = WINDOWS.upsert(self.tx.get_database_backend());
        for block in &packed.blocks {
            let values = [id(), int(block.number), block.on.into(), block.members.clone().into()];
            execute(&self.tx, "write rolling windows", &upsert, values).await?;
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
            for table in ["activity_pages", "activity_windows"] {
                let sql = format!("delete from {table} where connection_id = $1 and block >= $2");
                let values = [id(), int(packed.blocks.len() as u64)];
                execute(&self.tx, "forget blocks", sql, values).await?;
            }
        }
        Ok(())
    }
}
