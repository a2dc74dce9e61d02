//! A full rebuild and a one-day increment of a large workspace, beside the same numbers by plain SQL in PostgreSQL and by
//! DuckDB on the same rows in the same run.
//!
//! `cargo bench -p tidemark-utilization --bench rollup -- 50000 200` (seats, days). Needs PostgreSQL and `psql`; DuckDB is
//! asked through `python3` where its module is installed (`pip install duckdb`), and is no part of this workspace.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

#[path = "rollup/sql.rs"]
mod sql;

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
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
    rollup::{Coverage, Cut, Fold},
    run,
};
use tidemark_inproc::InprocBus;
use tidemark_ports::{Bus, Message, Route};
use tidemark_runtime::{OsEntropy, Shutdown, SystemClock};
use tidemark_store::{Connection, FoldMember, RosterMember, Store, TeamRoster};
use tidemark_testkit::TestDatabase;
use tidemark_utilization::UtilizationService;
use uuid::Uuid;

const PAGE: u64 = 2_000;
const TEAMS: u128 = 50;

struct Bench {
    store: Store,
    url: String,
    connection: ConnectionId,
    bus: InprocBus,
    seats: u128,
    days: u64,
}

fn day(offset: u64) -> NaiveDate {
    sql::FIRST.parse::<NaiveDate>().unwrap() + Days::new(offset)
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (seats, days) = (numbers.next().unwrap_or(2_000), numbers.next().unwrap_or(200));
    let rows = seats * days;
    let database = TestDatabase::postgres().await;
    let bench = Bench {
        store: database.store(),
        url: database.url(),
        connection: ConnectionId::generate(&SystemClock, &OsEntropy),
        bus: InprocBus::new(),
        seats: seats.into(),
        days,
    };
    println!("{seats} seats x {days} days = {rows} member days");
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
    let checksum = bench.checksum();
    bench.add_days(days, days);
    bench.cover(days, days).await;
    let increment = bench.sync(days).await;
    tell("one day more", increment, seats);
    println!("  {:.1} % of the rebuild", increment.as_secs_f64() / rebuild.as_secs_f64() * 100.0);
    shutdown.stop();
    aggregator.await.unwrap();

    let fold = bench.fold_alone().await;
    tell("the fold alone, one core, rows in memory", fold, rows);
    println!("  peak memory of this process {} MiB", peak_mib());
    bench.by_postgres(rows, &checksum);
    bench.by_duckdb(rows, &checksum);
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
            name: None,
            email: None,
            standing: Standing {
                role: roles[(number % 6) as usize].clone(),
                disabled: false,
                pending: false,
            },
        };
        let roster: Vec<_> = (1..=self.seats).map(member).collect();
        tx.apply_roster(&self.connection, &roster, day(0)).await.unwrap();
        let teams: Vec<_> = (0..TEAMS)
            .map(|team| TeamRoster {
                team_id: Uuid::from_u128(team),
                name: team.to_string(),
                handle: team.to_string(),
                members: (1..=self.seats).filter(|seat| seat % TEAMS == team).map(Uuid::from_u128).collect(),
            })
            .collect();
        tx.replace_teams(&self.connection, &teams).await.unwrap();
        tx.commit().await.unwrap();
        let begun = Instant::now();
        self.add_days(0, self.days - 1);
        self.psql("analyze member_days");
        println!("made the rows in {:.1} s", begun.elapsed().as_secs_f64());
        self.cover(0, self.days - 1).await;
    }

    /// Writes the member days of a range, all of them: most members come on most days.
    fn add_days(&self, from: u64, to: u64) {
        self.psql(&sql::member_days(self.connection.as_str(), self.seats, from, to));
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
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn fold_alone(&self) -> Duration {
        let mut members: Vec<FoldMember> = Vec::new();
        loop {
            let after = members.last().map(|member| member.recent.member_id);
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
        members.iter().for_each(|member| fold.member(member.borrowed()));
        let rollup = fold.finish();
        let took = begun.elapsed();
        assert!(rollup.windows.contains_key(&(Cut::All, day(self.days - 1), 90)));
        took
    }

    /// What must come out of each way: sums over all rows of the rebuild.
    fn checksum(&self) -> String {
        self.psql(&sql::checksum("rollup_numbers", Some(self.connection.as_str())))
    }

    fn by_postgres(&self, rows: u64, expected: &str) {
        self.psql("drop table if exists bench_facts, bench_rolled, bench_numbers");
        self.psql(&sql::facts(self.connection.as_str(), day(self.days - 1)));
        let begun = Instant::now();
        self.psql(&sql::NUMBERS.replace("{settings}", "set work_mem = '512MB'; set jit = off;"));
        tell("plain SQL in PostgreSQL, INSERT ... SELECT", begun.elapsed(), rows);
        assert_eq!(self.psql(&sql::checksum("bench_numbers", None)), expected, "PostgreSQL says the same");
    }

    fn by_duckdb(&self, rows: u64, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for table in ["bench_facts", "bench_roster", "bench_teams"] {
            self.psql(&format!("\\copy {table} to '{}' csv header", path(&format!("{table}.csv"))));
        }
        let script = sql::duckdb(&path(""), sql::NUMBERS);
        let output = Command::new("python3").args(["-c", &script]).stderr(Stdio::null()).output();
        let told = output.ok().filter(|output| output.status.success());
        let Some(told) = told.map(|output| String::from_utf8(output.stdout).unwrap()) else {
            println!("DuckDB: not there (pip install duckdb)");
            return;
        };
        let (seconds, checksum) = told.trim().lines().last().unwrap().split_once(' ').unwrap();
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
