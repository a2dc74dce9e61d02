//! A receiver of webhooks that shares no code with the sender: it speaks plain HTTP/1.1 and does what it is told.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use standardwebhooks::Webhook;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What arrived.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16, String),
    /// The secret and the signatures come back, as from a receiver that prints what it got.
    Echo(u16, String),
    /// Elsewhere.
    Redirect(String),
    /// Nothing, ever.
    Silence,
    /// The connection is closed.
    Hangup,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    hooks: Arc<Mutex<Vec<Hook>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    /// When nothing else is told.
    usual: Arc<Mutex<Reply>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            hooks: Arc::default(),
            replies: Arc::default(),
            usual: Arc::new(Mutex::new(Reply::Status(204, String::new()))),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(connection).await });
            }
        });
        receiver
    }

    pub(crate) fn usually(&self, reply: Reply) {
        *self.usual.lock().unwrap() = reply;
    }

    pub(crate) fn then(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(reply);
    }

    pub(crate) fn hooks(&self) -> Vec<Hook> {
        self.hooks.lock().unwrap().clone()
    }

    /// Waits until that many arrived.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Hook> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.hooks().len() < count {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} of {count} webhooks came",
                self.hooks().len()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.hooks()
    }

    async fn serve(&self, connection: TcpStream) {
        let mut connection = BufReader::new(connection);
        while let Some(hook) = read(&mut connection).await {
            let reply = self.replies.lock().unwrap().pop_front();
            let reply = reply.unwrap_or_else(|| self.usual.lock().unwrap().clone());
            let signature = hook.headers.get("webhook-signature").cloned().unwrap_or_default();
            self.hooks.lock().unwrap().push(hook);
            let (status, headers, body) = match reply {
                Reply::Status(status, body) => (status, String::new(), body),
                Reply::Echo(status, text) => (status, String::new(), format!("{text} {signature}")),
                Reply::Redirect(location) => (302, format!("location: {location}\r\n"), String::new()),
                Reply::Silence => std::future::pending().await,
                Reply::Hangup => return,
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} Told\r\n{headers}content-length: {length}\r\n\r\n{body}");
            if connection.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn read(connection: &mut BufReader<TcpStream>) -> Option<Hook> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let mut headers = HashMap::new();
    loop {
        line.clear();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    connection.read_exact(&mut body).await.ok()?;
    Some(Hook { path, headers, body })
}

impl Hook {
    /// The id under which a receiver deduplicates.
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn timestamp(&self) -> i64 {
        self.headers["webhook-timestamp"].parse().unwrap()
    }

    pub(crate) fn signatures(&self) -> usize {
        self.headers["webhook-signature"].split(' ').count()
    }

    /// Whether the specification's own library gives one of the signatures. Its `verify` would look at the clock on the wall.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let expected = Webhook::new(secret).unwrap().sign(self.id(), self.timestamp(), &self.body).unwrap();
        self.headers["webhook-signature"].split(' ').any(|signature| signature == expected)
    }

    pub(crate) fn event(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
