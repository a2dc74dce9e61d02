//! From bytes to rows. A failure names the JSON path and what was expected there, never the value that was found:
//! values may be personal data.
//!
//! A page is decoded in one piece, which is fast. Where that fails it is scanned and decoded row by row, so that a row
//! that cannot be read costs nobody but itself.

mod scan;
mod texts;
mod unreadable;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

pub(crate) use self::scan::{Scanned, Scanner};
pub use self::unreadable::{RowKey, UnreadableRow};
use crate::Error;
use crate::operation::Operation;
use crate::paging::Links;

/// A whole answer.
#[derive(Debug)]
pub(crate) enum Body {
    /// As it came.
    Plain(Vec<u8>),
    /// Too large to hold: taken apart while it came.
    Scanned(Scanned),
}

/// A page as the vendor sends it, but for the rows that cannot be read.
#[derive(Debug, Deserialize)]
pub(crate) struct WirePage<T> {
    pub(crate) data: Vec<T>,
    links: Option<Links>,
    #[serde(skip)]
    pub(crate) unreadable: Vec<UnreadableRow>,
}

/// One resource as the vendor sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct WireOne<T> {
    pub(crate) data: T,
}

impl<T> WirePage<T> {
    /// The link to the next page, if there is one.
    pub(crate) fn next_link(&self) -> Option<&str> {
        self.links.as_ref()?.next()
    }
}

/// A body that is not of the documented shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Undecodable {
    /// The JSON path, `.` for the whole body.
    pub(crate) path: String,
    pub(crate) problem: String,
    /// The body ended too early: that is a fault on the way, not a change of the shape.
    cut_short: bool,
}

impl Undecodable {
    pub(crate) fn new(path: String, error: &serde_json::Error) -> Self {
        Self { path, problem: problem(error), cut_short: error.is_eof() }
    }

    pub(crate) fn too_large() -> Self {
        Self {
            path: String::new(),
            problem: "the answer is larger than any could be".to_owned(),
            cut_short: false,
        }
    }

    /// The same, with what others said made fit to be told.
    pub(crate) fn told(self, clean: impl Fn(&str) -> String) -> Self {
        Self { path: clean(&self.path), problem: clean(&self.problem), ..self }
    }

    pub(crate) fn into_error(self, operation: Operation, vendor_id: Option<String>) -> Error {
        let Self { path, problem, cut_short } = self;
        let attempted = operation.attempted;
        if cut_short {
            let source = Some("the answer was cut short".into());
            return Error::Transient { attempted, status: None, retry_after: None, vendor_id, source };
        }
        Error::VendorChanged { attempted, path, problem, vendor_id }
    }
}

/// Decodes a page and, beside it, says what is wrong with rows that cannot be read.
pub(crate) fn page<T: DeserializeOwned>(body: Body) -> Result<WirePage<T>, Undecodable> {
    let scanned = match body {
        Body::Scanned(scanned) => scanned,
        Body::Plain(bytes) => match serde_json::from_slice(&bytes) {
            Ok(page) => return Ok(page),
            Err(_) => scan(&bytes)?,
        },
    };
    let around: WirePage<IgnoredAny> = tracked(&scanned.envelope)?;
    let (mut data, mut unreadable) = (Vec::new(), Vec::new());
    for (position, row) in scanned.rows().enumerate() {
        match decoded(&row) {
            Ok(read) => data.push(read),
            Err(bad) => unreadable.push(UnreadableRow::new(position, row.json, &bad)),
        }
    }
    Ok(WirePage { data, links: around.links, unreadable })
}

fn decoded<T: DeserializeOwned>(row: &scan::Row<'_>) -> Result<T, Undecodable> {
    if row.is_too_large {
        let problem = "the row is too large".to_owned();
        return Err(Undecodable { path: ".".to_owned(), problem, cut_short: false });
    }
    serde_json::from_slice(row.json).or_else(|_| tracked(row.json))
}

/// Decodes a body that is no page.
pub(crate) fn whole<T: DeserializeOwned>(body: &Body) -> Result<T, Undecodable> {
    match body {
        Body::Scanned(scanned) => tracked(&scanned.envelope),
        Body::Plain(bytes) => serde_json::from_slice(bytes).or_else(|_| tracked(&scan(bytes)?.envelope)),
    }
}

fn scan(bytes: &[u8]) -> Result<Scanned, Undecodable> {
    Scanner::whole(bytes).map_err(|_| Undecodable::too_large())
}

/// Decodes what did not decode before, to find out where it does not: keeping track of the path on each good page would
/// cost a third of the speed.
fn tracked<T: DeserializeOwned>(body: &[u8]) -> Result<T, Undecodable> {
    let json = &mut serde_json::Deserializer::from_slice(body);
    let decoded = serde_path_to_error::deserialize(&mut *json)
        .map_err(|error| Undecodable::new(error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| Undecodable::new(".".to_owned(), &error))?;
    Ok(decoded)
}

/// Absent and null are the same here: nothing.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The part of the message that does not repeat the value.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.split(", found ").next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests;
