//! Plans as PostgreSQL told them, with the rows that their steps visited.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

/// How one statement ran.
#[derive(Debug, Clone)]
pub(super) struct Ran {
    pub(super) sql: String,
    pub(super) ms: f64,
    /// Of the step with the most.
    pub(super) visits: u64,
    plan: String,
}

/// What has run since it was asked last.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<Ran>>>);

impl Seen {
    /// Of this process: a test runner has one per test.
    pub(super) fn subscribe() -> Self {
        let seen = Self::default();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(seen.clone())).unwrap();
        seen
    }

    pub(super) fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Shows the slowest statements, and fails with each that has a step of more visits.
    pub(super) fn assert_linear(&self, most: u64) {
        let mut ran = self.take();
        ran.sort_by(|a, b| b.ms.total_cmp(&a.ms));
        let sum: f64 = ran.iter().map(|ran| ran.ms).sum();
        println!("{} statements, {sum:.0} ms; the slowest:", ran.len());
        for ran in ran.iter().take(5) {
            println!("{:>8.0} ms {:>10} visits  {:.90}", ran.ms, ran.visits, words(&ran.sql));
        }
        let mut told = String::new();
        for ran in ran.iter().filter(|ran| ran.visits > most) {
            writeln!(told, "{} visits: {:.400}\n{:.3000}", ran.visits, words(&ran.sql), ran.plan).unwrap();
        }
        assert!(told.is_empty(), "more than {most} visits:\n{told}");
    }
}

fn words(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::postgres::notice" {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        self.0.lock().unwrap().extend(read(&message.0));
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

fn read(message: &str) -> Option<Ran> {
    let (duration, plan) = message.strip_prefix("duration: ")?.split_once(" ms  plan:")?;
    let told: Value = serde_json::from_str(plan).expect("auto_explain tells JSON");
    Some(Ran {
        sql: told["Query Text"].as_str().unwrap_or_default().to_owned(),
        ms: duration.parse().unwrap_or_default(),
        visits: visits(&told["Plan"]),
        plan: format!("{:#}", told["Plan"]),
    })
}

/// Rows that the busiest step gave or threw away, over all of its rounds.
fn visits(step: &Value) -> u64 {
    let number = |name: &str| step[name].as_f64().unwrap_or_default();
    let removed = ["Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"];
    let each = number("Actual Rows") + removed.map(number).iter().sum::<f64>();
    let own = (each * number("Actual Loops")) as u64;
    let below = step["Plans"].as_array().into_iter().flatten().map(visits);
    below.fold(own, u64::max)
}
