//! Facts → rollup: everything from the facts, or the numbers of some teams.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Block, Cut, DayUse, Fold, Pages, Rolling, Rollup, horizon, kept_from},
};
use tidemark_store::{BLOCK, Error, Packed, PackedBlock, Store, TeamNumbers};
use uuid::Uuid;

use super::plan::Span;

/// Members read at once.
const PAGE: u64 = 500;

type Result<T> = std::result::Result<T, Error>;

/// All days. Member by member and page by page, so that memory does not grow with the history.
pub(super) async fn whole(store: &Store, connection: &ConnectionId, span: &Span) -> Result<(Rollup, Packed)> {
    let mut fold = Fold::new(span.first, span.last, &span.coverage, span.roster_start);
    let mut keeping = Keeping::new(span);
    let days = (horizon(span.first).min(keeping.from), span.last);
    let mut after = None;
    loop {
        let page = store.fold_members(connection, after, PAGE, days).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.member_id);
        for member in &page {
            keeping.keep(fold.member(member.borrowed()), &member.days);
        }
    }
    Ok((fold.finish(), keeping.packed()))
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

/// What is kept for the next rollup.
struct Keeping {
    from: NaiveDate,
    block: Block,
    pages: Pages,
    packed: Vec<PackedBlock>,
}

impl Keeping {
    fn new(span: &Span) -> Self {
        let (from, block) = (kept_from(span.last), Block { on: span.last, members: Vec::new() });
        Self { from, pages: Self::pages(from, span.last), block, packed: Vec::new() }
    }

    /// Nothing on any of the kept days.
    fn pages(from: NaiveDate, last: NaiveDate) -> Pages {
        from.iter_days().take_while(|day| *day <= last).map(|day| (day, Vec::new())).collect()
    }

    fn keep(&mut self, member: Rolling, days: &[DayUse]) {
        let (place, start) = (self.block.members.len(), days.partition_point(|one| one.day < self.from));
        for one in &days[start..] {
            self.pages.entry(one.day).or_default().push((place, *one));
        }
        self.block.members.push(member);
        if self.block.members.len() == BLOCK {
            self.close();
        }
    }

    fn close(&mut self) {
        self.packed.push(PackedBlock::new(self.packed.len() as u64, &self.block, &self.pages));
        self.block.members.clear();
        self.pages = Self::pages(self.from, self.block.on);
    }

    fn packed(mut self) -> Packed {
        if !self.block.members.is_empty() {
            self.close();
        }
        Packed { from: self.from, blocks: self.packed }
    }
}
