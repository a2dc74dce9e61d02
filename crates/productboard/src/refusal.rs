//! From an answer that is no success to an [`Error`]: the table status → class stands here, once.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::client::Deprecation;
use crate::headers;
use crate::operation::Operation;
use crate::{Error, Rejection};

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) envelope: Envelope,
    pub(crate) deprecation: Option<Deprecation>,
}

/// What the vendor says about an error; everything may be missing, as a proxy may have answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) id: Option<String>,
    codes: Vec<String>,
    /// What is wrong, each with the place it is in, where the vendor names one.
    details: Vec<String>,
    /// What a 401 says about the token.
    rejection: Option<Rejection>,
    /// A web page came.
    is_page: bool,
}

impl Envelope {
    /// Reads the vendor's error envelope. `clean` blots out the token, should they echo it.
    pub(crate) fn read(body: &[u8], clean: impl Fn(&str) -> String) -> Self {
        let (rejection, is_page) = (rejection(body), is_page(body));
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(&clean);
        let detail = |error: &Value| {
            let detail = text(&error["detail"]).or_else(|| text(&error["title"]))?;
            let place = text(&error["source"]["parameter"]).or_else(|| text(&error["source"]["pointer"]));
            Some(place.map_or_else(|| detail.clone(), |place| format!("{detail} (at {place})")))
        };
        let errors = || body["errors"].as_array().into_iter().flatten();
        Self {
            id: text(&body["id"]),
            codes: errors().filter_map(|error| text(&error["code"])).collect(),
            details: errors().filter_map(detail).collect(),
            rejection,
            is_page,
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
        match (self.details.as_slice(), self.codes.first()) {
            ([], Some(code)) => code.clone(),
            ([], None) => "without a reason".to_owned(),
            (details, _) => details.join("; "),
        }
    }
}

/// Whether a body is a web page, which the vendor's API never sends.
pub(crate) fn is_page(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// The gateway in front of the API answers in sentences, the API in its envelope. Looked for in the text, since a body
/// may be cut or dressed differently.
fn rejection(body: &[u8]) -> Option<Rejection> {
    let text = String::from_utf8_lossy(body).to_lowercase();
    let says = |words: &str| text.contains(words);
    let known = [
        ("bad token", Rejection::Malformed),
        ("no credentials found", Rejection::UnknownIssuer),
        ("auth.invalid", Rejection::Invalid),
        ("unauthorized", Rejection::Missing),
    ];
    known.into_iter().find(|(words, _)| says(words)).map(|(_, rejection)| rejection)
}

impl Refusal {
    /// Whether somebody else than the vendor says so. Of a server's trouble the status says enough.
    pub(crate) fn is_of_another(&self) -> bool {
        let code = self.status.as_u16();
        code == 407 || self.envelope.is_page && !matches!(code, 300..=399 | 408 | 410 | 425 | 429 | 500..)
    }

    /// The same for a token that was sent by HTTP Basic.
    pub(crate) fn sent_by_basic(mut self) -> Self {
        if self.envelope.rejection != Some(Rejection::Invalid) {
            self.envelope.rejection = Some(Rejection::Basic);
        }
        self
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let Self { status, retry_after, envelope, deprecation } = self;
        let Operation { attempted, in_some_plans } = operation;
        // An unknown route is answered so before anything else is looked at: it never speaks of a plan. A plan's
        // refusal has a code of its own.
        let tells_of_plan = in_some_plans && !envelope.codes.is_empty() && !envelope.has("route.notFound");
        let code = status.as_u16();
        let vendor_id = envelope.id.clone();
        let changed = |problem: String| {
            let problem = deprecation.map_or(problem.clone(), |word| format!("{problem}, {word}"));
            let vendor_id = envelope.id.clone();
            Error::VendorChanged { attempted, path: String::new(), problem, vendor_id }
        };
        match code {
            _ if envelope.has("planUpgrade.required") => {
                Error::NotAvailable { attempted, status: code, vendor_id }
            }
            402 | 501 if in_some_plans => Error::NotAvailable { attempted, status: code, vendor_id },
            404 if tells_of_plan => Error::NotAvailable { attempted, status: code, vendor_id },
            300..=399 => changed(format!("a redirect (status {code}) instead of an answer")),
            401 => {
                let reason = envelope.rejection.unwrap_or(Rejection::Unsaid);
                Error::Rejected { attempted, reason, vendor_id }
            }
            403 => Error::Forbidden { attempted, missing_scope: envelope.missing_scope(), vendor_id },
            404 if !envelope.has("resource.notFound") => changed("the route is gone (status 404)".to_owned()),
            410 => changed("the route is gone (status 410)".to_owned()),
            429 => {
                let retry_after = retry_after.unwrap_or(headers::DEFAULT_RETRY_AFTER);
                Error::RateLimited { attempted, retry_after, vendor_id }
            }
            408 | 425 | 500.. => {
                Error::Transient { attempted, status: Some(code), retry_after, vendor_id, source: None }
            }
            400..=499 => Error::Invalid { attempted, status: code, detail: envelope.words(), vendor_id },
            _ => changed(format!("an unexpected status {code}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::{GET_TEAM, LIST_ACTIVITIES, LIST_MEMBERS, LIST_TEAMS};

    fn refused(operation: Operation, status: u16, error: &Value, deprecation: Option<Deprecation>) -> Error {
        let body = json!({ "id": "req-1", "errors": [error] }).to_string();
        let status = StatusCode::from_u16(status).unwrap();
        let envelope = Envelope::read(body.as_bytes(), |text| text.replace("hush", "[token]"));
        Refusal { status, retry_after: None, envelope, deprecation }.into_error(operation)
    }

    fn error(operation: Operation, status: u16, code: &str, detail: &str) -> Error {
        refused(operation, status, &json!({ "code": code, "detail": detail }), None)
    }

    #[test]
    fn every_status_has_its_class() {
        let members = |status, code| error(LIST_MEMBERS, status, code, "because");
        let analytics = |status, code| error(LIST_ACTIVITIES, status, code, "because");
        let team = |status, code| error(GET_TEAM, status, code, "because");
        assert!(matches!(members(401, "auth.invalid"), Error::Rejected { .. }));
        assert!(matches!(members(403, "auth.accessDenied"), Error::Forbidden { missing_scope: None, .. }));
        assert!(matches!(members(403, "planUpgrade.required"), Error::NotAvailable { status: 403, .. }));
        assert!(matches!(analytics(404, "feature.notEnabled"), Error::NotAvailable { status: 404, .. }));
        assert!(matches!(analytics(404, "resource.notFound"), Error::NotAvailable { status: 404, .. }));
        assert!(matches!(analytics(402, ""), Error::NotAvailable { status: 402, .. }));
        assert!(matches!(analytics(404, "route.notFound"), Error::VendorChanged { .. }), "before any plan");
        assert!(matches!(team(404, "route.notFound"), Error::VendorChanged { .. }));
        assert!(matches!(analytics(501, ""), Error::NotAvailable { status: 501, .. }));
        assert!(matches!(analytics(403, "auth.accessDenied"), Error::Forbidden { .. }));
        assert!(matches!(members(404, "route.notFound"), Error::VendorChanged { .. }));
        assert!(matches!(members(410, "route.notFound"), Error::VendorChanged { .. }));
        assert!(matches!(team(404, "resource.notFound"), Error::Invalid { status: 404, .. }));
        assert!(matches!(
            members(429, ""),
            Error::RateLimited { retry_after: headers::DEFAULT_RETRY_AFTER, .. }
        ));
        for status in [408, 425, 500, 501, 502, 503, 504, 599] {
            let error = members(status, "");
            assert!(matches!(error, Error::Transient { status: Some(its), .. } if its == status), "{status}");
        }
        for status in [400, 402, 405, 409, 422] {
            let error = members(status, "");
            assert!(matches!(error, Error::Invalid { status: its, .. } if its == status), "{status}");
        }
        for status in [301, 302, 304, 307] {
            assert!(matches!(members(status, ""), Error::VendorChanged { .. }), "{status}");
        }
    }

    #[test]
    fn the_vendors_words_are_kept_without_the_token() {
        let error = error(LIST_TEAMS, 400, "request.invalid", "bad header Bearer hush");
        assert_eq!(error.vendor_id(), Some("req-1"));
        let expected =
            "could not list teams: Productboard refused the request (status 400): bad header Bearer [token]";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_place_of_a_fault_and_all_faults_are_named() {
        let fault =
            json!({ "code": "request.invalid", "title": "Invalid", "source": { "parameter": "dateFrom" } });
        let told = refused(LIST_TEAMS, 400, &fault, None).to_string();
        assert!(told.ends_with("(status 400): Invalid (at dateFrom)"), "{told}");
    }

    #[test]
    fn an_announced_end_is_told_with_the_end() {
        let (operation, deprecated) = ("list teams", Some("@1775692800".to_owned()));
        let announced = Deprecation { operation, deprecated, sunset: Some("Wed, 08 Jul 2026".to_owned()) };
        let told = refused(LIST_TEAMS, 410, &json!({}), Some(announced)).to_string();
        let expected = "could not list teams: the API has changed: the route is gone (status 410), \
                        announced by the vendor (deprecated @1775692800, ends Wed, 08 Jul 2026)";
        assert_eq!(told, expected);
    }

    #[test]
    fn the_missing_scope_is_named() {
        let error = error(LIST_TEAMS, 403, "access.missing_scope", "Missing required scope teams:read.");
        assert_eq!(error.to_string(), "could not list teams: the token lacks the scope teams:read");
    }

    #[test]
    fn what_a_401_says_is_told_apart() {
        let reason = |body: &str| {
            let envelope = Envelope::read(body.as_bytes(), str::to_owned);
            let status = StatusCode::UNAUTHORIZED;
            let refusal = Refusal { status, retry_after: None, envelope, deprecation: None };
            match refusal.into_error(LIST_MEMBERS) {
                Error::Rejected { reason, .. } => reason,
                other => panic!("{other:?}"),
            }
        };
        for (body, expected) in [
            (r#"{"message":"Unauthorized"}"#, Rejection::Missing),
            (r#"{"message":"UNAUTHORIZED"}"#, Rejection::Missing),
            (r#"{"message":"Bad token; invalid JSON"}"#, Rejection::Malformed),
            (r#"{"message":"bad token; invalid JSON"#, Rejection::Malformed),
            (r#"{"Message":"Bad token; invalid signature"}"#, Rejection::Malformed),
            (r#"{"message":"No credentials found for given 'iss'"}"#, Rejection::UnknownIssuer),
            (r#"{"message":"NO CREDENTIALS FOUND FOR GIVEN 'ISS'"#, Rejection::UnknownIssuer),
            (r#"{"id":"1","errors":[{"code":"auth.invalid","title":"Unauthorized"}]}"#, Rejection::Invalid),
            (r#"{"message":"go away"}"#, Rejection::Unsaid),
            ("", Rejection::Unsaid),
            ("[1]", Rejection::Unsaid),
        ] {
            assert_eq!(reason(body), expected, "{body}");
        }
    }

    #[test]
    fn a_web_page_is_somebody_elses_unless_the_status_says_enough() {
        for (status, body, is_anothers) in [
            (401, "<html>", true),
            (403, "\r\n <!DOCTYPE html>", true),
            (404, "<html>", true),
            (407, "", true),
            (401, "{}", false),
            (502, "<html>", false),
            (429, "<html>", false),
            (302, "<html>", false),
        ] {
            let envelope = Envelope::read(body.as_bytes(), str::to_owned);
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = Refusal { status, retry_after: None, envelope, deprecation: None };
            assert_eq!(refusal.is_of_another(), is_anothers, "{status} {body}");
        }
    }

    #[test]
    fn any_body_is_an_envelope() {
        for body in ["", "[]", r#"{"id":4,"errors":{}}"#, r#"{"ok":false,"errors":{"source":["x"]}}"#] {
            assert_eq!(Envelope::read(body.as_bytes(), str::to_owned), Envelope::default(), "{body}");
        }
    }
}
