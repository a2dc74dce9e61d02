//! Connecting: what a key is found to be, what is refused and with which words, and that a refusal stores nothing.

use tidemark_domain::event::{Data, Event};
use tidemark_productboard_sim::Route;
use tidemark_rpc::{
    connections::{
        Availability, Connection, ConnectionState, CreateConnectionRequest, ListConnectionsRequest, Region,
    },
    status,
};
use tonic::Code;

use crate::world::{ACME, GLOBEX, World, now, simulator};

/// Members, teams, activity, names.
fn matrix(connection: &Connection) -> Vec<Availability> {
    let lines = connection.capabilities.iter().take(4);
    lines.map(tidemark_rpc::connections::CapabilityFinding::availability).collect()
}

#[tokio::test]
async fn a_working_key_makes_a_connection_and_one_event() {
    let world = World::new().await;
    let connection = world.create(&format!(" \t{ACME}\r\n")).await.unwrap();
    assert_eq!(connection.workspace, "acme");
    assert_eq!(connection.state(), ConnectionState::Connected);
    assert_eq!((connection.generation, connection.reason.as_ref()), (1, None));
    assert_eq!(matrix(&connection), [Availability::Available; 4]);
    assert!(connection.capabilities[..4].iter().all(|finding| finding.consequence.is_empty()));
    assert_eq!(connection.created_at.unwrap().seconds, now(&world));
    assert_eq!(world.get(&connection.id).await.unwrap().capabilities, connection.capabilities);

    let token = world.token(&connection.id).await.unwrap();
    assert_eq!((token.access_token.as_str(), token.generation), (ACME, 1));
    assert_eq!(token.base_url.trim_end_matches('/'), world.simulator.base_url());

    let outgoing = world.store.outgoing_of(&connection.id.parse().unwrap()).await.unwrap();
    let [outgoing] = outgoing.as_slice() else { panic!("{outgoing:?}") };
    assert_eq!(outgoing.name, "connection.connected");
    let event = Event::decode(&outgoing.body).unwrap();
    let Data::Connected(connected) = event.data else { panic!("{event:?}") };
    assert_eq!(
        (connected.organization_id, connected.workspace),
        (world.organization.clone(), Some("acme".into()))
    );

    let row = world.store.connection(&connection.id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.anchors.len(), 10);
    let sealed = world.store.credential(&row.id, 1).await.unwrap().unwrap();
    let bytes = [sealed.sealed.wrapped_key, sealed.sealed.ciphertext].concat();
    assert!(!bytes.windows(ACME.len()).any(|window| window == ACME.as_bytes()));
}

#[tokio::test]
async fn a_key_the_vendor_does_not_accept_is_refused_and_nothing_is_stored() {
    let world = World::new().await;
    let refused = world.create("nobodys-key").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(status::reason(&refused).as_deref(), Some("KEY_REJECTED"));
    for words in
        ["in the US region", "Nothing was stored", "EU host", "Essentials", "profile menu, Integrations"]
    {
        assert!(refused.message().contains(words), "{words}: {}", refused.message());
    }
    assert_eq!(world.stored().await, 0);
}

#[tokio::test]
async fn a_key_that_cannot_list_members_is_refused() {
    let world = World::new().await;
    world.forbid(ACME, Route::Members);
    let refused = world.create(ACME).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(status::reason(&refused).as_deref(), Some("KEY_WITHOUT_MEMBERS"));
    assert!(refused.message().contains("lacks the permission to list members"), "{}", refused.message());
    assert_eq!(world.stored().await, 0);
}

#[tokio::test]
async fn what_a_key_cannot_read_is_said_with_its_consequence() {
    let world = World::new().await;
    world.simulator.faults(ACME, |faults| {
        faults.analytics_unavailable = Some(501);
        faults.forbidden.insert(Route::Teams);
    });
    let connection = world.create(ACME).await.unwrap();
    use Availability::{Available, Forbidden, NotInPlan};
    let expected = [Available, Forbidden, NotInPlan, Available];
    assert_eq!(matrix(&connection), expected);
    assert_eq!(connection.workspace, "acme", "the members' pages tell it where no activity does");
    assert!(connection.capabilities[2].consequence.contains("which seats are used"));
    assert_eq!(world.get(&connection.id).await.unwrap().capabilities, connection.capabilities);
}

#[tokio::test]
async fn what_the_vendor_cannot_be_asked_stays_unknown() {
    let world = World::new().await;
    world.simulator.faults(ACME, |faults| faults.analytics_unavailable = Some(503));
    let connection = world.create(ACME).await.unwrap();
    assert_eq!(matrix(&connection)[2], Availability::Unknown);
}

#[tokio::test]
async fn a_vendor_in_trouble_is_no_verdict_on_the_key() {
    let world = World::new().await;
    world.simulator.faults(ACME, |faults| faults.fail_next.extend([503; 20]));
    let unavailable = world.create(ACME).await.unwrap_err();
    assert_eq!(unavailable.code(), Code::Unavailable, "{unavailable}");
    assert!(unavailable.message().contains("does not answer just now"), "{unavailable}");
    assert_eq!(
        world.create_in(Region::Eu, ACME).await.unwrap_err().code(),
        Code::Unavailable,
        "nobody listens"
    );
    assert_eq!(world.stored().await, 0);
}

#[tokio::test]
async fn a_host_that_is_not_the_vendor_is_told_apart() {
    let simulator = simulator().await;
    let vendor = format!("{}/wrong/path", simulator.base_url());
    let world = World::at(simulator, "sqlite::memory:", &vendor).await;
    let refused = world.create(ACME).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("VENDOR_NOT_UNDERSTOOD"), "{refused}");
}

#[tokio::test]
async fn a_wrong_field_is_named_and_the_vendor_is_not_asked() {
    let world = World::new().await;
    let good = CreateConnectionRequest {
        organization_id: world.organization.to_string(),
        region: Region::Us.into(),
        api_key: ACME.to_owned(),
        ..CreateConnectionRequest::default()
    };
    let key = |api_key: &str| CreateConnectionRequest { api_key: api_key.to_owned(), ..good.clone() };
    let cases = [
        (key("  "), "field `api_key`: there is no key; paste the access token alone"),
        (key("Bearer secret-1"), "field `api_key`: there is white space inside the key"),
        (key(&"x".repeat(4097)), "field `api_key`: this is longer than any key"),
        (key("schlüssel"), "field `api_key`: there are characters in it"),
        (
            CreateConnectionRequest { organization_id: "acme".to_owned(), ..good.clone() },
            "field `organization_id`",
        ),
        (
            CreateConnectionRequest { region: 9, ..good.clone() },
            "field `region`: expected REGION_US or REGION_EU",
        ),
    ];
    for (request, expected) in cases {
        let secret = request.api_key.clone();
        let refused = world.caller.connections().create_connection(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(expected), "{expected}: {}", refused.message());
        assert!(secret.trim().is_empty() || !refused.message().contains(&secret), "{}", refused.message());
    }
    assert_eq!(world.simulator.requests(ACME), 0);
}

#[tokio::test]
async fn connections_are_listed_page_by_page() {
    let world = World::new().await;
    let mut made = Vec::new();
    for key in [ACME, GLOBEX, ACME] {
        world.clock.advance(chrono::TimeDelta::seconds(1));
        made.push(world.create(key).await.unwrap());
    }
    let request = |page_size, page_token: &str| ListConnectionsRequest {
        organization_id: world.organization.to_string(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let list = |request| async { world.caller.connections().list_connections(request).await };
    let first = list(request(2, "")).await.unwrap().into_inner();
    assert_eq!(first.connections, made[..2]);
    let second = list(request(2, &first.next_page_token)).await.unwrap().into_inner();
    assert_eq!((second.connections.as_slice(), second.next_page_token.as_str()), (&made[2..], ""));
    let whole = list(request(0, "")).await.unwrap().into_inner();
    assert_eq!((whole.connections.len(), whole.next_page_token.as_str()), (3, ""));
    let exact = list(request(3, "")).await.unwrap().into_inner();
    assert_eq!((exact.connections.len(), exact.next_page_token.as_str()), (3, ""), "no empty last page");

    for bad in ["!", "Y29ubl8x"] {
        let refused = list(request(2, bad)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("field `page_token`: send `next_page_token`"), "{refused}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let world = World::new().await;
    let id = format!("conn_{}", "0".repeat(26));
    assert_eq!(world.get(&id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.token(&id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.report(&id, 1).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.reconnect(&id, ACME).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.get("run_1").await.unwrap_err().code(), Code::InvalidArgument);
}
