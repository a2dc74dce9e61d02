//! The windows of the last days from where they stood: a block of members after the other, some at once, since a large
//! workspace has more of them than one core moves on in a moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chrono::NaiveDate;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidemark_domain::{
    id::ConnectionId,
    rollup::{
        Block, Coverage, Cut, DayUse, Ending, Flag, Fold, Judge, Key, Pages, Rolling, Rollup, Seat, Stood,
        Uniformity, WindowUse, kept_from,
    },
};
use tidemark_store::{BLOCK, Error, MemberHistory, Packed, PackedBlock, Store};
use tokio::task::{JoinSet, spawn_blocking};
use uuid::Uuid;

use super::{fold, plan::Span};

/// Blocks in hand at once: one is read while others are moved on.
const AT_ONCE: usize = 3;
/// Members who may be new on one day. Of more, everybody is read.
const NEWCOMERS: usize = 500;

type Result<T> = std::result::Result<T, Error>;

/// The windows from the first of the days `read` on: from the day `before`, on which they stand, they go back to the day
/// before it, and from there on with the facts of those days. Everything, where that is not enough.
pub(super) async fn recent(
    store: &Store,
    connection: &ConnectionId,
    span: &Span,
    read: (NaiveDate, NaiveDate),
    before: NaiveDate,
) -> Result<(Rollup, Option<Packed>)> {
    let facts = Arc::new(Facts::read(store, connection, span, read, before).await?);
    match all(facts).await? {
        Some((rollup, packed)) => Ok((rollup, Some(packed))),
        None => fold::whole(store, connection, span).await,
    }
}

/// What every block is moved on with.
struct Facts {
    store: Store,
    connection: ConnectionId,
    /// The first and the last day that is told.
    first: NaiveDate,
    last: NaiveDate,
    coverage: Coverage,
    roster_start: NaiveDate,
    /// The days whose facts were read again.
    read: (NaiveDate, NaiveDate),
    /// The day on which what is kept stands.
    before: NaiveDate,
    fresh: HashMap<Uuid, Vec<DayUse>>,
    histories: HashMap<Uuid, MemberHistory>,
}

impl Facts {
    async fn read(
        store: &Store,
        connection: &ConnectionId,
        span: &Span,
        read: (NaiveDate, NaiveDate),
        before: NaiveDate,
    ) -> Result<Self> {
        let (uses, histories) = ((store.clone(), connection.clone()), (store.clone(), connection.clone()));
        let (fresh, histories) = tokio::try_join!(
            apart(async move { uses_on(&uses.0, &uses.1, read).await }),
            apart(async move { histories.0.histories(&histories.1).await }),
        )?;
        Ok(Self {
            store: store.clone(),
            connection: connection.clone(),
            first: read.0.max(span.first),
            last: span.last,
            coverage: span.coverage.clone(),
            roster_start: span.roster_start,
            read,
            before,
            fresh,
            histories,
        })
    }

    fn fold(&self) -> Fold {
        Fold::new(self.first, self.last, &self.coverage, self.roster_start)
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

    /// None where somebody's cohort is another one than before, which changes it on all days; or where what is kept does
    /// not fit.
    async fn block(self: Arc<Self>, number: u64) -> Result<Option<Moved>> {
        let block = self.store.recent_block(&self.connection, number).await?;
        let Some(block) = block.filter(|block| block.on == self.before) else { return Ok(None) };
        let needed = block.needed(self.read.0, self.last);
        let pages = self.store.recent_pages(&self.connection, number, &needed).await?;
        let moved = spawn_blocking(move || self.moved(number, block, pages)).await;
        Ok(moved.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic())))
    }

    fn moved(&self, number: u64, mut block: Block, mut pages: Pages) -> Option<Moved> {
        let cohorts = self.cohorts(&block);
        while block.on >= self.read.0 {
            block.back(&pages)?;
        }
        self.freshen(&block, &mut pages);
        let histories: Vec<_> = block.members.iter().map(|member| self.history(member.member_id)).collect();
        let stood = histories.iter().zip(&cohorts).map(|(MemberHistory { versions, teams }, cohort)| Stood {
            versions,
            teams,
            cohort: cohort.as_ref(),
        });
        let stood: Vec<_> = stood.collect();
        let mut windows = BTreeMap::new();
        while block.on < self.last {
            block.forward(&pages)?;
            if block.on < self.first {
                continue;
            }
            let mut ending = Ending::default();
            ending.block(&block, &pages, self.roster_start, &stood);
            windows.extend(ending.finish(block.on, &self.coverage));
        }
        if self.cohorts(&block) != cohorts {
            return None;
        }
        let judge = Judge::new(self.last, &self.coverage, self.roster_start);
        let seats = block.members.iter().zip(&histories);
        let seats = seats.filter_map(|(member, history)| judge.seat(member, &history.versions)).collect();
        let (from, to) = self.read;
        pages.retain(|day, _| (from..=to).contains(day));
        let mut uniformity = Uniformity::default();
        self.compare(&mut uniformity, &block.members, &pages);
        let packed = PackedBlock::new(number, &block, &pages);
        Some(Moved { windows, seats, uniformity, packed, block, pages })
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

    /// What is wrong with the facts. Older days are looked at only where those that were read again do not decide.
    async fn flags(&self, blocks: &[PackedBlock], mut uniformity: Uniformity) -> Result<Vec<Flag>> {
        let (from, to) = self.read;
        let others: BTreeSet<_> =
            Uniformity::days(self.last).filter(|day| !(from..=to).contains(day)).collect();
        for number in 0..blocks.len() as u64 {
            if uniformity.is_decided() {
                break;
            }
            let Some(block) = self.store.recent_block(&self.connection, number).await? else { break };
            let pages = self.store.recent_pages(&self.connection, number, &others).await?;
            self.compare(&mut uniformity, &block.members, &pages);
        }
        Ok(uniformity.flag().into_iter().collect())
    }
}

/// A block that stands on the last day.
struct Moved {
    windows: BTreeMap<Key, WindowUse>,
    seats: Vec<Seat>,
    uniformity: Uniformity,
    packed: PackedBlock,
    block: Block,
    /// Those that are written again.
    pages: Pages,
}

/// Everything; none where the kept windows are not enough.
async fn all(facts: Arc<Facts>) -> Result<Option<(Rollup, Packed)>> {
    let (store, connection) = (&facts.store, &facts.connection);
    let count = store.recent_blocks(connection).await?;
    let mut blocks =
        stream::iter(0..count).map(|number| apart(Arc::clone(&facts).block(number))).buffered(AT_ONCE);
    let mut rollup = facts.fold().finish();
    let (mut uniformity, mut packed, mut known) = (Uniformity::default(), Vec::new(), HashSet::new());
    // The last block, where it has room for more.
    let mut open = None;
    while let Some(moved) = blocks.try_next().await? {
        let Some(moved) = moved else { return Ok(None) };
        rollup.add(moved.windows, moved.seats);
        uniformity.merge(moved.uniformity);
        packed.push(moved.packed);
        known.extend(moved.block.members.iter().map(|member| member.member_id));
        open = (moved.block.members.len() < BLOCK).then_some((moved.block, moved.pages));
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
        let members = store.fold_these(connection, &newcomers, days).await?;
        let empty = || (Block { on: facts.last, members: Vec::new() }, Pages::new());
        if open.is_some() {
            packed.pop();
        }
        let (number, (mut block, mut pages)) = (packed.len() as u64, open.unwrap_or_else(empty));
        let place = block.members.len();
        let others = members
            .iter()
            .flat_map(|member| &member.days)
            .map(|one| one.day)
            .filter(|day| !pages.contains_key(day))
            .collect();
        pages.extend(store.recent_pages(connection, number, &others).await?);
        for (at, member) in members.iter().enumerate() {
            block.members.push(fold.member(member.borrowed()));
            for one in &member.days {
                uniformity.add(facts.age(one.day), one);
                pages.entry(one.day).or_default().push((place + at, *one));
            }
        }
        let Rollup { windows, seats, .. } = fold.finish();
        rollup.add(windows, seats);
        packed.push(PackedBlock::new(number, &block, &pages));
    }
    rollup.flags = facts.flags(&packed, uniformity).await?;
    Ok(Some((rollup, Packed { from: kept_from(facts.last), blocks: packed, is_whole: false })))
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
