//! The windows of the last days from what is kept of activity: a block of members after the other, some at once, since a
//! large workspace has more to fold than one core does in a moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chrono::NaiveDate;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Coverage, DayUse, Fold, Recent, Rollup, kept_from},
};
use tidemark_store::{BLOCK, Error, MemberHistory, Packed, PackedBlock, Store};
use tokio::task::{JoinSet, spawn_blocking};
use uuid::Uuid;

use super::{fold, plan::Span};

/// Blocks in hand at once: one is read while others are folded.
const AT_ONCE: usize = 3;
/// Members who may be new on one day. Of more, everybody is read.
const NEWCOMERS: usize = 500;

type Result<T> = std::result::Result<T, Error>;

/// The windows from the first of the days `read` on: what is kept, with the facts of those days in the place of what they
/// were. Everything, where that is not enough.
pub(super) async fn recent(
    store: &Store,
    connection: &ConnectionId,
    span: &Span,
    read: (NaiveDate, NaiveDate),
) -> Result<(Rollup, Option<Packed>)> {
    let facts = Arc::new(Facts::read(store, connection, span, read).await?);
    let count = store.recent_blocks(connection).await?;
    let blocks = stream::iter(0..count).map(|number| {
        let (store, connection, facts) = (store.clone(), connection.clone(), Arc::clone(&facts));
        apart(async move { facts.block(&store, &connection, number).await })
    });
    let mut blocks = blocks.buffered(AT_ONCE);
    let (mut fold, mut packed, mut known) = (facts.begin(), Vec::new(), BTreeSet::new());
    // The members of the last block, where it has room for more.
    let mut open = None;
    while let Some(block) = blocks.try_next().await? {
        // The first row of somebody is another one: that changes cohorts on all days.
        let Some(block) = block else { return fold::whole(store, connection, span).await };
        fold.merge(block.fold);
        packed.push(block.packed);
        known.extend(block.members.iter().map(|member| member.member_id));
        open = (block.members.len() < BLOCK).then_some(block.members);
    }
    let newcomers: Vec<_> = facts.histories.keys().filter(|id| !known.contains(*id)).copied().collect();
    if newcomers.len() > NEWCOMERS {
        return fold::whole(store, connection, span).await;
    }
    if !newcomers.is_empty() {
        let kept = (facts.from, facts.last);
        if open.is_some() {
            packed.pop();
        }
        let mut open = open.unwrap_or_default();
        for member in store.fold_these(connection, &newcomers, kept).await? {
            fold.member(member.borrowed());
            open.push(member.recent);
        }
        for members in open.chunks(BLOCK) {
            packed.push(PackedBlock::new(packed.len() as u64, members, days(kept)));
        }
    }
    let packed = Packed { from: facts.from, blocks: packed, is_whole: false };
    Ok((fold.finish(), Some(packed)))
}

/// What every block is folded with.
struct Facts {
    /// The first and the last day that is told.
    first: NaiveDate,
    last: NaiveDate,
    coverage: Coverage,
    roster_start: NaiveDate,
    /// The days whose facts were read again.
    read: (NaiveDate, NaiveDate),
    fresh: HashMap<Uuid, Vec<DayUse>>,
    histories: BTreeMap<Uuid, MemberHistory>,
    /// The first of the days that are kept for the next time.
    from: NaiveDate,
}

/// A block, folded.
struct Folded {
    fold: Fold,
    members: Vec<Recent>,
    packed: PackedBlock,
}

impl Facts {
    async fn read(
        store: &Store,
        connection: &ConnectionId,
        span: &Span,
        read: (NaiveDate, NaiveDate),
    ) -> Result<Self> {
        let (uses, histories) = ((store.clone(), connection.clone()), (store.clone(), connection.clone()));
        let (fresh, histories) = tokio::try_join!(
            apart(async move { uses.0.uses_on(&uses.1, read).await }),
            apart(async move { histories.0.histories(&histories.1).await }),
        )?;
        Ok(Self {
            first: read.0.max(span.first),
            last: span.last,
            coverage: span.coverage.clone(),
            roster_start: span.roster_start,
            read,
            fresh,
            histories,
            from: kept_from(span.last),
        })
    }

    fn begin(&self) -> Fold {
        Fold::new(self.first, self.last, &self.coverage, self.roster_start)
    }

    /// None where somebody's cohort is another one than before.
    async fn block(
        self: Arc<Self>,
        store: &Store,
        connection: &ConnectionId,
        number: u64,
    ) -> Result<Option<Folded>> {
        let members = store.recent_block(connection, number).await?.unwrap_or_default();
        let folded = spawn_blocking(move || self.fold(number, members)).await;
        Ok(folded.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic())))
    }

    fn fold(&self, number: u64, mut members: Vec<Recent>) -> Option<Folded> {
        let (mut fold, nothing) = (self.begin(), MemberHistory::default());
        for member in &mut members {
            let history = self.histories.get(&member.member_id).unwrap_or(&nothing);
            let cohort = member.cohort(&history.versions);
            member.replace(self.read, self.fresh.get(&member.member_id).map_or(&[], Vec::as_slice));
            if member.cohort(&history.versions) != cohort {
                return None;
            }
            member.forget_before(self.from);
            fold.member(member.facts(&history.versions, &history.teams));
        }
        let packed = PackedBlock::new(number, &members, days((self.read.0.max(self.from), self.read.1)));
        Some(Folded { fold, members, packed })
    }
}

fn days((from, to): (NaiveDate, NaiveDate)) -> impl Iterator<Item = NaiveDate> {
    from.iter_days().take_while(move |day| *day <= to)
}

/// In a task of its own: rows are read and decoded beside those of others. Dropped, it ends.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(work);
    let ended = task.join_next().await.expect("one task was spawned");
    ended.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}
