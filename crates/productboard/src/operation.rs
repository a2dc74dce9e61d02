//! What the API can be asked for. How each is asked is in `client/`.

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Errors say "could not …".
    pub(crate) attempted: &'static str,
    /// Some plans lack it: then 402, 404 and 501 tell about the plan, and not about the request.
    pub(crate) in_some_plans: bool,
}

const fn every_plan(attempted: &'static str) -> Operation {
    Operation { attempted, in_some_plans: false }
}

pub(crate) const LIST_MEMBERS: Operation = every_plan("list members");
pub(crate) const SEARCH_MEMBERS: Operation = every_plan("search members");
pub(crate) const GET_MEMBER: Operation = every_plan("get a member");
pub(crate) const LIST_TEAMS: Operation = every_plan("list teams");
pub(crate) const SEARCH_TEAMS: Operation = every_plan("search teams");
pub(crate) const GET_TEAM: Operation = every_plan("get a team");
pub(crate) const LIST_TEAM_MEMBERS: Operation = every_plan("list the members of a team");
pub(crate) const LIST_ACTIVITIES: Operation =
    Operation { attempted: "list member activities", in_some_plans: true };
pub(crate) const LIST_ENTITIES: Operation = every_plan("list entities");
pub(crate) const SEARCH_ENTITIES: Operation = every_plan("search entities");
pub(crate) const GET_ENTITY: Operation = every_plan("get an entity");
pub(crate) const LIST_ENTITY_RELATIONSHIPS: Operation = every_plan("list the relationships of an entity");
pub(crate) const LIST_ENTITY_CONFIGURATIONS: Operation = every_plan("list entity configurations");
pub(crate) const GET_ENTITY_CONFIGURATION: Operation = every_plan("get an entity configuration");
pub(crate) const LIST_FIELD_VALUES: Operation = every_plan("list the values of a field");
pub(crate) const LIST_NOTES: Operation = every_plan("list notes");
pub(crate) const SEARCH_NOTES: Operation = every_plan("search notes");
pub(crate) const GET_NOTE: Operation = every_plan("get a note");
pub(crate) const LIST_NOTE_RELATIONSHIPS: Operation = every_plan("list the relationships of a note");
pub(crate) const LIST_NOTE_CONFIGURATIONS: Operation = every_plan("list note configurations");
pub(crate) const GET_NOTE_CONFIGURATION: Operation = every_plan("get a note configuration");
pub(crate) const CREATE_WEBHOOK: Operation = every_plan("create a webhook");
pub(crate) const LIST_WEBHOOKS: Operation = every_plan("list webhooks");
pub(crate) const GET_WEBHOOK: Operation = every_plan("get a webhook");
pub(crate) const DELETE_WEBHOOK: Operation = every_plan("delete a webhook");
