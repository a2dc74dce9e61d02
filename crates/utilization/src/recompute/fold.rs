//! Facts → rollup: everything from the facts, or the numbers of some teams.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Cut, DayUse, Rolling, Rollup, horizon, kept_from},
};
use tidemark_store::{BLOCK, Error, KeptBlock, Packed, PackedBlock, SeatDigest, Store, TeamNumbers};
use uuid::Uuid;

use super::plan::Span;

/// Members read at once.
const PAGE: u64 = 500;

type Result<T> = std::result::Result<T, Error>;

/// All days. Member by member and page by page, so that memory does not grow with the history.
pub(super) async fn whole(store: &Store, connection: &ConnectionId, span: &Span) -> Result<(Rollup, Packed)> {
    let mut fold = span.fold();
    let mut keeping = Keeping::new(span);
    let days = (horizon(span.first).min(keeping.from), span.last);
    let mut after = None;
    loop {
        let page = store.fold_members(connection, after, PAGE, days).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.member_id);
        for member in &page {
            let (rolling, seat) = fold.member(member.borrowed());
            keeping.keep(rolling, SeatDigest::of(seat), &member.days);
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
    let mut fold = span.fold();
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
    /// The block that is not full yet.
    open: KeptBlock,
    packed: Vec<PackedBlock>,
}

impl Keeping {
    fn new(span: &Span) -> Self {
        let from = kept_from(span.last);
        Self { from, open: Self::open(0, from, span.last), packed: Vec::new() }
    }

    /// Without members, and with nothing on any of the kept days.
    fn open(number: u64, from: NaiveDate, last: NaiveDate) -> KeptBlock {
        let pages = from.iter_days().take_while(|day| *day <= last).map(|day| (day, Vec::new())).collect();
        KeptBlock { pages, ..KeptBlock::empty(number, last) }
    }

    fn keep(&mut self, member: Rolling, seat: SeatDigest, days: &[DayUse]) {
        let start = days.partition_point(|one| one.day < self.from);
        self.open.push(member, seat, &days[start..]);
        if self.open.seats.len() == BLOCK {
            self.close();
        }
    }

    fn close(&mut self) {
        self.packed.push(PackedBlock::new(&self.open));
        self.open = Self::open(self.packed.len() as u64, self.from, self.open.block.on);
    }

    fn packed(mut self) -> Packed {
        if !self.open.seats.is_empty() {
            self.close();
        }
        Packed { from: self.from, blocks: self.packed }
    }
}
