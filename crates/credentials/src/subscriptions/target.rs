//! Which hosts webhooks may be sent to: those on the public internet, over TLS; and those that the operator trusts.
//!
//! Whoever may name a URL must not reach what only this process can reach. A name is judged by what it resolves to, in
//! the connector, at each connection: an answer that changes after the check changes nothing.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

const LONGEST: usize = 2048;

/// The hosts that the operator trusts for one organization, or for any. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Trusted(Arc<BTreeSet<String>>);

impl Trusted {
    pub(super) fn new(hosts: &[&str]) -> Self {
        Self(Arc::new(hosts.iter().map(|host| bare(host)).collect()))
    }

    fn has(&self, host: &str) -> bool {
        self.0.contains(&bare(host))
    }

    /// Reads a URL that webhooks may be sent to, or says what is wrong with it, without repeating it: it may hold a secret.
    pub(super) fn check(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL ({error})"))?;
        let host = url.host_str().unwrap_or_default();
        let trusted = self.has(host);
        let problem = if text.len() > LONGEST {
            format!("longer than {LONGEST} characters")
        } else if host.is_empty() || !["http", "https"].contains(&url.scheme()) {
            "expected https://host/path".to_owned()
        } else if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            "must have no user name, no password and no fragment".to_owned()
        } else if url.scheme() != "https" && !trusted {
            format!("expected https: `{host}` is not among the trusted hosts (`webhooks.trusted_hosts`)")
        } else if !trusted && literal(&url).is_some_and(|address| !is_public(address)) {
            format!("the address {host} is not on the public internet")
        } else if !trusted && is_local_name(host) {
            format!("the host `{host}` is a name for this machine or its network")
        } else {
            return Ok(url);
        };
        Err(problem)
    }
}

/// Without the brackets of an IPv6 address and the dot at the end.
fn bare(host: &str) -> String {
    host.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Names that cannot be public; what they resolve to would be refused anyway.
fn is_local_name(host: &str) -> bool {
    let host = bare(host);
    host == "localhost" || [".localhost", ".local", ".internal"].iter().any(|end| host.ends_with(end))
}

/// A host whose addresses are all refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no address on the public internet")
    }
}

impl std::error::Error for NotPublic {}

impl Resolve for Trusted {
    fn resolve(&self, name: Name) -> Resolving {
        let trusted = self.has(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| trusted || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet: no private, loopback, link-local, shared, reserved, multicast or
/// metadata address, and none that only wraps such a one.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // A cloud's metadata and host services behind an address of the public range.
    const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let [a, b, c, _] = address.octets();
    let reserved = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !reserved && address != WIRE_SERVER
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let wrapped = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Addresses of IPv4 in IPv6: mapped, and through NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => wrapped(high, low),
        // 6to4 tells its IPv4 address; tunnels and documentation are nobody's.
        [0x2002, high, low, ..] => wrapped(high, low),
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Everything else of the global range; all the rest is reserved, local or multicast.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_pass() {
        for good in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        let refused = [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:0a00:0001::1",
            "64:ff9b:1::1",
        ];
        for bad in refused {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn a_url_is_refused_with_its_reason_and_without_its_secrets() {
        let trusted = Trusted::new(&["receiver.internal", " 127.0.0.1", "[::1]"]);
        for good in [
            "https://hooks.example.com/in?token=hush",
            "https://Receiver.internal./x",
            "http://receiver.internal:8080/x",
            "http://127.0.0.1:9000/",
            "http://[::1]:9000/",
        ] {
            trusted.check(good).unwrap_or_else(|problem| panic!("{good}: {problem}"));
        }
        for (bad, problem) in [
            ("hooks.example.com", "not a URL"),
            ("ftp://hooks.example.com/", "expected https://host/path"),
            (
                "http://hooks.example.com/?token=hush",
                "expected https: `hooks.example.com` is not among the trusted",
            ),
            ("https://user:hush@hooks.example.com/", "no user name, no password"),
            ("https://169.254.169.254/latest/meta-data", "169.254.169.254 is not on the public internet"),
            ("https://2852039166/", "169.254.169.254 is not on the public internet"),
            ("https://0x7f.1/", "127.0.0.1 is not among"),
            ("https://[::ffff:10.0.0.1]/", "is not on the public internet"),
            ("https://localhost/", "a name for this machine"),
            ("https://metadata.google.internal/", "a name for this machine or its network"),
            ("https://localhost./", "a name for this machine"),
        ] {
            // The literal that is trusted above is not trusted here.
            let trusted = if problem.contains("among") { Trusted::new(&[]) } else { trusted.clone() };
            let told = trusted.check(bad).unwrap_err();
            let problem =
                problem.replace("127.0.0.1 is not among", "127.0.0.1 is not on the public internet");
            assert!(told.contains(&problem) && !told.contains("hush"), "{bad}: {told}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let name = || Name::from_str("localhost").unwrap();
        let refused = Trusted::new(&[]).resolve(name()).await.err().unwrap();
        assert!(refused.is::<NotPublic>(), "{refused}");
        let allowed = Trusted::new(&["localhost"]).resolve(name()).await.unwrap();
        assert!(allowed.count() > 0);
    }
}
