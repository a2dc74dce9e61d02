//! A vendor that answers by a script and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response, header};
use secrecy::SecretString;
use serde_json::{Value, json};
use tidemark_productboard::{Client, Options, RateBudget};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

pub(crate) const TOKEN: &str = "pb-very-secret-token";

#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        Self::bytes(body.to_string())
    }

    pub(crate) fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    /// A page of rows with a next link, or none.
    pub(crate) fn page(rows: &[Value], next: Option<&str>) -> Self {
        Self::json(&json!({ "data": rows, "links": { "next": next } }))
    }

    /// The vendor's error envelope.
    pub(crate) fn error(status: u16, code: &str, detail: &str) -> Self {
        let errors = json!([{ "code": code, "title": "No", "detail": detail }]);
        Self { status, ..Self::json(&json!({ "id": "req-42", "errors": errors })) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) authorization: String,
    pub(crate) user_agent: String,
    /// JSON, or null when nothing was sent.
    pub(crate) body: Value,
}

impl Asked {
    async fn read(request: Request<Body>) -> Self {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let text =
            |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let query = head.uri.query().unwrap_or_default();
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            authorization: text(header::AUTHORIZATION),
            user_agent: text(header::USER_AGENT),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Vendor {
    pub(crate) url: Url,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
}

impl Vendor {
    /// Answers with these replies in turn, then with 418.
    pub(crate) async fn answering(script: impl IntoIterator<Item = Reply>) -> Self {
        let shared =
            Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(options())
    }

    pub(crate) fn client_with(&self, options: Options) -> Client {
        Client::new(&self.url, SecretString::from(TOKEN), options).unwrap()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let asked = Asked::read(request).await;
    shared.asked.lock().unwrap().push(asked);
    let reply = shared.script.lock().unwrap().pop_front();
    let reply = reply.unwrap_or_else(|| Reply::error(418, "script.over", "nothing left to say"));
    tokio::time::sleep(reply.delay).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}

/// No pacing, and few attempts.
pub(crate) fn options() -> Options {
    let trusted_hosts = vec!["127.0.0.1".to_owned()];
    Options { budget: Arc::new(Ledger::default()), max_attempts: 2, trusted_hosts, ..Options::default() }
}

/// A budget that never waits and writes everything down.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) acquired: Mutex<u32>,
    pub(crate) freezes: Mutex<Vec<Duration>>,
    pub(crate) observed: Mutex<Vec<(Option<u32>, Option<u32>)>>,
}

#[async_trait]
impl RateBudget for Ledger {
    async fn acquire(&self, _patience: Duration) -> Result<(), Duration> {
        *self.acquired.lock().unwrap() += 1;
        Ok(())
    }

    fn freeze(&self, pause: Duration) {
        self.freezes.lock().unwrap().push(pause);
    }

    fn observe(&self, limit: Option<u32>, remaining: Option<u32>) {
        self.observed.lock().unwrap().push((limit, remaining));
    }
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn member(number: u128) -> Value {
    json!({
        "id": id(number),
        "type": "member",
        "fields": {
            "name": "Ada", "username": "ada", "email": "ada@acme.example", "role": "maker",
            "disabled": false, "invitationPending": false, "teams": [],
        },
        "links": { "self": "https://api.productboard.com/v2/members/1", "html": "https://acme.productboard.com/m/1" },
    })
}

pub(crate) fn activity(date: &str) -> Value {
    json!({ "date": date, "domain": "acme", "memberId": id(1), "role": "editor", "activeFlag": true, "noteCreatedCount": 3 })
}
