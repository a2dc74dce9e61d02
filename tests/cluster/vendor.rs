//! The vendor's side of a consent: the registered application, and the person who agrees.

use std::collections::HashMap;

use tidemark_productboard_sim::{App, Consent, Simulator};
use tidemark_rpc::{
    client::Caller,
    connections::{BeginConsentRequest, CompleteConsentRequest, Connection},
};
use url::Url;

pub(crate) const CLIENT: &str = "tidemark";
pub(crate) const CLIENT_SECRET: &str = "cAnArY-application-secret";
/// What ties a consent to its browser.
pub(crate) const SESSION: &str = "cAnArY-browser-session-0123456789";
const REDIRECT: &str = "https://console.example/oauth/callback";
const SCOPES: &str = "members:read members:pii:read teams:read analytics:read";

/// What a process must know of the application.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("OAUTH__CLIENT_ID", CLIENT),
    ("OAUTH__CLIENT_SECRET", CLIENT_SECRET),
    ("OAUTH__REDIRECT_URL", REDIRECT),
    ("OAUTH__SCOPES", SCOPES),
];

pub(crate) fn register(simulator: &Simulator) {
    simulator.register_app(App {
        client_id: CLIENT.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
        scopes: SCOPES.split(' ').map(str::to_owned).collect(),
        public_key_pem: None,
    });
}

/// Somebody of the workspace consents: to a new connection of the organization, or to one that is there. Gives what came
/// back through the browser, too.
pub(crate) async fn consented(
    caller: &Caller,
    simulator: &Simulator,
    domain: &str,
    (organization_id, connection_id): (&str, &str),
) -> (Connection, CompleteConsentRequest) {
    let begin = BeginConsentRequest {
        organization_id: organization_id.to_owned(),
        connection_id: connection_id.to_owned(),
        session: SESSION.to_owned(),
        ..Default::default()
    };
    let begun = caller.connections().begin_consent(begin).await.unwrap().into_inner();
    let url: Url = begun.authorize_url.parse().unwrap();
    let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
    let consent = Consent {
        scopes: asked["scope"].split(' ').map(str::to_owned).collect(),
        code_challenge: Some(asked["code_challenge"].clone()),
        ..Consent::new(CLIENT, domain)
    };
    let answer = CompleteConsentRequest {
        session: SESSION.to_owned(),
        state: asked["state"].clone(),
        code: simulator.consent(&consent).unwrap(),
        error: String::new(),
        iss: simulator.base_url(),
    };
    let completed = caller.connections().complete_consent(answer.clone()).await.unwrap();
    (completed.into_inner().connection.unwrap(), answer)
}
