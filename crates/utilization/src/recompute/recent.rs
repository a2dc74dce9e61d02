//! The windows of the last days from where they stood: a block of members after the other is read, moved on and written.
//! While the database writes one, the next is moved on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chrono::NaiveDate;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{
        Block, Coverage, Cut, DayUse, Ending, Flag, Fold, Judge, Key, Pages, Rolling, Rollup, Seat, Stood,
        Uniformity, UnknownDays, WindowUse, kept_from,
    },
};
use tidemark_store::{
    BLOCK, Error, KeptBlock, MemberHistory, PackedBlock, RollupHead, SeatDigest, SeatStatements, SeatWriter,
    Store, Tx,
};
use tokio::{
    join,
    task::{JoinHandle, JoinSet, spawn_blocking},
};
use uuid::Uuid;

use super::plan::Span;

/// Members who may be new on one day. Of more, everybody is read.
const NEWCOMERS: usize = 500;

type Result<T> = std::result::Result<T, Error>;

/// What every block is moved on with.
pub(super) struct Facts {
    connection: ConnectionId,
    /// The first and the last day that is told.
    first: NaiveDate,
    last: NaiveDate,
    coverage: Coverage,
    roster_start: NaiveDate,
    unknown: Arc<UnknownDays>,
    /// The days whose facts were read again.
    read: (NaiveDate, NaiveDate),
    /// The rollup that what is kept belongs to, and on whose day it stands.
    pub(super) before: RollupHead,
    fresh: HashMap<Uuid, Vec<DayUse>>,
    histories: HashMap<Uuid, MemberHistory>,
    seats: SeatWriter,
}

impl Facts {
    /// Of the days `read`, on the way from the rollup `before`.
    pub(super) async fn read(
        store: &Store,
        connection: &ConnectionId,
        span: &Span,
        read: (NaiveDate, NaiveDate),
        before: RollupHead,
    ) -> Result<Self> {
        let of = || (store.clone(), connection.clone());
        let (uses, histories) = (of(), of());
        let (fresh, histories) = tokio::try_join!(
            apart(async move { uses_on(&uses.0, &uses.1, read).await }),
            apart(async move { histories.0.histories(&histories.1).await }),
        )?;
        Ok(Self {
            connection: connection.clone(),
            first: read.0.max(span.first),
            last: span.last,
            coverage: span.coverage.clone(),
            roster_start: span.roster_start,
            unknown: Arc::clone(&span.unknown),
            read,
            before,
            fresh,
            histories,
            seats: store.seat_writer(connection),
        })
    }

    fn fold(&self) -> Fold {
        Fold::new(self.first, self.last, &self.coverage, self.roster_start).with_unknown(&self.unknown)
    }

    fn history(&self, member: Uuid) -> &MemberHistory {
        static NOTHING: MemberHistory = MemberHistory { versions: Vec::new(), teams: Vec::new() };
        self.histories.get(&member).unwrap_or(&NOTHING)
    }

    fn cohorts(&self, block: &Block) -> Vec<Option<Cut>> {
        let each = block.members.iter();
        each.map(|member| member.cohort(&self.history(member.member_id).versions, block.on)).collect()
    }

    /// How many days before the last one.
    fn age(&self, day: NaiveDate) -> usize {
        usize::try_from((self.last - day).num_days()).unwrap_or(usize::MAX)
    }

    /// Takes what members did on these days, where the list of members ever had them.
    fn compare(&self, uniformity: &mut Uniformity, members: &[Rolling], pages: &Pages) {
        for (day, uses) in pages {
            let listed = |(place, _): &&(usize, DayUse)| {
                members.get(*place).is_some_and(|member| self.histories.contains_key(&member.member_id))
            };
            uses.iter().filter(listed).for_each(|(_, one)| uniformity.add(self.age(*day), one));
        }
    }

    /// Begins to move a block on; none where it does not stand where it should.
    async fn begin(self: &Arc<Self>, tx: &Tx, number: u64) -> Result<Option<Moving>> {
        let needed = Block::needed(self.before.as_of, self.read.0, self.last);
        let packed = tx.packed_block(&self.connection, number, &needed).await?;
        let Some(packed) = packed.filter(|packed| packed.on() == self.before.as_of) else { return Ok(None) };
        let facts = Arc::clone(self);
        Ok(Some(spawn_blocking(move || packed.unpacked().and_then(|kept| facts.moved(kept)))))
    }

    /// None where somebody's cohort is another one than before, which changes it on all days; or where what is kept does
    /// not fit.
    fn moved(&self, mut kept: KeptBlock) -> Option<Moved> {
        let KeptBlock { block, seats: standing, pages, .. } = &mut kept;
        let cohorts = self.cohorts(block);
        while block.on >= self.read.0 {
            block.back(pages)?;
        }
        self.freshen(block, pages);
        let histories: Vec<_> = block.members.iter().map(|member| self.history(member.member_id)).collect();
        let stood = histories.iter().zip(&cohorts).map(|(MemberHistory { versions, teams }, cohort)| Stood {
            versions,
            teams,
            cohort: cohort.as_ref(),
        });
        let stood: Vec<_> = stood.collect();
        let mut windows = BTreeMap::new();
        while block.on < self.last {
            block.forward(pages)?;
            if block.on < self.first {
                continue;
            }
            let mut ending = Ending::default();
            ending.block(block, pages, self.roster_start, &stood);
            windows.extend(ending.finish(block.on, &self.coverage));
        }
        if self.cohorts(block) != cohorts {
            return None;
        }
        let judge = Judge::new(self.last, &self.coverage, self.roster_start).with_unknown(&self.unknown);
        let members = block.members.iter().zip(&histories);
        let seats: Vec<_> = members.map(|(member, history)| judge.seat(member, &history.versions)).collect();
        let (from, to) = self.read;
        pages.retain(|day, _| (from..=to).contains(day));
        let mut uniformity = Uniformity::default();
        self.compare(&mut uniformity, &block.members, pages);
        let both = block.members.iter().zip(&*standing).zip(&seats);
        let both = both.map(|((member, before), seat)| (member.member_id, *before, seat.as_ref()));
        let statements = self.seats.statements(both);
        *standing = seats.iter().map(|seat| SeatDigest::of(seat.as_ref())).collect();
        let seats = seats.into_iter().flatten().collect();
        Some(Moved { windows, seats, statements, uniformity, packed: PackedBlock::new(&kept), kept })
    }

    /// Puts the facts of the days that were read again in the place of what they were.
    fn freshen(&self, block: &Block, pages: &mut Pages) {
        let (from, to) = self.read;
        pages.retain(|day, _| !(from..=to).contains(day));
        pages.extend(from.iter_days().take_while(|day| *day <= to).map(|day| (day, Vec::new())));
        for (place, member) in block.members.iter().enumerate() {
            for one in self.fresh.get(&member.member_id).into_iter().flatten() {
                pages.entry(one.day).or_default().push((place, *one));
            }
        }
    }

    /// What is wrong with the facts, of which `uniformity` has the days that were read again. Older days are looked at only
    /// where those do not decide. None where they cannot be read.
    async fn flags(&self, tx: &Tx, blocks: u64, mut uniformity: Uniformity) -> Result<Option<Vec<Flag>>> {
        let (from, to) = self.read;
        let others: BTreeSet<_> =
            Uniformity::days(self.last).filter(|day| !(from..=to).contains(day)).collect();
        for number in 0..blocks {
            if uniformity.is_decided() {
                break;
            }
            let Some(packed) = tx.packed_block(&self.connection, number, &others).await? else { break };
            let Some(KeptBlock { block, pages, .. }) = packed.unpacked() else { return Ok(None) };
            self.compare(&mut uniformity, &block.members, &pages);
        }
        Ok(Some(uniformity.flag().into_iter().collect()))
    }
}

type Moving = JoinHandle<Option<Moved>>;

/// A block that stands on the last day.
struct Moved {
    windows: BTreeMap<Key, WindowUse>,
    seats: Vec<Seat>,
    statements: SeatStatements,
    uniformity: Uniformity,
    packed: PackedBlock,
    /// The same, with the pages that are written again.
    kept: KeptBlock,
}

/// Moves everything on to the last day, and writes seats and what is kept; gives the rollup and how many seats changed.
/// None where what is kept is not enough: what was written must not stay then. The head is locked, so that nobody else
/// writes either of them.
pub(super) async fn move_on(facts: Facts, tx: &Tx) -> Result<Option<(Rollup, u64)>> {
    let facts = Arc::new(facts);
    let connection = &facts.connection;
    let mut blocks = tx.packed_blocks(connection).await?;
    let mut rollup = facts.fold().finish();
    let (mut uniformity, mut known, mut changed) = (Uniformity::default(), HashSet::new(), 0);
    // The last block, where it has room for more.
    let mut open = None;
    let mut moving = if blocks > 0 { facts.begin(tx, 0).await? } else { None };
    for number in 0..blocks {
        // The next one is read while this one is still on its way, and moved on while this one is written.
        let next = if number + 1 < blocks { facts.begin(tx, number + 1).await? } else { None };
        let Some(moved) = std::mem::replace(&mut moving, next) else { return Ok(None) };
        let moved = moved.await.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
        let Some(moved) = moved else { return Ok(None) };
        let adding = async {
            rollup.add(moved.windows, moved.seats);
            uniformity.merge(moved.uniformity);
            known.extend(moved.kept.block.members.iter().map(|member| member.member_id));
        };
        let seats = moved.statements.seats();
        // What is on its way to the database goes on meanwhile.
        let (written, ()) = join!(tx.write_seats(connection, moved.statements), adding);
        // Somebody else had a hand in it.
        if written? < seats {
            return Ok(None);
        }
        changed += seats;
        if moved.kept.seats.len() < BLOCK && number + 1 == blocks {
            open = Some(moved.kept);
        }
        tx.put_packed_block(connection, &moved.packed).await?;
    }
    let mut newcomers: Vec<_> = facts.histories.keys().filter(|id| !known.contains(*id)).copied().collect();
    newcomers.sort();
    if newcomers.len() > NEWCOMERS {
        return Ok(None);
    }
    if !newcomers.is_empty() {
        let mut fold = facts.fold();
        // So few days are told that no window of theirs begins earlier.
        let days = (kept_from(facts.last), facts.last);
        let members = tx.fold_these(connection, &newcomers, days).await?;
        let mut open = open.unwrap_or_else(|| KeptBlock::empty(blocks, facts.last));
        let days = members.iter().flat_map(|member| &member.days).map(|one| one.day);
        let others = days.filter(|day| !open.pages.contains_key(day)).collect();
        if let Some(packed) = tx.packed_block(connection, open.number, &others).await? {
            let Some(kept) = packed.unpacked() else { return Ok(None) };
            open.pages.extend(kept.pages);
        }
        for member in &members {
            let (rolling, seat) = fold.member(member.borrowed());
            open.push(rolling, SeatDigest::of(seat), &member.days);
            let (from, to) = facts.read;
            let read_again = member.days.iter().filter(|one| (from..=to).contains(&one.day));
            read_again.for_each(|one| uniformity.add(facts.age(one.day), one));
        }
        let Rollup { windows, seats, .. } = fold.finish();
        let added = seats.iter().map(|seat| (seat.member_id, SeatDigest::default(), Some(seat)));
        changed += tx.write_seats(connection, facts.seats.statements(added)).await?;
        rollup.add(windows, seats);
        tx.put_packed_block(connection, &PackedBlock::new(&open)).await?;
        blocks = open.number + 1;
    }
    tx.forget_pages(connection, kept_from(facts.last)).await?;
    let Some(flags) = facts.flags(tx, blocks, uniformity).await? else { return Ok(None) };
    rollup.flags = flags;
    Ok(Some((rollup, changed)))
}

/// What everybody did on those days, a day after the other: the rows of one are many.
async fn uses_on(
    store: &Store,
    connection: &ConnectionId,
    days: (NaiveDate, NaiveDate),
) -> Result<HashMap<Uuid, Vec<DayUse>>> {
    let mut uses: HashMap<Uuid, Vec<DayUse>> = HashMap::new();
    for day in days.0.iter_days().take_while(|day| *day <= days.1) {
        for (member, on) in store.uses_on(connection, (day, day)).await? {
            uses.entry(member).or_default().extend(on);
        }
    }
    Ok(uses)
}

/// In a task of its own: rows are read and decoded beside those of others. Dropped, it ends.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(work);
    let ended = task.join_next().await.expect("one task was spawned");
    ended.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}
