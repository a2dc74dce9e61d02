//! `ConnectionsService` and `CredentialsService`: a connection, and what opens it.

use tidemark_rpc::{
    client::Caller,
    connections::{
        BeginConsentRequest, CompleteConsentRequest, ConnectWithAssertionRequest, CreateConnectionRequest,
        DisconnectConnectionRequest, GetConnectionRequest, ListConnectionsRequest, ProbeConnectionRequest,
        ReconnectConnectionRequest,
    },
    credentials::{GetAccessTokenRequest, ReportForbiddenRequest, ReportRejectedRequest},
};
use tonic::Status;

use super::{KEY, Target};

pub(super) async fn connections(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (organization_id, connection_id) = (of.organization, of.connection);
    let mut client = caller.connections();
    match method {
        "CreateConnection" => client
            .create_connection(CreateConnectionRequest {
                organization_id,
                api_key: KEY.to_owned(),
                ..Default::default()
            })
            .await
            .map(drop),
        "GetConnection" => client.get_connection(GetConnectionRequest { connection_id }).await.map(drop),
        "ListConnections" => client
            .list_connections(ListConnectionsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "ReconnectConnection" => client
            .reconnect_connection(ReconnectConnectionRequest {
                connection_id,
                api_key: KEY.to_owned(),
                auth_scheme: 0,
            })
            .await
            .map(drop),
        "BeginConsent" => client
            .begin_consent(BeginConsentRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "CompleteConsent" => client.complete_consent(CompleteConsentRequest::default()).await.map(drop),
        "ConnectWithAssertion" => client
            .connect_with_assertion(ConnectWithAssertionRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "DisconnectConnection" => client
            .disconnect_connection(DisconnectConnectionRequest { connection_id, facts: 1 })
            .await
            .map(drop),
        "ProbeConnection" => {
            client.probe_connection(ProbeConnectionRequest { connection_id }).await.map(drop)
        }
        other => panic!("add {other} to this table"),
    }
}

pub(super) async fn credentials(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let Target { connection: connection_id, generation, .. } = of;
    let mut client = caller.credentials();
    match method {
        "GetAccessToken" => {
            client.get_access_token(GetAccessTokenRequest { connection_id, capability: 0 }).await.map(drop)
        }
        "ReportRejected" => {
            client.report_rejected(ReportRejectedRequest { connection_id, generation }).await.map(drop)
        }
        "ReportForbidden" => client
            .report_forbidden(ReportForbiddenRequest { connection_id, generation, capability: 1 })
            .await
            .map(drop),
        other => panic!("add {other} to this table"),
    }
}
