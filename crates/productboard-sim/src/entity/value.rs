//! Values of fields that are more than a text or an id.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How exactly a timeframe is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// A year.
    Year,
    /// A quarter.
    Quarter,
    /// A month.
    Month,
    /// A day.
    Day,
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeframe {
    /// The first day.
    pub start_date: NaiveDate,
    /// The last day.
    pub end_date: NaiveDate,
    /// How exactly both are meant.
    pub granularity: Granularity,
}

/// How a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// Nobody said.
    NotSet,
    /// As planned.
    OnTrack,
    /// May fail.
    AtRisk,
    /// Fails.
    OffTrack,
}

/// Somebody's word on how a plan goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthUpdate {
    /// The vendor's id.
    pub id: Uuid,
    /// How it goes.
    pub status: HealthStatus,
    /// How it went before.
    pub previous_status: Option<HealthStatus>,
    /// When that was said.
    pub last_updated_at: DateTime<Utc>,
    /// Why.
    pub comment: Option<String>,
    /// The member who said it; nobody when it was calculated.
    pub created_by: Option<Uuid>,
}

/// How far a key result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Where it began.
    pub start_value: i64,
    /// Where it should end.
    pub target_value: i64,
    /// Where it is.
    pub current_value: i64,
}

/// The value of a field that the workspace defined itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomValue {
    /// Of a text field.
    Text(String),
    /// Of a number field.
    Number(i64),
    /// Of a date field.
    Date(NaiveDate),
    /// The chosen option of a single-select field.
    Choice(Uuid),
    /// The chosen options of a multi-select field.
    Choices(Vec<Uuid>),
}
