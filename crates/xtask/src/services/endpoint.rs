//! Where a server is, and whether something listens there.

use std::{
    fmt,
    net::{IpAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

const CONNECT: Duration = Duration::from_secs(2);

/// A host and a port. Holds no password, so it may be printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Endpoint {
    /// Host and port of `scheme://user:password@host:port/rest`; the scheme gives a port that is left out.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (place, usual_port(scheme)?),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    pub(super) fn answers(&self) -> bool {
        let addresses = (self.host.as_str(), self.port).to_socket_addrs();
        addresses.is_ok_and(|mut list| list.any(|to| TcpStream::connect_timeout(&to, CONNECT).is_ok()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" | "postgresql" => Some(5432),
        "amqp" => Some(5672),
        "amqps" => Some(5671),
        "redis" | "rediss" => Some(6379),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Option<String> {
        Endpoint::of(url).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn host_and_port_come_out_of_a_url_and_the_password_does_not() {
        assert_eq!(of("postgres://u:p@127.0.0.1:15432/db"), Some("127.0.0.1:15432".to_owned()));
        assert_eq!(of("amqp://guest:p@x@broker/%2f"), Some("broker:5672".to_owned()), "the last @ counts");
        assert_eq!(of("redis://[::1]:7000"), Some("::1:7000".to_owned()));
        assert_eq!(of("redis://[::1]"), Some("::1:6379".to_owned()));
        assert_eq!(of("redis:6379"), None);
        assert_eq!(of("redis://"), None);
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url| Endpoint::of(url).unwrap().is_loopback();
        assert!(loopback("redis://localhost") && loopback("redis://127.0.0.9") && loopback("redis://[::1]"));
        assert!(!loopback("redis://10.0.0.1") && !loopback("redis://localhost.example.com"));
    }

    #[test]
    fn a_listening_port_answers_and_a_closed_one_does_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        assert!(endpoint.answers());
        drop(listener);
        assert!(!endpoint.answers());
    }
}
