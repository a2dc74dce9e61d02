//! What entities and notes are drawn upon: the people, teams and field definitions that are there already.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use crate::EntityKind::{Company, Component, Feature, Initiative, KeyResult, Objective, Release, Subfeature};
use crate::{CustomField, CustomKind, EntityKind, Member, SelectOption, Status, Team, Workspace};

const COLORS: [&str; 8] = ["red", "blue", "green", "yellow", "purple", "gray", "lime", "pink"];
const STATUSES: [(&str, &[EntityKind]); 8] = [
    ("New idea", &[Feature, Subfeature]),
    ("Candidate", &[Feature, Subfeature, Initiative]),
    ("Planned", &[Feature, Subfeature, Initiative, Release]),
    ("In progress", &[Feature, Subfeature, Initiative, Objective, KeyResult, Release]),
    ("Released", &[Feature, Subfeature, Release]),
    ("Won't do", &[Feature, Subfeature, Initiative]),
    ("Upcoming", &[Objective, KeyResult]),
    ("Reached", &[Objective, KeyResult]),
];
const TAGS: [&str; 8] =
    ["quick win", "churn risk", "enterprise", "mobile", "debt", "security", "beta", "feedback wanted"];

/// The people, teams and definitions of a workspace, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) members: &'a [Member],
    pub(crate) teams: &'a [Team],
    pub(crate) statuses: &'a [Status],
    pub(crate) tags: &'a [SelectOption],
    pub(crate) custom_fields: &'a [CustomField],
}

impl<'a> Ground<'a> {
    pub(crate) fn of(workspace: &'a Workspace) -> Self {
        let Workspace { members, teams, statuses, tags, custom_fields, .. } = workspace;
        Self { members, teams, statuses, tags, custom_fields }
    }

    /// Somebody who works there, most of the time.
    pub(crate) fn somebody(self, rng: &mut impl Rng) -> Option<Uuid> {
        let member = self.members.choose(rng)?;
        (!member.disabled && !member.invitation_pending && rng.random_bool(0.9)).then_some(member.id)
    }

    /// A few tags, often none.
    pub(crate) fn some_tags(self, rng: &mut impl Rng) -> Vec<Uuid> {
        let count = rng.random_range(0..4_usize).saturating_sub(1);
        self.tags.choose_multiple(rng, count).map(|tag| tag.id).collect()
    }
}

pub(crate) fn id(rng: &mut impl Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

/// A moment of a working day, to the microsecond as the vendor has it.
pub(crate) fn moment(rng: &mut impl Rng, day: NaiveDate) -> DateTime<Utc> {
    let second = rng.random_range(8 * 3600..18 * 3600);
    day.and_time(NaiveTime::MIN).and_utc()
        + TimeDelta::seconds(second)
        + TimeDelta::microseconds(rng.random_range(1..1_000_000))
}

pub(crate) fn statuses(rng: &mut impl Rng) -> Vec<Status> {
    STATUSES
        .iter()
        .map(|(name, kinds)| Status { id: id(rng), name: (*name).to_owned(), kinds: kinds.to_vec() })
        .collect()
}

pub(crate) fn tags(rng: &mut impl Rng) -> Vec<SelectOption> {
    options(rng, &TAGS)
}

pub(crate) fn custom_fields(rng: &mut impl Rng) -> Vec<CustomField> {
    const FIELDS: [(&str, CustomKind, &[EntityKind], &[&str]); 6] = [
        ("Segment", CustomKind::Text, &[Feature, Initiative], &[]),
        ("Revenue at stake", CustomKind::Number, &[Feature, Subfeature], &[]),
        ("Promised for", CustomKind::Date, &[Feature, Subfeature, Release], &[]),
        (
            "Priority",
            CustomKind::SingleSelect,
            &[Feature, Subfeature, Initiative],
            &["Low", "Medium", "High"],
        ),
        ("Regions", CustomKind::MultiSelect, &[Feature, Component], &["Europe", "Americas", "Asia"]),
        ("Contract", CustomKind::SingleSelect, &[Company], &["Trial", "Standard", "Premium"]),
    ];
    FIELDS
        .iter()
        .map(|(name, kind, kinds, names)| CustomField {
            id: id(rng),
            name: (*name).to_owned(),
            kind: *kind,
            kinds: kinds.to_vec(),
            options: options(rng, names),
        })
        .collect()
}

fn options(rng: &mut impl Rng, names: &[&str]) -> Vec<SelectOption> {
    let colors = COLORS.iter().cycle();
    names
        .iter()
        .zip(colors)
        .map(|(name, color)| SelectOption {
            id: id(rng),
            name: (*name).to_owned(),
            color: (*color).to_owned(),
        })
        .collect()
}
