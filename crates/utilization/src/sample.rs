//! A made-up workspace for the tests, and the numbers of its summary computed by reading the definitions aloud.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    Entropy,
    activity::{Area, COUNTER_TABLE, COUNTERS, Counters, Kind, MemberDay},
    connection,
    event::{Data, Event, SyncCompleted},
    id::{ConnectionId, OrganizationId, RunId},
    member::{Role, Standing},
    run,
};
use tidemark_rpc::utilization as wire;
use tidemark_store::{Connection, RosterMember, Store, TeamRoster};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};
use uuid::Uuid;

/// More than a page of members, so that the fold sees two.
const MEMBERS: u128 = 520;
/// Days that are fetched; the last one is the as-of day.
pub(crate) const DAYS: u64 = 121;
/// The place of created notes among the counters.
const NOTES: usize = 5;
/// When the two rosters were seen.
const ROSTERS: [u64; 2] = [40, 110];

pub(crate) fn at(offset: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(offset)
}

pub(crate) struct Sample {
    pub(crate) database: TestDatabase,
    pub(crate) clock: ManualClock,
    pub(crate) entropy: SeededEntropy,
    pub(crate) connection: ConnectionId,
    pub(crate) run: RunId,
    covered: BTreeSet<NaiveDate>,
    rosters: [BTreeMap<Uuid, Standing>; 2],
    days: Vec<MemberDay>,
}

impl Sample {
    /// Facts in a database in memory, with those days covered.
    pub(crate) async fn new(covered: impl IntoIterator<Item = u64>) -> Self {
        let (clock, entropy) = (ManualClock::noon(at(DAYS)), SeededEntropy::new(7));
        let (rosters, days) = workspace(&entropy);
        let sample = Self {
            database: TestDatabase::sqlite_memory().await,
            connection: ConnectionId::generate(&clock, &entropy),
            run: RunId::generate(&clock, &entropy),
            covered: covered.into_iter().map(at).collect(),
            clock,
            entropy,
            rosters,
            days,
        };
        sample.write().await;
        sample
    }

    pub(crate) fn store(&self) -> Store {
        self.database.store()
    }

    async fn write(&self) {
        let tx = self.store().begin().await.unwrap();
        tx.insert_connection(&self.row()).await.unwrap();
        for (roster, seen) in self.rosters.iter().zip(ROSTERS) {
            let members: Vec<_> = roster.iter().map(|(id, standing)| entry(*id, standing)).collect();
            tx.apply_roster(&self.connection, &members, at(seen)).await.unwrap();
        }
        tx.upsert_member_days(&self.connection, &self.days).await.unwrap();
        let covered: Vec<_> = self.covered.iter().copied().collect();
        tx.cover_days(&self.connection, &covered, at(DAYS), &self.run).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Another member day for a covered day, as a later sync would bring it.
    pub(crate) async fn add_activity(&self, member: u128, offset: u64) {
        let tx = self.store().begin().await.unwrap();
        let day = day(Uuid::from_u128(member), at(offset), [0; COUNTERS], true);
        tx.upsert_member_days(&self.connection, &[day]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Replaces the rows of those days: everybody carries the same.
    pub(crate) async fn repeat_totals(&self, days: std::ops::Range<u64>) {
        for offset in days {
            let mut counters = [0; COUNTERS];
            counters[NOTES] = 1 + u8::try_from(offset % 100).unwrap();
            let rows = (1..=MEMBERS).map(|member| day(Uuid::from_u128(member), at(offset), counters, true));
            let rows: Vec<_> = rows.collect();
            let tx = self.store().begin().await.unwrap();
            tx.upsert_member_days(&self.connection, &rows).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    /// A member day with so many notes.
    pub(crate) async fn add_notes(&self, member: u128, offset: u64, notes: u32) {
        let mut row = day(Uuid::from_u128(member), at(offset), [0; COUNTERS], true);
        row.counters.0[NOTES] = Some(notes);
        let tx = self.store().begin().await.unwrap();
        tx.upsert_member_days(&self.connection, &[row]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What one more sync brings, by chance: new days, of which one may be missing, late rows, rows that went, and people
    /// who came, left, or stand otherwise.
    pub(crate) async fn step(&mut self, step: u64) {
        let last = (*self.covered.last().unwrap() - at(0)).num_days().unsigned_abs();
        let mut dice = [0; 6];
        self.entropy.fill(&mut dice);
        let fresh = u64::from(dice[0] % 4 > 0) + u64::from(dice[0] % 16 == 15);
        let mut rows: Vec<_> = (last + 1..=last + fresh)
            .flat_map(|offset| (0..60).map(move |_| offset))
            .map(|offset| random_day(&self.entropy, self.somebody(), offset))
            .collect();
        let back = if dice[1] % 8 == 0 { 100 } else { 10 };
        rows.extend(
            (0..dice[1] % 6)
                .map(|_| random_day(&self.entropy, self.somebody(), last - roll(&self.entropy, back))),
        );
        let known = self.rosters[1].clone();
        if dice[2] % 3 == 0 {
            self.rosters[1].remove(&self.somebody());
            let role = if dice[3] % 2 == 0 { Role::Maker } else { Role::Viewer };
            let standing = Standing { role, disabled: dice[3] % 7 == 0, pending: dice[3] % 5 == 0 };
            self.rosters[1].insert(self.somebody(), standing.clone());
            self.rosters[1].insert(Uuid::from_u128(u128::from(10_000 - step)), standing);
        }
        let covered: Vec<_> = (last + 1..=last + fresh).filter(|_| dice[4] % 9 > 0).map(at).collect();
        self.covered.extend(&covered);
        let on = self.store().uses_on(&self.connection, (at(0), at(last))).await.unwrap();
        let mut present: BTreeMap<NaiveDate, BTreeSet<Uuid>> = BTreeMap::new();
        for (member, day) in on.iter().flat_map(|(id, days)| days.iter().map(move |it| (*id, it.day))) {
            present.entry(day).or_default().insert(member);
        }
        let tx = self.store().begin().await.unwrap();
        tx.write_member_days(&self.connection, &rows).await.unwrap();
        if dice[5] % 3 == 0 {
            // Of one day, everybody but two is listed again.
            let day = at(last - u64::from(dice[5] % 12));
            let left = present.get(&day).into_iter().flatten().skip(2).copied().collect();
            tx.remove_vanished(&self.connection, &BTreeMap::from([(day, left)]), true).await.unwrap();
        }
        tx.cover_days(&self.connection, &covered, at(last + fresh + 1), &self.run).await.unwrap();
        if known != self.rosters[1] {
            let members: Vec<_> = self.rosters[1].iter().map(|(id, it)| entry(*id, it)).collect();
            tx.apply_roster(&self.connection, &members, at(last + fresh)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// One of those who may be on the list, or may have been.
    fn somebody(&self) -> Uuid {
        Uuid::from_u128(1 + u128::from(roll(&self.entropy, 520)))
    }

    fn row(&self) -> Connection {
        use tidemark_domain::Clock;
        let organization = OrganizationId::generate(&self.clock, &self.entropy);
        let (id, region) = (self.connection.clone(), connection::Region::Us);
        Connection {
            workspace: Some("sample".to_owned()),
            generation: 1,
            ..Connection::begun(id, organization, region, self.clock.now())
                .standing_as(connection::Standing::connected())
        }
    }

    /// A fresh `sync.completed` of this connection.
    pub(crate) fn completed(&self) -> Event {
        let completed = SyncCompleted { run_id: self.run.clone(), state: run::State::Succeeded, as_of: None };
        Event::new(&self.clock, &self.entropy, self.connection.clone(), Data::SyncCompleted(completed))
    }

    /// Somebody with a row up to that day, and none on it.
    pub(crate) fn seen_by(&self, offset: u64) -> u128 {
        let on = |member: Uuid, day| self.days.iter().any(|row| row.member_id == member && row.day == day);
        let early = self.days.iter().filter(|row| row.day < at(offset) && !on(row.member_id, at(offset)));
        early.map(|row| row.member_id.as_u128()).next().unwrap()
    }

    /// Marks all days, as an operator would who wants everything computed again.
    pub(crate) async fn mark_everything(&self) {
        let teams = [vec![Uuid::from_u128(1)], vec![]];
        for members in teams {
            let team =
                TeamRoster { team_id: Uuid::from_u128(9), name: "a".into(), handle: "a".into(), members };
            let tx = self.store().begin().await.unwrap();
            tx.replace_teams(&self.connection, &[team]).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    /// The vendor refuses the connection's key.
    pub(crate) async fn lose_key(&self) {
        let store = self.store();
        let old = store.connection(&self.connection).await.unwrap().unwrap();
        let rejected = connection::Signal::Rejected(connection::Reason::KeyRejected);
        let (standing, _) = connection::Standing::connected().on(rejected);
        let tx = store.begin().await.unwrap();
        assert!(tx.update_connection(&old.clone().standing_as(standing), &old).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// The events of that kind in the outbox, in order.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Event> {
        let rows = self.store().outgoing_of(&self.connection).await.unwrap();
        rows.iter().filter(|row| row.name == kind).map(|row| Event::decode(&row.body).unwrap()).collect()
    }

    /// The events of that kind in the outbox, sent or not.
    pub(crate) async fn announced(&self, kind: &str) -> usize {
        let rows = self.store().outgoing_of(&self.connection).await.unwrap();
        rows.iter().filter(|row| row.name == kind).count()
    }

    /// The summary by the definitions, without bits, pages or sums carried along.
    pub(crate) fn expected(&self) -> wire::Summary {
        let as_of = *self.covered.last().unwrap();
        wire::Summary {
            connection_id: self.connection.to_string(),
            as_of: as_of.to_string(),
            history_start: self.covered.first().unwrap().to_string(),
            definition_version: 1,
            run_id: self.run.to_string(),
            members: u32::try_from(self.rosters[1].len()).unwrap(),
            windows: [1, 7, 28, 90].map(|window| self.window(as_of, window)).to_vec(),
            seat_states: self.seat_states(as_of, 0),
            // What the answer stands on and what is recommended have tests of their own.
            basis: None,
            savings: None,
            allocation: Some(wire::Share {
                numerator: self.window(as_of, 1).assigned_seats.into(),
                ..wire::Share::default()
            }),
            stickiness: Some(self.stickiness(as_of)),
            cost_per_active_seat: None,
            idle: [7, 28, 90]
                .map(|days| wire::IdleSeats {
                    days,
                    states: self.seat_states(as_of, days),
                    cost_per_month: None,
                })
                .to_vec(),
        }
    }

    /// How a member stood on a day, by the two rosters.
    fn stood(&self, member: Uuid, day: NaiveDate) -> Option<&Standing> {
        self.rosters[usize::from(day >= at(ROSTERS[1]))].get(&member)
    }

    fn dau(&self, day: NaiveDate) -> u32 {
        let active = self.days.iter().filter(|row| row.day == day && row.is_active());
        u32::try_from(active.filter(|row| self.stood(row.member_id, day).is_some()).count()).unwrap()
    }

    fn stickiness(&self, as_of: NaiveDate) -> wire::Share {
        let daily: u32 = (0..28).map(|back| self.dau(as_of - Days::new(back))).sum();
        share(daily, self.window(as_of, 28).active_members * 28)
    }

    fn rows(&self, member: Uuid, from: NaiveDate, to: NaiveDate) -> Vec<&MemberDay> {
        let inside = |row: &&MemberDay| row.member_id == member && (from..=to).contains(&row.day);
        self.days.iter().filter(inside).collect()
    }

    fn window(&self, as_of: NaiveDate, days: u32) -> wire::WindowUse {
        let from = as_of - Days::new(u64::from(days) - 1);
        let mut sum = wire::WindowUse {
            days,
            covered_days: u32::try_from(self.covered.range(from..=as_of).count()).unwrap(),
            areas: Area::ALL
                .map(|area| wire::AreaUse { area: area.as_str().to_owned(), ..Default::default() })
                .to_vec(),
            ..Default::default()
        };
        for (member, standing) in &self.rosters[1] {
            let rows = self.rows(*member, from, as_of);
            let active = rows.iter().filter(|row| row.is_active()).count();
            sum.member_days += u32::try_from(active).unwrap();
            sum.active_members += u32::from(active > 0);
            if is_paid(standing) {
                sum.assigned_seats += 1;
                sum.active_seats += u32::from(active > 0);
                sum.idle_seats += u32::from(active == 0);
                Area::ALL.into_iter().zip(&mut sum.areas).for_each(|(area, sum)| add(area, &rows, sum));
            }
        }
        sum.daily_actives = (0..u64::from(days)).map(|back| self.dau(as_of - Days::new(back))).sum();
        sum.seat_utilization = Some(share(sum.active_seats, sum.assigned_seats));
        sum.purchased_utilization =
            Some(wire::Share { numerator: sum.active_seats.into(), ..wire::Share::default() });
        for area in &mut sum.areas {
            area.adoption = Some(share(area.members, sum.active_seats));
        }
        sum
    }

    /// Of the paid seats; with `idle_in`, of those without an active day in so many.
    fn seat_states(&self, as_of: NaiveDate, idle_in: u32) -> Vec<wire::SeatStateCount> {
        let from = as_of - Days::new(27);
        let known = self.covered.range(from..=as_of).count() == 28;
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let idle = |member: Uuid| {
            let from = as_of - Days::new(u64::from(idle_in.max(1)) - 1);
            idle_in == 0 || !self.rows(member, from, as_of).iter().any(|row| row.is_active())
        };
        for (member, _) in self.rosters[1].iter().filter(|(id, standing)| is_paid(standing) && idle(**id)) {
            let ever = self.rows(*member, at(0), as_of).iter().any(|row| row.is_active());
            let recent = self.rows(*member, from, as_of).iter().filter(|row| row.is_active()).count();
            let rows = !self.rows(*member, at(0), as_of - Days::new(30)).is_empty();
            let newcomer = !self.rosters[0].contains_key(member) && !rows;
            let state = match (known, ever, recent) {
                (false, ..) => "unknown",
                (_, false, _) if newcomer => "new",
                (_, false, _) => "never_seen",
                (_, _, 0) => "dormant",
                (_, _, 1..=3) => "occasional",
                _ => "engaged",
            };
            *counts.entry(state).or_default() += 1;
        }
        ["unknown", "new", "never_seen", "dormant", "occasional", "engaged"]
            .into_iter()
            .filter_map(|state| {
                Some(wire::SeatStateCount { state: state.to_owned(), seats: *counts.get(state)? })
            })
            .collect()
    }
}

fn share(numerator: u32, denominator: u32) -> wire::Share {
    let value = (denominator > 0).then(|| f64::from(numerator) / f64::from(denominator));
    wire::Share { numerator: numerator.into(), denominator: Some(denominator.into()), value }
}

/// A summary without what has tests of its own.
pub(crate) fn bare(summary: wire::Summary) -> wire::Summary {
    wire::Summary { basis: None, savings: None, ..summary }
}

fn is_paid(standing: &Standing) -> bool {
    matches!(standing.role, Role::Admin | Role::Maker) && !standing.disabled && !standing.pending
}

fn add(area: Area, rows: &[&MemberDay], sum: &mut wire::AreaUse) {
    let actions: Vec<_> = rows
        .iter()
        .flat_map(|row| COUNTER_TABLE.iter().zip(row.counters.0))
        .filter(|(counter, value)| counter.area == Some(area) && value.unwrap_or(0) > 0)
        .collect();
    let with = |kind| actions.iter().any(|(counter, _)| counter.kind == kind);
    sum.members += u32::from(!actions.is_empty());
    sum.creators += u32::from(with(Kind::Edit));
    sum.openers += u32::from(with(Kind::View));
    sum.actions += actions.iter().map(|(_, value)| u64::from(value.unwrap_or(0))).sum::<u64>();
}

fn entry(member_id: Uuid, standing: &Standing) -> RosterMember {
    RosterMember { member_id, name: None, email: None, standing: standing.clone() }
}

fn day(member_id: Uuid, day: NaiveDate, counters: [u8; COUNTERS], active_flag: bool) -> MemberDay {
    let counters = Counters(counters.map(|value| (value > 0).then(|| u32::from(value))));
    MemberDay { member_id, day, role: Role::Maker, active_flag, counters }
}

/// Two rosters between which people come, go and change, and a few days of activity for most.
fn workspace(entropy: &dyn Entropy) -> ([BTreeMap<Uuid, Standing>; 2], Vec<MemberDay>) {
    let mut rosters = [BTreeMap::new(), BTreeMap::new()];
    let mut days = Vec::new();
    for number in 1..=MEMBERS {
        let id = Uuid::from_u128(number);
        let mut dice = [0; 8];
        entropy.fill(&mut dice);
        let role = |die: u8| match die % 8 {
            0 => Role::Admin,
            1..=4 => Role::Maker,
            5 => Role::Viewer,
            6 => Role::Contributor,
            _ => Role::Other("steward".to_owned()),
        };
        let standing = |die| Standing { role: role(die), disabled: dice[1] < 20, pending: dice[2] < 20 };
        // Of ten, one comes late and one leaves; of the others, every third has changed the role.
        let (late, gone) = (dice[3] % 10 == 0, dice[3] % 10 == 1);
        if !late {
            rosters[0].insert(id, standing(dice[0]));
        }
        if !gone {
            rosters[1].insert(id, standing(dice[if dice[4] % 3 == 0 { 5 } else { 0 }]));
        }
        // One in eight was never active; of the others, some stopped weeks ago, and some have only just begun.
        let (from, to) = match dice[6] {
            0..80 => (0, DAYS - 40),
            80..160 => (DAYS - 20, DAYS),
            _ => (0, DAYS),
        };
        let active: BTreeSet<u64> = (0..dice[7] % 8).map(|_| from + roll(entropy, to - from)).collect();
        days.extend(active.into_iter().map(|offset| random_day(entropy, id, offset)));
    }
    (rosters, days)
}

fn random_day(entropy: &dyn Entropy, member: Uuid, offset: u64) -> MemberDay {
    let mut counters = [0; COUNTERS];
    entropy.fill(&mut counters);
    // Most counters are absent on most days.
    let counters = counters.map(|value| if value < 200 { 0 } else { value - 199 });
    day(member, at(offset), counters, offset.is_multiple_of(2))
}

fn roll(entropy: &dyn Entropy, below: u64) -> u64 {
    let mut bytes = [0; 2];
    entropy.fill(&mut bytes);
    u64::from(u16::from_le_bytes(bytes)) % below
}
