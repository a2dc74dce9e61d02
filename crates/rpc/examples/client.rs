//! A client of Tidemark in Rust: lists an organization's connections, starts a sync of the first, and follows it.
//!
//! ```sh
//! TIDEMARK_TOKEN=… cargo run -p tidemark-rpc --example client -- http://127.0.0.1:7401 http://127.0.0.1:7402 org_…
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use futures::TryStreamExt as _;
use secrecy::SecretString;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::{
    client::Caller,
    connections::ListConnectionsRequest,
    syncs::{RunState, StartSyncRequest, WatchSyncRequest},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [connections, syncs, organization]: [String; 3] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: CONNECTIONS SYNCS org_…")?;
    let token = SecretString::from(std::env::var("TIDEMARK_TOKEN")?);
    let organization: OrganizationId = organization.parse()?;
    // Whatever the token may see, these calls see this organization only.
    let caller = Caller::new(&connections, &token)?.within(&organization);

    let request = ListConnectionsRequest { organization_id: organization.to_string(), ..Default::default() };
    // Every call has a deadline; what may pass by itself is tried again.
    let listed = caller.retry(|| {
        let (mut client, request) = (caller.connections(), request.clone());
        async move { client.list_connections(request).await }
    });
    let listed = listed.await?.into_inner().connections;
    for connection in &listed {
        println!("{} {} {}", connection.id, connection.state().as_str_name(), connection.workspace);
    }
    let first = listed.first().ok_or("this organization has no connection")?;

    let caller = Caller::new(&syncs, &token)?.within(&organization);
    let request = StartSyncRequest { connection_id: first.id.clone(), ..Default::default() };
    let run = caller.syncs().start_sync(request).await?.into_inner().run.ok_or("no run in the answer")?;
    let mut steps = caller.syncs().watch_sync(WatchSyncRequest { run_id: run.id }).await?.into_inner();
    while let Some(step) = steps.try_next().await? {
        let run = step.run.ok_or("no run in the step")?;
        println!("{} {}", run.id, run.state().as_str_name());
        if run.finished_at.is_some() {
            return if run.state() == RunState::Succeeded { Ok(()) } else { Err(run.reason.into()) };
        }
    }
    Err("the stream ended before the run".into())
}
