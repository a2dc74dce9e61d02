//! Facts → rollup, in two ways with one result: everything from the facts, or the last days from what is kept of activity.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Cut, Fold, Recent, Rollup, horizon, kept_from},
};
use tidemark_store::{BLOCK, Error, Packed, PackedBlock, Store, TeamNumbers};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::plan::Span;

/// Members read at once.
const PAGE: u64 = 500;
/// Members who may be new on one day. Of more, everybody is read.
const NEWCOMERS: usize = 500;

type Result<T> = std::result::Result<T, Error>;

/// All days. Member by member and page by page, so that memory does not grow with the history.
pub(super) async fn whole(
    store: &Store,
    connection: &ConnectionId,
    span: &Span,
) -> Result<(Rollup, Option<Packed>)> {
    let mut fold = Fold::new(span.first, span.last, &span.coverage, span.roster_start);
    let mut keeping = Keeping::new(span);
    let (mut after, mut block) = (None, Vec::with_capacity(BLOCK));
    loop {
        let days = (horizon(span.first), span.last);
        let page = store.fold_members(connection, after, PAGE, days).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.recent.member_id);
        for mut member in page {
            fold.member(member.borrowed());
            member.recent.forget_before(keeping.from);
            block.push(member.recent);
            if block.len() == BLOCK {
                keeping.keep(&block, (keeping.from, span.last));
                block.clear();
            }
        }
    }
    keeping.keep(&block, (keeping.from, span.last));
    Ok((fold.finish(), Some(keeping.packed(true))))
}

/// The windows from the first of the days `read` on: what is kept, with the facts of those days in the place of what they
/// were. Everything, where that is not enough.
pub(super) async fn recent(
    store: &Store,
    connection: &ConnectionId,
    span: &Span,
    read: (NaiveDate, NaiveDate),
) -> Result<(Rollup, Option<Packed>)> {
    // The next block is read while one is folded.
    let mut ahead = Ahead::read(store, connection, 0);
    let (fresh, mut histories) =
        tokio::try_join!(store.uses_on(connection, read), store.histories(connection))?;
    let first = read.0.max(span.first);
    let mut fold = Fold::new(first, span.last, &span.coverage, span.roster_start);
    let mut keeping = Keeping::new(span);
    loop {
        let next = Ahead::read(store, connection, keeping.count() + 1);
        let mut block = std::mem::replace(&mut ahead, next).block().await?;
        for member in &mut block {
            let history = histories.remove(&member.member_id).unwrap_or_default();
            let cohort = member.cohort(&history.versions);
            member.replace(read, fresh.get(&member.member_id).map_or(&[], Vec::as_slice));
            if member.cohort(&history.versions) != cohort {
                // The first row of somebody is another one: that changes cohorts on all days.
                return whole(store, connection, span).await;
            }
            member.forget_before(keeping.from);
            fold.member(member.facts(&history.versions, &history.teams));
        }
        // All blocks but the last are full.
        let mut changed = read;
        if block.len() < BLOCK && !histories.is_empty() {
            if histories.len() > NEWCOMERS {
                return whole(store, connection, span).await;
            }
            changed = (keeping.from, span.last);
            let ids: Vec<_> = histories.keys().take(BLOCK - block.len()).copied().collect();
            histories.retain(|id, _| ids.last() < Some(id));
            for member in store.fold_these(connection, &ids, changed).await? {
                fold.member(member.borrowed());
                block.push(member.recent);
            }
        }
        let is_last = block.len() < BLOCK;
        keeping.keep(&block, changed);
        if is_last {
            return Ok((fold.finish(), Some(keeping.packed(false))));
        }
    }
}

/// The numbers of these teams on all days, from the facts of their members: teams have no past.
pub(super) async fn teams(
    store: &Store,
    connection: &ConnectionId,
    span: &Span,
    teams: BTreeSet<Uuid>,
) -> Result<TeamNumbers> {
    let mut fold = Fold::new(span.first, span.last, &span.coverage, span.roster_start);
    let ids: Vec<_> = store.members_of_teams(connection, &teams).await?.into_iter().collect();
    for page in ids.chunks(PAGE as usize) {
        for member in store.fold_these(connection, page, (horizon(span.first), span.last)).await? {
            fold.member(member.borrowed());
        }
    }
    let Rollup { days, mut windows, .. } = fold.finish();
    windows.retain(|(cut, ..), _| matches!(cut, Cut::Team(team) if teams.contains(team)));
    Ok(TeamNumbers { teams, days, windows })
}

/// A block that is on its way, in a task of its own. Dropped, it is not read.
struct Ahead(JoinSet<Result<Option<Vec<Recent>>>>);

impl Ahead {
    fn read(store: &Store, connection: &ConnectionId, number: u64) -> Self {
        let (store, connection) = (store.clone(), connection.clone());
        let mut reading = JoinSet::new();
        reading.spawn(async move { store.recent_block(&connection, number).await });
        Self(reading)
    }

    /// Empty where there is no such block.
    async fn block(mut self) -> Result<Vec<Recent>> {
        let read = self.0.join_next().await.expect("one task was spawned");
        Ok(read.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))?.unwrap_or_default())
    }
}

/// What is kept for the next rollup.
struct Keeping {
    from: NaiveDate,
    blocks: Vec<PackedBlock>,
}

impl Keeping {
    fn new(span: &Span) -> Self {
        Self { from: kept_from(span.last), blocks: Vec::new() }
    }

    fn count(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// A block whose pages of those days may be other than before.
    fn keep(&mut self, block: &[Recent], (from, to): (NaiveDate, NaiveDate)) {
        let days = from.max(self.from).iter_days().take_while(|day| *day <= to);
        self.blocks.push(PackedBlock::new(self.count(), block, days));
    }

    fn packed(self, is_whole: bool) -> Packed {
        Packed { from: self.from, blocks: self.blocks, is_whole }
    }
}
