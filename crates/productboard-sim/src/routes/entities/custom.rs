//! Conditions of a search on fields that the workspace defined itself: which one may be used depends on the field.

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::ApiError;
use crate::routes::body::NamedRef;
use crate::{CustomField, CustomKind, CustomValue, SelectOption};

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

/// The one thing that a condition says.
enum Operator {
    IsSet(bool),
    Is(NamedRef),
    Contains(String),
    Equals(Value),
    Any(Vec<NamedRef>),
    All(Vec<NamedRef>),
}

impl Sent {
    /// `None` when it says nothing or several things.
    fn operator(self) -> Option<Operator> {
        let Self { id, name, contains, eq, any, all, is_set } = self;
        let named = id.is_some() || name.is_some();
        let mut operators = [
            is_set.map(Operator::IsSet),
            named.then_some(Operator::Is(NamedRef { id, name })),
            contains.map(Operator::Contains),
            eq.map(Operator::Equals),
            any.map(Operator::Any),
            all.map(Operator::All),
        ]
        .into_iter()
        .flatten();
        operators.next().filter(|_| operators.next().is_none())
    }
}

impl Condition {
    pub(super) fn read(field: &CustomField, sent: Sent) -> Result<Self, ApiError> {
        let condition = match (field.kind, sent.operator()) {
            (_, Some(Operator::IsSet(set))) => Some(Self::IsSet(set)),
            (CustomKind::Text, Some(Operator::Contains(part))) => Some(Self::Contains(part.to_lowercase())),
            (CustomKind::Number, Some(Operator::Equals(value))) => value.as_i64().map(Self::Number),
            (CustomKind::Date, Some(Operator::Equals(value))) => date(&value).map(Self::Date),
            (CustomKind::SingleSelect, Some(Operator::Is(option))) => options(field, &option).map(Self::Any),
            (CustomKind::MultiSelect, Some(Operator::Any(any))) => {
                let any: Option<Vec<Vec<Uuid>>> = any.iter().map(|option| options(field, option)).collect();
                any.map(|any| Self::Any(any.concat()))
            }
            (CustomKind::MultiSelect, Some(Operator::All(all))) => {
                all.iter().map(|option| options(field, option)).collect::<Option<_>>().map(Self::All)
            }
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

fn date(value: &Value) -> Option<NaiveDate> {
    value.as_str()?.parse().ok()
}

/// The options that a reference means. `None` when it has both id and name, or neither.
fn options(field: &CustomField, reference: &NamedRef) -> Option<Vec<Uuid>> {
    let fits = |option: &&SelectOption| {
        reference.id == Some(option.id) || reference.name.as_ref() == Some(&option.name)
    };
    let once = reference.id.is_some() != reference.name.is_some();
    once.then(|| field.options.iter().filter(fits).map(|option| option.id).collect())
}
