//! Codes, refresh tokens and assertions become access tokens, once, by the clock, and with the faults of the network.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::oauth::{BACK, CHALLENGE, VERIFIER, app, form, with_app};
use crate::support::{Answer, call, raw, send};
use tidemark_productboard_sim::{App, Consent, Region, Simulator, fingerprint};

const SECRET: [(&str, &str); 2] = [("client_id", "tide"), ("client_secret", "s3cret/+ &")];
const HOUR: Duration = Duration::from_secs(3600);

async fn token(simulator: &Simulator, pairs: &[(&str, &str)]) -> Answer {
    send(simulator, "POST", "/oauth2/token", None, &form(&[&SECRET, pairs].concat())).await
}

async fn redeem(simulator: &Simulator, code: &str) -> Answer {
    token(simulator, &[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", BACK)]).await
}

async fn refresh(simulator: &Simulator, refresh_token: &str) -> Answer {
    token(simulator, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

async fn status(simulator: &Simulator, token: &str) -> u16 {
    send(simulator, "GET", "/v2/teams", Some(token), "").await.status
}

fn text<'a>(answer: &'a Answer, field: &str) -> &'a str {
    answer.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", answer.body))
}

fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, text(answer, "error")), (status, error), "{}", answer.body);
    assert!(answer.body["error_description"].is_string());
}

/// The first pair of a consent.
async fn pair(simulator: &Simulator) -> (String, String) {
    let code = simulator.consent(&Consent::new("tide", "acme")).unwrap();
    let answer = redeem(simulator, &code).await;
    (text(&answer, "access_token").to_owned(), text(&answer, "refresh_token").to_owned())
}

#[tokio::test]
async fn a_code_gives_a_pair_with_all_its_fields() {
    let simulator = with_app().await;
    let code = simulator.consent(&Consent::new("tide", "acme")).unwrap();
    let answer = redeem(&simulator, &code).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let fields = &answer.body;
    assert_eq!((&fields["token_type"], &fields["expires_in"]), (&json!("Bearer"), &json!(86_400)));
    assert_eq!(fields["refresh_token_expires_in"], 180 * 86_400);
    assert_eq!(fields["scope"], "analytics:read members:read teams:read");
    assert!(fields["created_at"].as_i64().unwrap() > 1_700_000_000);

    let access = text(&answer, "access_token");
    assert_eq!(status(&simulator, access).await, 200);
    let info = send(&simulator, "GET", &format!("/oauth2/token/info?access_token={access}"), None, "").await;
    assert_eq!(info.body["space"], json!({ "domain": "acme", "name": "Acme" }));
    assert_eq!(info.body["scopes"], json!(["analytics:read", "members:read", "teams:read"]));
    assert!(info.body["resource_owner"]["email"].as_str().unwrap().contains('@'));
    assert!((86_390..=86_400).contains(&info.body["expires_in"].as_i64().unwrap()));
    let key = send(&simulator, "GET", "/oauth2/token/info?access_token=t", None, "").await;
    refused(&key, 401, "invalid_token");
}

#[tokio::test]
async fn the_header_can_be_no_proof() {
    let simulator = with_app().await;
    let (access, refresh_token) = pair(&simulator).await;
    simulator.app_faults("tide", |faults| faults.refuse_basic = true);
    let basic = format!("Authorization: Basic {}\r\n", STANDARD.encode("tide:s3cret%2F%2B+%26"));
    let grant = form(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]);
    let revocation = form(&[("token", &access)]);
    for (target, body) in [("/oauth2/token", &grant), ("/oauth2/revoke", &revocation)] {
        let answer = call(&simulator.base_url(), "POST", target, &basic, body).await;
        refused(&answer, 401, "invalid_client");
    }
    assert_eq!(refresh(&simulator, &refresh_token).await.status, 200, "in the body it is");
    assert_eq!(status(&simulator, &access).await, 200);
}

#[tokio::test]
async fn clients_prove_themselves_in_the_header_the_body_or_the_query() {
    let simulator = with_app().await;
    let (_, refresh_token) = pair(&simulator).await;
    let grant = form(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]);
    let query = format!("/oauth2/token?{grant}&{}", form(&SECRET));
    assert_eq!(send(&simulator, "POST", &query, None, "").await.status, 200);
    for (secret, status) in [("s3cret%2F%2B+%26", 200), ("wrong", 401)] {
        let basic = format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("tide:{secret}")));
        let answer = call(&simulator.base_url(), "POST", "/oauth2/token", &basic, &grant).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
    refused(&send(&simulator, "POST", "/oauth2/token", None, &grant).await, 401, "invalid_client");
    refused(&token(&simulator, &[("grant_type", "password")]).await, 400, "unsupported_grant_type");
    refused(&token(&simulator, &[]).await, 400, "invalid_request");
}

#[tokio::test]
async fn a_code_lives_ten_minutes_and_fits_its_request_only() {
    let simulator = with_app().await;
    let challenged = Consent { code_challenge: Some(CHALLENGE.to_owned()), ..Consent::new("tide", "acme") };
    let code = simulator.consent(&challenged).unwrap();
    refused(&redeem(&simulator, &code).await, 400, "invalid_grant");
    let grant = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let wrong = [&grant[..], &[("redirect_uri", BACK), ("code_verifier", "wrong")]].concat();
    refused(&token(&simulator, &wrong).await, 400, "invalid_grant");
    let elsewhere =
        [&grant[..], &[("redirect_uri", "https://product.example"), ("code_verifier", VERIFIER)]].concat();
    refused(&token(&simulator, &elsewhere).await, 400, "invalid_grant");
    simulator.set_region("acme", Region::Eu);
    let right = [&grant[..], &[("redirect_uri", BACK), ("code_verifier", VERIFIER)]].concat();
    refused(&token(&simulator, &right).await, 400, "invalid_grant");
    simulator.set_region("acme", Region::Us);
    assert_eq!(token(&simulator, &right).await.status, 200);

    let late = simulator.consent(&Consent::new("tide", "acme")).unwrap();
    simulator.advance(Duration::from_secs(600));
    refused(&redeem(&simulator, &late).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_code_used_twice_takes_everything_back() {
    let simulator = with_app().await;
    let code = simulator.consent(&Consent::new("tide", "acme")).unwrap();
    let first = redeem(&simulator, &code).await;
    let second = refresh(&simulator, text(&first, "refresh_token")).await;
    assert_eq!(status(&simulator, text(&second, "access_token")).await, 200);
    refused(&redeem(&simulator, &code).await, 400, "invalid_grant");
    for answer in [&first, &second] {
        assert_eq!(status(&simulator, text(answer, "access_token")).await, 401);
        refused(&refresh(&simulator, text(answer, "refresh_token")).await, 400, "invalid_grant");
    }
}

#[tokio::test]
async fn refresh_tokens_rotate_with_an_hour_of_grace() {
    let simulator = with_app().await;
    let (access, old) = pair(&simulator).await;
    simulator.advance(24 * HOUR);
    assert_eq!(status(&simulator, &access).await, 401);
    let first = refresh(&simulator, &old).await;
    simulator.advance(HOUR - Duration::from_secs(60));
    let again = refresh(&simulator, &old).await;
    assert_ne!(text(&first, "refresh_token"), text(&again, "refresh_token"));
    for answer in [&first, &again] {
        assert_eq!(status(&simulator, text(answer, "access_token")).await, 200);
    }
    simulator.advance(Duration::from_secs(60));
    refused(&refresh(&simulator, &old).await, 400, "invalid_grant");
    assert_eq!(refresh(&simulator, text(&first, "refresh_token")).await.status, 200);

    let uses = simulator.refresh_uses("tide");
    let of_old = uses.iter().find(|told| told.fingerprint == fingerprint(&old)).unwrap();
    assert_eq!((of_old.uses, of_old.in_grace, of_old.reuse_detected), (3, 1, 1));
    assert!(!format!("{uses:?}").contains(&old));
    let told = send(&simulator, "GET", "/admin/oauth/apps/tide/refreshes", None, "").await;
    assert_eq!(told.body[0]["reuse_detected"], 1);

    simulator.advance(180 * 24 * HOUR);
    refused(&refresh(&simulator, text(&again, "refresh_token")).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_and_never_for_more() {
    let simulator = with_app().await;
    let (_, refresh_token) = pair(&simulator).await;
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let more = token(&simulator, &[&grant[..], &[("scope", "entities:read")]].concat()).await;
    refused(&more, 400, "invalid_scope");
    let less = token(&simulator, &[&grant[..], &[("scope", "members:read")]].concat()).await;
    assert_eq!(text(&less, "scope"), "members:read");
    assert_eq!(status(&simulator, text(&less, "access_token")).await, 403);
}

#[tokio::test]
async fn revoked_tokens_are_dead() {
    let simulator = with_app().await;
    let (access, refresh_token) = pair(&simulator).await;
    simulator.register_app(App { client_id: "two".to_owned(), ..app() });
    let of_other = form(&[("client_id", "two"), SECRET[1], ("token", &refresh_token)]);
    assert_eq!(send(&simulator, "POST", "/oauth2/revoke", None, &of_other).await.status, 200);
    assert_eq!(status(&simulator, &access).await, 200, "another application revokes nothing");

    let revoke = async |token: &str| {
        let body = form(&[&SECRET[..], &[("token", token)]].concat());
        send(&simulator, "POST", "/oauth2/revoke", None, &body).await.status
    };
    assert_eq!(revoke(&access).await, 200);
    assert_eq!(status(&simulator, &access).await, 401);
    let next = refresh(&simulator, &refresh_token).await;
    assert_eq!(revoke(&refresh_token).await, 200);
    assert_eq!(status(&simulator, text(&next, "access_token")).await, 401, "it takes its grant with it");
    refused(&refresh(&simulator, &refresh_token).await, 400, "invalid_grant");
    assert_eq!(revoke("unknown").await, 200);
}

fn signed(key: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

#[tokio::test]
async fn assertions_give_five_minutes_and_no_refresh() {
    let simulator = with_app().await;
    let email = simulator.workspace("acme").unwrap().members[0].email.clone();
    let now = simulator.now().timestamp();
    let claims =
        json!({ "iss": "tide", "sub": email, "aud": simulator.base_url(), "iat": now, "exp": now + 60 });
    let assert = async |key: &str, claims: &Value| {
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let body = form(&[grant, ("assertion", &signed(key, claims))]);
        send(&simulator, "POST", "/oauth2/token", None, &body).await
    };
    let key = include_str!("../keys/rsa-test-only.private.pem");
    let answer = assert(key, &claims).await;
    assert_eq!((&answer.body["expires_in"], &answer.body["refresh_token"]), (&json!(300), &Value::Null));
    let access = text(&answer, "access_token").to_owned();
    assert_eq!(status(&simulator, &access).await, 200);

    refused(
        &assert(include_str!("../keys/other-rsa-test-only.private.pem"), &claims).await,
        400,
        "invalid_grant",
    );
    for (claim, value) in [
        ("iss", json!("nobody")),
        ("sub", json!("nobody@example.com")),
        ("aud", json!("https://elsewhere.example")),
        ("exp", json!(now - 1)),
        ("iat", json!(now + 3600)),
        ("exp", Value::Null),
    ] {
        let mut claims = claims.clone();
        claims[claim] = value;
        refused(&assert(key, &claims).await, 400, "invalid_grant");
    }
    let mut scoped = claims.clone();
    scoped["scope"] = json!("teams:delete");
    refused(&assert(key, &scoped).await, 400, "invalid_scope");

    simulator.advance(Duration::from_secs(301));
    assert_eq!(status(&simulator, &access).await, 401);
    refused(&assert(key, &claims).await, 400, "invalid_grant");
}

#[tokio::test]
async fn the_token_endpoint_fails_on_order() {
    let simulator = with_app().await;
    let (_, refresh_token) = pair(&simulator).await;
    let faults = r#"{"token_fail_next":[503,400,429],"token_latency_ms":30}"#;
    let target = "/admin/oauth/apps/tide/faults";
    assert_eq!(send(&simulator, "PUT", target, None, faults).await.status, 204);
    let start = std::time::Instant::now();
    for (status, error) in [(503, "temporarily_unavailable"), (400, "invalid_grant"), (429, "slow_down")] {
        refused(&refresh(&simulator, &refresh_token).await, status, error);
    }
    assert!(start.elapsed() >= Duration::from_millis(90));
    assert_eq!(refresh(&simulator, &refresh_token).await.status, 200);
    let unanswerable = send(&simulator, "PUT", target, None, r#"{"token_fail_next":[200]}"#).await;
    assert_eq!(unanswerable.status, 400);
}

#[tokio::test]
async fn a_lost_answer_has_rotated_and_grace_saves_the_grant() {
    let simulator = with_app().await;
    let (_, refresh_token) = pair(&simulator).await;
    assert!(simulator.app_faults("tide", |faults| faults.token_answer_lost = 1));
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let body = form(&[&SECRET[..], &grant].concat());
    let nothing = raw(&simulator.base_url(), "POST", "/oauth2/token", "", &body).await;
    assert!(nothing.is_empty(), "{}", String::from_utf8_lossy(&nothing));
    assert_eq!(simulator.refresh_uses("tide").len(), 2, "it rotated");
    assert_eq!(refresh(&simulator, &refresh_token).await.status, 200);
    let old = simulator.refresh_uses("tide").into_iter().find(|told| told.uses > 0).unwrap();
    assert_eq!((old.uses, old.in_grace), (2, 1));
}
