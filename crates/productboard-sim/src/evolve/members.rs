//! People of one day: they join, accept, leave, and change roles and teams. Nobody is ever deleted.

use std::collections::HashSet;

use chrono::NaiveDate;
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use super::Changes;
use crate::{Member, Membership, Workspace, calendar, ground, names};

/// Chances per weekday: of each member, or of each pending one to accept.
const JOINS: f64 = 1.0 / 250.0;
const ACCEPTS: f64 = 0.06;
const LEAVES: f64 = 1.0 / 400.0;
const CHANGES_ROLE: f64 = 1.0 / 600.0;
const CHANGES_TEAM: f64 = 1.0 / 200.0;

/// Changes the members and answers those who come for the first time.
pub(super) fn live(
    rng: &mut impl Rng,
    workspace: &mut Workspace,
    day: NaiveDate,
    changes: &mut Changes,
) -> Vec<Uuid> {
    if calendar::is_weekend(day) {
        return Vec::new();
    }
    let mut newcomers = Vec::new();
    let mut members = std::mem::take(&mut workspace.members);
    for member in members.iter_mut().filter(|member| !member.disabled) {
        if member.invitation_pending {
            if rng.random_bool(ACCEPTS) {
                member.invitation_pending = false;
                changes.members_accepted += 1;
                newcomers.push(member.id);
            }
        } else {
            change(rng, workspace, member, day, changes);
        }
    }
    workspace.members = members;
    if rng.random_bool((workspace.members.len() as f64 * JOINS).min(1.0)) {
        let member = newcomer(rng, workspace);
        if !member.invitation_pending {
            newcomers.push(member.id);
        }
        workspace.members.push(member);
        changes.members_joined += 1;
    }
    newcomers
}

/// Whoever is admin stays so: a workspace without admins is none.
fn change(
    rng: &mut impl Rng,
    workspace: &mut Workspace,
    member: &mut Member,
    day: NaiveDate,
    changes: &mut Changes,
) {
    let admin = member.role == "admin";
    if !admin && rng.random_bool(LEAVES) {
        member.disabled = true;
        changes.members_disabled += 1;
    } else if !admin && rng.random_bool(CHANGES_ROLE) {
        let other = if member.role == "maker" { "viewer" } else { "maker" };
        other.clone_into(&mut member.role);
        changes.roles_changed += 1;
    } else if rng.random_bool(CHANGES_TEAM) {
        let team = workspace.teams.choose(rng).filter(|team| !member.teams.contains(&team.id));
        changes.memberships_changed += usize::from(match team.map(|team| team.id) {
            Some(team_id) => join(workspace, member, team_id, day),
            None => leave(workspace, member),
        });
    }
}

fn join(workspace: &mut Workspace, member: &mut Member, team_id: Uuid, day: NaiveDate) -> bool {
    member.teams.insert(0, team_id);
    workspace.memberships.push(Membership { team_id, member_id: member.id, since: day });
    true
}

/// False for who is in no team.
fn leave(workspace: &mut Workspace, member: &mut Member) -> bool {
    let Some(left) = member.teams.pop() else { return false };
    workspace.memberships.retain(|it| it.member_id != member.id || it.team_id != left);
    true
}

fn newcomer(rng: &mut impl Rng, workspace: &Workspace) -> Member {
    let mut taken: HashSet<String> = workspace.members.iter().map(|member| member.username.clone()).collect();
    let names::FullName { name, username, email } = names::person(rng, &workspace.domain, &mut taken);
    let role = match rng.random_range(0..10) {
        0..6 => "maker",
        6..9 => "viewer",
        _ => "contributor",
    };
    Member {
        id: ground::id(rng),
        name,
        username,
        email,
        role: role.to_owned(),
        disabled: false,
        invitation_pending: rng.random_bool(0.5),
        teams: Vec::new(),
    }
}
