//! The running simulator: a listener for each data centre, their tasks, and the handle that tests hold.

mod oauth;
mod tokens;
mod webhooks;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::gate::{Api, Hosts};
use crate::oauth::OAuth;
use crate::tenants::Tenants;
use crate::webhooks::Webhooks;
use crate::{Access, Changes, Faults, Plan, Region, Workspace, routes};

/// What holds for all tokens of a simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Requests per second and token; 0 is no limit.
    pub requests_per_second: u32,
    /// Rows per page; 0 counts as 1.
    pub page_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { requests_per_second: 50, page_size: 100 }
    }
}

/// A running simulator. Dropping it stops the server.
pub struct Simulator {
    api: Api,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Simulator {
    /// Binds and starts serving. Port 0 takes a free one. The EU host takes the next port, or a free one where that is
    /// in use.
    pub async fn start(listen: SocketAddr, options: Options) -> std::io::Result<Self> {
        let us = TcpListener::bind(listen).await?;
        let eu = beside(listen).await?;
        let stopping = CancellationToken::new();
        let tenants = Arc::new(Tenants::new(options.requests_per_second));
        let clock = Arc::new(Clock::default());
        let tasks = TaskTracker::new();
        let api = Api {
            webhooks: Arc::new(Webhooks::new(Arc::clone(&clock), tasks.clone(), stopping.clone())),
            clock,
            oauth: Arc::new(OAuth::new(Arc::clone(&tenants))),
            tenants,
            hosts: Arc::new(Hosts::new(url(&us)?, url(&eu)?)),
            region: Region::Us,
            page_size: options.page_size.max(1),
            stopping: stopping.clone(),
        };
        for (listener, region) in [(us, Region::Us), (eu, Region::Eu)] {
            let router = routes::router(Api { region, ..api.clone() });
            let stopped = stopping.clone().cancelled_owned();
            let server = axum::serve(listener, router).with_graceful_shutdown(stopped);
            // The server future never fails: axum retries accept errors itself.
            tasks.spawn(async move { drop(server.await) });
        }
        Ok(Self { api, tasks, stop: stopping.drop_guard() })
    }

    /// `http://127.0.0.1:PORT` of the US data centre, without `/v2`.
    pub fn base_url(&self) -> String {
        self.api.hosts.us.clone()
    }

    /// The same for the EU data centre. It knows the same workspaces and refuses the tokens of US ones.
    pub fn eu_base_url(&self) -> String {
        self.api.hosts.eu.clone()
    }

    /// The vendor's time: real time plus what [`Self::advance`] added.
    pub fn now(&self) -> DateTime<Utc> {
        self.api.clock.now()
    }

    /// Moves the vendor's clock ahead: codes and tokens expire, webhooks are tried again.
    pub fn advance(&self, by: Duration) {
        self.api.clock.advance(by);
    }

    /// Whether a data centre leaves every request without an answer.
    pub fn hang(&self, region: Region, hangs: bool) {
        self.api.hosts.hang(region, hangs);
    }

    /// The facts behind the answers.
    pub fn workspace(&self, domain: &str) -> Option<Arc<Workspace>> {
        self.api.tenants.workspace(domain)
    }

    /// Lets a workspace live on until a day, see [`Workspace::evolve`]. `None` when there is no such workspace. With
    /// [`Faults::announce_evolution`] its subscribers hear of it; this needs the runtime, as [`Self::deliver`] does.
    pub fn evolve(&self, domain: &str, to: NaiveDate, seed: u64) -> Option<Changes> {
        self.api.evolve(domain, to, seed)
    }

    /// Stops accepting, lets running answers end, and waits for that.
    pub async fn shutdown(self) {
        let Self { tasks, stop, .. } = self;
        drop(stop);
        tasks.close();
        // A panic of a server task has been printed already; there is nobody else to tell.
        tasks.wait().await;
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workspaces, tokens) = self.api.tenants.counts();
        f.debug_struct("Simulator")
            .field("base_url", &self.api.hosts.us)
            .field("workspaces", &workspaces)
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

async fn beside(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let next = if listen.port() == 0 { 0 } else { listen.port().wrapping_add(1) };
    match TcpListener::bind(SocketAddr::new(listen.ip(), next)).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(listen.ip(), 0)).await
        }
        bound => bound,
    }
}

/// A wildcard address cannot be called.
fn url(listener: &TcpListener) -> std::io::Result<String> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(format!("http://{address}"))
}
