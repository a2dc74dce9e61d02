//! Consents: a code, a session and a state make a grant, once; whatever fails leaves nothing behind.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use secrecy::SecretString;
use tidemark_credentials::Vault;
use tidemark_domain::event::{Data, Event};
use tidemark_rpc::{
    connections::{
        BeginConsentRequest, Capability, CompleteConsentRequest, ConnectWithAssertionRequest,
        ConnectionState, CredentialKind, connections_service_server::ConnectionsService as _,
    },
    identity::Identity,
    status,
};
use tidemark_testkit::SeededEntropy;
use tonic::{Code, Request};

use crate::world::{ACME, CLIENT, SESSION, World, keys};

fn reason(status: &tonic::Status) -> String {
    status::reason(status).unwrap_or_else(|| panic!("{status}"))
}

#[tokio::test]
async fn a_consent_makes_a_connection_and_one_event() {
    let world = World::new().await;
    let begun = world.begin("").await.unwrap();
    let waiting = begun.connection.clone().unwrap();
    assert_eq!((waiting.state(), waiting.generation), (ConnectionState::AwaitingConsent, 0));
    let refused = world.token(&waiting.id).await.unwrap_err();
    assert_eq!(reason(&refused), "AWAITING_CONSENT");
    assert!(world.events(&waiting.id).await.is_empty());

    let query = world.asked(&begun);
    assert_eq!(query["code_challenge_method"], "S256");
    assert!(query["state"].len() >= 16 && query["scope"].contains("members:read"));
    let connection = world.complete(&begun, "acme").await.unwrap();
    assert_eq!(
        (connection.id.as_str(), connection.state()),
        (waiting.id.as_str(), ConnectionState::Connected)
    );
    assert_eq!((connection.workspace.as_str(), connection.generation), ("acme", 1));
    assert_eq!(world.events(&waiting.id).await, ["connection.connected"]);

    let token = world.token_for(&waiting.id, Capability::Members).await.unwrap();
    assert_eq!(token.generation, 1);
    assert_eq!(token.expires_at.unwrap().seconds, crate::world::now(&world) + 86_400);
    let whole = world.whole(&waiting.id).await.unwrap();
    assert_eq!(whole.credentials[0].kind(), CredentialKind::Oauth);
    assert!(whole.credentials[0].refresh_expires_at.is_some());
}

#[tokio::test]
async fn a_consent_works_once_in_its_session_and_in_time() {
    let world = World::new().await;
    let begun = world.begin("").await.unwrap();
    let answer = world.answer(&begun, "acme");
    let stolen = CompleteConsentRequest { session: "another-browser-session".to_owned(), ..answer.clone() };
    assert_eq!(reason(&world.completed(stolen).await.unwrap_err()), "CONSENT_UNKNOWN");
    world.completed(answer.clone()).await.unwrap();
    assert_eq!(reason(&world.completed(answer).await.unwrap_err()), "CONSENT_UNKNOWN", "used");

    let late = world.begin("").await.unwrap();
    let answer = world.answer(&late, "acme");
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(reason(&world.completed(answer).await.unwrap_err()), "CONSENT_UNKNOWN", "too late");
    assert_eq!(world.stored().await, 2);
    world.clock.advance(TimeDelta::hours(2));
    world.service.detect().await.unwrap();
    assert_eq!(world.stored().await, 1, "what was never made is forgotten");
}

#[tokio::test]
async fn a_refusal_a_foreign_issuer_and_a_bad_code_have_their_sentences() {
    let world = World::new().await;
    let answer = async |change: &dyn Fn(&mut CompleteConsentRequest)| {
        let begun = world.begin("").await.unwrap();
        let mut answer = world.answer(&begun, "acme");
        change(&mut answer);
        world.completed(answer).await.unwrap_err()
    };
    let denied = |answer: &mut CompleteConsentRequest| {
        (answer.error, answer.code) = ("access_denied".to_owned(), String::new());
    };
    let refused = answer(&denied).await;
    assert_eq!(reason(&refused), "CONSENT_REFUSED");
    assert!(refused.message().contains("admin of the workspace"), "{refused}");
    let odd = |answer: &mut CompleteConsentRequest| answer.error = "server<error>".to_owned();
    assert!(answer(&odd).await.message().contains("(servererror)"));
    let foreign = |answer: &mut CompleteConsentRequest| answer.iss = "https://evil.example".to_owned();
    assert_eq!(reason(&answer(&foreign).await), "WRONG_ISSUER");
    let bad = |answer: &mut CompleteConsentRequest| answer.code = "code-nobody-gave".to_owned();
    assert_eq!(reason(&answer(&bad).await), "CONSENT_REJECTED");
    let empty = |answer: &mut CompleteConsentRequest| answer.code = String::new();
    assert_eq!(answer(&empty).await.code(), Code::InvalidArgument);
    let short = BeginConsentRequest { session: "short".to_owned(), ..BeginConsentRequest::default() };
    let refused = world.caller.connections().begin_consent(short).await.unwrap_err();
    assert!(refused.message().starts_with("field `session`"), "{refused}");
}

#[tokio::test]
async fn a_consent_beside_a_key_serves_what_the_key_may_not_read() {
    let world = World::new().await;
    world.forbid(ACME, tidemark_productboard_sim::Route::Teams);
    let id = world.connected().await.id;
    let refused = world.token_for(&id, Capability::Teams).await.unwrap_err();
    assert_eq!(reason(&refused), status::CAPABILITY_MISSING);
    assert!(refused.message().contains("cut by team"), "{refused}");

    let begun = world.begin(&id).await.unwrap();
    let connection = world.complete(&begun, "acme").await.unwrap();
    assert_eq!(connection.generation, 2);
    let members = world.token_for(&id, Capability::Members).await.unwrap();
    assert_eq!((members.access_token.as_str(), members.generation), (ACME, 1), "the key is still there");
    let teams = world.token_for(&id, Capability::Teams).await.unwrap();
    assert_eq!(teams.generation, 2);
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnected"]);
    assert_eq!(world.whole(&id).await.unwrap().credentials.len(), 2);
}

#[tokio::test]
async fn a_consent_to_another_workspace_is_refused_and_ended_at_the_vendor() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let begun = world.begin(&id).await.unwrap();
    let refused = world.complete(&begun, "globex").await.unwrap_err();
    assert_eq!(reason(&refused), "WRONG_WORKSPACE");
    assert_eq!(world.token(&id).await.unwrap().access_token, ACME);
    assert_eq!(world.whole(&id).await.unwrap().credentials.len(), 1);
    let uses = world.simulator.refresh_uses(CLIENT);
    assert!(!uses.is_empty() && uses.iter().all(|token| token.revoked), "{uses:?}");
}

#[tokio::test]
async fn a_lost_key_is_replaced_by_a_consent() {
    let world = World::new().await;
    let id = world.lost().await.id;
    let begun = world.begin(&id).await.unwrap();
    let connection = world.complete(&begun, "acme").await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Connected);
    let episodes = world.store.episodes(&id.parse().unwrap()).await.unwrap();
    assert!(episodes.len() == 1 && episodes[0].closed_at.is_some(), "{episodes:?}");
}

#[tokio::test]
async fn an_assertion_connects_and_is_made_anew_whenever_its_token_ends() {
    let world = World::new().await;
    let subject = world.admin("acme");
    let request = ConnectWithAssertionRequest {
        organization_id: world.organization.to_string(),
        subject,
        ..ConnectWithAssertionRequest::default()
    };
    let world = world.in_real_time();
    let answer = world.caller.connections().connect_with_assertion(request.clone()).await.unwrap();
    let id = answer.into_inner().connection.unwrap().id;
    assert_eq!(world.token(&id).await.unwrap().generation, 1);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
    assert_eq!(world.whole(&id).await.unwrap().credentials[0].kind(), CredentialKind::Assertion);

    let stranger = ConnectWithAssertionRequest { subject: "nobody@nowhere.example".to_owned(), ..request };
    let refused = world.caller.connections().connect_with_assertion(stranger).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
}

/// The name of a member proves nothing: whoever may not see every organization needs a workspace that was proven.
#[tokio::test]
async fn a_limited_caller_asserts_only_beside_a_proof() {
    let world = World::new().await;
    let own = Some(BTreeSet::from([world.organization.clone()]));
    let limited = |message: ConnectWithAssertionRequest| {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Identity::new("limited", own.clone()));
        request
    };
    let new = ConnectWithAssertionRequest {
        organization_id: world.organization.to_string(),
        subject: world.admin("acme"),
        ..Default::default()
    };
    let refused = world.service.connect_with_assertion(limited(new.clone())).await.unwrap_err();
    assert_eq!(reason(&refused), "WORKSPACE_NOT_PROVEN");
    let connection_id = world.connected().await.id;
    let beside = ConnectWithAssertionRequest { connection_id, organization_id: String::new(), ..new };
    let world = world.in_real_time();
    let foreign = ConnectWithAssertionRequest { subject: world.admin("globex"), ..beside.clone() };
    world.service.connect_with_assertion(limited(foreign)).await.expect_err("another workspace");
    world.service.connect_with_assertion(limited(beside)).await.unwrap();
}

/// A connection may hold a key and a grant: the audit log says which of them was released.
#[tokio::test]
async fn a_release_names_the_credential_that_was_released() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let begun = world.begin(&id).await.unwrap();
    world.complete(&begun, "acme").await.unwrap();
    let token = world.token_for(&id, Capability::Members).await.unwrap();
    let released = async || {
        let entries = world.store.audit_entries(world.organization.as_str(), 0, 100).await.unwrap();
        entries.into_iter().find(|entry| entry.action == "secret.release")
    };
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let entry = loop {
        if let Some(entry) = released().await {
            break entry;
        }
        assert!(tokio::time::Instant::now() < deadline, "the release is not in the audit log");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let version = world.store.credentials_of(&id.parse().unwrap()).await.unwrap();
    let version = version.into_iter().find(|version| version.generation == token.generation).unwrap();
    let told: serde_json::Value = serde_json::from_str(&entry.details).unwrap();
    assert_eq!(told["generation"], token.generation.to_string());
    assert_eq!(told["kind"], version.kind.as_str());
}

#[tokio::test]
async fn without_an_application_nobody_can_consent() {
    let world = World::new().await.without_application();
    let refused = world.begin("").await.unwrap_err();
    assert_eq!(reason(&refused), "OAUTH_NOT_CONFIGURED");
    assert!(refused.message().contains("`oauth.client_id`"), "{refused}");
    let request = ConnectWithAssertionRequest { subject: "a@b.example".to_owned(), ..Default::default() };
    let refused = world.caller.connections().connect_with_assertion(request).await.unwrap_err();
    assert_eq!(reason(&refused), "ASSERTION_NOT_CONFIGURED");
}

#[tokio::test]
async fn the_event_of_a_consent_names_no_secret() {
    let world = World::new().await;
    let begun = world.begin("").await.unwrap();
    let id = world.complete(&begun, "acme").await.unwrap().id;
    let outgoing = world.store.outgoing_of(&id.parse().unwrap()).await.unwrap();
    let Data::Connected(connected) = Event::decode(&outgoing[0].body).unwrap().data else { panic!() };
    assert_eq!(connected.workspace.as_deref(), Some("acme"));
    let token = world.token(&id).await.unwrap().access_token;
    let body = String::from_utf8_lossy(&outgoing[0].body).into_owned();
    assert!(!body.contains(&token) && !body.contains(SESSION));
}

#[tokio::test]
async fn key_encryption_keys_rotate_under_grants_and_consents_that_are_under_way() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    let other = world.consented("acme").await.id;
    let begun = world.begin(&id).await.unwrap();
    let new = format!("k2:{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]));
    let ring = |keys: String| {
        let entropy = Arc::new(SeededEntropy::new(5));
        Vault::from_keys(&SecretString::from(keys), entropy).unwrap()
    };
    let rotated = ring(format!("{new},{}", keys())).rotate(&world.store, |_| {}).await.unwrap();
    assert_eq!((rotated.resealed, rotated.stuck.len()), (3, 0));

    let world = world.with_vault(ring(new));
    assert_eq!(world.complete(&begun, "acme").await.unwrap().generation, 2);
    world.advance(TimeDelta::hours(23));
    assert_eq!(world.token(&id).await.unwrap().generation, 3);
    assert_eq!(world.token(&other).await.unwrap().generation, 2, "its refresh token was sealed anew");
}
