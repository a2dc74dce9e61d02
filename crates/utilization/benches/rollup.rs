//! A full rebuild and a one-day increment of a large workspace, beside the same numbers by plain SQL in PostgreSQL and by
//! DuckDB on the same rows in the same run; and how long pages of seats take of it.
//!
//! `cargo bench -p tidemark-utilization --bench rollup -- 50000 200` (seats, days; behind them teams, and `rebuild` for no
//! more than a rebuild and its memory). Needs PostgreSQL and `psql`; DuckDB is
//! asked through `python3` where its module is installed (`pip install duckdb`), and is no part of this workspace.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

#[path = "rollup/sql.rs"]
mod sql;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{Days, NaiveDate};
use tidemark_domain::{
    Clock,
    connection::{Region, Standing as ConnectionStanding},
    event::{Data, Event, SyncCompleted},
    id::{ConnectionId, OrganizationId, RunId},
    member::{Role, Standing},
    rollup::{Coverage, Fold, SeatState},
    run,
};
use tidemark_inproc::InprocBus;
use tidemark_ports::{Bus, Message, Route};
use tidemark_runtime::{OsEntropy, Shutdown, SystemClock};
use tidemark_store::{
    Connection, FoldMember, RosterMember, SeatFilter, SeatList, SeatOrder, Store, TeamRoster,
};
use tidemark_testkit::TestDatabase;
use tidemark_utilization::UtilizationService;
use uuid::Uuid;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAGE: u64 = 2_000;
const TEAMS: u64 = 50;
/// Days of which the median is told.
const INCREMENTS: u64 = 9;

struct Bench {
    store: Store,
    url: String,
    connection: ConnectionId,
    bus: InprocBus,
    seats: u128,
    days: u64,
    teams: u128,
}

fn day(offset: u64) -> NaiveDate {
    sql::FIRST.parse::<NaiveDate>().unwrap() + Days::new(offset)
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (seats, days) = (numbers.next().unwrap_or(2_000), numbers.next().unwrap_or(200));
    let teams = numbers.next().unwrap_or(TEAMS);
    let rebuild_only = std::env::args().any(|argument| argument == "rebuild");
    let rows = seats * days;
    let database = TestDatabase::postgres().await;
    let bench = Bench {
        store: database.store(),
        url: database.url(),
        connection: ConnectionId::generate(&SystemClock, &OsEntropy),
        bus: InprocBus::new(),
        seats: seats.into(),
        days,
        teams: teams.into(),
    };
    println!("{seats} seats x {days} days = {rows} member days, {teams} teams");
    bench.make().await;

    let service = UtilizationService::new(
        bench.store.clone(),
        Arc::new(bench.bus.clone()),
        Arc::new(SystemClock),
        Arc::new(OsEntropy),
    );
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let aggregator = tokio::spawn(async move { service.run(stop).await });

    let rebuild = bench.sync(days - 1).await;
    tell("rebuild, PostgreSQL to PostgreSQL", rebuild, rows);
    println!("  peak memory of this process {} MiB", peak_mib());
    if rebuild_only {
        shutdown.stop();
        aggregator.await.unwrap();
        return;
    }
    let checksum = bench.checksum();
    let mut next = days;
    for (what, rests) in [("one day after the other", false), ("after a checkpoint and vacuum each", true)] {
        let mut increments = Vec::new();
        for day in next..next + INCREMENTS {
            bench.add_days(day, day);
            if rests {
                bench.rest();
            }
            bench.cover(day, day).await;
            increments.push(bench.sync(day).await);
        }
        next += INCREMENTS;
        increments.sort();
        let [least, median, most] = [0, increments.len() / 2, increments.len() - 1].map(|at| increments[at]);
        tell(&format!("one day more, {what}, median of {INCREMENTS}"), median, seats);
        let percent = |took: Duration| took.as_secs_f64() / rebuild.as_secs_f64() * 100.0;
        let [least, median, most] = [least, median, most].map(percent);
        println!("  {median:.2} % of the rebuild, {least:.2} to {most:.2} %");
    }
    shutdown.stop();
    aggregator.await.unwrap();
    bench.pages().await;

    bench.fold_alone(rows).await;
    println!("  peak memory of this process {} MiB", peak_mib());
    bench.psql(&sql::facts(bench.connection.as_str(), day(days - 1)));
    bench.by_duckdb(rows, &checksum);
    bench.by_postgres(rows, &checksum);
}

fn tell(what: &str, took: Duration, rows: u64) {
    println!("{what}: {:.2} s, {:.0} rows/s", took.as_secs_f64(), rows as f64 / took.as_secs_f64());
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

impl Bench {
    async fn make(&self) {
        let organization = OrganizationId::generate(&SystemClock, &OsEntropy);
        let begun = Connection::begun(self.connection.clone(), organization, Region::Us, SystemClock.now());
        let tx = self.store.begin().await.unwrap();
        tx.insert_connection(&begun.standing_as(ConnectionStanding::connected())).await.unwrap();
        let roles = [Role::Maker, Role::Maker, Role::Maker, Role::Admin, Role::Viewer, Role::Contributor];
        let member = |number: u128| RosterMember {
            member_id: Uuid::from_u128(number),
            name: Some(format!("Member {number}")),
            email: Some(format!("member.{number}@example.test")),
            standing: Standing {
                role: roles[(number % 6) as usize].clone(),
                disabled: false,
                pending: false,
            },
        };
        let roster: Vec<_> = (1..=self.seats).map(member).collect();
        tx.apply_roster(&self.connection, &roster, day(0)).await.unwrap();
        let teams: Vec<_> = (0..self.teams)
            .map(|team| TeamRoster {
                team_id: Uuid::from_u128(team),
                name: team.to_string(),
                handle: team.to_string(),
                members: (1..=self.seats)
                    .filter(|seat| seat % self.teams == team)
                    .map(Uuid::from_u128)
                    .collect(),
            })
            .collect();
        tx.replace_teams(&self.connection, &teams).await.unwrap();
        tx.commit().await.unwrap();
        let begun = Instant::now();
        // An index is made of ten million rows faster than with them.
        self.psql("drop index member_days_by_day");
        self.add_days(0, self.days - 1);
        self.psql("create index member_days_by_day on member_days (connection_id, day)");
        // As autovacuum does a moment later.
        self.psql("vacuum analyze member_days");
        self.psql("vacuum analyze members");
        println!("made the rows in {:.1} s", begun.elapsed().as_secs_f64());
        self.cover(0, self.days - 1).await;
    }

    /// Writes the member days of a range, all of them: most members come on most days.
    fn add_days(&self, from: u64, to: u64) {
        self.psql(&sql::member_days(self.connection.as_str(), self.seats, from, to));
    }

    /// What comes in a day by itself. Autovacuum would not wait for the end of a benchmark; and what changes first after
    /// a checkpoint is logged as a whole page.
    fn rest(&self) {
        for table in ["member_versions", "team_members", "seats", "activity_windows", "activity_pages"] {
            self.psql(&format!("vacuum analyze {table}"));
        }
        self.psql("checkpoint");
    }

    async fn cover(&self, from: u64, to: u64) {
        let days: Vec<_> = (from..=to).map(day).collect();
        let run = RunId::generate(&SystemClock, &OsEntropy);
        let tx = self.store.begin().await.unwrap();
        tx.cover_days(&self.connection, &days, day(to + 1), &run).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Tells that a sync has ended; gives how long it took until the numbers stood.
    async fn sync(&self, last: u64) -> Duration {
        let run_id = RunId::generate(&SystemClock, &OsEntropy);
        let completed = SyncCompleted { run_id, state: run::State::Succeeded, as_of: None };
        let event =
            Event::new(&SystemClock, &OsEntropy, self.connection.clone(), Data::SyncCompleted(completed));
        let message = Message {
            id: event.id.to_string(),
            route: Route::Event("sync.completed".to_owned()),
            headers: BTreeMap::new(),
            body: Bytes::from(event.encode()),
        };
        let begun = Instant::now();
        self.bus.publish(vec![message]).await;
        loop {
            let head = self.store.rollup_head(&self.connection).await.unwrap();
            if head.is_some_and(|head| head.as_of == day(last)) {
                return begun.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the service does for a page, without the wire: the list, the count with the first, and the summary's counts.
    async fn pages(&self) {
        let text = SeatFilter { text: "member 77".to_owned(), ..SeatFilter::default() };
        let idle =
            SeatFilter { paid_only: true, states: vec![SeatState::Occasional], ..SeatFilter::default() };
        let all = SeatFilter::default();
        for (what, filter, order) in [
            ("by name", all.clone(), SeatOrder::Name),
            ("by last active day", all.clone(), SeatOrder::LastActive),
            ("by state", all, SeatOrder::State),
            ("by name, with a text", text, SeatOrder::Name),
            ("paid and occasional", idle, SeatOrder::ActiveDays),
        ] {
            let list = SeatList { filter, order, descending: true };
            let mut took = Vec::new();
            let mut after = None;
            for place in 0..9 {
                let begun = Instant::now();
                let page = self.store.seat_page(&self.connection, &list, after, 101).await.unwrap();
                if place == 0 {
                    self.store.seat_count(&self.connection, &list.filter).await.unwrap();
                }
                took.push(begun.elapsed());
                let Some(last) = page.get(99).filter(|_| page.len() > 100) else { break };
                after = Some(((place + 1) * 100, last.seat.member_id));
            }
            took.sort();
            let (median, most) = (took[took.len() / 2], took[took.len() - 1]);
            println!("a page of 100 of {} seats {what}: {median:.1?}, at most {most:.1?}", self.seats);
        }
        let begun = Instant::now();
        self.store.seat_counts(&self.connection).await.unwrap();
        println!("seats by state: {:.1?}", begun.elapsed());
        let members: Vec<_> = (1..=100).map(Uuid::from_u128).collect();
        let begun = Instant::now();
        let days = (day(self.days - 90), day(self.days));
        self.store.active_days(&self.connection, &members, days).await.unwrap();
        println!("13 weeks of 100 members: {:.1?}", begun.elapsed());
    }

    async fn fold_alone(&self, rows: u64) {
        let mut members: Vec<FoldMember> = Vec::new();
        loop {
            let after = members.last().map(|member| member.member_id);
            let days = (day(0), day(self.days - 1));
            let page = self.store.fold_members(&self.connection, after, PAGE, days).await.unwrap();
            if page.is_empty() {
                break;
            }
            members.extend(page);
        }
        let coverage: Coverage = (0..self.days).map(day).collect();
        let begun = Instant::now();
        let mut fold = Fold::new(day(0), day(self.days - 1), &coverage, day(0));
        for member in &members {
            fold.member(member.borrowed());
        }
        let rollup = fold.finish();
        tell("the fold alone, one core, rows in memory", begun.elapsed(), rows);
        let (first, last) = (day(self.days - 14), day(self.days - 1));
        let stands = self.store.numbers_between(&self.connection, first, last, None).await.unwrap();
        let folded: BTreeMap<_, _> = rollup.windows.into_iter().filter(|(key, _)| key.1 >= first).collect();
        assert_eq!(stands, folded, "the fold alone says the same");
    }

    /// What must come out of each way: sums over all rows of the rebuild.
    fn checksum(&self) -> String {
        let connection = self.connection.as_str();
        self.psql(&sql::checksum("rollup_numbers", &format!("and connection_id = '{connection}'")))
    }

    fn by_postgres(&self, rows: u64, expected: &str) {
        let begun = Instant::now();
        self.psql(&format!("set work_mem = '512MB'; set jit = off; {}", sql::numbers()));
        tell("plain SQL in PostgreSQL, INSERT ... SELECT", begun.elapsed(), rows);
        assert_eq!(self.psql(&sql::checksum("bench_numbers", "")), expected, "PostgreSQL says the same");
    }

    fn by_duckdb(&self, rows: u64, expected: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rollup/by_duckdb.py");
        let python = |arguments: &[&str]| Command::new("python3").args(arguments).output();
        if !python(&["-c", "import duckdb"]).is_ok_and(|output| output.status.success()) {
            println!("DuckDB: skipped, its Python module is not there (pip install duckdb)");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().display().to_string();
        for table in ["bench_facts", "bench_cuts"] {
            self.psql(&format!("\\copy {table} to '{folder}/{table}.csv' csv header"));
        }
        let output =
            python(&[script, &folder, &sql::numbers(), &sql::checksum("bench_numbers", "")]).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout).unwrap();
        let (seconds, checksum) = told.trim().split_once(' ').unwrap();
        let took = Duration::from_secs_f64(seconds.parse().unwrap());
        tell("DuckDB, one thread, its own file", took, rows);
        assert_eq!(checksum, expected, "DuckDB says the same");
    }

    fn psql(&self, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
