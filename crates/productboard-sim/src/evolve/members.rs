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
    for member in workspace.members.iter_mut().filter(|member| !member.disabled) {
        if member.invitation_pending {
            if rng.random_bool(ACCEPTS) {
                member.invitation_pending = false;
                changes.members_accepted += 1;
                newcomers.push(member.id);
            }
        } else if member.role != "admin" && rng.random_bool(LEAVES) {
            member.disabled = true;
            changes.members_disabled += 1;
        } else if member.role != "admin" && rng.random_bool(CHANGES_ROLE) {
            let other = if member.role == "maker" { "viewer" } else { "maker" };
            other.clone_into(&mut member.role);
            changes.roles_changed += 1;
        } else if rng.random_bool(CHANGES_TEAM) {
            let (teams, memberships) = (&workspace.teams, &mut workspace.memberships);
            match teams.choose(rng).filter(|team| !member.teams.contains(&team.id)) {
                Some(team) => {
                    member.teams.insert(0, team.id);
                    memberships.push(Membership { team_id: team.id, member_id: member.id, since: day });
                    changes.memberships_changed += 1;
                }
                None => {
                    let left = member.teams.pop();
                    memberships.retain(|it| it.member_id != member.id || Some(it.team_id) != left);
                    changes.memberships_changed += usize::from(left.is_some());
                }
            }
        }
    }
    let joins = (workspace.members.len() as f64 * JOINS).min(1.0);
    if rng.random_bool(joins) {
        let member = newcomer(rng, workspace);
        if !member.invitation_pending {
            newcomers.push(member.id);
        }
        workspace.members.push(member);
        changes.members_joined += 1;
    }
    newcomers
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
