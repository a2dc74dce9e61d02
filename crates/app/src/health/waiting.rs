//! What waits in the database, for how long, and what was set aside.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::connection::State;
use tidemark_runtime::metrics;
use tidemark_store::{Backlog, WaitsFor};
use tokio::time::timeout;

use super::{Checks, Found, PATIENCE, silent};
use crate::cause::explain_database;

/// As the alarms have them.
const LATE_DUE: Duration = Duration::from_secs(180);
const LATE_READY: Duration = Duration::from_secs(900);
const LATE_ROLLUP: Duration = Duration::from_secs(900);
const LATE_UNSENT: Duration = Duration::from_secs(60);
const LATE_REFRESH: Duration = Duration::from_secs(300);
const LATE_WEBHOOK: Duration = Duration::from_secs(300);
/// As long as two versions run side by side.
const LATE_UNKNOWN: Duration = Duration::from_secs(3_600);
/// Retries wait for less.
pub(crate) const SHORT_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// Of what is listed, more are not read.
const MOST_NAMED: u64 = 500;

impl Checks {
    /// What waits, each table's on its own: one that somebody has locked hides no other.
    pub(super) async fn waiting(&self) {
        let (credentials, syncs, numbers) =
            (self.roles.credentials, self.roles.worker, self.roles.aggregator);
        tokio::join!(
            self.waits("outbox", self.outbox()),
            async {
                if credentials {
                    self.waits("connections", self.connections()).await;
                }
            },
            async {
                if credentials {
                    self.waits("webhooks", self.webhooks()).await;
                }
            },
            async {
                if syncs {
                    self.waits("syncs", self.syncs()).await;
                }
            },
            async {
                if syncs {
                    self.waits("vendor", self.pauses()).await;
                }
            },
            async {
                if syncs {
                    self.waits("rows", self.rows()).await;
                }
            },
            async {
                if numbers {
                    self.waits("numbers", self.numbers()).await;
                }
            },
        );
    }

    /// Notes what a check found, or that it found nothing within its time.
    async fn waits(&self, subject: &'static str, check: impl Future<Output = tidemark_store::Result<Found>>) {
        let found = match timeout(PATIENCE, check).await {
            Err(_) => Err(silent()),
            Ok(Err(error)) => Err(explain_database(&self.database, &error)),
            Ok(Ok(found)) => found,
        };
        self.note(subject, false, found);
    }

    async fn outbox(&self) -> tidemark_store::Result<Found> {
        let now = self.clock.now();
        let (unsent, dead) = (self.store.unsent().await?, self.store.dead_outgoing().await?.count);
        metrics::bus::unsent(unsent.count, age(now, unsent.oldest));
        metrics::bus::set_aside(dead);
        Ok(match dead {
            0 => late(&[("unsent", age(now, unsent.oldest), LATE_UNSENT)]),
            _ => Err(format!(
                "{dead} message(s) were set aside because the broker refuses them; `tidemark queue outbox list` says why"
            )),
        })
    }

    async fn connections(&self) -> tidemark_store::Result<Found> {
        let now = self.clock.now();
        let known = self.store.connections_by_state().await?;
        for state in State::ALL {
            let number = known.get(state.as_str()).copied().unwrap_or_default();
            metrics::credentials::connections(state.as_str(), number);
        }
        let overdue = self.store.overdue(now).await?;
        let (refresh, probe) = (age(now, overdue.refresh), age(now, overdue.probe));
        metrics::credentials::overdue(overdue.in_doubt, refresh, probe);
        metrics::credentials::feed(age(now, self.store.unnumbered_events().await?.oldest));
        metrics::credentials::mails(age(now, self.store.overdue_mails(now).await?.oldest));
        Ok(late(&[("to be renewed", refresh, LATE_REFRESH)]))
    }

    async fn webhooks(&self) -> tidemark_store::Result<Found> {
        let now = self.clock.now();
        let webhooks = self.store.pending_webhooks(now).await?;
        let since = age(now, webhooks.oldest);
        metrics::credentials::webhooks(webhooks.count, since);
        Ok(late(&[("due", since, LATE_WEBHOOK)]))
    }

    async fn syncs(&self) -> tidemark_store::Result<Found> {
        let (store, now) = (&self.store, self.clock.now());
        let open = store.open_runs().await?;
        for waits in WaitsFor::ALL {
            let Backlog { count, oldest } = open.get(&waits).copied().unwrap_or_default();
            metrics::sync::open(waits.as_str(), count, age(now, oldest));
        }
        let (ready, forgotten) = (store.ready_runs().await?, store.forgotten_runs(now).await?);
        let unknown = store.unknown_runs(MOST_NAMED).await?;
        let (ready, due) = (age(now, ready.oldest), age(now, forgotten.oldest));
        let other = age(now, unknown.first().map(|run| run.since));
        metrics::sync::waiting(ready, due);
        metrics::sync::unknown(unknown.len() as u64, other);
        Ok(late(&[
            ("without a worker", ready, LATE_READY),
            ("due", due, LATE_DUE),
            ("of another version and left to it", other, LATE_UNKNOWN),
        ]))
    }

    /// Nobody has to do anything about a pause that the vendor asked for: it is named, and the process is as good as before.
    async fn pauses(&self) -> tidemark_store::Result<Found> {
        let now = self.clock.now();
        let pauses = self.store.pausing(now + SHORT_PAUSE, MOST_NAMED).await?;
        let connections: BTreeSet<_> = pauses.iter().map(|pause| &pause.connection).collect();
        let longest = pauses.iter().max_by_key(|pause| pause.until);
        let left = longest.and_then(|pause| (pause.until - now).to_std().ok()).unwrap_or_default();
        metrics::sync::pausing(connections.len() as u64, left);
        Ok(Ok(longest.map_or_else(
            || "no sync waits for it".to_owned(),
            |pause| {
                let reason = pause.reason.as_deref().unwrap_or("it asked to wait");
                let until = pause.until.format("%Y-%m-%d %H:%M UTC");
                format!(
                    "syncs of {} connection(s) wait, the longest until {until}: {reason}",
                    connections.len()
                )
            },
        )))
    }

    /// So it is with rows that the vendor sent and nobody can read.
    async fn rows(&self) -> tidemark_store::Result<Found> {
        let quarantined = self.store.quarantined().await?;
        metrics::sync::quarantined(quarantined.count);
        Ok(Ok(format!("{} in quarantine", quarantined.count)))
    }

    async fn numbers(&self) -> tidemark_store::Result<Found> {
        let behind = self.store.rollups_behind().await?;
        let since = age(self.clock.now(), behind.oldest);
        metrics::utilization::behind(behind.count, since);
        Ok(late(&[("behind a sync", since, LATE_ROLLUP)]))
    }
}

/// Whether something has waited for longer than it may.
fn late(waits: &[(&str, Duration, Duration)]) -> Found {
    let late: Vec<_> = waits
        .iter()
        .filter(|(_, age, most)| age > most)
        .map(|(what, age, _)| format!("one is {what} for {} s", age.as_secs()))
        .collect();
    if late.is_empty() { Ok("none is late".to_owned()) } else { Err(late.join("; ")) }
}

fn age(now: DateTime<Utc>, since: Option<DateTime<Utc>>) -> Duration {
    since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_named_with_its_age() {
        let seconds = Duration::from_secs;
        assert!(late(&[("due", seconds(180), LATE_DUE)]).is_ok());
        let found = late(&[("due", seconds(181), LATE_DUE), ("without a worker", seconds(10), LATE_READY)]);
        assert_eq!(found.unwrap_err(), "one is due for 181 s");
    }
}
