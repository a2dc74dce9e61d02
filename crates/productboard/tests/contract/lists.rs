//! Members, teams and activities: what comes out is what the workspace holds.

use std::collections::BTreeMap;

use tidemark_productboard::{MembersQuery, TeamsQuery};

use crate::support::{activities, all, client, simulator};

#[tokio::test]
async fn members_are_those_of_the_workspace() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let members = all(client(&simulator).members(&MembersQuery::everyone(), None)).await.unwrap();
    let members: BTreeMap<_, _> = members.into_iter().map(|member| (member.id, member)).collect();
    assert_eq!(members.len(), workspace.members.len());
    for expected in &workspace.members {
        let member = &members[&expected.id];
        assert_eq!(member.name.known(), Some(expected.name.as_str()));
        assert_eq!(member.username.known(), Some(expected.username.as_str()));
        assert_eq!(member.email.known(), Some(expected.email.as_str()));
        assert_eq!(member.role.as_str(), expected.role);
        assert_eq!((member.disabled, member.pending), (expected.disabled, expected.invitation_pending));
        assert_eq!(member.teams, expected.teams);
        assert_eq!(member.workspace.as_deref(), Some("acme"));
    }
}

#[tokio::test]
async fn teams_and_their_members_are_those_of_the_workspace() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let teams = all(client.teams(&TeamsQuery::default(), None)).await.unwrap();
    assert_eq!(teams.len(), 9);
    for team in teams {
        let expected = workspace.teams.iter().find(|its| its.id == team.id).unwrap();
        assert_eq!((team.name, team.handle), (expected.name.clone(), Some(expected.handle.clone())));
        assert_eq!(team.description, expected.description);
        let members = all(client.team_members(team.id, None)).await.unwrap();
        let expected = workspace.memberships.iter().filter(|it| it.team_id == team.id);
        assert_eq!(members.len(), expected.count());
        assert!(members.iter().all(|member| member.name.known().is_some()));
    }
}

#[tokio::test]
async fn activities_are_those_of_the_workspace() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let activities = activities(&client(&simulator)).await.unwrap();
    assert!(activities.len() > 14, "more than two pages: {}", activities.len());
    let rows: BTreeMap<_, _> =
        workspace.activities.iter().map(|row| ((row.date, row.member_id), row)).collect();
    for activity in &activities {
        let expected = rows[&(activity.row.day, activity.row.member_id)];
        assert_eq!(activity.domain(), Some("acme"));
        assert_eq!(activity.row.active_flag, expected.active_flag);
        assert_eq!(activity.row.counters.0, expected.counters);
    }
}
