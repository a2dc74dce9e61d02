//! The matrix: found by asking, looked at again, and announced when it changes.

use tidemark_domain::event::{Data, Event};
use tidemark_productboard_sim::{Plan, Region as DataCentre, Route};
use tidemark_rpc::{
    connections::{Availability, Capability, ConnectionState, CreateConnectionRequest, Region},
    status,
};

use crate::world::{ACME, World};

#[tokio::test]
async fn a_reported_403_degrades_and_its_return_is_announced() {
    let world = World::new().await;
    let id = world.connected().await.id;
    assert_eq!(world.report_forbidden(&id, 1, Capability::Teams).await.unwrap(), Availability::Available);
    world.forbid(ACME, Route::Teams);
    for _ in 0..3 {
        let found = world.report_forbidden(&id, 1, Capability::Teams).await.unwrap();
        assert_eq!(found, Availability::Forbidden);
    }
    let connection = world.get(&id).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Degraded);
    assert_eq!(connection.lost().collect::<Vec<_>>(), [Capability::Teams]);
    assert_eq!(connection.reason.unwrap().code, "capability_lost");
    let refused = world.token_for(&id, Capability::Teams).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some(status::CAPABILITY_MISSING));
    assert!(world.token_for(&id, Capability::Members).await.is_ok(), "everything else goes on");

    world.simulator.faults(ACME, |faults| faults.forbidden.clear());
    let connection = world.probe(&id).await.unwrap();
    assert_eq!((connection.state(), connection.lost.len()), (ConnectionState::Connected, 0));
    let names = ["connection.connected", "connection.degraded", "connection.recovered"];
    assert_eq!(world.events(&id).await, names);
    let outgoing = world.store.outgoing_of(&id.parse().unwrap()).await.unwrap();
    let Data::Degraded(degraded) = Event::decode(&outgoing[1].body).unwrap().data else { panic!() };
    assert!(degraded.consequence.contains("cut by team"));
}

#[tokio::test]
async fn a_lost_member_list_is_named_as_such() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.forbid(ACME, Route::Members);
    let connection = world.probe(&id).await.unwrap();
    assert_eq!(connection.reason.unwrap().code, "key_without_members");
    let names = world.events(&id).await;
    assert_eq!(
        names,
        ["connection.connected", "connection.degraded", "connection.degraded"],
        "names went with it"
    );
}

#[tokio::test]
async fn trouble_is_no_loss() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.faults(ACME, |faults| faults.fail_next.extend([503; 20]));
    let connection = world.probe(&id).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Connected);
    assert_eq!(connection.capabilities[0].availability(), Availability::Available, "as it was known");
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn a_probe_finds_a_revoked_key() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.revoke(ACME);
    let connection = world.probe(&id).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::ReconnectRequired);
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnect_required"]);
}

#[tokio::test]
async fn a_reconnect_with_less_says_what_went() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.issue_token("acme", "acme-key-2");
    world.forbid("acme-key-2", Route::MemberActivities);
    let connection = world.reconnect(&id, "acme-key-2").await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Degraded);
    let names = ["connection.connected", "connection.reconnected", "connection.degraded"];
    assert_eq!(world.events(&id).await, names);
}

#[tokio::test]
async fn the_other_region_and_a_plan_without_api_are_told_apart() {
    let world = World::with_both_regions().await;
    world.simulator.set_region("acme", DataCentre::Eu);
    let refused = world.create(ACME).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("WRONG_REGION"), "{refused}");
    assert!(refused.message().contains("Choose EU"), "{refused}");
    assert!(world.create_in(Region::Eu, ACME).await.is_ok());

    world.simulator.set_plan("acme", Plan::Essentials);
    let refused = world.create_in(Region::Eu, ACME).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("PLAN_WITHOUT_API"), "{refused}");
}

#[tokio::test]
async fn a_key_can_be_sent_as_basic() {
    let world = World::new().await;
    let request = CreateConnectionRequest {
        organization_id: world.organization.to_string(),
        api_key: ACME.to_owned(),
        auth_scheme: tidemark_rpc::connections::AuthScheme::Basic.into(),
        ..CreateConnectionRequest::default()
    };
    // The vendor itself takes bearer tokens only; a gateway that wants Basic would not.
    let refused = world.caller.connections().create_connection(request.clone()).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("KEY_REJECTED"), "{refused}");
    let odd = CreateConnectionRequest { auth_scheme: 7, ..request };
    let refused = world.caller.connections().create_connection(odd).await.unwrap_err();
    assert!(refused.message().starts_with("field `auth_scheme`"), "{refused}");
}
