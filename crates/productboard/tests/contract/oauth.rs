//! OAuth: from the consent to the revocation, and everything that can go wrong with a refresh token.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use tidemark_productboard::MembersQuery;
use tidemark_productboard::oauth::{App, Assertion, ClientAuthentication, Error, Grant, OAuth};
use tidemark_productboard_sim as sim;

use crate::support::{all, client_of, simulator};

const CLIENT: &str = "tidemark-app";
const SECRET: &str = "app-secret/+ with space";
const REDIRECT: &str = "https://console.example/oauth/return";
const PRIVATE_KEY: &str = include_str!("../../../productboard-sim/tests/keys/rsa-test-only.private.pem");
const PUBLIC_KEY: &str = include_str!("../../../productboard-sim/tests/keys/rsa-test-only.public.pem");
const HOUR: Duration = Duration::from_secs(3600);

fn register(simulator: &sim::Simulator) {
    simulator.register_app(sim::App {
        client_id: CLIENT.to_owned(),
        client_secret: SECRET.to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
        scopes: ["members:read", "analytics:read"].map(str::to_owned).into(),
        public_key_pem: Some(PUBLIC_KEY.to_owned()),
    });
}

fn oauth_with(host: &str, secret: &str, authentication: ClientAuthentication) -> OAuth {
    let app = App {
        client_id: CLIENT.to_owned(),
        client_secret: SecretString::from(secret),
        authentication,
        redirect_url: REDIRECT.parse().unwrap(),
    };
    let timeout = Duration::from_secs(5);
    OAuth::new(&host.parse().unwrap(), &app, timeout, &["127.0.0.1".to_owned()]).unwrap()
}

fn oauth(simulator: &sim::Simulator) -> OAuth {
    oauth_with(&simulator.base_url(), SECRET, ClientAuthentication::Post)
}

/// A person consents in their browser; gives the code and what was kept for it.
fn consent(simulator: &sim::Simulator, oauth: &OAuth) -> (SecretString, SecretString) {
    let consent = oauth.authorize(["members:read", "analytics:read"]);
    let parameter = |name: &str| {
        let found = consent.url.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    assert_eq!(consent.url.path(), "/oauth2/authorize");
    assert_eq!(parameter("response_type").as_deref(), Some("code"));
    assert_eq!(parameter("scope").as_deref(), Some("members:read analytics:read"));
    assert_eq!(parameter("redirect_uri").as_deref(), Some(REDIRECT));
    assert_eq!(parameter("state").as_deref(), Some(consent.state.expose_secret()));
    assert_eq!(parameter("code_challenge_method").as_deref(), Some("S256"));
    let code = simulator.consent(&sim::Consent {
        code_challenge: parameter("code_challenge"),
        ..sim::Consent::new(CLIENT, "acme")
    });
    (SecretString::from(code.unwrap()), consent.verifier)
}

async fn granted(simulator: &sim::Simulator, oauth: &OAuth) -> Grant {
    let (code, verifier) = consent(simulator, oauth);
    oauth.exchange(&code, &verifier).await.unwrap()
}

fn refresh_token(grant: &Grant) -> &SecretString {
    grant.refresh_token.as_ref().unwrap()
}

#[tokio::test]
async fn a_consent_becomes_a_grant_that_reads_the_workspace() {
    let simulator = simulator().await;
    register(&simulator);
    for authentication in [ClientAuthentication::Post, ClientAuthentication::Basic] {
        let oauth = oauth_with(&simulator.base_url(), SECRET, authentication);
        let grant = granted(&simulator, &oauth).await;
        assert_eq!(grant.expires_in, Some(24 * HOUR));
        assert_eq!(grant.refresh_expires_in, Some(180 * 24 * HOUR));
        assert_eq!(grant.scopes.len(), 2);
        let client = client_of(&simulator, grant.access_token.expose_secret());
        assert_eq!(all(client.members(&MembersQuery::everyone(), None)).await.unwrap().len(), 60);
        let info = oauth.token_info(&grant.access_token).await.unwrap();
        assert_eq!(info.workspace.as_deref(), Some("acme"));
        assert!(info.scopes.contains(&"members:read".to_owned()));
        assert!(info.resource_owner.known().is_some());
    }
}

/// The same in a browser: the page, the form, and the way back.
#[tokio::test]
async fn a_person_consents_on_the_page() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let consent = oauth.authorize(["members:read"]);
    let browser =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let page = browser.get(consent.url.clone()).send().await.unwrap().text().await.unwrap();
    let mut form: Vec<(String, String)> = fields(&page, "hidden");
    form.push(("workspace".to_owned(), "acme".to_owned()));
    for decision in ["deny", "allow"] {
        let mut sent = form.clone();
        sent.push(("decision".to_owned(), decision.to_owned()));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(sent).finish();
        let request = browser.post(format!("{}/oauth2/authorize", simulator.base_url())).body(body);
        let answer =
            request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        let back = answer.headers()["location"].to_str().unwrap().parse::<url::Url>().unwrap();
        let parameter =
            |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(parameter("state").as_deref(), Some(consent.state.expose_secret()));
        match decision {
            "deny" => assert_eq!(parameter("error").as_deref(), Some("access_denied")),
            _ => {
                let code = SecretString::from(parameter("code").unwrap());
                oauth.exchange(&code, &consent.verifier).await.unwrap();
            }
        }
    }
}

/// Names and values of a page's inputs of one type.
fn fields(page: &str, kind: &str) -> Vec<(String, String)> {
    let attribute = |input: &str, name: &str| {
        let (_, rest) = input.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.replace("&amp;", "&"))
    };
    let inputs = page.split("<input").skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    inputs
        .filter(|input| attribute(input, "type").as_deref() == Some(kind))
        .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default())))
        .collect()
}

#[tokio::test]
async fn a_code_works_once_with_its_verifier_and_in_time() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let (code, _) = consent(&simulator, &oauth);
    let foreign = SecretString::from("x".repeat(43));
    assert!(matches!(oauth.exchange(&code, &foreign).await.unwrap_err(), Error::InvalidGrant { .. }));
    let (code, verifier) = consent(&simulator, &oauth);
    oauth.exchange(&code, &verifier).await.unwrap();
    assert!(matches!(oauth.exchange(&code, &verifier).await.unwrap_err(), Error::InvalidGrant { .. }));
    let (code, verifier) = consent(&simulator, &oauth);
    simulator.advance(Duration::from_secs(601));
    assert!(matches!(oauth.exchange(&code, &verifier).await.unwrap_err(), Error::InvalidGrant { .. }));
}

#[tokio::test]
async fn a_refresh_token_rotates_with_an_hour_of_grace() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let first = granted(&simulator, &oauth).await;
    let second = oauth.refresh(refresh_token(&first)).await.unwrap();
    assert_ne!(refresh_token(&first).expose_secret(), refresh_token(&second).expose_secret());
    oauth.refresh(refresh_token(&first)).await.expect("within the grace");
    simulator.advance(HOUR + Duration::from_secs(1));
    let error = oauth.refresh(refresh_token(&first)).await.unwrap_err();
    assert!(matches!(error, Error::InvalidGrant { .. }), "{error:?}");
    oauth.refresh(refresh_token(&second)).await.unwrap();
    let uses = simulator.refresh_uses(CLIENT);
    assert_eq!(uses.iter().map(|its| its.reuse_detected).sum::<u64>(), 1);
}

#[tokio::test]
async fn an_answer_that_got_lost_leaves_doubt_and_the_old_token_resolves_it() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let grant = granted(&simulator, &oauth).await;
    simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 1);
    let error = oauth.refresh(refresh_token(&grant)).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt { status: None, source: Some(_), .. }), "{error:?}");
    oauth.refresh(refresh_token(&grant)).await.expect("the grace is for this");
}

#[tokio::test]
async fn faults_of_the_token_endpoint_are_sorted_by_what_to_do() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let grant = granted(&simulator, &oauth).await;
    simulator.app_faults(CLIENT, |faults| {
        faults.token_fail_next = [503, 429, 401, 400].into();
        faults.token_latency = Duration::from_millis(20);
    });
    let mut errors = Vec::new();
    for _ in 0..4 {
        errors.push(oauth.refresh(refresh_token(&grant)).await.unwrap_err());
    }
    assert!(matches!(errors[0], Error::InDoubt { status: Some(503), .. }), "{:?}", errors[0]);
    assert!(matches!(errors[1], Error::RateLimited { .. }), "{:?}", errors[1]);
    assert!(matches!(errors[2], Error::InvalidClient { .. }), "{:?}", errors[2]);
    assert!(matches!(errors[3], Error::InvalidGrant { .. }), "{:?}", errors[3]);

    let wrong = oauth_with(&simulator.base_url(), "wrong", ClientAuthentication::Basic);
    let error = wrong.refresh(refresh_token(&grant)).await.unwrap_err();
    assert!(matches!(error, Error::InvalidClient { .. }), "{error:?}");
    oauth.refresh(refresh_token(&grant)).await.expect("nothing was spent");

    simulator.app_faults(CLIENT, |faults| faults.refuse_basic = true);
    let basic = oauth_with(&simulator.base_url(), SECRET, ClientAuthentication::Basic);
    let error = basic.refresh(refresh_token(&grant)).await.unwrap_err();
    assert!(matches!(error, Error::InvalidClient { .. }), "{error:?}");

    let base_url = simulator.base_url();
    simulator.shutdown().await;
    let nobody = oauth_with(&base_url, SECRET, ClientAuthentication::Post);
    let error = nobody.refresh(refresh_token(&grant)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_revoked_grant_is_over() {
    let simulator = simulator().await;
    register(&simulator);
    for authentication in [ClientAuthentication::Post, ClientAuthentication::Basic] {
        let oauth = oauth_with(&simulator.base_url(), SECRET, authentication);
        let grant = granted(&simulator, &oauth).await;
        oauth.revoke(refresh_token(&grant)).await.unwrap();
        let error = oauth.refresh(refresh_token(&grant)).await.unwrap_err();
        assert!(matches!(error, Error::InvalidGrant { .. }), "{error:?}");
        let error = oauth.token_info(&grant.access_token).await.unwrap_err();
        assert!(matches!(error, Error::InvalidGrant { .. }), "{error:?}");
    }
}

fn assertion(simulator: &sim::Simulator, issued_at: DateTime<Utc>) -> Assertion {
    let member = &simulator.workspace("acme").unwrap().members[0];
    Assertion {
        issuer: CLIENT.to_owned(),
        subject: member.email.clone(),
        audience: simulator.base_url(),
        issued_at,
        lifetime: Duration::from_secs(60),
        scopes: vec!["members:read".to_owned()],
        private_key_pem: SecretString::from(PRIVATE_KEY),
    }
}

#[tokio::test]
async fn an_assertion_becomes_a_short_token_without_a_refresh_token() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let grant = oauth.assert(&assertion(&simulator, simulator.now())).await.unwrap();
    assert_eq!(grant.expires_in, Some(Duration::from_secs(300)));
    assert!(grant.refresh_token.is_none());
    let client = client_of(&simulator, grant.access_token.expose_secret());
    assert!(!all(client.members(&MembersQuery::default(), None)).await.unwrap().is_empty());

    let late = assertion(&simulator, simulator.now() - chrono::TimeDelta::hours(1));
    assert!(matches!(oauth.assert(&late).await.unwrap_err(), Error::InvalidGrant { .. }));
    let key = SecretString::from("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----");
    let wrong = Assertion { private_key_pem: key, ..assertion(&simulator, simulator.now()) };
    let error = oauth.assert(&wrong).await.unwrap_err();
    assert!(matches!(error, Error::Configuration(_)), "{error:?}");
    assert!(!format!("{error:?} {wrong:?}").contains("nonsense"));
}

#[tokio::test]
async fn nothing_secret_is_told() {
    let simulator = simulator().await;
    register(&simulator);
    let oauth = oauth(&simulator);
    let grant = granted(&simulator, &oauth).await;
    let secrets = [&grant.access_token, refresh_token(&grant)].map(|its| its.expose_secret().to_owned());
    let mut told = format!("{grant:?} {oauth:?} {:?}", oauth.authorize(["members:read"]).state);
    oauth.revoke(&grant.access_token).await.unwrap();
    oauth.revoke(refresh_token(&grant)).await.unwrap();
    for error in [
        oauth.token_info(&grant.access_token).await.unwrap_err(),
        oauth.refresh(refresh_token(&grant)).await.unwrap_err(),
    ] {
        told += &format!("{error} {error:?}");
    }
    for secret in secrets.iter().map(String::as_str).chain([SECRET]) {
        assert!(!told.contains(secret), "{told}");
    }
}
