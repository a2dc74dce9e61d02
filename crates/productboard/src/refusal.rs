//! From an answer that is no success to an [`Error`]: the table status → class stands here, once.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::Error;
use crate::route::Route;

/// How long to wait after a 429 that does not say.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Vendor's words beyond this many characters are cut.
const LONGEST_TEXT: usize = 300;

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) envelope: Envelope,
}

/// What the vendor says about an error; everything may be missing, as a proxy may have answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) id: Option<String>,
    codes: Vec<String>,
    details: Vec<String>,
}

impl Envelope {
    /// Reads the vendor's error envelope. Should it echo the token, that is blotted out.
    pub(crate) fn read(body: &[u8], token: &str) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(|text| clean(text, token));
        let errors = || body["errors"].as_array().into_iter().flatten();
        Self {
            id: text(&body["id"]),
            codes: errors().filter_map(|error| text(&error["code"])).collect(),
            details: errors().filter_map(|error| text(&error["detail"])).collect(),
        }
    }

    fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|its| its == code)
    }

    /// The scope in "Missing required scope members:read".
    fn missing_scope(&self) -> Option<String> {
        let after = |detail: &String| {
            let (_, rest) = detail.split_once("required scope ")?;
            let scope = rest.split_whitespace().next()?.trim_matches(['`', '\'', '"', '.', ',']);
            Some(scope.to_owned())
        };
        self.details.iter().find_map(after)
    }

    fn words(&self) -> String {
        match (self.details.first(), self.codes.first()) {
            (Some(detail), _) => detail.clone(),
            (None, Some(code)) => code.clone(),
            (None, None) => "without a reason".to_owned(),
        }
    }
}

/// One line of bounded length without the token.
pub(crate) fn clean(text: &str, token: &str) -> String {
    let text = text.replace(token, "[token]");
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

impl Refusal {
    pub(crate) fn into_error(self, route: Route) -> Error {
        let Self { status, retry_after, envelope } = self;
        let (attempted, code) = (route.attempted(), status.as_u16());
        let vendor_id = envelope.id.clone();
        let analytics = route == Route::MemberActivities;
        match code {
            _ if envelope.has("planUpgrade.required") => {
                Error::NotAvailable { attempted, status: code, vendor_id }
            }
            402 | 404 | 501 if analytics => Error::NotAvailable { attempted, status: code, vendor_id },
            300..=399 => {
                changed(route, format!("a redirect (status {code}) instead of an answer"), vendor_id)
            }
            401 => Error::Rejected { attempted, vendor_id },
            403 => Error::Forbidden { attempted, missing_scope: envelope.missing_scope(), vendor_id },
            404 if !envelope.has("resource.notFound") => {
                changed(route, "the route is gone (status 404)".to_owned(), vendor_id)
            }
            429 => {
                let retry_after = retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
                Error::RateLimited { attempted, retry_after, vendor_id }
            }
            408 | 425 | 500.. => Error::Transient { attempted, status: Some(code), vendor_id, source: None },
            400..=499 => Error::Invalid { attempted, status: code, detail: envelope.words(), vendor_id },
            _ => changed(route, format!("an unexpected status {code}"), vendor_id),
        }
    }
}

fn changed(route: Route, problem: String, vendor_id: Option<String>) -> Error {
    Error::VendorChanged { attempted: route.attempted(), path: String::new(), problem, vendor_id }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn error(route: Route, status: u16, code: &str, detail: &str) -> Error {
        let body = json!({ "id": "req-1", "errors": [{ "code": code, "detail": detail }] }).to_string();
        let status = StatusCode::from_u16(status).unwrap();
        let envelope = Envelope::read(body.as_bytes(), "hush");
        Refusal { status, retry_after: None, envelope }.into_error(route)
    }

    #[test]
    fn every_status_has_its_class() {
        let members = |status, code| error(Route::Members, status, code, "because");
        let analytics = |status, code| error(Route::MemberActivities, status, code, "because");
        let team = |status, code| error(Route::TeamMembers(Uuid::nil()), status, code, "because");
        assert!(matches!(members(401, "auth.invalid"), Error::Rejected { .. }));
        assert!(matches!(members(403, "auth.accessDenied"), Error::Forbidden { missing_scope: None, .. }));
        assert!(matches!(members(403, "planUpgrade.required"), Error::NotAvailable { status: 403, .. }));
        assert!(matches!(analytics(404, "route.notFound"), Error::NotAvailable { status: 404, .. }));
        assert!(matches!(analytics(501, ""), Error::NotAvailable { status: 501, .. }));
        assert!(matches!(analytics(403, "auth.accessDenied"), Error::Forbidden { .. }));
        assert!(matches!(members(404, "route.notFound"), Error::VendorChanged { .. }));
        assert!(matches!(team(404, "resource.notFound"), Error::Invalid { status: 404, .. }));
        assert!(matches!(members(429, ""), Error::RateLimited { retry_after: DEFAULT_RETRY_AFTER, .. }));
        for status in [408, 425, 500, 501, 502, 503, 504, 599] {
            let error = members(status, "");
            assert!(matches!(error, Error::Transient { status: Some(its), .. } if its == status), "{status}");
        }
        for status in [400, 402, 405, 409, 410, 422] {
            let error = members(status, "");
            assert!(matches!(error, Error::Invalid { status: its, .. } if its == status), "{status}");
        }
        for status in [301, 302, 304, 307] {
            assert!(matches!(members(status, ""), Error::VendorChanged { .. }), "{status}");
        }
    }

    #[test]
    fn the_vendors_words_are_kept_without_the_token() {
        let error = error(Route::Teams, 400, "request.invalid", "bad\n header Bearer hush");
        assert_eq!(error.vendor_id(), Some("req-1"));
        let expected =
            "could not list teams: Productboard refused the request (status 400): bad header Bearer [token]";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_missing_scope_is_named() {
        let error = error(Route::Teams, 403, "access.missing_scope", "Missing required scope teams:read.");
        assert_eq!(error.to_string(), "could not list teams: the token lacks the scope teams:read");
    }

    #[test]
    fn any_body_is_an_envelope() {
        for body in
            ["", "<html>", "[]", r#"{"id":4,"errors":{}}"#, r#"{"ok":false,"errors":{"source":["x"]}}"#]
        {
            assert_eq!(Envelope::read(body.as_bytes(), "hush"), Envelope::default(), "{body}");
        }
    }
}
