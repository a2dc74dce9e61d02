//! Posts one webhook: within ten seconds, to no refused address, following no redirect, reading little of the answer.

use std::{collections::HashMap, error::Error as StdError, fmt, sync::Arc, sync::Once, time::Duration};

use reqwest::{Client, Response, header, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use tidemark_domain::{id::OrganizationId, webhook::TrustedHost};
use url::Url;

use super::target::{NotPublic, Trusted};

const LIMIT: Duration = Duration::from_secs(10);
/// Of an answer's body, so much is read.
const MOST_READ: usize = 4096;
/// And so much is kept.
const MOST_KEPT: usize = 500;
const REDACTED: &str = "[redacted]";

/// Posts webhooks.
pub(super) struct Sender(Client);

/// Where webhooks may go, and what posts them there.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) trusted: Trusted,
    pub(super) sender: Sender,
}

/// The outlets of organizations that have trusted hosts of their own, and the one of all others.
#[derive(Debug)]
pub(super) struct Outlets {
    usual: Outlet,
    own: HashMap<OrganizationId, Outlet>,
}

impl Outlet {
    fn new(hosts: &[&str]) -> Self {
        let trusted = Trusted::new(hosts);
        Self { sender: Sender::new(&trusted), trusted }
    }
}

impl Outlets {
    pub(super) fn new(hosts: &[TrustedHost]) -> Self {
        let of = |organization: Option<&OrganizationId>| {
            let trusted = hosts.iter().filter(|trusted| {
                trusted.organization.is_none() || trusted.organization.as_ref() == organization
            });
            Outlet::new(&trusted.map(|trusted| trusted.host.as_str()).collect::<Vec<_>>())
        };
        let own = hosts.iter().filter_map(|trusted| trusted.organization.clone());
        Self { usual: of(None), own: own.map(|id| (id.clone(), of(Some(&id)))).collect() }
    }

    pub(super) fn of(&self, organization: &OrganizationId) -> &Outlet {
        self.own.get(organization).unwrap_or(&self.usual)
    }
}

/// What is posted.
pub(super) struct Post {
    pub(super) id: String,
    pub(super) timestamp: i64,
    pub(super) signature: String,
    pub(super) body: Vec<u8>,
}

/// What came back. Holds no secret and no URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    /// Nothing where the endpoint took it.
    pub(super) failure: Option<String>,
    pub(super) response: Option<String>,
}

impl Sender {
    pub(super) fn new(trusted: &Trusted) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // Whoever was first to choose a provider for the process is right.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = Client::builder()
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(trusted.clone()))
            // A proxy would connect to addresses that nobody here has looked at.
            .no_proxy()
            .redirect(Policy::none())
            .no_gzip()
            .timeout(LIMIT)
            .connect_timeout(LIMIT)
            .pool_max_idle_per_host(2)
            .build();
        Self(client.expect("the TLS provider is installed, and nothing else is asked of the system"))
    }

    pub(super) async fn post(&self, url: Url, post: Post, secrets: &[SecretString]) -> Answer {
        let request = self
            .0
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &post.id)
            .header("webhook-timestamp", post.timestamp)
            .header("webhook-signature", &post.signature)
            .body(post.body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer { status: None, failure: Some(told(&error)), response: None },
        };
        let status = response.status();
        let failure = match status.as_u16() {
            200..300 => None,
            300..400 => Some(format!("the endpoint answered {status}: redirects are not followed")),
            _ => Some(format!("the endpoint answered {status}")),
        };
        let body = read(response).await;
        Answer { status: Some(status.as_u16()), failure, response: snippet(&body, &post.signature, secrets) }
    }
}

/// The library's error would show the URL.
fn told(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.filter(|cause| !cause.is::<NotPublic>()) {
        cause = deeper.source();
    }
    if cause.is_some() {
        return format!("not sent: {NotPublic}");
    }
    let what = if error.is_timeout() {
        "no answer within ten seconds"
    } else if error.is_connect() {
        "no connection: look at host, port and certificate"
    } else {
        "the connection broke before there was an answer"
    };
    what.to_owned()
}

/// The start of the body. The status says enough when the rest gets lost.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MOST_READ {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        body.extend_from_slice(&chunk[..chunk.len().min(MOST_READ - body.len())]);
    }
    body
}

/// A line of text, in which what we sent does not come back.
fn snippet(body: &[u8], signature: &str, secrets: &[SecretString]) -> Option<String> {
    let mut text = String::from_utf8_lossy(body).into_owned();
    let secrets = secrets.iter().map(|secret| secret.expose_secret().strip_prefix("whsec_"));
    let signatures = signature.split(' ').map(|signature| signature.strip_prefix("v1,"));
    for hidden in secrets.chain(signatures).flatten().filter(|hidden| !hidden.is_empty()) {
        text = text.replace(hidden, REDACTED);
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_KEPT).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name passes every look at the URL; what it resolves to does not.
    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_by_the_connector() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url =
            format!("http://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
        let post =
            || Post { id: "evt".to_owned(), timestamp: 1, signature: "v1,x".to_owned(), body: Vec::new() };
        let refused = Sender::new(&Trusted::new(&[])).post(url.clone(), post(), &[]).await;
        let failure = Some("not sent: the host has no address on the public internet".to_owned());
        assert_eq!(refused, Answer { status: None, failure, response: None });
        let connected = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(connected.is_err(), "nobody came");

        let trusting = Sender::new(&Trusted::new(&["localhost"]));
        let (answer, _) = tokio::join!(trusting.post(url, post(), &[]), async {
            drop(listener.accept().await.unwrap());
            drop(listener);
        });
        assert!(!answer.failure.unwrap().contains("not sent"), "it was sent");
    }

    #[test]
    fn what_we_sent_does_not_come_back_into_the_log() {
        let secrets =
            [SecretString::from("whsec_c2VjcmV0LXNlY3JldA=="), SecretString::from("whsec_b2xkLW9sZA==")];
        let body =
            b"\x00got v1,c2lnbmF0dXJl and\nwhsec_c2VjcmV0LXNlY3JldA== and b2xkLW9sZA== \xff".as_slice();
        let kept = snippet(body, "v1,c2lnbmF0dXJl v1,b3RoZXI=", &secrets).unwrap();
        assert_eq!(kept, "got v1,[redacted] and whsec_[redacted] and [redacted] \u{fffd}");
        assert_eq!(snippet(b" \n ", "v1,x", &[]), None);
        assert_eq!(snippet(&[b'x'; 4096], "v1,y", &[]).unwrap().len(), MOST_KEPT);
    }
}
