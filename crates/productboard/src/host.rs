//! Which hosts may get the token: the vendor's over TLS, and those that the operator trusts by name.

use url::Url;

use crate::Error;

const VENDOR: &str = "productboard.com";

/// Whether a name is the vendor's own or below it.
pub(crate) fn is_vendor(host: &str) -> bool {
    host.strip_suffix(VENDOR).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A URL goes into logs and is called with a secret: its host must be allowed, and it must hold no secrets itself.
pub(crate) fn check(what: &str, url: &Url, trusted: &[String]) -> Result<(), Error> {
    let host = url.host_str().unwrap_or_default();
    let problem = if !["http", "https"].contains(&url.scheme()) {
        "is neither http nor https".to_owned()
    } else if !url.username().is_empty() || url.password().is_some() {
        "holds a user name or a password".to_owned()
    } else if url.query().is_some() || url.fragment().is_some() {
        "has a query or a fragment".to_owned()
    } else if is_vendor(host) && url.scheme() != "https" {
        "would send the secret to Productboard without TLS: use https".to_owned()
    } else if !is_vendor(host) && !trusted.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        format!("names the host {host}, which is neither Productboard's nor one of the trusted hosts")
    } else {
        return Ok(());
    };
    Err(Error::Configuration(format!("the {what} {problem}")))
}

/// The host and, where it is not the usual one, the port.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A host on this machine: no proxy knows it.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_hosts_get_the_secret() {
        let trusted = ["gateway.example".to_owned(), "127.0.0.1".to_owned()];
        let checked = |url: &str| check("base URL", &Url::parse(url).unwrap(), &trusted);
        for good in [
            "https://api.productboard.com",
            "https://api.eu.productboard.com/",
            "https://Gateway.example/pb",
            "http://127.0.0.1:18099",
        ] {
            checked(good).unwrap();
        }
        for (bad, problem) in [
            ("ftp://api.productboard.com", "neither http nor https"),
            ("http://api.productboard.com", "without TLS"),
            ("https://api.productboard.com.evil.example", "neither Productboard's nor one of the trusted"),
            ("https://evilproductboard.com", "neither Productboard's nor one of the trusted"),
            ("http://169.254.169.254/", "neither Productboard's nor one of the trusted"),
            ("https://user:hush@api.productboard.com", "a user name or a password"),
            ("https://api.productboard.com?token=hush", "a query or a fragment"),
        ] {
            let error = checked(bad).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("hush"), "{bad}: {error}");
        }
    }
}
