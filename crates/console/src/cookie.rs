//! Cookies: read from a request, written for a response. Scripts see none of them.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::settings::Settings;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// The session of a person whom the platform let in.
    Session,
    /// What ties a consent at the vendor to this browser.
    Consent,
    /// The session behind a hosted connect link.
    Connect,
}

impl Name {
    /// `__Host-`: the browser takes it over https only, from this host only, and sends it to no other.
    fn text(self, settings: &Settings) -> String {
        let name = match self {
            Self::Session => "tidemark",
            Self::Consent => "tidemark-consent",
            Self::Connect => "tidemark-connect",
        };
        if settings.is_secure() { format!("__Host-{name}") } else { name.to_owned() }
    }
}

/// The cookie's value, if the request has it.
pub(crate) fn read(headers: &HeaderMap, settings: &Settings, name: Name) -> Option<String> {
    let name = name.text(settings);
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// The header that sets a cookie, for that many seconds; without any, until the browser is closed.
pub(crate) fn set(settings: &Settings, name: Name, value: &str, seconds: Option<u32>) -> HeaderValue {
    // In a frame, a cookie is the frame's and its page's together: browsers keep no other there.
    let place = if settings.is_embedded() { "None; Partitioned" } else { "Lax" };
    let secure = if settings.is_secure() { "; Secure" } else { "" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let name = name.text(settings);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={place}{secure}{age}");
    let mut value = HeaderValue::try_from(text).expect("values are base64 or empty");
    value.set_sensitive(true);
    value
}

/// The header that takes a cookie away.
pub(crate) fn clear(settings: &Settings, name: Name) -> HeaderValue {
    set(settings, name, "", Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, frames: &[&str]) -> Settings {
        Settings {
            public_url: url.parse().unwrap(),
            frame_ancestors: frames.iter().map(|url| url.parse().unwrap()).collect(),
            consent_hosts: Vec::new(),
            client_address_header: String::new(),
        }
    }

    #[test]
    fn a_cookie_says_where_it_may_go() {
        let own = settings("https://console.example", &[]);
        let text = set(&own, Name::Session, "abc", None);
        assert_eq!(text, "__Host-tidemark=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
        let framed = settings("https://console.example", &["https://platform.example"]);
        let text = set(&framed, Name::Consent, "abc", Some(600));
        assert_eq!(
            text,
            "__Host-tidemark-consent=abc; Path=/; HttpOnly; SameSite=None; Partitioned; Secure; Max-Age=600"
        );
        let local = settings("http://127.0.0.1:7400", &[]);
        assert_eq!(clear(&local, Name::Session), "tidemark=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let own = settings("https://console.example", &[]);
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("tidemark=no; x__Host-tidemark=no"));
        assert_eq!(read(&headers, &own, Name::Session), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; __Host-tidemark=yes"));
        assert_eq!(read(&headers, &own, Name::Session).as_deref(), Some("yes"));
    }
}
