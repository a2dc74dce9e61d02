//! The simulator, on a runtime of its own.

use std::{sync::Arc, thread};

use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};

use crate::{LIMIT, Size};

pub(crate) struct Vendor {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) workspaces: usize,
    _runtime: tokio::sync::oneshot::Sender<()>,
}

/// What the vendor has counted over all tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) refused: u64,
}

pub(crate) fn today() -> chrono::NaiveDate {
    use tidemark_domain::Clock as _;
    tidemark_runtime::SystemClock.today()
}

/// The token of a workspace: one for the engine and one for the floor, so that neither waits for the other.
pub(crate) fn token(who: &str, number: usize) -> String {
    format!("{who}-{number}")
}

impl Vendor {
    pub(crate) async fn start(size: Size, workspaces: usize) -> Self {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (runtime, ended) = tokio::sync::oneshot::channel::<()>();
        thread::spawn(move || {
            let alone = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            alone.block_on(async move {
                let options = Options { requests_per_second: LIMIT, ..Options::default() };
                let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
                let simulator = Arc::new(simulator);
                tell.send(Arc::clone(&simulator)).ok().unwrap();
                // The end of the sender is the end of the vendor.
                let _ = ended.await;
            });
        });
        let simulator = told.await.unwrap();
        for number in 0..workspaces {
            let domain = format!("w{number}");
            let spec = WorkspaceSpec::new(&domain, size.members, today());
            simulator.add(Workspace::generate(&spec), token("engine", number));
            simulator.issue_token(&domain, token("floor", number));
            simulator.workspace_faults(&domain, |faults| faults.latency = size.latency);
        }
        Self { simulator, workspaces, _runtime: runtime }
    }

    pub(crate) fn counts(&self) -> Counts {
        let ledgers = self.simulator.ledgers();
        let requests = ledgers.iter().map(|used| used.ledger.requests).sum();
        let refused = ledgers.iter().map(|used| used.ledger.refused).sum();
        Counts { requests, refused }
    }
}
