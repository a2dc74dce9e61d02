//! What a list or a search of entities asks for, with mail addresses and names resolved to ids.

use uuid::Uuid;

use super::custom::Condition;
use super::kinds;
use crate::error::ApiError;
use crate::gate::Call;
use crate::page::PageRequest;
use crate::routes::body::{MemberRef, NamedRef, Range, SourceRef};
use crate::{Entity, EntityKind, Relationship, RelationshipKind, Workspace};

pub(super) const PARAMETERS: [&str; 13] = [
    "type[]",
    "fields[]",
    "name",
    "owner[id]",
    "owner[email]",
    "status[id]",
    "status[name]",
    "teams[id]",
    "teams[name]",
    "archived",
    "parent[id]",
    "metadata[source][system]",
    "metadata[source][recordId]",
];
const UUID: &str = "a UUID";

/// All of these must hold; of a list, any.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) kinds: Vec<EntityKind>,
    pub(super) ids: Option<Vec<Uuid>>,
    pub(super) created: Range,
    pub(super) updated: Range,
    pub(super) name: Option<String>,
    pub(super) archived: Option<bool>,
    pub(super) owners: Option<Vec<Uuid>>,
    pub(super) statuses: Option<Vec<Uuid>>,
    pub(super) teams: Option<Vec<Uuid>>,
    pub(super) parents: Option<Vec<Uuid>>,
    pub(super) source: SourceRef,
    pub(super) custom: Vec<(Uuid, Condition)>,
    /// Finds no objectives, as the vendor's search did.
    pub(super) no_objectives: bool,
}

impl Filter {
    pub(super) fn read(request: &PageRequest, call: &Call) -> Result<Self, ApiError> {
        let workspace: &Workspace = &call.workspace;
        if request.value("owner[email]").is_some() {
            call.may_filter_people("owner[email]")?;
        }
        let text = |name: &str| request.value(name).map(str::to_owned);
        let owner = MemberRef { id: request.parsed("owner[id]", UUID)?, email: text("owner[email]") };
        let status = NamedRef { id: request.parsed("status[id]", UUID)?, name: text("status[name]") };
        let team = NamedRef { id: request.parsed("teams[id]", UUID)?, name: text("teams[name]") };
        if team.id.is_some() && team.name.is_some() {
            return Err(ApiError::invalid_parameter(
                "teams[id]",
                "teams[id] and teams[name] exclude each other",
            ));
        }
        let parent: Option<Uuid> = request.parsed("parent[id]", UUID)?;
        let sent = |names: [&str; 2]| names.iter().any(|name| request.value(name).is_some());
        Ok(Self {
            kinds: kinds(request, "type[]")?,
            name: text("name"),
            archived: request.flag("archived")?,
            owners: sent(["owner[id]", "owner[email]"]).then(|| owners(workspace, &[owner])),
            statuses: sent(["status[id]", "status[name]"]).then(|| statuses(workspace, &[status])),
            teams: sent(["teams[id]", "teams[name]"]).then(|| teams(workspace, &[team])),
            parents: parent.map(|parent| vec![parent]),
            source: SourceRef {
                system: text("metadata[source][system]"),
                record_id: text("metadata[source][recordId]"),
            },
            ..Self::default()
        })
    }

    pub(super) fn takes(&self, entity: &Entity) -> bool {
        let any = |wanted: &Option<Vec<Uuid>>, id: Option<Uuid>| {
            wanted.as_ref().is_none_or(|wanted| id.is_some_and(|id| wanted.contains(&id)))
        };
        let below = |parents: &Vec<Uuid>| entity.parent().is_some_and(|parent| parents.contains(&parent));
        (self.kinds.is_empty() || self.kinds.contains(&entity.kind))
            && !(self.no_objectives && entity.kind == EntityKind::Objective)
            && any(&self.ids, Some(entity.id))
            && self.created.contains(entity.created_at)
            && self.updated.contains(entity.updated_at)
            && self.name.as_ref().is_none_or(|name| *name == entity.name)
            && self.archived.is_none_or(|archived| archived == entity.archived)
            && any(&self.owners, entity.owner)
            && any(&self.statuses, entity.status)
            && self.teams.as_ref().is_none_or(|teams| entity.teams.iter().any(|id| teams.contains(id)))
            && self.parents.as_ref().is_none_or(below)
            && self.source.takes(entity.source.as_ref())
            && self.custom.iter().all(|(field, condition)| condition.holds(entity.custom.get(field)))
    }
}

/// The members that any of the references names. One with id and address must fit both.
pub(in crate::routes) fn owners(workspace: &Workspace, references: &[MemberRef]) -> Vec<Uuid> {
    let named = |reference: &MemberRef, member: &crate::Member| {
        reference.id.is_none_or(|id| id == member.id)
            && reference.email.as_ref().is_none_or(|email| email.eq_ignore_ascii_case(&member.email))
    };
    let members = workspace.members.iter();
    members.filter(|member| references.iter().any(|it| named(it, member))).map(|member| member.id).collect()
}

pub(super) fn statuses(workspace: &Workspace, references: &[NamedRef]) -> Vec<Uuid> {
    named(workspace.statuses.iter().map(|status| (status.id, status.name.as_str())), references)
}

pub(super) fn teams(workspace: &Workspace, references: &[NamedRef]) -> Vec<Uuid> {
    named(workspace.teams.iter().map(|team| (team.id, team.name.as_str())), references)
}

fn named<'a>(things: impl Iterator<Item = (Uuid, &'a str)>, references: &[NamedRef]) -> Vec<Uuid> {
    let fits = |(id, name): &(Uuid, &str)| {
        references.iter().any(|reference| {
            reference.id.is_none_or(|wanted| wanted == *id)
                && reference.name.as_ref().is_none_or(|wanted| wanted == name)
        })
    };
    things.filter(fits).map(|(id, _)| id).collect()
}

/// What `GET /v2/entities/{id}/relationships` shows.
pub(super) struct RelationshipFilter {
    pub(super) kinds: Vec<RelationshipKind>,
    pub(super) target_kinds: Vec<EntityKind>,
    pub(super) target: Option<Uuid>,
}

impl RelationshipFilter {
    /// Without a type it is links, as the vendor's schema has it.
    pub(super) fn read(request: &PageRequest) -> Result<Self, ApiError> {
        let word = |word: &str| RelationshipKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        let sent: Option<Vec<RelationshipKind>> = request.values("type").map(word).collect();
        let kinds = sent.ok_or_else(|| {
            let words = RelationshipKind::ALL.map(RelationshipKind::as_str).join(", ");
            ApiError::invalid_parameter("type", format!("must be one of {words}"))
        })?;
        Ok(Self {
            kinds: if kinds.is_empty() { vec![RelationshipKind::Link] } else { kinds },
            target_kinds: super::kinds(request, "target[type]")?,
            target: request.parsed("target[id]", UUID)?,
        })
    }

    pub(super) fn takes(&self, relationship: &Relationship) -> bool {
        self.kinds.contains(&relationship.kind)
            && (self.target_kinds.is_empty() || self.target_kinds.contains(&relationship.target_kind))
            && self.target.is_none_or(|target| target == relationship.target)
    }
}
