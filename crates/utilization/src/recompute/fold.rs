//! Facts → rollup: everything from the facts, or the numbers of some teams.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Cut, Fold, Recent, Rollup, horizon, kept_from},
};
use tidemark_store::{BLOCK, Error, Packed, PackedBlock, Store, TeamNumbers};
use uuid::Uuid;

use super::plan::Span;

/// Members read at once.
const PAGE: u64 = 500;

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
                keeping.keep(&block);
                block.clear();
            }
        }
    }
    keeping.keep(&block);
    Ok((fold.finish(), Some(keeping.packed())))
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
    last: NaiveDate,
    blocks: Vec<PackedBlock>,
}

impl Keeping {
    fn new(span: &Span) -> Self {
        Self { from: kept_from(span.last), last: span.last, blocks: Vec::new() }
    }

    fn keep(&mut self, block: &[Recent]) {
        let days = self.from.iter_days().take_while(|day| *day <= self.last);
        self.blocks.push(PackedBlock::new(self.blocks.len() as u64, block, days));
    }

    fn packed(self) -> Packed {
        Packed { from: self.from, blocks: self.blocks, is_whole: true }
    }
}
