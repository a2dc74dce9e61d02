//! A table as both formats see it: columns with a type, rows of cells.

use chrono::{DateTime, NaiveDate, SecondsFormat, SubsecRound as _, Utc};

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Count,
    Share,
    Flag,
    Day,
    Moment,
}

/// A value, or none. Its kind is the column's.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(Option<String>),
    Count(Option<u64>),
    Share(Option<f64>),
    Flag(bool),
    Day(Option<NaiveDate>),
    /// To the microsecond, which is what databases keep.
    Moment(Option<DateTime<Utc>>),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Some(text.into()).filter(|text: &String| !text.is_empty()))
    }

    pub(super) fn count(count: impl Into<u64>) -> Self {
        Self::Count(Some(count.into()))
    }

    /// A day as the wire writes it.
    pub(super) fn day(text: &str) -> Self {
        Self::Day(text.parse().ok())
    }

    pub(super) fn moment(at: Option<DateTime<Utc>>) -> Self {
        Self::Moment(at.map(|at| at.trunc_subsecs(6)))
    }

    /// As CSV has it; nothing for none.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Text(text) => text.clone().unwrap_or_default(),
            Self::Count(count) => count.map(|count| count.to_string()).unwrap_or_default(),
            Self::Share(share) => share.map(|share| share.to_string()).unwrap_or_default(),
            Self::Flag(flag) => flag.to_string(),
            Self::Day(day) => day.map(|day| day.to_string()).unwrap_or_default(),
            Self::Moment(at) => {
                at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).unwrap_or_default()
            }
        }
    }
}

pub(super) type Row = Vec<Cell>;
