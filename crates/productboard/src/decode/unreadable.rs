//! Rows that cannot be read, kept as they came, with what of their key is legible all the same.

use std::fmt;

use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use super::Undecodable;
use crate::model::text;
use crate::{Document, Error};

/// So much of a row's JSON is kept, in bytes.
const LONGEST_RAW: usize = 8 << 10;

/// A row of a list that cannot be read. The other rows of its page are as good as ever.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// Its place on the page, counted from 0 over all rows, good and bad.
    pub position: usize,
    /// The JSON path of what is wrong, below the row: `noteCreatedCount`, `fields.role`, `.` for the whole row.
    pub path: String,
    /// What is wrong there, without the value.
    pub problem: String,
    /// What of its key is legible.
    pub key: RowKey,
    /// The vendor's JSON, without control characters and cut to 8 KiB. It may hold personal data.
    pub raw: String,
}

/// What is legible of a row's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowKey {
    /// Its id; of a member's day, the member's.
    pub id: Option<Uuid>,
    /// Its day, where it is a member's day. A time behind the date does not matter.
    pub day: Option<NaiveDate>,
}

/// Without the row itself: it may hold personal data.
impl fmt::Debug for UnreadableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadableRow")
            .field("position", &self.position)
            .field("path", &self.path)
            .field("problem", &self.problem)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for UnreadableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" | "." => f.write_str(&self.problem),
            path => write!(f, "{} at {path}", self.problem),
        }
    }
}

impl UnreadableRow {
    pub(super) fn new(position: usize, json: &[u8], bad: &Undecodable) -> Self {
        let row = serde_json::from_slice::<Value>(json).ok();
        let (path, problem) =
            (text::clean(&bad.path, text::PROBLEM), text::clean(&bad.problem, text::PROBLEM));
        Self {
            position,
            path: path.into_owned(),
            problem: problem.into_owned(),
            key: row.as_ref().map_or_else(|| RowKey { id: leading_id(json), day: None }, RowKey::of),
            raw: match row {
                Some(row) => raw(row),
                None => cut(&text::clean(
                    &String::from_utf8_lossy(&json[..json.len().min(LONGEST_RAW)]),
                    LONGEST_RAW,
                )),
            },
        }
    }

    /// A row that could be read, but one of its fields not, which only its reader knows: `error` is what
    /// [`Fields::read`](crate::Fields::read) gave.
    pub fn of_document<T>(document: &Document<T>, error: &Error) -> Self {
        let (path, problem) = match error {
            Error::VendorChanged { path, problem, .. } => (path.clone(), problem.clone()),
            other => (".".to_owned(), other.to_string()),
        };
        let json = Value::Object(document.json.clone());
        Self { position: 0, path, problem, key: RowKey::of(&json), raw: raw(json) }
    }
}

impl RowKey {
    fn of(row: &Value) -> Self {
        let id = |name: &str| row[name].as_str()?.trim().parse().ok();
        let day = row["date"].as_str().and_then(|date| date.trim().get(..10)?.parse().ok());
        Self { id: id("memberId").or_else(|| id("id")), day }
    }
}

/// The id of a row that is not whole JSON: only where it stands first it is surely the row's own.
fn leading_id(json: &[u8]) -> Option<Uuid> {
    let json = String::from_utf8_lossy(&json[..json.len().min(64)]);
    json.trim_start().strip_prefix(r#"{"id":""#)?.get(..36)?.parse().ok()
}

fn raw(mut row: Value) -> String {
    text::clean_value(&mut row);
    cut(&row.to_string())
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_RAW);
    text[..end].to_owned()
}
