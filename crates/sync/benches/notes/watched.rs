//! A look at what the database is at, ten times a second, through `psql`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

/// So that nobody analyses what is loaded.
const FRESH: &str = "do $$ declare part regclass; begin
    for part in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and n.nspname = 'public'
    loop
        execute format('alter table %s set (autovacuum_enabled = false)', part);
    end loop;
end $$;";

const LOOK: &str = "select (extract(epoch from clock_timestamp() - query_start) * 1000)::bigint,
    left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 100)
    from pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
    order by query_start limit 1 \\watch 0.1";

pub(crate) struct Watched {
    psql: Child,
    reader: JoinHandle<(Duration, String)>,
}

impl Watched {
    /// Turns autovacuum off, and begins to look.
    pub(crate) fn begin(url: &str) -> Self {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-F", "\t", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = command.spawn().unwrap();
        psql.stdin.as_mut().unwrap().write_all(format!("{FRESH}\n{LOOK}\n").as_bytes()).unwrap();
        let seen = BufReader::new(psql.stdout.take().unwrap());
        let reader = thread::spawn(move || slowest(seen));
        Self { psql, reader }
    }

    /// The slowest statement that was seen, and how long it took.
    pub(crate) fn end(mut self) -> (Duration, String) {
        self.psql.kill().unwrap();
        self.psql.wait().unwrap();
        self.reader.join().unwrap()
    }
}

fn slowest(seen: BufReader<impl Read>) -> (Duration, String) {
    let mut slowest = (Duration::ZERO, "none over 0.1 s".to_owned());
    for line in seen.lines().map_while(Result::ok) {
        let Some((millis, statement)) = line.split_once('\t') else { continue };
        let took = Duration::from_millis(millis.parse().unwrap_or(0));
        if took > slowest.0 {
            slowest = (took, statement.to_owned());
        }
    }
    slowest
}
