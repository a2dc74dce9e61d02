//! Facts → rollup: everything from the facts, or the numbers of some teams.

use std::collections::{BTreeSet, HashMap};

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Cut, DayUse, Fold, Rolling, Rollup, WINDOWS, horizon, kept_from},
};
use tidemark_store::{BLOCK, Error, KeptBlock, Packed, PackedBlock, SeatDigest, Store, TeamNumbers, Tx};
use uuid::Uuid;

use super::plan::Span;

/// Members read at once.
const PAGE: u64 = 500;

type Result<T> = std::result::Result<T, Error>;

/// Cuts times days that a fold holds at once, with the days before that count: about a kilobyte each.
const MOST_CELLS: u64 = 1 << 16;
const LONGEST_WINDOW: u32 = WINDOWS[WINDOWS.len() - 1];
/// Days at least, however many cuts there are.
const LEAST_DAYS: u64 = 14;

/// Everything from the facts, but for the numbers of days before the rollup's where it leaves some out: with many cuts, all
/// days do not fit into memory.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) rollup: Rollup,
    pub(super) packed: Packed,
    /// The month each member was first seen in, where days are left out.
    cohorts: HashMap<Uuid, Cut>,
}

/// How many days are folded at once.
pub(super) async fn room(store: &Store, connection: &ConnectionId, span: &Span) -> Result<u64> {
    let cuts = store.cut_count(connection, (span.first, span.last)).await?;
    Ok(room_for(cuts))
}

fn room_for(cuts: u64) -> u64 {
    let before = u64::from(LONGEST_WINDOW) - 1;
    (MOST_CELLS / cuts.max(1)).saturating_sub(before).max(LEAST_DAYS)
}

/// Whether the numbers of so many teams fit, on all days.
pub(super) fn fit(teams: usize, span: &Span) -> bool {
    teams as u64 * Fold::length((span.first, span.last)) <= MOST_CELLS
}

/// The last so many days, and all seats. Member by member and page by page, so that memory does not grow with the history.
pub(super) async fn whole(store: &Store, connection: &ConnectionId, span: &Span, room: u64) -> Result<Whole> {
    let first = block_before(span, span.last, room);
    let mut fold = Fold::new(first, span.last, &span.coverage, span.roster_start).with_unknown(&span.unknown);
    let mut keeping = Keeping::new(span);
    let mut cohorts = HashMap::new();
    let days = (horizon(first).min(keeping.from), span.last);
    let mut after = None;
    loop {
        let page = store.fold_members(connection, after, PAGE, days).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.member_id);
        for member in &page {
            let (rolling, seat) = fold.member(member.borrowed());
            if first > span.first {
                let cohort = rolling.cohort(&member.standing.versions, span.last);
                cohorts.extend(cohort.map(|cohort| (member.member_id, cohort)));
            }
            keeping.keep(rolling, SeatDigest::of(seat), &member.days);
        }
    }
    Ok(Whole { rollup: fold.finish(), packed: keeping.packed(), cohorts })
}

/// The first day of the block that ends on that one.
fn block_before(span: &Span, last: NaiveDate, room: u64) -> NaiveDate {
    last.checked_sub_days(Days::new(room - 1)).unwrap_or(span.first).max(span.first)
}

/// Writes the numbers of the days that were left out, a block after the other; gives how many changed. To be called under
/// the lock of the head.
pub(super) async fn write_others(
    tx: &Tx,
    connection: &ConnectionId,
    span: &Span,
    (rollup, cohorts): (&Rollup, &HashMap<Uuid, Cut>),
    room: u64,
) -> Result<u64> {
    let (mut changed, mut before) = (0, rollup.days.0);
    while before > span.first {
        let to = before - Days::new(1);
        let from = block_before(span, to, room);
        let mut fold = Fold::new(from, to, &span.coverage, span.roster_start).with_unknown(&span.unknown);
        let mut after = None;
        loop {
            let page = tx.fold_members(connection, after, PAGE, (horizon(from), to)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.member_id);
            for member in &page {
                fold.member_of(member.borrowed(), cohorts.get(&member.member_id).cloned());
            }
        }
        changed += tx.put_numbers(connection, (from, to), None, &fold.finish().windows).await?;
        before = from;
    }
    Ok(changed)
}

impl Whole {
    /// The rollup, what is kept, and the cohorts.
    pub(super) fn apart(self) -> (Rollup, Packed, HashMap<Uuid, Cut>) {
        (self.rollup, self.packed, self.cohorts)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_cuts_the_fewer_days_at_once() {
        assert!(room_for(60) > 900, "hundreds of days of a large workspace");
        for cuts in [1, 60, 540, 1_000] {
            let cells = cuts * (room_for(cuts) + u64::from(LONGEST_WINDOW) - 1);
            assert!(cells <= MOST_CELLS || room_for(cuts) == LEAST_DAYS, "{cuts}");
        }
        assert_eq!(room_for(100_000), LEAST_DAYS, "it goes on all the same");
        assert!(room_for(0) > 60_000);
    }
}
