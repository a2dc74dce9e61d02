//! Where the console is and who may frame it.

use url::{Host, Url};

/// The console's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The console, as people reach it; its path is in front of every page's.
    pub public_url: Url,
    /// Whose pages may show it in a frame.
    pub frame_ancestors: Vec<Url>,
    /// Where people log in and consent. Consents are not offered where there is none.
    pub consent_hosts: Vec<Url>,
    /// The header in which the proxy in front tells who asks; empty where nobody stands in front.
    pub client_address_header: String,
}

impl Settings {
    /// In front of every page's path: empty, or `/` and a path without one at its end.
    pub(crate) fn base(&self) -> &str {
        self.public_url.path().trim_end_matches('/')
    }

    /// Whether cookies are for https only: always, but for this machine's own http.
    pub(crate) fn is_secure(&self) -> bool {
        let local = match self.public_url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.public_url.scheme() == "https" || !local
    }

    /// Whether the console is shown in frames of others. Cookies reach frames only over https.
    pub(crate) fn is_embedded(&self) -> bool {
        !self.frame_ancestors.is_empty() && self.is_secure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Settings {
        Settings {
            public_url: url.parse().unwrap(),
            frame_ancestors: vec!["https://platform.example".parse().unwrap()],
            consent_hosts: Vec::new(),
            client_address_header: String::new(),
        }
    }

    #[test]
    fn only_this_machines_own_http_does_without_secure_cookies() {
        for url in ["http://127.0.0.1:7400", "http://localhost:1", "http://[::1]:1"] {
            assert!(!at(url).is_secure() && !at(url).is_embedded(), "{url}");
        }
        for url in ["https://127.0.0.1", "http://console.example", "https://console.example/tidemark/"] {
            assert!(at(url).is_secure() && at(url).is_embedded(), "{url}");
        }
        assert_eq!(at("https://console.example/tidemark/").base(), "/tidemark");
        assert_eq!(at("https://console.example").base(), "");
    }
}
