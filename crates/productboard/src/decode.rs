//! From bytes to rows. A failure names the JSON path and what was expected there, never the value that was found:
//! values may be personal data.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::Error;
use crate::operation::Operation;
use crate::paging::Links;

/// A page as the vendor sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct WirePage<T> {
    pub(crate) data: Vec<T>,
    links: Option<Links>,
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

/// Decodes a body. Where that fails it is done again to find out where: keeping track of the path on each good page
/// would cost a third of the speed.
pub(crate) fn body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Undecodable> {
    serde_json::from_slice(body).or_else(|_| tracked(body))
}

fn tracked<T: DeserializeOwned>(body: &[u8]) -> Result<T, Undecodable> {
    let json = &mut serde_json::Deserializer::from_slice(body);
    let decoded = serde_path_to_error::deserialize(&mut *json)
        .map_err(|error| Undecodable::new(error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| Undecodable::new(".".to_owned(), &error))?;
    Ok(decoded)
}

impl Undecodable {
    pub(crate) fn new(path: String, error: &serde_json::Error) -> Self {
        Self { path, problem: problem(error), cut_short: error.is_eof() }
    }
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
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
