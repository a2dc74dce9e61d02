//! Forms: what every one has to carry, so that no page elsewhere can send it in a person's name; and how it is read.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tidemark_domain::Entropy;
use tokio::time::timeout;
use url::Url;

use crate::failure::Failure;

/// No form is larger; keys have at most four kilobytes.
pub(crate) const LIMIT: usize = 32 * 1024;
/// A form is there after this time, or not taken.
const IN_TIME: Duration = Duration::from_secs(15);
const FIELD: &str = "form_token";

/// A secret of this browser: 256 random bits.
pub(crate) fn secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The form token of a page that has no session: only whoever holds the page's secret can know it.
pub(crate) fn token_of(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::new().chain_update("form\0").chain_update(secret).finalize())
}

/// Reads a form before anything else is done for it: one that comes slowly costs a connection, and for a bounded time.
pub(crate) async fn whole(request: Request<Body>, next: Next) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let bytes = timeout(IN_TIME, to_bytes(body, LIMIT)).await.map_err(|_| Failure::too_slow())?;
    let bytes = bytes.map_err(|_| Failure::too_large())?;
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}

/// Refuses a form without the right token. Gives the request back, whole.
pub(crate) async fn checked(request: Request<Body>, expected: &str) -> Result<Request<Body>, Failure> {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LIMIT).await.map_err(|_| Failure::too_large())?;
    if !carries(&bytes, expected) {
        return Err(Failure::stale_form());
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn carries(bytes: &Bytes, expected: &str) -> bool {
    let mut fields = url::form_urlencoded::parse(bytes);
    let found = fields.find(|(key, _)| key == FIELD);
    !expected.is_empty() && found.is_some_and(|(_, value)| value.as_bytes().ct_eq(expected.as_bytes()).into())
}

/// Whether a form comes from one of the console's own pages, as far as the browser tells.
pub(crate) fn is_own(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    text("origin").is_none_or(|origin| origin == public_url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_needs_the_token_of_its_own_page() {
        let token = token_of("a");
        assert_ne!(token, token_of("b"));
        let form = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        assert!(carries(&form(&format!("a=b&form_token={token}")), &token));
        for text in ["", "form_token=", "form_token=x", "a=form_token"] {
            assert!(!carries(&form(text), &token), "{text}");
        }
        assert!(!carries(&form("form_token="), ""), "no token is no token");
    }

    #[test]
    fn a_form_of_another_origin_is_not_ours() {
        let url = "https://console.example/tidemark".parse().unwrap();
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
        };
        assert!(is_own(&HeaderMap::new(), &url));
        assert!(is_own(&with("origin", "https://console.example"), &url));
        assert!(is_own(&with("sec-fetch-site", "same-origin"), &url));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!is_own(&with(name, value), &url), "{name}: {value}");
        }
    }
}
