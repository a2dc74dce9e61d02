//! The service: its one public type, and the gRPC handlers.

use std::{fmt, sync::Arc, time::Duration};

use tidemark_domain::{Clock, Entropy, id::ConnectionId};
use tidemark_ports::Bus;
use tidemark_rpc::{
    detached,
    identity::Identity,
    parse,
    server::{RECEIVE_LIMIT, SEND_LIMIT},
    status::{ROSTER_UNREAD, Refusal},
    utilization::{
        self as wire,
        utilization_service_server::{self as generated, UtilizationServiceServer},
    },
};
use tidemark_runtime::Shutdown;
use tidemark_store::{Error, Store};
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    acceptance,
    aggregator::{Aggregator, chain},
    alerts,
    basis::Ground,
    contract, export, seats, summary, trend,
};

/// When a caller should ask again while the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Completes "no such …".
pub(crate) const NO_SUMMARY: &str = "summary: this connection has no rollup. The first appears after a sync that brings \
                                     a whole day of activity; SyncsService.ListSyncs tells how the connection's syncs \
                                     stand";
const NO_CONNECTION: &str = "connection";

/// The aggregator and the gRPC service. Clones share everything.
#[derive(Clone)]
pub struct UtilizationService {
    aggregator: Aggregator,
}

impl UtilizationService {
    /// A service over that record and bus. Nothing runs until `run` or a server is started.
    pub fn new(store: Store, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let (bell, waiting) = (Arc::default(), Arc::default());
        Self { aggregator: Aggregator { store, bell, waiting, bus, clock, entropy } }
    }

    /// The gRPC service, to be put behind the guard.
    pub fn server(&self) -> UtilizationServiceServer<Self> {
        UtilizationServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// Keeps the rollups up to date until the shutdown.
    pub async fn run(&self, shutdown: Shutdown) {
        self.aggregator.run(shutdown).await;
    }

    /// Answers a request about one connection, in a task of its own: it must exist, and be the caller's to see.
    async fn answer<Q, A, W>(
        &self,
        request: Request<Q>,
        connection: fn(&Q) -> &str,
        work: impl FnOnce(Desk, Q) -> W + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
        W: Future<Output = Result<A, Fault>> + Send,
    {
        let caller = Identity::of(&request)?;
        let id: ConnectionId = parse("connection_id", connection(request.get_ref()))?;
        let Aggregator { store, clock, bell, .. } = self.aggregator.clone();
        let desk = Desk { store, clock, bell, connection: id };
        detached(async move {
            let id = desk.connection.clone();
            let answered = async {
                desk.check_seen(&caller).await?;
                work(desk, request.into_inner()).await
            };
            answered.await.map(Response::new).map_err(|fault: Fault| fault.into_status(id.as_str()))
        })
        .await
    }
}

impl fmt::Debug for UtilizationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UtilizationService").field(&self.aggregator).finish()
    }
}

/// What a handler works with: one connection, which the caller may see.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connection: ConnectionId,
    bell: Arc<Notify>,
}

impl Desk {
    /// The numbers of a connection that the caller may not see are as those of one that is not there.
    async fn check_seen(&self, caller: &Identity) -> Result<(), Fault> {
        if !caller.is_limited() {
            return Ok(());
        }
        let organization = self.store.organization_of(&self.connection).await?;
        let organization = organization.ok_or(Refusal::NotFound { what: NO_SUMMARY })?;
        Ok(caller.check(&organization, NO_SUMMARY)?)
    }

    #[cfg(test)]
    pub(crate) fn of(sample: &crate::sample::Sample) -> Self {
        Self {
            store: sample.store(),
            clock: Arc::new(tidemark_testkit::ManualClock::noon(crate::sample::at(crate::sample::DAYS))),
            connection: sample.connection.clone(),
            bell: Arc::default(),
        }
    }

    /// Refuses what is entered for a connection that is not there.
    pub(crate) async fn check_exists(&self) -> Result<(), Fault> {
        let organization = self.store.organization_of(&self.connection).await?;
        organization.map(drop).ok_or(Refusal::NotFound { what: NO_CONNECTION }.into())
    }

    /// What the newest numbers stand on. NOT_FOUND before the first rollup.
    pub(crate) async fn ground(&self) -> Result<Ground, Fault> {
        let found = Ground::read(&self.store, &self.connection, self.clock.today()).await?;
        if let Some(ground) = found {
            return Ok(ground);
        }
        Err(match Ground::missing(&self.store, &self.connection).await? {
            Some((sentence, pending)) => Refusal::Absent { reason: ROSTER_UNREAD, sentence, pending }.into(),
            None => Refusal::NotFound { what: NO_SUMMARY }.into(),
        })
    }

    /// Wakes the aggregator: somebody waits.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum Fault {
    Refused(Refusal),
    Status(Status),
    Store(Error),
}

impl Fault {
    /// What the caller can do about it; the cause goes to the log.
    pub(crate) fn into_status(self, of: &str) -> Status {
        let error = match self {
            Self::Refused(refusal) => return refusal.into(),
            Self::Status(status) => return status,
            Self::Store(error) => error,
        };
        tracing::error!(of, error = chain(&error), "a request failed at the database");
        match error {
            Error::Unavailable(_) => {
                Refusal::Unavailable { what: "the database".into(), retry_after: RETRY_AFTER }
            }
            _ => Refusal::Internal,
        }
        .into()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

#[tonic::async_trait]
impl generated::UtilizationService for UtilizationService {
    async fn get_summary(
        &self,
        request: Request<wire::GetSummaryRequest>,
    ) -> Result<Response<wire::GetSummaryResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, _| async move {
            Ok(wire::GetSummaryResponse { summary: Some(summary::answer(&desk).await?) })
        })
        .await
    }

    async fn get_trend(
        &self,
        request: Request<wire::GetTrendRequest>,
    ) -> Result<Response<wire::GetTrendResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, it| async move { trend::trend(&desk, it).await })
            .await
    }

    async fn list_cuts(
        &self,
        request: Request<wire::ListCutsRequest>,
    ) -> Result<Response<wire::ListCutsResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, it| async move { trend::cuts(&desk, it).await })
            .await
    }

    async fn get_feature_adoption(
        &self,
        request: Request<wire::GetFeatureAdoptionRequest>,
    ) -> Result<Response<wire::GetFeatureAdoptionResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { trend::adoption(&desk, it).await },
        )
        .await
    }

    async fn list_seats(
        &self,
        request: Request<wire::ListSeatsRequest>,
    ) -> Result<Response<wire::ListSeatsResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, it| async move { seats::list(&desk, it).await })
            .await
    }

    async fn list_recommendations(
        &self,
        request: Request<wire::ListRecommendationsRequest>,
    ) -> Result<Response<wire::ListRecommendationsResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { seats::recommendations(&desk, it).await },
        )
        .await
    }

    async fn accept_recommendation(
        &self,
        request: Request<wire::AcceptRecommendationRequest>,
    ) -> Result<Response<wire::AcceptRecommendationResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { acceptance::accept(&desk, it).await },
        )
        .await
    }

    async fn withdraw_acceptance(
        &self,
        request: Request<wire::WithdrawAcceptanceRequest>,
    ) -> Result<Response<wire::WithdrawAcceptanceResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { acceptance::withdraw(&desk, it).await },
        )
        .await
    }

    async fn get_contract(
        &self,
        request: Request<wire::GetContractRequest>,
    ) -> Result<Response<wire::GetContractResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, _| async move { contract::get(&desk).await })
            .await
    }

    async fn set_contract(
        &self,
        request: Request<wire::SetContractRequest>,
    ) -> Result<Response<wire::SetContractResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, it| async move { contract::set(&desk, it).await })
            .await
    }

    async fn list_exemptions(
        &self,
        request: Request<wire::ListExemptionsRequest>,
    ) -> Result<Response<wire::ListExemptionsResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { contract::exemptions(&desk, it).await },
        )
        .await
    }

    async fn set_exemption(
        &self,
        request: Request<wire::SetExemptionRequest>,
    ) -> Result<Response<wire::SetExemptionResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { contract::exempt(&desk, it).await },
        )
        .await
    }

    async fn end_exemption(
        &self,
        request: Request<wire::EndExemptionRequest>,
    ) -> Result<Response<wire::EndExemptionResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { contract::end_exemption(&desk, it).await },
        )
        .await
    }

    async fn preview_renewal(
        &self,
        request: Request<wire::PreviewRenewalRequest>,
    ) -> Result<Response<wire::PreviewRenewalResponse>, Status> {
        self.answer(
            request,
            |it| &it.connection_id,
            |desk, it| async move { contract::preview(&desk, it).await },
        )
        .await
    }

    async fn get_coverage(
        &self,
        request: Request<wire::GetCoverageRequest>,
    ) -> Result<Response<wire::GetCoverageResponse>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, _| async move { trend::coverage(&desk).await })
            .await
    }

    async fn list_alerts(
        &self,
        request: Request<wire::ListAlertsRequest>,
    ) -> Result<Response<wire::ListAlertsResponse>, Status> {
        let (caller, store) = (Identity::of(&request)?, self.aggregator.store.clone());
        let asked = request.into_inner();
        detached(async move {
            let organization = asked.organization_id.clone();
            let listed = alerts::list(&store, &caller, asked).await;
            listed.map(Response::new).map_err(|fault| fault.into_status(&organization))
        })
        .await
    }

    type ExportStream = ReceiverStream<Result<wire::ExportResponse, Status>>;

    async fn export(
        &self,
        request: Request<wire::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        self.answer(request, |it| &it.connection_id, |desk, it| async move { export::start(desk, it).await })
            .await
    }
}

#[cfg(test)]
mod tests;
