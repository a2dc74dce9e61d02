//! Where a hosted page may send a person back to: only what the deployment lists, so that no link of Tidemark's leads
//! to a stranger's page.

use url::{Host, Url};

/// The addresses that a connect link may return to: each with everything below its path.
#[derive(Debug, Clone, Default)]
pub struct ReturnUrls(Vec<Url>);

impl ReturnUrls {
    /// A list of allowed addresses. Of one without TLS only this machine's own are taken.
    pub fn new(allowed: Vec<Url>) -> Self {
        Self(allowed)
    }

    /// The address, if it is allowed.
    pub(crate) fn allow(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (plain && is_private(&url) && self.0.iter().any(|allowed| covers(allowed, &url))).then_some(url)
    }
}

fn covers(allowed: &Url, url: &Url) -> bool {
    let base = allowed.path().trim_end_matches('/');
    let below = url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // The parser has resolved `..`; an encoded slash could be resolved by whoever reads it next.
    let path = url.path().to_ascii_lowercase();
    let climbs = ["%2f", "%5c", "%2e"].iter().any(|code| path.contains(code));
    allowed.origin() == url.origin() && below && !climbs
}

fn is_private(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_and_what_is_below_it() {
        let allowed =
            ["https://app.example.com/settings", "http://localhost:3000", "http://plain.example.com"];
        let urls = ReturnUrls::new(allowed.map(|url| url.parse().unwrap()).to_vec());
        let good = [
            "https://app.example.com/settings",
            "https://app.example.com/settings/apps?tab=1",
            "https://APP.example.com:443/settings",
            "http://localhost:3000/anything",
        ];
        for url in good {
            assert!(urls.allow(url).is_some(), "{url}");
        }
        let bad = [
            "https://app.example.com/settingsx",
            "https://app.example.com/",
            "https://app.example.com/settings/../admin",
            "https://app.example.com/settings/%2e%2e/admin",
            "https://app.example.com/settings/..%2fadmin",
            "https://app.example.com:8443/settings",
            "https://app.example.com.evil.example/settings",
            "https://app.example.com@evil.example/settings",
            "https://user@app.example.com/settings",
            "https://app.example.com/settings#token",
            "http://app.example.com/settings",
            "http://plain.example.com/",
            "//app.example.com/settings",
            "javascript:alert(1)",
            "",
        ];
        for url in bad {
            assert!(urls.allow(url).is_none(), "{url}");
        }
        assert!(ReturnUrls::default().allow(good[0]).is_none(), "nothing is listed");
    }
}
