//! A raw HTTP client over TCP: the tests see what is on the wire, not what a client library makes of it.

use chrono::NaiveDate;
use serde_json::{Value, json};
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    /// Null when it is not JSON.
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn data(&self) -> &Vec<Value> {
        self.body["data"].as_array().unwrap()
    }

    pub(crate) fn next(&self) -> Option<&str> {
        self.body["links"]["next"].as_str()
    }

    pub(crate) fn code(&self) -> &str {
        assert!(self.body["id"].as_str().unwrap().starts_with("req-"));
        self.body["errors"][0]["code"].as_str().unwrap()
    }
}

pub(crate) fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 12).unwrap()
}

/// A simulator without rate limit that holds the 60-member workspace `acme` behind the token `t`.
pub(crate) async fn acme() -> Simulator {
    let options = Options { requests_per_second: 0, ..Options::default() };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 60, today())), "t");
    simulator
}

/// A request to a host of the simulator, given as `http://host:port`.
pub(crate) async fn raw(base_url: &str, method: &str, target: &str, headers: &str, body: &str) -> Vec<u8> {
    let host = base_url.replace("http://", "");
    let target = target.replace(base_url, "");
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut is an answer, too.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

pub(crate) async fn call(base_url: &str, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let answer = raw(base_url, method, target, headers, body).await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let (head, body) = (str::from_utf8(&answer[..end]).unwrap(), answer[end + 4..].to_vec());
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        bytes: body,
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) async fn send(
    simulator: &Simulator,
    method: &str,
    target: &str,
    token: Option<&str>,
    body: &str,
) -> Answer {
    let headers = token.map_or(String::new(), bearer) + "Content-Type: application/json\r\n";
    call(&simulator.base_url(), method, target, &headers, body).await
}

pub(crate) async fn get(simulator: &Simulator, target: &str) -> Answer {
    send(simulator, "GET", target, Some("t"), "").await
}

/// All rows of a list, by following `links.next` as it stands.
pub(crate) async fn all(simulator: &Simulator, target: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut next = Some(target.to_owned());
    while let Some(target) = next {
        let page = get(simulator, &target).await;
        assert_eq!(page.status, 200, "{}", page.body);
        rows.extend(page.data().iter().cloned());
        next = page.next().map(str::to_owned);
    }
    rows
}

/// The first page of a search.
pub(crate) async fn search(simulator: &Simulator, target: &str, data: Value) -> Answer {
    send(simulator, "POST", target, Some("t"), &json!({ "data": data }).to_string()).await
}

/// All rows of a search, by following `links.next` with the same body.
pub(crate) async fn found(simulator: &Simulator, target: &str, data: Value) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut next = Some(target.to_owned());
    while let Some(target) = next {
        let page = search(simulator, &target, data.clone()).await;
        assert_eq!(page.status, 200, "{}", page.body);
        rows.extend(page.data().iter().cloned());
        next = page.next().map(str::to_owned);
    }
    rows
}

/// The ids of rows, in their order.
pub(crate) fn ids(rows: &[Value]) -> Vec<Uuid> {
    rows.iter().map(|row| row["id"].as_str().unwrap().parse().unwrap()).collect()
}
