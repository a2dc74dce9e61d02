//! The way to a code: the application, the person who is asked, and the way back.

use std::collections::BTreeSet;

use crate::support::{Answer, acme, call, send};
use tidemark_productboard_sim::{App, Consent, Region, Simulator};
use url::form_urlencoded::{byte_serialize, parse};

pub(crate) const BACK: &str = "https://product.example/callback?tenant=7";
/// The pair of RFC 7636.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn app() -> App {
    App {
        client_id: "tide".to_owned(),
        client_secret: "s3cret/+ &".to_owned(),
        redirect_uris: vec![BACK.to_owned()],
        scopes: ["members:read", "teams:read", "analytics:read"].map(str::to_owned).into(),
        public_key_pem: Some(include_str!("../keys/rsa-test-only.public.pem").to_owned()),
    }
}

pub(crate) async fn with_app() -> Simulator {
    let simulator = acme().await;
    simulator.register_app(app());
    simulator
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

fn asked<'a>(changed: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", "tide"),
        ("redirect_uri", BACK),
        ("scope", "teams:read"),
        ("state", "<\"state\">&"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changed {
        pairs.retain(|(known, _)| known != name);
        pairs.push((name, value));
    }
    pairs
}

async fn authorize(simulator: &Simulator, changed: &[(&'static str, &str)]) -> Answer {
    let target = format!("/oauth2/authorize?{}", form(&asked(changed)));
    send(simulator, "GET", &target, None, "").await
}

async fn decide(simulator: &Simulator, changed: &[(&'static str, &str)]) -> Answer {
    send(simulator, "POST", "/oauth2/authorize", None, &form(&asked(changed))).await
}

/// The query of the redirect, which must go to the application.
fn returned(answer: &Answer, name: &str) -> Option<String> {
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("location").unwrap();
    let query = location.strip_prefix("https://product.example/callback?tenant=7&").unwrap();
    parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn the_page_asks_in_plain_html() {
    let simulator = with_app().await;
    let page = authorize(&simulator, &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    for part in [
        "<html lang=\"en\">",
        "<h1>Allow tide to use your workspace?</h1>",
        "<label for=\"workspace\">",
        "<option value=\"acme\">Acme</option>",
        "<code>teams:read</code>",
        "value=\"&lt;&quot;state&quot;&gt;&amp;\"",
        "value=\"allow\"",
        "value=\"deny\"",
    ] {
        assert!(page.text().contains(part), "{part} is not in {}", page.text());
    }
    assert!(!page.text().contains("<script"));
}

#[tokio::test]
async fn allow_returns_a_code_and_deny_a_refusal() {
    let simulator = with_app().await;
    let allowed = decide(&simulator, &[("decision", "allow"), ("workspace", "acme")]).await;
    assert!(returned(&allowed, "code").is_some());
    assert_eq!(returned(&allowed, "state").unwrap(), "<\"state\">&");
    assert_eq!(returned(&allowed, "iss").unwrap(), simulator.base_url());

    for decision in ["deny", "perhaps"] {
        let denied = decide(&simulator, &[("decision", decision), ("workspace", "acme")]).await;
        assert_eq!(returned(&denied, "error").unwrap(), "access_denied");
        assert_eq!(returned(&denied, "state").unwrap(), "<\"state\">&");
        assert_eq!(returned(&denied, "code"), None);
    }
    let unknown = decide(&simulator, &[("decision", "allow"), ("workspace", "nowhere")]).await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn what_cannot_be_trusted_is_shown_and_the_rest_returned() {
    let simulator = with_app().await;
    for changed in [("client_id", "x"), ("redirect_uri", "https://product.example/callback")] {
        for answer in [authorize(&simulator, &[changed]).await, decide(&simulator, &[changed]).await] {
            assert_eq!((answer.status, answer.header("location")), (400, None));
            assert!(answer.text().contains("role=\"alert\""));
        }
    }
    for (changed, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("scope", "teams:read teams:delete"), "invalid_scope"),
    ] {
        assert_eq!(returned(&authorize(&simulator, &[changed]).await, "error").unwrap(), error);
    }
}

#[tokio::test]
async fn a_host_offers_the_workspaces_of_its_data_centre() {
    let simulator = with_app().await;
    simulator.set_region("acme", Region::Eu);
    let page = authorize(&simulator, &[]).await;
    assert!(!page.text().contains("<option"));
    let elsewhere = decide(&simulator, &[("decision", "allow"), ("workspace", "acme")]).await;
    assert_eq!(elsewhere.status, 400);
    let target = format!("/oauth2/authorize?{}", form(&asked(&[])));
    assert!(call(&simulator.eu_base_url(), "GET", &target, "", "").await.text().contains("<option"));
}

#[tokio::test]
async fn tests_consent_without_a_browser() {
    let simulator = with_app().await;
    assert!(simulator.consent(&Consent::new("tide", "acme")).is_some());
    let more = BTreeSet::from(["entities:read".to_owned()]);
    for refused in [
        Consent::new("nobody", "acme"),
        Consent::new("tide", "nowhere"),
        Consent {
            redirect_uri: Some("https://elsewhere.example".to_owned()),
            ..Consent::new("tide", "acme")
        },
        Consent { scopes: more, ..Consent::new("tide", "acme") },
    ] {
        assert_eq!(simulator.consent(&refused), None, "{refused:?}");
    }
    let body = r#"{"client_id":"two","client_secret":"x","redirect_uris":["http://127.0.0.1/"],"scopes":["teams:read"]}"#;
    assert_eq!(send(&simulator, "POST", "/admin/oauth/apps", None, body).await.status, 201);
    let body = r#"{"client_id":"two","domain":"acme"}"#;
    let answer = send(&simulator, "POST", "/admin/oauth/consent", None, body).await;
    assert!(answer.body["code"].is_string());
    let unknown = r#"{"client_id":"two","domain":"nowhere"}"#;
    assert_eq!(send(&simulator, "POST", "/admin/oauth/consent", None, unknown).await.status, 404);
}
