//! Conditions of a search on fields that the workspace defined itself: which one may be used depends on the field.

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::ApiError;
use crate::routes::body::NamedRef;
use crate::{CustomField, CustomKind, CustomValue};

const POINTER: &str = "/data/filter/fields";

/// A condition as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Sent {
    id: Option<Uuid>,
    name: Option<String>,
    contains: Option<String>,
    eq: Option<Value>,
    any: Option<Vec<NamedRef>>,
    all: Option<Vec<NamedRef>>,
    is_set: Option<bool>,
}

/// A condition that fits its field.
#[derive(Debug)]
pub(super) enum Condition {
    IsSet(bool),
    Contains(String),
    Number(i64),
    Date(NaiveDate),
    /// Any of these options.
    Any(Vec<Uuid>),
    /// For each of these, one of its options.
    All(Vec<Vec<Uuid>>),
}

impl Condition {
    pub(super) fn read(field: &CustomField, sent: Sent) -> Result<Self, ApiError> {
        let options = |reference: &NamedRef| -> Vec<Uuid> {
            let fits = |option: &&crate::SelectOption| {
                reference.id.is_none_or(|id| id == option.id)
                    && reference.name.as_ref().is_none_or(|name| *name == option.name)
            };
            field.options.iter().filter(fits).map(|option| option.id).collect()
        };
        let named_once =
            |references: &[NamedRef]| references.iter().all(|it| it.id.is_some() != it.name.is_some());
        let condition = match (field.kind, sent) {
            (
                _,
                Sent {
                    id: None,
                    name: None,
                    contains: None,
                    eq: None,
                    any: None,
                    all: None,
                    is_set: Some(set),
                },
            ) => Some(Self::IsSet(set)),
            (
                CustomKind::Text,
                Sent {
                    id: None,
                    name: None,
                    contains: Some(part),
                    eq: None,
                    any: None,
                    all: None,
                    is_set: None,
                },
            ) => Some(Self::Contains(part.to_lowercase())),
            (
                kind @ (CustomKind::Number | CustomKind::Date),
                Sent {
                    id: None,
                    name: None,
                    contains: None,
                    eq: Some(value),
                    any: None,
                    all: None,
                    is_set: None,
                },
            ) => equal(kind, &value),
            (
                CustomKind::SingleSelect,
                Sent { id, name, contains: None, eq: None, any: None, all: None, is_set: None },
            ) if id.is_some() != name.is_some() => Some(Self::Any(options(&NamedRef { id, name }))),
            (
                CustomKind::MultiSelect,
                Sent { id: None, name: None, contains: None, eq: None, any, all, is_set: None },
            ) => match (any, all) {
                (Some(any), None) if named_once(&any) => {
                    Some(Self::Any(any.iter().flat_map(options).collect()))
                }
                (None, Some(all)) if named_once(&all) => Some(Self::All(all.iter().map(options).collect())),
                _ => None,
            },
            _ => None,
        };
        condition.ok_or_else(|| {
            ApiError::unprocessable(POINTER, format!("{} cannot be asked for in this way", field.name))
        })
    }

    pub(super) fn holds(&self, value: Option<&CustomValue>) -> bool {
        match (self, value) {
            (Self::IsSet(set), value) => value.is_some() == *set,
            (Self::Contains(part), Some(CustomValue::Text(text))) => text.to_lowercase().contains(part),
            (Self::Number(wanted), Some(CustomValue::Number(number))) => wanted == number,
            (Self::Date(wanted), Some(CustomValue::Date(date))) => wanted == date,
            (Self::Any(options), Some(CustomValue::Choice(choice))) => options.contains(choice),
            (Self::Any(options), Some(CustomValue::Choices(choices))) => {
                choices.iter().any(|choice| options.contains(choice))
            }
            (Self::All(wanted), Some(CustomValue::Choices(choices))) => {
                wanted.iter().all(|options| options.iter().any(|option| choices.contains(option)))
            }
            _ => false,
        }
    }
}

fn equal(kind: CustomKind, value: &Value) -> Option<Condition> {
    match kind {
        CustomKind::Number => value.as_i64().map(Condition::Number),
        _ => value.as_str()?.parse().ok().map(Condition::Date),
    }
}
