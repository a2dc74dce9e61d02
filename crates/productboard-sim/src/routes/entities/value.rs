//! The value of one field of one entity, as it is answered.

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

use crate::field::Field;
use crate::gate::Call;
use crate::json::Micros;
use crate::routes::pii;
use crate::{
    CustomField, CustomValue, Entity, EntityKind, HealthStatus, HealthUpdate, Progress, SelectOption,
    Timeframe,
};

/// A value; `Empty` is null.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::routes) enum Value<'a> {
    Empty,
    Text(&'a str),
    Flag(bool),
    Number(i64),
    Measured(Measured),
    Date(NaiveDate),
    Member(Member<'a>),
    Named(Named<'a>),
    Several(Vec<Named<'a>>),
    Timeframe(Timeframe),
    Progress(Progress),
    Health(Health<'a>),
}

#[derive(Serialize)]
pub(in crate::routes) struct Measured {
    value: i64,
    mode: &'static str,
}

/// A member, for example an owner.
#[derive(Serialize)]
pub(in crate::routes) struct Member<'a> {
    id: Uuid,
    email: &'a str,
}

/// A status, a team, an option or a tag.
#[derive(Serialize)]
pub(in crate::routes) struct Named<'a> {
    id: Uuid,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::routes) struct Health<'a> {
    id: Uuid,
    mode: &'static str,
    status: HealthStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_status: Option<HealthStatus>,
    last_updated_at: Micros,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<Member<'a>>,
}

impl<'a> Value<'a> {
    pub(super) fn of(call: &'a Call, entity: &'a Entity, field: Field<'_>) -> Self {
        let workspace = &call.workspace;
        let text = |text: Option<&'a String>| text.map(|text| Self::Text(text));
        let value = match field {
            Field::Name if entity.kind == EntityKind::User => {
                Some(Self::Text(pii::customer(call, &entity.name)))
            }
            Field::Name => Some(Self::Text(&entity.name)),
            Field::Description => text(entity.description.as_ref()),
            Field::Owner => Member::of(call, entity.owner).map(Self::Member),
            Field::Archived => Some(Self::Flag(entity.archived)),
            Field::Status => workspace
                .statuses
                .iter()
                .find(|status| Some(status.id) == entity.status)
                .map(|status| Self::Named(Named { id: status.id, name: &status.name, color: None })),
            Field::Teams => {
                let teams = entity.teams.iter().filter_map(|id| workspace.team(*id));
                several(teams.map(|team| Named { id: team.id, name: &team.name, color: None }))
            }
            Field::Timeframe => entity.timeframe.map(Self::Timeframe),
            Field::Health => entity.health.as_ref().map(|health| Self::Health(Health::of(call, health))),
            Field::Progress => entity.progress.map(Self::Progress),
            Field::WorkProgress => entity
                .work_progress
                .map(|value| Self::Measured(Measured { value: value.into(), mode: "statusBased" })),
            Field::Effort => entity.effort.map(|value| Self::Measured(Measured { value, mode: "manual" })),
            Field::Tags => several(chosen(&workspace.tags, &entity.tags)),
            Field::Domain => text(entity.domain.as_ref()),
            Field::Email => entity.email.as_ref().map(|email| Self::Text(pii::customer(call, email))),
            Field::Custom(field) => {
                let field = workspace.custom_fields.iter().find(|known| known.id == field.id);
                field.zip(field.and_then(|field| entity.custom.get(&field.id))).map(custom)
            }
        };
        value.unwrap_or(Self::Empty)
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty | Self::Text(""))
    }
}

impl<'a> Member<'a> {
    pub(in crate::routes) fn of(call: &'a Call, id: Option<Uuid>) -> Option<Self> {
        let member = call.workspace.member(id?)?;
        Some(Self { id: member.id, email: pii::member(call, &member.email) })
    }
}

impl<'a> Health<'a> {
    fn of(call: &'a Call, health: &'a HealthUpdate) -> Self {
        let created_by = Member::of(call, health.created_by);
        Self {
            id: health.id,
            mode: if created_by.is_some() { "manual" } else { "calculated" },
            status: health.status,
            previous_status: health.previous_status,
            last_updated_at: Micros(health.last_updated_at),
            comment: health.comment.as_deref(),
            created_by,
        }
    }
}

fn custom<'a>((field, value): (&'a CustomField, &'a CustomValue)) -> Value<'a> {
    match value {
        CustomValue::Text(text) => Value::Text(text),
        CustomValue::Number(number) => Value::Number(*number),
        CustomValue::Date(date) => Value::Date(*date),
        CustomValue::Choice(id) => {
            chosen(&field.options, std::slice::from_ref(id)).next().map_or(Value::Empty, Value::Named)
        }
        CustomValue::Choices(ids) => several(chosen(&field.options, ids)).unwrap_or(Value::Empty),
    }
}

/// The options with these ids.
pub(in crate::routes) fn chosen<'a>(
    options: &'a [SelectOption],
    ids: &'a [Uuid],
) -> impl Iterator<Item = Named<'a>> {
    ids.iter().filter_map(|id| options.iter().find(|option| option.id == *id)).map(|option| Named {
        id: option.id,
        name: &option.name,
        color: Some(&option.color),
    })
}

/// A list without items is empty.
fn several<'a>(items: impl Iterator<Item = Named<'a>>) -> Option<Value<'a>> {
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then_some(Value::Several(items))
}
