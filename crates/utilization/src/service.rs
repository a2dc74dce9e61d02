//! The service: its one public type, and the gRPC handlers.

use std::{fmt, sync::Arc, time::Duration};

use tidemark_domain::{Clock, Entropy, id::ConnectionId};
use tidemark_ports::Bus;
use tidemark_rpc::{
    detached,
    identity::Identity,
    parse,
    server::{RECEIVE_LIMIT, SEND_LIMIT},
    status::Refusal,
    utilization::{
        GetSummaryRequest, GetSummaryResponse,
        utilization_service_server::{self as generated, UtilizationServiceServer},
    },
};
use tidemark_runtime::Shutdown;
use tidemark_store::{Error, Store};
use tonic::{Request, Response, Status};

use crate::{
    aggregator::{Aggregator, chain},
    summary,
};

/// When a caller should ask again while the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Completes "no such …".
const NO_SUMMARY: &str = "summary: this connection has no rollup. The first appears after a sync that brings a whole day \
                          of activity; SyncsService.ListSyncs tells how the connection's syncs stand";

/// The aggregator and the gRPC service. Clones share everything.
#[derive(Clone)]
pub struct UtilizationService {
    aggregator: Aggregator,
}

impl UtilizationService {
    /// A service over that record and bus. Nothing runs until `run` or a server is started.
    pub fn new(store: Store, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { aggregator: Aggregator { store, bell: Arc::default(), bus, clock, entropy } }
    }

    /// The gRPC service, to be put behind the guard.
    pub fn server(&self) -> UtilizationServiceServer<Self> {
        UtilizationServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// Follows finished syncs until the shutdown.
    pub async fn run(&self, shutdown: Shutdown) {
        self.aggregator.run(shutdown).await;
    }
}

impl fmt::Debug for UtilizationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UtilizationService").field(&self.aggregator).finish()
    }
}

#[tonic::async_trait]
impl generated::UtilizationService for UtilizationService {
    async fn get_summary(
        &self,
        request: Request<GetSummaryRequest>,
    ) -> Result<Response<GetSummaryResponse>, Status> {
        let caller = Identity::of(&request)?;
        let connection: ConnectionId = parse("connection_id", &request.get_ref().connection_id)?;
        let store = self.aggregator.store.clone();
        detached(async move {
            check_seen(&store, &caller, &connection).await?;
            let found =
                summary::read(&store, &connection).await.map_err(|error| refused(&connection, &error))?;
            let summary = found.ok_or(Refusal::NotFound { what: NO_SUMMARY })?;
            Ok(Response::new(GetSummaryResponse { summary: Some(summary) }))
        })
        .await
    }
}

/// Refuses the numbers of a connection that the caller may not see, as those of one that is not there.
async fn check_seen(store: &Store, caller: &Identity, connection: &ConnectionId) -> Result<(), Status> {
    if !caller.is_limited() {
        return Ok(());
    }
    let organization =
        store.organization_of(connection).await.map_err(|error| refused(connection, &error))?;
    let organization = organization.ok_or(Refusal::NotFound { what: NO_SUMMARY })?;
    Ok(caller.check(&organization, NO_SUMMARY)?)
}

/// What the caller can do about it; the cause goes to the log.
fn refused(connection: &ConnectionId, error: &Error) -> Status {
    tracing::error!(%connection, error = chain(error), "the summary could not be read");
    match error {
        Error::Unavailable(_) => {
            Refusal::Unavailable { what: "the database".into(), retry_after: RETRY_AFTER }
        }
        _ => Refusal::Internal,
    }
    .into()
}

#[cfg(test)]
mod tests;
