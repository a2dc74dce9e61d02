//! A made-up workspace for the tests: its facts in a database, and what happens to them.

mod expected;
mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    Entropy,
    activity::{COUNTERS, MemberDay},
    connection,
    event::{Data, Event, SyncCompleted},
    id::{ConnectionId, OrganizationId, RunId},
    member::{Role, Standing},
    run,
};
use tidemark_store::{Connection, Purge, Store, TeamRoster};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};
use uuid::Uuid;

pub(crate) use expected::bare;
use workspace::{day, entry, random_day, roll, workspace};

/// More than a page of members, so that the fold sees two.
const MEMBERS: u128 = 520;
/// Days that are fetched; the last one is the as-of day.
pub(crate) const DAYS: u64 = 121;
/// The place of created notes among the counters.
const NOTES: usize = 5;
/// When the two rosters were seen.
pub(crate) const ROSTERS: [u64; 2] = [40, 110];

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
        Self::within(TestDatabase::sqlite_memory().await, covered).await
    }

    /// The same without any list of members.
    pub(crate) async fn unlisted(covered: impl IntoIterator<Item = u64>) -> Self {
        Self::made(TestDatabase::sqlite_memory().await, covered, false).await
    }

    /// Facts in that database, with those days covered.
    pub(crate) async fn within(database: TestDatabase, covered: impl IntoIterator<Item = u64>) -> Self {
        Self::made(database, covered, true).await
    }

    async fn made(database: TestDatabase, covered: impl IntoIterator<Item = u64>, is_listed: bool) -> Self {
        let (clock, entropy) = (ManualClock::noon(at(DAYS)), SeededEntropy::new(7));
        let (rosters, days) = workspace(&entropy);
        let sample = Self {
            database,
            connection: ConnectionId::generate(&clock, &entropy),
            run: RunId::generate(&clock, &entropy),
            covered: covered.into_iter().map(at).collect(),
            clock,
            entropy,
            rosters,
            days,
        };
        sample.write(is_listed).await;
        sample
    }

    pub(crate) fn store(&self) -> Store {
        self.database.store()
    }

    async fn write(&self, is_listed: bool) {
        let tx = self.store().begin().await.unwrap();
        tx.insert_connection(&self.row()).await.unwrap();
        for (roster, seen) in self.rosters.iter().zip(ROSTERS).filter(|_| is_listed) {
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

    /// Takes away all rows of those days.
    pub(crate) async fn clear(&self, days: std::ops::Range<u64>) {
        let nobody: BTreeMap<_, _> = days.map(|offset| (at(offset), BTreeSet::new())).collect();
        let tx = self.store().begin().await.unwrap();
        tx.remove_vanished(&self.connection, &nobody, true).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Replaces the rows of those days: everybody carries the same, so much more than another day.
    pub(crate) async fn repeat_totals(&self, days: std::ops::Range<u64>, more: u8) {
        for offset in days {
            let mut counters = [0; COUNTERS];
            counters[NOTES] = 1 + more + u8::try_from(offset % 100).unwrap();
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
        if dice[2] % 4 == 1 {
            // Somebody joins or leaves; the last team comes and goes.
            let end = 100 + u128::from(dice[3]);
            let teams = [(7, 1..end), (8, end..400), (9, 200..300)];
            self.replace_teams(&teams[..2 + usize::from(dice[3] % 2)]).await;
        }
        let tx = self.store().begin().await.unwrap();
        let now = tidemark_domain::Clock::now(&self.clock);
        tx.write_member_days(&self.connection, &rows, &self.run, now).await.unwrap();
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

    /// Lists everybody who is on the list and these others, as seen on that day.
    pub(crate) async fn list_also(&self, others: impl IntoIterator<Item = u128>, offset: u64) {
        let maker = Standing { role: Role::Maker, disabled: false, pending: false };
        let listed = self.rosters[1].iter().map(|(id, standing)| entry(*id, standing));
        let others = others.into_iter().map(|member| entry(Uuid::from_u128(member), &maker));
        let listed: Vec<_> = listed.chain(others).collect();
        let tx = self.store().begin().await.unwrap();
        tx.apply_roster(&self.connection, &listed, at(offset)).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Lists that member alone, as seen on that day.
    pub(crate) async fn list_only(&self, member: u128, offset: u64) {
        let maker = Standing { role: Role::Maker, disabled: false, pending: false };
        let tx = self.store().begin().await.unwrap();
        let listed = [entry(Uuid::from_u128(member), &maker)];
        tx.apply_roster(&self.connection, &listed, at(offset)).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Lists everybody who is on the list, one of them in another role, as seen on that day.
    pub(crate) async fn list_as(&self, member: u128, role: &str, offset: u64) {
        let other = Standing { role: role.into(), disabled: false, pending: false };
        let listed = self.rosters[1].iter().filter(|(id, _)| **id != Uuid::from_u128(member));
        let listed = listed.map(|(id, standing)| entry(*id, standing));
        let listed: Vec<_> = listed.chain([entry(Uuid::from_u128(member), &other)]).collect();
        let tx = self.store().begin().await.unwrap();
        tx.apply_roster(&self.connection, &listed, at(offset)).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The rows of those days are of other ids.
    pub(crate) async fn rename_active(&self, days: std::ops::Range<u64>) {
        let days: BTreeSet<_> = days.map(at).collect();
        let other = |id: Uuid| Uuid::from_u128(id.as_u128() + 1_000_000);
        let rows = self.days.iter().filter(|row| days.contains(&row.day));
        let rows: Vec<_> =
            rows.map(|row| MemberDay { member_id: other(row.member_id), ..row.clone() }).collect();
        let mut seen: BTreeMap<NaiveDate, BTreeSet<Uuid>> =
            days.into_iter().map(|day| (day, BTreeSet::new())).collect();
        for row in &rows {
            seen.entry(row.day).or_default().insert(row.member_id);
        }
        let tx = self.store().begin().await.unwrap();
        tx.upsert_member_days(&self.connection, &rows).await.unwrap();
        tx.remove_vanished(&self.connection, &seen, true).await.unwrap();
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

    /// Teams by number, with the members of those numbers.
    pub(crate) async fn replace_teams(&self, teams: &[(u128, std::ops::Range<u128>)]) {
        let team = |(number, members): &(u128, std::ops::Range<u128>)| TeamRoster {
            team_id: Uuid::from_u128(*number),
            name: number.to_string(),
            handle: number.to_string(),
            members: members.clone().map(Uuid::from_u128).collect(),
        };
        let tx = self.store().begin().await.unwrap();
        tx.replace_teams(&self.connection, &teams.iter().map(team).collect::<Vec<_>>()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Changes a row of long ago and changes it back: everything is computed again.
    pub(crate) async fn mark_everything(&self) {
        let before = self.days.iter().find(|row| row.day < at(9)).unwrap();
        let other = MemberDay { active_flag: !before.active_flag, ..before.clone() };
        for row in [other, before.clone()] {
            let tx = self.store().begin().await.unwrap();
            tx.upsert_member_days(&self.connection, &[row]).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    /// Another workspace beside it, of one member, with one covered day and without a rollup.
    pub(crate) async fn neighbour(&self) -> ConnectionId {
        let id = ConnectionId::generate(&self.clock, &self.entropy);
        let standing = Standing { role: Role::Maker, disabled: false, pending: false };
        let tx = self.store().begin().await.unwrap();
        tx.insert_connection(&Connection { id: id.clone(), ..self.row() }).await.unwrap();
        tx.apply_roster(&id, &[entry(Uuid::from_u128(1), &standing)], at(DAYS - 1)).await.unwrap();
        tx.cover_days(&id, &[at(DAYS - 1)], at(DAYS), &self.run).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Somebody disconnects the workspace, and its facts are to be deleted.
    pub(crate) async fn disconnect(&self) {
        let store = self.store();
        let old = store.connection(&self.connection).await.unwrap().unwrap();
        let (standing, _) = connection::Standing::connected().on(connection::Signal::Disconnected);
        let new = Connection { purge: Some(Purge::Asked), ..old.clone().standing_as(standing) };
        let tx = store.begin().await.unwrap();
        assert!(tx.update_connection(&new, &old).await.unwrap());
        tx.commit().await.unwrap();
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
}
