//! One entity with its fields, before it has any relationship.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use crate::field::Field;
use crate::ground::{Ground, id};
use crate::{
    CustomField, CustomKind, CustomValue, Entity, EntityKind, Granularity, HealthStatus, HealthUpdate,
    Progress, Source, Timeframe, titles,
};

/// A new entity of a type, the `index`-th of it.
pub(crate) fn entity(
    rng: &mut impl Rng,
    kind: EntityKind,
    index: usize,
    at: DateTime<Utc>,
    ground: Ground<'_>,
) -> Entity {
    let name = titles::entity(rng, kind, index);
    let described = rng.random_bool(0.6);
    let mut entity = Entity {
        id: id(rng),
        kind,
        description: described.then(|| format!("<p>{}</p>", titles::remark(rng))),
        owner: ground.somebody(rng),
        archived: rng.random_bool(0.05),
        status: None,
        teams: Vec::new(),
        timeframe: None,
        health: None,
        progress: None,
        work_progress: None,
        effort: None,
        tags: Vec::new(),
        domain: None,
        email: None,
        custom: std::collections::BTreeMap::new(),
        relationships: Vec::new(),
        source: None,
        created_at: at,
        updated_at: at,
        name,
    };
    for field in Field::of(kind, ground.custom_fields) {
        fill(rng, &mut entity, field, index, ground);
    }
    entity.source = source(rng, kind, entity.id);
    entity
}

/// Draws the value of one field anew; the four that every type has stay.
pub(crate) fn fill(
    rng: &mut impl Rng,
    entity: &mut Entity,
    field: Field<'_>,
    index: usize,
    ground: Ground<'_>,
) {
    let filled = rng.random_bool(0.7);
    match field {
        Field::Name | Field::Description | Field::Owner | Field::Archived => {}
        Field::Status => entity.status = status(rng, entity.kind, ground),
        Field::Teams => {
            let count = usize::from(filled);
            entity.teams = ground.teams.choose_multiple(rng, count).map(|team| team.id).collect();
        }
        Field::Timeframe => entity.timeframe = filled.then(|| timeframe(rng, entity.created_at.date_naive())),
        Field::Health => entity.health = filled.then(|| health(rng, entity, ground)),
        Field::Progress => {
            let target_value = rng.random_range(10..200);
            let current_value = rng.random_range(0..=target_value);
            entity.progress = Some(Progress { start_value: 0, target_value, current_value });
        }
        Field::WorkProgress => entity.work_progress = filled.then(|| rng.random_range(0..=100)),
        Field::Effort => entity.effort = filled.then(|| rng.random_range(1..40)),
        Field::Tags => entity.tags = ground.some_tags(rng),
        Field::Domain => entity.domain = Some(format!("{}.example", slug(&entity.name))),
        Field::Email => {
            entity.email = Some(format!("user{index}.{}@customer.example", entity.id.as_fields().0));
        }
        Field::Custom(custom) => {
            if rng.random_bool(0.4) {
                entity.custom.insert(custom.id, value(rng, custom, entity.created_at.date_naive()));
            }
        }
    }
}

pub(crate) fn status(rng: &mut impl Rng, kind: EntityKind, ground: Ground<'_>) -> Option<Uuid> {
    let possible: Vec<Uuid> = ground
        .statuses
        .iter()
        .filter(|status| status.kinds.contains(&kind))
        .map(|status| status.id)
        .collect();
    possible.choose(rng).copied()
}

pub(crate) fn health(rng: &mut impl Rng, entity: &Entity, ground: Ground<'_>) -> HealthUpdate {
    const STATUSES: [HealthStatus; 4] =
        [HealthStatus::OnTrack, HealthStatus::AtRisk, HealthStatus::OffTrack, HealthStatus::NotSet];
    let commented = rng.random_bool(0.3);
    HealthUpdate {
        id: id(rng),
        status: STATUSES.choose(rng).copied().unwrap_or(HealthStatus::NotSet),
        previous_status: entity.health.as_ref().map(|health| health.status),
        last_updated_at: entity.updated_at,
        comment: commented.then(|| titles::remark(rng).to_owned()),
        created_by: ground.somebody(rng),
    }
}

fn timeframe(rng: &mut impl Rng, created: NaiveDate) -> Timeframe {
    let (granularity, months) = match rng.random_range(0..4) {
        0 => (Granularity::Year, 12),
        1 => (Granularity::Month, 1),
        2 => (Granularity::Day, 0),
        _ => (Granularity::Quarter, 3),
    };
    let day = created + Days::new(rng.random_range(20..400));
    if months == 0 {
        let end_date = day + Days::new(rng.random_range(0..60));
        return Timeframe { start_date: day, end_date, granularity };
    }
    let start_date = day.with_day(1).unwrap_or(day) - Months::new(day.month0() % months);
    Timeframe { start_date, end_date: start_date + Months::new(months) - Days::new(1), granularity }
}

fn value(rng: &mut impl Rng, field: &CustomField, created: NaiveDate) -> CustomValue {
    let option = field.options.choose(rng).map(|option| option.id).unwrap_or_default();
    match field.kind {
        CustomKind::Text => CustomValue::Text(titles::request(rng)),
        CustomKind::Number => CustomValue::Number(rng.random_range(1..500) * 1_000),
        CustomKind::Date => CustomValue::Date(created + Days::new(rng.random_range(10..300))),
        CustomKind::SingleSelect => CustomValue::Choice(option),
        CustomKind::MultiSelect => {
            let count = rng.random_range(1..=field.options.len().max(1));
            CustomValue::Choices(field.options.choose_multiple(rng, count).map(|it| it.id).collect())
        }
    }
}

fn source(rng: &mut impl Rng, kind: EntityKind, id: Uuid) -> Option<Source> {
    let system = match kind {
        EntityKind::Company | EntityKind::User => "salesforce",
        EntityKind::Feature | EntityKind::Subfeature => "jira",
        _ => return None,
    };
    let record_id = format!("{system}-{}", id.as_fields().0);
    rng.random_bool(0.3).then(|| Source {
        url: Some(format!("https://{system}.example/{record_id}")),
        system: Some(system.to_owned()),
        record_id: Some(record_id),
    })
}

fn slug(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
