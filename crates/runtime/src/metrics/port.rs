//! The port for whoever watches: `/metrics`, and `/livez` and `/readyz`, which say in words what is wrong.
//!
//! Health is what somebody found out a while ago and noted here: whoever asks, however often, costs the servers nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;

use super::Registry;
use crate::Shutdown;

/// Who notes conditions does so more often. Older ones say that the process looks no more.
const BELIEVED: Duration = Duration::from_secs(20);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How one thing is that the process stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Whether it does what is needed of it.
    pub healthy: bool,
    /// Whether the process is of no use without it.
    pub essential: bool,
    /// What was found. Never a secret.
    pub detail: String,
}

/// What is known of everything that the process stands on. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, (Condition, Instant)>>>);

#[derive(Serialize)]
struct Report<'a> {
    status: &'a str,
    conditions: BTreeMap<&'static str, Condition>,
}

impl Health {
    /// Notes how something is. A change for the worse or the better is logged.
    pub fn note(&self, subject: &'static str, condition: Condition) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_healthy = known.get(subject).is_none_or(|(before, _)| before.healthy);
        match (was_healthy, condition.healthy) {
            (true, false) => tracing::error!(subject, detail = condition.detail, "not healthy any more"),
            (false, true) => tracing::info!(subject, detail = condition.detail, "healthy again"),
            _ => {}
        }
        known.insert(subject, (condition, Instant::now()));
    }

    /// How everything is, and whether the process is of use: `ok`, `degraded` (something is missing that it can do
    /// without for a while), or `unready`.
    pub fn report(&self) -> (&'static str, BTreeMap<&'static str, Condition>) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let conditions: BTreeMap<_, _> = known
            .iter()
            .map(|(subject, (condition, at))| {
                let age = at.elapsed();
                let stale = Condition {
                    healthy: false,
                    detail: format!("nobody has looked for {} s", age.as_secs()),
                    essential: condition.essential,
                };
                (*subject, if age < BELIEVED { condition.clone() } else { stale })
            })
            .collect();
        let sick: Vec<_> = conditions.values().filter(|condition| !condition.healthy).collect();
        let status = match sick.iter().any(|condition| condition.essential) {
            // Before the first look nothing is known.
            _ if conditions.is_empty() => "unready",
            true => "unready",
            false if sick.is_empty() => "ok",
            false => "degraded",
        };
        (status, conditions)
    }
}

struct Port {
    registry: Registry,
    health: Health,
}

/// Serves until the process winds down. Once its stop was asked for, it is unready.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    health: Health,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let leaves = async {
        shutdown.leaving().cancelled().await;
        let detail = "it was asked to stop, and still serves what comes".to_owned();
        health.note("shutdown", Condition { healthy: false, essential: true, detail });
        std::future::pending::<()>().await;
    };
    let port = Arc::new(Port { registry, health: health.clone() });
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .with_state(port);
    // An open scrape holds up nobody's shutdown.
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => served,
        () = leaves => Ok(()),
        () = shutdown.soft().cancelled() => Ok(()),
    }
}

async fn metrics(State(port): State<Arc<Port>>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], super::text(&port.registry)).into_response()
}

async fn readiness(State(port): State<Arc<Port>>) -> Response {
    let (status, conditions) = port.health.report();
    let code = if status == "unready" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(Report { status, conditions })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(healthy: bool, essential: bool) -> Condition {
        Condition { healthy, essential, detail: "as it was found".to_owned() }
    }

    #[test]
    fn only_what_is_essential_makes_a_process_unready() {
        let health = Health::default();
        assert_eq!(health.report().0, "unready", "nobody has looked yet");
        health.note("database", condition(true, true));
        health.note("broker", condition(true, false));
        assert_eq!(health.report().0, "ok");
        health.note("broker", condition(false, false));
        assert_eq!(health.report().0, "degraded");
        health.note("database", condition(false, true));
        assert_eq!(health.report().0, "unready");
        health.note("database", condition(true, true));
        assert_eq!(health.report().0, "degraded");
    }
}
