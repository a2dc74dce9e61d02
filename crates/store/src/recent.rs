//! What a rollup leaves for the next one, packed: blocks of members with their rolling windows, and what the members of a
//! block did on each of the last days.
//!
//! Invariant: it stands on the head's day and is of the facts that the head is of; it is written in the same transaction,
//! at the head's `packed_at`.

use std::{borrow::Cow, collections::BTreeSet};

use chrono::NaiveDate;
use sea_orm::ConnectionTrait as _;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Block, DayUse, Pages, Rolling},
};

use crate::{
    error::Result,
    packed,
    seats::SeatDigest,
    statement::{Table, count, execute, int, placeholders, row, rows},
    store::Tx,
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

/// What is kept of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBlock {
    /// Which one.
    pub number: u64,
    /// The members with their windows.
    pub block: Block,
    /// The seat of each.
    pub seats: Vec<SeatDigest>,
    /// What they did on some days.
    pub pages: Pages,
}

impl KeptBlock {
    /// Without members and pages.
    pub fn empty(number: u64, on: NaiveDate) -> Self {
        let block = Block { on, members: Vec::new() };
        Self { number, block, seats: Vec::new(), pages: Pages::new() }
    }

    /// Adds a member, the seat, and what was done on the kept days.
    pub fn push(&mut self, member: Rolling, seat: SeatDigest, days: &[DayUse]) {
        let place = self.block.members.len();
        for one in days {
            self.pages.entry(one.day).or_default().push((place, *one));
        }
        self.block.members.push(member);
        self.seats.push(seat);
    }
}

/// A block as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBlock {
    number: u64,
    on: NaiveDate,
    members: Vec<u8>,
    pages: Vec<(NaiveDate, Vec<u8>)>,
}

impl PackedBlock {
    /// Of a block with some pages. Those of other days stay as they are.
    pub fn new(kept: &KeptBlock) -> Self {
        let KeptBlock { number, block, seats, pages } = kept;
        let pages = pages.iter().map(|(day, uses)| (*day, packed::page(uses)));
        let members = packed::members(&block.members, seats);
        Self { number: *number, on: block.on, members, pages: pages.collect() }
    }

    /// The day its windows stand on.
    pub fn on(&self) -> NaiveDate {
        self.on
    }

    /// What was packed; none where these bytes cannot be read.
    pub fn unpacked(&self) -> Option<KeptBlock> {
        let (members, seats) = packed::read_members(&self.members)?;
        let page = |(day, bytes): &(NaiveDate, Vec<u8>)| Some((*day, packed::read_page(*day, bytes)?));
        let pages = self.pages.iter().map(page).collect::<Option<_>>()?;
        Some(KeptBlock { number: self.number, block: Block { on: self.on, members }, seats, pages })
    }
}

/// Everything that is kept of a connection's activity after a rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The first of the days that are kept.
    pub from: NaiveDate,
    /// The blocks, each with all its pages.
    pub blocks: Vec<PackedBlock>,
}

impl Tx {
    /// How many blocks there are.
    pub async fn packed_blocks(&self, connection: &ConnectionId) -> Result<u64> {
        let sql = "select count(*) as count from activity_windows where connection_id = $1";
        count(&self.tx, "count blocks", sql, [connection.as_str().into()]).await
    }

    /// A block with its pages of those days; none where there is no such block. A day on which nobody did anything has
    /// no page.
    pub async fn packed_block(
        &self,
        connection: &ConnectionId,
        number: u64,
        days: &BTreeSet<NaiveDate>,
    ) -> Result<Option<PackedBlock>> {
        let sql = "select stands_on, members from activity_windows where connection_id = $1 and block = $2";
        let of = || [connection.as_str().into(), int(number)].into_iter();
        let Some(found) = row(&self.tx, "read rolling windows", sql, of()).await? else { return Ok(None) };
        let pages = if days.is_empty() {
            Vec::new()
        } else {
            let sql = format!(
                "select day, uses from activity_pages where connection_id = $1 and block = $2 and day in ({})",
                placeholders(3, days.len())
            );
            let values = of().chain(days.iter().map(|day| (*day).into()));
            rows(&self.tx, "read recent activity", sql, values).await?
        };
        let pages = pages.iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect::<Result<_>>()?;
        Ok(Some(PackedBlock { number, on: found.at(0)?, members: found.at(1)?, pages }))
    }

    /// Makes a block what it is now, and its pages of some days. What is the same is left alone.
    pub async fn put_packed_block(&self, connection: &ConnectionId, block: &PackedBlock) -> Result<()> {
        let id = || connection.as_str().into();
        // It differs every day.
        let upsert = WINDOWS.upsert(self.tx.get_database_backend());
        let values = [id(), int(block.number), block.on.into(), block.members.clone().into()];
        execute(&self.tx, "write rolling windows", &upsert, values).await?;
        let filled = block.pages.iter().filter(|(_, uses)| !uses.is_empty());
        let rows =
            filled.map(|(day, uses)| vec![id(), int(block.number), (*day).into(), uses.clone().into()]);
        PAGES.put(&self.tx, "write recent activity", rows).await?;
        // A block has no more pages than days are kept.
        let empty: Vec<_> = block.pages.iter().filter(|(_, uses)| uses.is_empty()).collect();
        if empty.is_empty() {
            return Ok(());
        }
        let days = placeholders(3, empty.len());
        let sql =
            format!("delete from activity_pages where connection_id = $1 and block = $2 and day in ({days})");
        let values = [id(), int(block.number)].into_iter().chain(empty.iter().map(|(day, _)| (*day).into()));
        execute(&self.tx, "delete recent activity", sql, values).await.map(drop)
    }

    /// Deletes the pages of the days before that one.
    pub async fn forget_pages(&self, connection: &ConnectionId, before: NaiveDate) -> Result<()> {
        let sql = "delete from activity_pages where connection_id = $1 and day < $2";
        let values = [connection.as_str().into(), before.into()];
        execute(&self.tx, "forget old activity", sql, values).await?;
        Ok(())
    }

    /// Makes that all that is kept.
    pub(crate) async fn put_packed(&self, connection: &ConnectionId, packed: &Packed) -> Result<()> {
        for block in &packed.blocks {
            self.put_packed_block(connection, block).await?;
        }
        self.forget_pages(connection, packed.from).await?;
        for table in ["activity_pages", "activity_windows"] {
            let sql = format!("delete from {table} where connection_id = $1 and block >= $2");
            let values = [connection.as_str().into(), int(packed.blocks.len() as u64)];
            execute(&self.tx, "forget blocks", sql, values).await?;
        }
        Ok(())
    }
}
