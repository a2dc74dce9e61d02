//! Facts → rollup: everything from the facts, or the numbers of some teams.

use std::collections::{BTreeSet, HashMap};

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    id::ConnectionId,
    rollup::{Cut, CutSet, DayUse, Fold, Rolling, Rollup, WINDOWS, horizon, kept_from},
};
use tidemark_store::{BLOCK, Error, KeptBlock, Packed, PackedBlock, SeatDigest, Store, TeamNumbers, Tx};
use uuid::Uuid;

use super::plan::Span;

/// Members read at once.
const PAGE: u64 = 500;

type Result<T> = std::result::Result<T, Error>;

/// Cuts times days that a fold holds at once, with the days before that count: about two kilobytes each.
const MOST_CELLS: u64 = 40 * 1024;
const LONGEST_WINDOW: u32 = WINDOWS[WINDOWS.len() - 1];
/// Days at least, however many cuts there are besides teams.
const LEAST_DAYS: u64 = 14;

/// Everything from the facts, but for the numbers of days before the rollup's and of teams where it leaves these out: with
/// many cuts, all of them on all days do not fit into memory.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) rollup: Rollup,
    pub(super) packed: Packed,
    /// The month each member was first seen in, where days are left out.
    cohorts: HashMap<Uuid, Cut>,
}

/// How much of a rebuild is folded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Days.
    pub(super) days: u64,
    /// Teams, where they are folded apart from the other cuts: for some of them, only their members are read.
    pub(super) teams: Option<usize>,
}

impl Share {
    pub(super) async fn of(store: &Store, connection: &ConnectionId, span: &Span) -> Result<Self> {
        let days = (span.first, span.last);
        Ok(Self::new(store.cut_counts(connection, days).await?, Fold::length(days)))
    }

    /// Of so many teams, other cuts, and days.
    fn new((teams, others): (u64, u64), length: u64) -> Self {
        let before = u64::from(LONGEST_WINDOW) - 1;
        let days = |cuts: u64| (MOST_CELLS / cuts.max(1)).saturating_sub(before).max(LEAST_DAYS);
        if teams == 0 || (teams + others).saturating_mul(length) <= MOST_CELLS {
            return Self { days: days(teams + others), teams: None };
        }
        let at_once = usize::try_from(MOST_CELLS / length).unwrap_or(usize::MAX).max(1);
        Self { days: days(others), teams: Some(at_once) }
    }

    fn cuts(self) -> CutSet {
        if self.teams.is_some() { CutSet::WithoutTeams } else { CutSet::Whole }
    }

    /// Whether a fold of the last days leaves nothing out.
    pub(super) fn is_whole(self, rollup: &Rollup, span: &Span) -> bool {
        self.teams.is_none() && rollup.days.0 <= span.first
    }
}

/// Whether the numbers of so many teams fit, on all days.
pub(super) fn fit(teams: usize, span: &Span) -> bool {
    teams as u64 * Fold::length((span.first, span.last)) <= MOST_CELLS
}

/// The last so many days, and all seats. Member by member and page by page, so that memory does not grow with the history.
pub(super) async fn whole(
    store: &Store,
    connection: &ConnectionId,
    span: &Span,
    share: Share,
) -> Result<Whole> {
    let first = block_before(span, span.last, share.days);
    let mut fold = span.fold((first, span.last), share.cuts());
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
fn block_before(span: &Span, last: NaiveDate, days: u64) -> NaiveDate {
    last.checked_sub_days(Days::new(days - 1)).unwrap_or(span.first).max(span.first)
}

/// Writes the numbers of the days and of the teams that were left out, some after the others; gives how many changed. To
/// be called under the lock of the head.
pub(super) async fn write_others(
    tx: &Tx,
    connection: &ConnectionId,
    span: &Span,
    (rollup, cohorts): (&Rollup, &HashMap<Uuid, Cut>),
    share: Share,
) -> Result<u64> {
    let (mut changed, mut before) = (0, rollup.days.0);
    while before > span.first {
        let to = before - Days::new(1);
        let from = block_before(span, to, share.days);
        let mut fold = span.fold((from, to), share.cuts());
        let mut after = None;
        loop {
            let page = tx.fold_members(connection, after, PAGE, (horizon(from), to)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.member_id);
            for member in &page {
                fold.member_of(member.borrowed(), cohorts.get(&member.member_id).cloned());
            }
        }
        changed += tx.put_numbers(connection, (from, to), &share.cuts(), &fold.finish().windows).await?;
        before = from;
    }
    let Some(at_once) = share.teams else { return Ok(changed) };
    let teams: Vec<_> = tx.teams_with_numbers(connection).await?.into_iter().collect();
    for teams in teams.chunks(at_once) {
        changed += write_teams(tx, connection, span, teams.iter().copied().collect()).await?;
    }
    Ok(changed)
}

async fn write_teams(tx: &Tx, connection: &ConnectionId, span: &Span, teams: BTreeSet<Uuid>) -> Result<u64> {
    let ids: Vec<_> = tx.members_of_teams(connection, &teams).await?.into_iter().collect();
    let (days, cuts) = ((span.first, span.last), CutSet::Teams(teams));
    let mut fold = span.fold(days, cuts.clone());
    for page in ids.chunks(PAGE as usize) {
        for member in tx.fold_these(connection, page, (horizon(span.first), span.last)).await? {
            fold.member_of(member.borrowed(), None);
        }
    }
    tx.put_numbers(connection, days, &cuts, &fold.finish().windows).await
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
    let mut fold = span.fold((span.first, span.last), CutSet::Teams(teams.clone()));
    let ids: Vec<_> = store.members_of_teams(connection, &teams).await?.into_iter().collect();
    for page in ids.chunks(PAGE as usize) {
        for member in store.fold_these(connection, page, (horizon(span.first), span.last)).await? {
            fold.member_of(member.borrowed(), None);
        }
    }
    let Rollup { days, windows, .. } = fold.finish();
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
    fn the_more_cuts_the_fewer_days_and_teams_at_once() {
        let all = Share { days: 551, teams: None };
        assert_eq!(Share::new((50, 14), 551), all, "hundreds of days of a large workspace");
        for (teams, others, length) in
            [(500, 45, 1_184), (20_000, 45, 1_184), (640, 20, 103), (9, 140, 3_700)]
        {
            let share = Share::new((teams, others), length);
            assert!(others * (share.days + 89) <= MOST_CELLS, "{share:?}");
            let at_once = share.teams.expect("they do not fit beside the others") as u64;
            assert!(at_once >= 1 && at_once * length <= MOST_CELLS, "{share:?}");
        }
        assert_eq!(
            Share::new((1, 100_000), 100_000),
            Share { days: LEAST_DAYS, teams: Some(1) },
            "it goes on"
        );
        assert!(Share::new((0, 0), 90).days > 30_000);
    }
}
