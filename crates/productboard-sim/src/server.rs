//! The running simulator: a listener, its task, and the handle that tests hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chrono::NaiveDate;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::Api;
use crate::tenants::Tenants;
use crate::{Changes, Faults, Workspace, routes};

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
    base_url: String,
    tenants: Arc<Tenants>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl Simulator {
    /// Binds and starts serving. Port 0 takes a free one.
    pub async fn start(listen: SocketAddr, options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let base_url = format!("http://{}", reachable(listener.local_addr()?));
        let stopping = CancellationToken::new();
        let tenants = Arc::new(Tenants::new(options.requests_per_second));
        let api = Api {
            tenants: Arc::clone(&tenants),
            page_size: options.page_size.max(1),
            base_url: base_url.clone(),
            stopping: stopping.clone(),
        };
        let stopped = stopping.clone().cancelled_owned();
        let server = axum::serve(listener, routes::router(api)).with_graceful_shutdown(stopped);
        // The server future never fails: axum retries accept errors itself.
        let task = tokio::spawn(async move { drop(server.await) });
        Ok(Self { base_url, tenants, task, stop: stopping.drop_guard() })
    }

    /// `http://127.0.0.1:PORT`, without `/v2`.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Adds a workspace with its first token. A workspace of the same domain gets the new data and keeps its tokens:
    /// that is how days arrive late and people change.
    pub fn add(&self, workspace: Workspace, token: impl Into<String>) {
        let domain = workspace.domain.clone();
        self.tenants.put(workspace);
        self.tenants.issue(&domain, token.into());
    }

    /// Makes another token live for a workspace, or a revoked one live again. False when there is no such workspace.
    pub fn issue_token(&self, domain: &str, token: impl Into<String>) -> bool {
        self.tenants.issue(domain, token.into())
    }

    /// Makes a token answer 401. False when it was not live.
    pub fn revoke(&self, token: &str) -> bool {
        self.tenants.revoke(token)
    }

    /// Changes the switches of one token. False when the token is unknown.
    pub fn faults(&self, token: &str, change: impl FnOnce(&mut Faults)) -> bool {
        self.tenants.change_faults(token, change)
    }

    /// How many requests came with this token, refused ones included.
    pub fn requests(&self, token: &str) -> u64 {
        self.tenants.requests(token).unwrap_or(0)
    }

    /// The facts behind the answers.
    pub fn workspace(&self, domain: &str) -> Option<Arc<Workspace>> {
        self.tenants.workspace(domain)
    }

    /// Lets a workspace live on until a day, see [`Workspace::evolve`]. `None` when there is no such workspace.
    pub fn evolve(&self, domain: &str, to: NaiveDate, seed: u64) -> Option<Changes> {
        self.tenants.evolve(domain, to, seed)
    }

    /// Stops accepting, lets running answers end, and waits for that.
    pub async fn shutdown(self) {
        let Self { task, stop, .. } = self;
        drop(stop);
        // A panic of the server task has been printed already; there is nobody else to tell.
        let _ = task.await;
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workspaces, tokens) = self.tenants.counts();
        f.debug_struct("Simulator")
            .field("base_url", &self.base_url)
            .field("workspaces", &workspaces)
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

/// A wildcard address cannot be called.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}
