//! Parameters of an OAuth request: from the form in the body or from the query, which the vendor takes as well.

use std::collections::HashMap;

use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::oauth::{Credentials, OAuthError};

pub(super) struct Form(HashMap<String, String>);

impl Form {
    pub(super) fn read(uri: &Uri, body: &[u8]) -> Self {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
        // The body stands last, so it wins.
        Self(query.chain(form_urlencoded::parse(body).into_owned()).collect())
    }

    /// Empty counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or(OAuthError::invalid_request(missing))
    }

    /// `client_secret_basic`, else `client_secret_post`.
    pub(super) fn credentials(&self, headers: &HeaderMap) -> Result<Credentials, OAuthError> {
        let posted = || {
            let client_id = self.get("client_id")?.to_owned();
            let client_secret = self.get("client_secret")?.to_owned();
            Some(Credentials { client_id, client_secret, basic: false })
        };
        basic(headers).or_else(posted).ok_or_else(OAuthError::invalid_client)
    }
}

/// Both halves are form-encoded before they are joined, says RFC 6749.
fn basic(headers: &HeaderMap) -> Option<Credentials> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, client_secret) = pair.split_once(':')?;
    let (client_id, client_secret) = (decoded(client_id), decoded(client_secret));
    Some(Credentials { client_id, client_secret, basic: true })
}

fn decoded(text: &str) -> String {
    form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(text, _)| text.into_owned())
}
