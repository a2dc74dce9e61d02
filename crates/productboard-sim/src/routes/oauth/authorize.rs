//! `/oauth2/authorize`: asks a person, and sends the browser back with a code or a refusal.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use url::Url;

use super::form::Form;
use super::page;
use crate::gate::Api;
use crate::oauth::{Ask, OAuthError, Unasked};

pub(super) async fn ask(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let ask = read(&Form::read(&uri, &[]));
    match api.oauth.check(&ask) {
        Ok((app, scopes)) => {
            let workspaces = api.oauth.workspaces(api.region);
            Html(page::consent(&ask, &app, &scopes, &workspaces)).into_response()
        }
        Err(unasked) => refuse(&api, &headers, &ask, &unasked),
    }
}

/// The form of the page. Everything is checked again: a browser may send anything.
pub(super) async fn answer(State(api): State<Api>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    let form = Form::read(&uri, &body);
    let ask = read(&form);
    let scopes = match api.oauth.check(&ask) {
        Ok((_, scopes)) => scopes,
        Err(unasked) => return refuse(&api, &headers, &ask, &unasked),
    };
    if form.get("decision") != Some("allow") {
        let denied = OAuthError::new("access_denied", "The resource owner denied the request");
        return refuse(&api, &headers, &ask, &Unasked::Returned(denied));
    }
    let domain = form.get("workspace").unwrap_or_default();
    let here = api.oauth.workspaces(api.region).iter().any(|workspace| workspace.domain == domain);
    match here.then(|| api.oauth.allow(&ask, scopes, domain, api.clock.now())).flatten() {
        Some(code) => back(&api, &headers, &ask, &[("code", &code)]),
        None => refuse(&api, &headers, &ask, &Unasked::Shown("The workspace is unknown")),
    }
}

fn read(form: &Form) -> Ask {
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let optional = |name: &str| form.get(name).map(str::to_owned);
    Ask {
        response_type: text("response_type"),
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        scope: text("scope"),
        state: optional("state"),
        code_challenge: optional("code_challenge"),
        code_challenge_method: optional("code_challenge_method"),
    }
}

fn refuse(api: &Api, headers: &HeaderMap, ask: &Ask, unasked: &Unasked) -> Response {
    match unasked {
        Unasked::Shown(reason) => (StatusCode::BAD_REQUEST, Html(page::refusal(reason))).into_response(),
        Unasked::Returned(OAuthError { error, description, .. }) => {
            back(api, headers, ask, &[("error", error), ("error_description", description)])
        }
    }
}

/// To the redirect URI, which was checked before, with `state` and the issuer of RFC 9207.
fn back(api: &Api, headers: &HeaderMap, ask: &Ask, parameters: &[(&str, &str)]) -> Response {
    let Ok(mut target) = Url::parse(&ask.redirect_uri) else {
        return (StatusCode::BAD_REQUEST, Html(page::refusal("The redirect URI is no URL"))).into_response();
    };
    let mut query = target.query_pairs_mut();
    query.extend_pairs(parameters);
    if let Some(state) = &ask.state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &api.origin(headers));
    drop(query);
    (StatusCode::FOUND, [(header::LOCATION, String::from(target))]).into_response()
}
