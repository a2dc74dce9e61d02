//! Single requests of a check: counted, paced, bounded, and read as JSON without a type, since the types are what is in
//! question.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{Assumption, Finding, MOST_REQUESTS};
use crate::credential::Credential;
use crate::model::document::Schema;
use crate::operation::LIST_MEMBERS;
use crate::paging::{CURSOR, Cursor};
use crate::request::Request;
use crate::transport::{http_client, read};
use crate::{Error, Options, headers, host};

/// Names of fields are shown up to this length, and so many of them.
const LONGEST_NAME: usize = 40;
const MOST_NAMES: usize = 10;
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Why an answer shows nothing. The words go into a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unseen(pub(super) String);

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a request names its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Key,
    Nobody,
    /// With something in the place of the key that was never one.
    Stranger,
}

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn rows(&self) -> &[Value] {
        self.body["data"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn next(&self) -> Option<Cursor> {
        Cursor::in_link(self.body["links"]["next"].as_str()?).ok().flatten()
    }

    /// The code of the first error, where the envelope is the documented one.
    pub(super) fn code(&self) -> Option<&str> {
        self.body["errors"][0]["code"].as_str()
    }
}

/// One check of one workspace.
pub(super) struct Survey {
    base_url: Url,
    http: reqwest::Client,
    key: HeaderValue,
    options: Options,
    sent: u32,
    /// How many requests it may send.
    most: u32,
    until: Option<Instant>,
    /// Names of fields that the reference does not have.
    unknown: BTreeSet<String>,
    rows: usize,
}

impl Survey {
    pub(super) fn new(base_url: &Url, token: &SecretString, options: &Options) -> Result<Self, Error> {
        host::check("base URL", base_url, &options.trusted_hosts)?;
        let agent = &options.user_agent;
        let own = || http_client(base_url, options.request_timeout, agent, HeaderMap::new());
        let shared = options.transport.clone().map(|transport| Ok(transport.0));
        Ok(Self {
            base_url: base_url.clone(),
            http: shared.unwrap_or_else(own)?,
            key: Credential::new(token, options.auth_scheme)?.header()?,
            options: options.clone(),
            sent: 0,
            // The first request of a whole check is the client's own.
            most: MOST_REQUESTS - 1,
            until: None,
            unknown: BTreeSet::new(),
            rows: 0,
        })
    }

    /// A short one, of so many requests and within that time.
    pub(super) fn short(self, most: u32, time: Duration) -> Self {
        Self { most, until: Some(Instant::now() + time), ..self }
    }

    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    pub(super) async fn get(
        &mut self,
        path: &[&str],
        query: &[(&'static str, String)],
    ) -> Result<Answer, Unseen> {
        let request = self.request(Method::GET, path).query(query.iter().cloned());
        answered(self.send(request, Sender::Key).await?)
    }

    /// The page of a list that a cursor leads to.
    pub(super) async fn page(
        &mut self,
        path: &[&str],
        query: &[(&'static str, String)],
        cursor: &Cursor,
    ) -> Result<Answer, Unseen> {
        let query = [query, &[(CURSOR, cursor.as_str().to_owned())]].concat();
        self.get(path, &query).await
    }

    pub(super) async fn search(&mut self, path: &[&str], body: &Value) -> Result<Answer, Unseen> {
        let request = self.request(Method::POST, path).body(body);
        answered(self.send(request, Sender::Key).await?)
    }

    /// An answer of any status, to whoever asks.
    pub(super) async fn ask(&mut self, path: &[&str], sender: Sender) -> Result<Answer, Unseen> {
        let request = self.request(Method::GET, path);
        self.send(request, sender).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Request {
        Request::new(LIST_MEMBERS, method, &self.base_url, path)
    }

    /// Sends once, and once more where the vendor has a bad moment.
    async fn send(&mut self, request: Request, sender: Sender) -> Result<Answer, Unseen> {
        let first = self.once(request.clone(), sender).await;
        match &first {
            Ok(answer) if answer.status.is_server_error() || answer.status == 429 || answer.status == 408 => {
            }
            Err(_) if self.sent < self.most && !self.is_late() => {}
            _ => return first,
        }
        self.once(request, sender).await
    }

    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    async fn once(&mut self, request: Request, sender: Sender) -> Result<Answer, Unseen> {
        let Some(until) = self.until else { return self.exchanged(request, sender).await };
        let answer = timeout_at(until, self.exchanged(request, sender)).await;
        answer.unwrap_or_else(|_| Err(Unseen("the answers took too long".to_owned())))
    }

    async fn exchanged(&mut self, request: Request, sender: Sender) -> Result<Answer, Unseen> {
        if self.sent >= self.most {
            return Err(Unseen(format!("the check had sent its {} requests", self.sent)));
        }
        let budget = Arc::clone(&self.options.budget);
        if let Err(wait) = budget.acquire(self.options.request_timeout).await {
            return Err(Unseen(format!("the rate limit leaves no room for {} s", wait.as_secs())));
        }
        self.sent += 1;
        let begun = Instant::now();
        let mut sent =
            self.http.request(request.method, request.url).header(header::ACCEPT, "application/json");
        match sender {
            Sender::Key => sent = sent.header(header::AUTHORIZATION, self.key.clone()),
            Sender::Stranger => sent = sent.header(header::AUTHORIZATION, "Bearer not-a-key"),
            Sender::Nobody => {}
        }
        if let Some(body) = request.body {
            sent = sent.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let unreachable = |_| Unseen("no complete answer came".to_owned());
        let mut response = sent.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, whole) = read(&mut response, LARGEST_ANSWER).await.map_err(unreachable)?;
        budget.answered(begun.elapsed());
        budget.observe(headers::limit(&headers), headers::remaining(&headers));
        if status == StatusCode::TOO_MANY_REQUESTS {
            budget.freeze(headers::retry_after(&headers).unwrap_or(headers::DEFAULT_RETRY_AFTER));
        }
        if !whole {
            return Err(Unseen("the answer was too large for a check".to_owned()));
        }
        Ok(Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Looks for fields that the reference does not name.
    pub(super) fn look_for_fields<T: Schema>(&mut self, list: &str, answer: &Answer) {
        self.look_for(list, T::ROW, T::FIELDS, answer);
    }

    /// The same, by the names themselves.
    pub(super) fn look_for(
        &mut self,
        list: &str,
        row_names: &[&str],
        field_names: Option<&[&str]>,
        answer: &Answer,
    ) {
        self.rows += answer.rows().len();
        for row in answer.rows() {
            let names = |value: &Value| -> Vec<String> {
                value.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
            };
            let of_row = names(row).into_iter().filter(|name| !row_names.contains(&name.as_str()));
            self.unknown.extend(of_row.map(|name| format!("{list}.{}", bounded(&name))));
            let Some(known) = field_names else { continue };
            let custom = |name: &str| uuid::Uuid::try_parse(name).is_ok();
            let fields = names(&row["fields"]).into_iter();
            let fields = fields.filter(|name| !known.contains(&name.as_str()) && !custom(name));
            self.unknown.extend(fields.map(|name| format!("{list}.fields.{}", bounded(&name))));
        }
    }

    pub(super) fn fields_known(&self) -> Finding {
        let assumption = Assumption::FieldsKnown;
        if self.rows == 0 {
            return Finding::unseen(assumption, "no row was read");
        }
        if self.unknown.is_empty() {
            return Finding::holds(assumption, format!("{} rows read", self.rows));
        }
        Finding::differs(assumption, listed(&self.unknown))
    }
}

/// The answer of a list, or why it is none.
fn answered(answer: Answer) -> Result<Answer, Unseen> {
    let status = answer.status.as_u16();
    match status {
        200 if answer.body["data"].is_array() => Ok(answer),
        200 => Err(Unseen("the answer is not a list".to_owned())),
        401 => Err(Unseen("the key was refused".to_owned())),
        403 => Err(Unseen("the key may not read this".to_owned())),
        _ => Err(Unseen(format!("the answer was status {status}"))),
    }
}

/// Some names, in words.
pub(super) fn listed(names: &BTreeSet<String>) -> String {
    let shown: Vec<_> = names.iter().take(MOST_NAMES).map(|name| bounded(name)).collect();
    let more = names.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// A word of the vendor's, fit to be shown.
fn bounded(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LONGEST_NAME).collect()
}
