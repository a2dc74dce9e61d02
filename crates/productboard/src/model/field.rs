//! Fields of entities and notes. Which there are is the workspace's choice, so they stay JSON until somebody reads one.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::text::{LINE, NAME, WORD, object, optional, required};
use crate::decode::Undecodable;
use crate::operation::Operation;
use crate::{Error, Text};

const READ: Operation = Operation { attempted: "read a field", in_some_plans: false };

/// Fields by id, as the configuration lists them: plain words for the vendor's own, UUIDs for custom ones.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Fields(#[serde(deserialize_with = "object")] Map<String, Value>);

impl Fields {
    /// A field as it came: `None` when it did not come, [`Value::Null`] when it came empty.
    pub fn get(&self, id: &str) -> Option<&Value> {
        self.0.get(id)
    }

    /// All fields that came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(id, value)| (id.as_str(), value))
    }

    /// A field as what it should be; `None` when it is absent or empty. [`Error::VendorChanged`] when it is something
    /// else, with the path of what is wrong.
    pub fn read<T: DeserializeOwned>(&self, id: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.get(id).filter(|value| !value.is_null()) else { return Ok(None) };
        serde_path_to_error::deserialize(value).map(Some).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." => format!("fields.{id}"),
                below => format!("fields.{id}.{below}"),
            };
            Undecodable::new(path, error.inner()).into_error(READ, None)
        })
    }

    /// The name.
    pub fn name(&self) -> Result<Option<Text>, Error> {
        self.read("name")
    }

    /// Whether it is archived.
    pub fn archived(&self) -> Result<Option<bool>, Error> {
        self.read("archived")
    }

    /// Whether a note is processed. Archived notes say that they are not.
    pub fn processed(&self) -> Result<Option<bool>, Error> {
        self.read("processed")
    }

    /// The owner.
    pub fn owner(&self) -> Result<Option<MemberValue>, Error> {
        self.read("owner")
    }

    /// Who made a note.
    pub fn creator(&self) -> Result<Option<MemberValue>, Error> {
        self.read("creator")
    }

    /// The status.
    pub fn status(&self) -> Result<Option<Choice>, Error> {
        self.read("status")
    }

    /// The teams.
    pub fn teams(&self) -> Result<Vec<Choice>, Error> {
        self.read("teams").map(Option::unwrap_or_default)
    }

    /// The tags.
    pub fn tags(&self) -> Result<Vec<Choice>, Error> {
        self.read("tags").map(Option::unwrap_or_default)
    }

    /// When it is to happen.
    pub fn timeframe(&self) -> Result<Option<Timeframe>, Error> {
        self.read("timeframe")
    }

    /// How it goes.
    pub fn health(&self) -> Result<Option<Health>, Error> {
        self.read("health")
    }

    /// How far a key result has come.
    pub fn progress(&self) -> Result<Option<Progress>, Error> {
        self.read("progress")
    }

    /// How much of the work is done.
    pub fn work_progress(&self) -> Result<Option<Number>, Error> {
        self.read("workProgress")
    }
}

/// A member as the value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MemberValue {
    /// The member's id.
    pub id: Uuid,
    /// The mail address.
    #[serde(default)]
    pub email: Text,
}

/// A status, a team, a tag or a select value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Choice {
    /// Its id. Tags of notes may lack one.
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Text,
    /// Its colour, for select values.
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    pub color: Option<String>,
}

/// A span of days, as roughly as `granularity` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeframe {
    /// The first day.
    pub start_date: Option<NaiveDate>,
    /// The last day.
    pub end_date: Option<NaiveDate>,
    /// `year`, `quarter`, `month` or `day`.
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    pub granularity: Option<String>,
}

/// How something goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `notSet`, `onTrack`, `atRisk` or `offTrack`.
    #[serde(deserialize_with = "required::<_, WORD>")]
    pub status: String,
    /// `manual` or `calculated`.
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    pub mode: Option<String>,
    /// The status before.
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    pub previous_status: Option<String>,
    /// When it was set.
    pub last_updated_at: Option<DateTime<Utc>>,
    /// What was said about it.
    #[serde(default, deserialize_with = "optional::<_, LINE>")]
    pub comment: Option<String>,
    /// Who set it.
    pub created_by: Option<MemberValue>,
}

/// How far a key result has come.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Where it started.
    pub start_value: Option<f64>,
    /// Where it is to end.
    pub target_value: Option<f64>,
    /// Where it is.
    pub current_value: Option<f64>,
}

/// A number, plain or with how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// The number; a calculated one may be missing.
    pub value: Option<f64>,
    /// `manual`, `statusBased` or `calculated`, where it is told.
    pub mode: Option<String>,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberShape)
    }
}

/// Not an untagged enum: that would lose the path of a wrong field.
struct NumberShape;

impl<'de> Visitor<'de> for NumberShape {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number { value: Some(value), mode: None })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number { value: Some(value as f64), mode: None })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number { value: Some(value as f64), mode: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
        #[derive(Deserialize)]
        struct WithMode {
            value: Option<f64>,
            #[serde(default, deserialize_with = "optional::<_, WORD>")]
            mode: Option<String>,
        }
        let WithMode { value, mode } = WithMode::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Number { value, mode })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn absent_null_and_set_are_three_things() {
        let fields = fields(json!({ "status": null, "archived": false }));
        assert_eq!(fields.get("owner"), None);
        assert_eq!(fields.get("status"), Some(&Value::Null));
        assert_eq!((fields.owner().unwrap(), fields.status().unwrap()), (None, None));
        assert_eq!(fields.archived().unwrap(), Some(false));
        assert_eq!(fields.teams().unwrap(), []);
    }

    #[test]
    fn values_of_every_kind_are_read() {
        let member = Uuid::from_u128(4);
        let fields = fields(json!({
            "name": "[redacted]",
            "owner": { "id": member, "email": "[redacted]" },
            "status": { "id": "5", "name": "Planned", "beta": 1 },
            "tags": [{ "name": "urgent" }, { "id": "6", "name": "later", "color": "red" }],
            "timeframe": { "startDate": "2026-01-01", "endDate": null, "granularity": "quarter" },
            "health": { "id": "7", "status": "onTrack", "mode": "manual",
                        "lastUpdatedAt": "2026-05-30T11:58:35.855455Z" },
            "progress": { "startValue": 1, "targetValue": 10.5 },
            "workProgress": { "value": 40, "mode": "statusBased" },
            "effort": 3,
        }));
        assert_eq!(fields.name().unwrap(), Some(Text::Hidden));
        assert_eq!(fields.owner().unwrap(), Some(MemberValue { id: member, email: Text::Hidden }));
        assert_eq!(fields.status().unwrap().unwrap().name.known(), Some("Planned"));
        assert_eq!(fields.tags().unwrap().iter().filter(|tag| tag.id.is_some()).count(), 1);
        let timeframe = fields.timeframe().unwrap().unwrap();
        assert_eq!((timeframe.start_date, timeframe.end_date), (NaiveDate::from_ymd_opt(2026, 1, 1), None));
        let health = fields.health().unwrap().unwrap();
        assert_eq!(health.last_updated_at.unwrap().timestamp_subsec_micros(), 855_455);
        assert_eq!(fields.progress().unwrap().unwrap().target_value, Some(10.5));
        assert_eq!(fields.work_progress().unwrap().unwrap().value, Some(40.0));
        let effort: Option<Number> = fields.read("effort").unwrap();
        assert_eq!(effort, Some(Number { value: Some(3.0), mode: None }));
    }

    #[test]
    fn a_value_of_another_shape_is_named_and_not_shown() {
        let fields = fields(json!({ "timeframe": { "startDate": "Ada Secret" }, "archived": "Ada Secret" }));
        let told = fields.timeframe().unwrap_err().to_string();
        assert!(told.contains("(at fields.timeframe.startDate)") && !told.contains("Secret"), "{told}");
        let told = fields.archived().unwrap_err().to_string();
        assert_eq!(
            told,
            "could not read a field: the API has changed: expected a boolean (at fields.archived)"
        );
    }
}
