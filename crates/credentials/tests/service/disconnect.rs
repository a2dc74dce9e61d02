//! The end of a connection, and who may see one at all.

use std::collections::BTreeSet;

use tidemark_domain::id::OrganizationId;
use tidemark_rpc::{
    connections::{
        self as wire, ConnectionState, CredentialKind, DisconnectConnectionRequest, Facts,
        connections_service_server::ConnectionsService as _,
    },
    credentials::{self, credentials_service_server::CredentialsService as _},
    identity::Identity,
    status,
};
use tidemark_store::Purge;
use tidemark_testkit::SeededEntropy;
use tonic::{Code, Request, Status};

use crate::world::{ACME, CLIENT, SESSION, World};

async fn disconnect(world: &World, id: &str, facts: Facts) -> wire::DisconnectConnectionResponse {
    let request = DisconnectConnectionRequest { connection_id: id.to_owned(), facts: facts.into() };
    world.caller.connections().disconnect_connection(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_disconnect_revokes_what_it_can_and_says_what_it_cannot() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let begun = world.begin(&id).await.unwrap();
    world.complete(&begun, "acme").await.unwrap();
    let ended = disconnect(&world, &id, Facts::Keep).await;
    assert_eq!(ended.connection.unwrap().state(), ConnectionState::Disconnected);
    let left: Vec<_> = ended.not_revoked.iter().map(|left| left.kind()).collect();
    assert_eq!(left, [CredentialKind::ApiKey]);
    assert!(ended.not_revoked[0].sentence.contains("delete it in Productboard"));
    assert!(world.simulator.refresh_uses(CLIENT).iter().all(|token| token.revoked));
    assert!(world.store.credentials_of(&id.parse().unwrap()).await.unwrap().is_empty(), "no secret is left");

    let refused = world.token(&id).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some(status::DISCONNECTED));
    let refused = world.reconnect(&id, ACME).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some(status::DISCONNECTED));
    assert!(disconnect(&world, &id, Facts::Purge).await.not_revoked.is_empty(), "once is enough");
    assert_eq!(world.events(&id).await.last().unwrap(), "connection.disconnected");
    assert_eq!(world.events(&id).await.len(), 3);
}

#[tokio::test]
async fn a_vendor_that_does_not_revoke_stops_nothing() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    let World { simulator, .. } = world;
    simulator.shutdown().await;
    let request = DisconnectConnectionRequest { connection_id: id.clone(), facts: Facts::Purge.into() };
    let ended = world.caller.connections().disconnect_connection(request).await.unwrap().into_inner();
    assert_eq!(ended.not_revoked[0].kind(), CredentialKind::Oauth);
    assert!(world.store.credentials_of(&id.parse().unwrap()).await.unwrap().is_empty());
    // It is done in the round that finds nothing left.
    while world.service.detect().await.unwrap().purged > 0 {}
    let row = world.store.connection(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.purge, Some(Purge::Done));
}

#[tokio::test]
async fn facts_that_were_kept_can_be_deleted_later() {
    let world = World::new().await;
    let id = world.connected().await.id;
    disconnect(&world, &id, Facts::Keep).await;
    let row = async || world.store.connection(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row().await.purge, None);
    disconnect(&world, &id, Facts::Purge).await;
    assert_eq!(row().await.purge, Some(Purge::Asked));
    disconnect(&world, &id, Facts::Keep).await;
    assert_eq!(row().await.purge, Some(Purge::Asked), "a deletion that was asked for is not taken back");
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.disconnected"]);
}

#[tokio::test]
async fn what_a_caller_may_not_see_does_not_exist_for_it() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let other = OrganizationId::generate(&*world.clock, &SeededEntropy::new(77));
    let stranger = Identity::new("stranger", Some(BTreeSet::from([other])));
    fn asked<T>(caller: &Identity, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(caller.clone());
        request
    }
    let service = &world.service;
    let connection_id = id.clone();
    let session = SESSION.to_owned();
    let refusals: Vec<Result<(), Status>> = vec![
        service
            .get_connection(asked(&stranger, wire::GetConnectionRequest { connection_id: id.clone() }))
            .await
            .map(drop),
        service
            .reconnect_connection(asked(
                &stranger,
                wire::ReconnectConnectionRequest {
                    connection_id: id.clone(),
                    api_key: ACME.to_owned(),
                    auth_scheme: 0,
                },
            ))
            .await
            .map(drop),
        service
            .begin_consent(asked(
                &stranger,
                wire::BeginConsentRequest { connection_id: id.clone(), session, ..Default::default() },
            ))
            .await
            .map(drop),
        service
            .connect_with_assertion(asked(
                &stranger,
                wire::ConnectWithAssertionRequest {
                    connection_id: id.clone(),
                    subject: "a@b.example".to_owned(),
                    ..Default::default()
                },
            ))
            .await
            .map(drop),
        service
            .disconnect_connection(asked(
                &stranger,
                DisconnectConnectionRequest { connection_id: id.clone(), facts: 0 },
            ))
            .await
            .map(drop),
        service
            .probe_connection(asked(&stranger, wire::ProbeConnectionRequest { connection_id: id.clone() }))
            .await
            .map(drop),
        service
            .get_access_token(asked(
                &stranger,
                credentials::GetAccessTokenRequest { connection_id: id.clone(), capability: 0 },
            ))
            .await
            .map(drop),
        service
            .report_rejected(asked(
                &stranger,
                credentials::ReportRejectedRequest { connection_id: id.clone(), generation: 1 },
            ))
            .await
            .map(drop),
        service
            .report_forbidden(asked(
                &stranger,
                credentials::ReportForbiddenRequest {
                    connection_id: id.clone(),
                    generation: 1,
                    capability: 1,
                },
            ))
            .await
            .map(drop),
        service
            .create_connection(asked(
                &stranger,
                wire::CreateConnectionRequest {
                    organization_id: world.organization.to_string(),
                    api_key: ACME.to_owned(),
                    ..Default::default()
                },
            ))
            .await
            .map(drop),
    ];
    for (number, refused) in refusals.into_iter().enumerate() {
        assert_eq!(refused.unwrap_err().code(), Code::NotFound, "method {number}");
    }
    let request = wire::ListConnectionsRequest {
        organization_id: world.organization.to_string(),
        ..Default::default()
    };
    let listed = service.list_connections(asked(&stranger, request)).await;
    assert_eq!(listed.unwrap_err().code(), Code::NotFound);
    let nobody = service.get_connection(Request::new(wire::GetConnectionRequest { connection_id })).await;
    assert_eq!(nobody.unwrap_err().code(), Code::Unauthenticated, "a request that no guard saw");
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
}
