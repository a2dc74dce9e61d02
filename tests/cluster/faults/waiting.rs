//! What waits, was set aside or belongs to another version; and a table that somebody has locked.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Ward, looks_at, subjects};
use crate::cluster::until;

impl Ward {
    /// What `/readyz` of the worker says of that.
    async fn condition(&self, subject: &str, words: &str) {
        let look = async || {
            let report: serde_json::Value =
                serde_json::from_str(&self.ask("worker", "/readyz").await.text).ok()?;
            let detail = report["conditions"][subject]["detail"].as_str()?.to_owned();
            detail.contains(words).then_some(())
        };
        until(&format!("{subject} has {words}"), look).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_or_was_set_aside_is_named_by_doctor_health_metrics_and_alarm() {
    let ward = Ward::open().await;
    ward.sql(
        "insert into outbox (kind, message_id, ordering_key, name, body, created_at, attempts, failure, dead_at)
         values ('event', 'dead', 'dead', 'sync.failed', '{}', now(), 24, 'unroutable', now())",
    );
    ward.reaches("worker", "tidemark_outbox_dead", |dead| dead == 1.0).await;
    ward.condition("outbox", "1 message(s) were set aside").await;
    assert_eq!(subjects(&ward.problems().await), ["messages set aside"]);
    looks_at("TidemarkOutboxDead", "tidemark_outbox_dead");
    ward.sql("delete from outbox where message_id = 'dead'");

    ward.sql(
        "insert into quarantined_rows (connection_id, stream, row_key, problem, raw, run_id, first_seen_at, last_seen_at)
         select connection_id, 'members', 'odd', 'no role', '{}', id, now(), now() from runs",
    );
    ward.reaches("worker", "tidemark_sync_quarantined_rows", |rows| rows == 1.0).await;
    ward.condition("rows", "1 in quarantine").await;
    assert_eq!(subjects(&ward.problems().await), Vec::<&str>::new(), "the others are counted");
    assert!(ward.doctor().await.contains("rows in quarantine: 1, the first since"));
    looks_at("TidemarkRowsQuarantined", "tidemark_sync_quarantined_rows");

    ward.sql(
        "update run_streams set state = 'pending', detail = 'Productboard asked to wait',
             retry_at = now() + interval '50 minutes' where stream = 'members'",
    );
    ward.sql("update runs set state = 'paused_by_admin', finished_at = null, created_at = now() - interval '2 hours'");
    ward.reaches("worker", "tidemark_sync_longest_pause_seconds", |left| left > 2_900.0).await;
    ward.reaches("worker", "tidemark_sync_unknown_runs", |runs| runs == 1.0).await;
    ward.condition("vendor", "syncs of 1 connection(s) wait, the longest until").await;
    ward.condition("syncs", "of another version and left to it").await;
    assert_eq!(subjects(&ward.problems().await), ["syncs of another version"]);
    let doctor = ward.doctor().await;
    assert!(doctor.contains("pauses: 1 connection(s) wait for Productboard"), "{doctor}");
    looks_at("TidemarkSyncsPaused", "tidemark_sync_longest_pause_seconds");
    looks_at("TidemarkRunsUnknown", "tidemark_sync_unknown_oldest_age_seconds");

    ward.sql("update runs set wake_at = now() - interval '10 minutes'");
    ward.reaches("worker", "tidemark_sync_due_oldest_age_seconds", |age| age >= 600.0).await;
    ward.condition("syncs", "one is due for 6").await;
    let problems = ward.problems().await;
    assert_eq!(subjects(&problems), ["forgotten syncs", "late syncs", "syncs of another version"]);
    let doctor = ward.doctor().await;
    assert!(doctor.contains(&format!("of {}", ward.connection)), "{doctor}");
    looks_at("TidemarkSweeperStuck", "tidemark_sync_due_oldest_age_seconds");
    looks_at("TidemarkTaskRestarted", "tidemark_task_restarts_total");
    assert_eq!(ward.value("worker", "tidemark_task_restarts_total").await, 0.0, "shown before the first");
    ward.sql("update runs set state = 'succeeded', finished_at = now(), wake_at = null");
    ward.is_ready("worker", "ok").await;
    ward.cluster.stop().await;
}

/// A session that holds a lock until it is dropped.
struct Locked(Child);

impl Locked {
    fn hold(url: &str, table: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "-q", "-A", "-t", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        let sql = format!("begin; lock table {table} in access exclusive mode; select 'locked';\n");
        child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "locked");
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_another_session_has_locked_holds_up_only_what_reads_it() {
    let ward = Ward::open().await;
    for (table, silent, others) in [
        ("runs", "late syncs", ["unsent messages", "clock", "rows in quarantine"]),
        ("outbox", "unsent messages", ["late syncs", "clock", "rows in quarantine"]),
        ("quarantined_rows", "rows in quarantine", ["late syncs", "writes", "unsent messages"]),
    ] {
        let locked = Locked::hold(&ward.cluster.database_url(), table);
        let asked = Instant::now();
        let doctor = ward.doctor().await;
        assert!(asked.elapsed() < Duration::from_secs(20), "{table}: {:?}", asked.elapsed());
        assert!(doctor.contains(&format!("FAIL {silent}: no answer in 6 s")), "{table}: {doctor}");
        assert!(doctor.contains("find who holds a lock"), "{table}: {doctor}");
        for other in others {
            assert!(doctor.contains(&format!("ok   {other}: ")), "{table}, {other}: {doctor}");
        }
        drop(locked);
        ward.is_ready("worker", "ok").await;
    }
    ward.cluster.stop().await;
}
