//! How a workspace lives on.

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};
use serde_json::json;
use tidemark_productboard_sim::{Changes, Workspace, WorkspaceSpec};

use crate::support::{acme, all, get, send, today};

const SEED: u64 = 1;

fn after(days: u64) -> NaiveDate {
    today() + Days::new(days)
}

fn evolved(days: u64) -> (Workspace, Workspace, Changes) {
    let before = Workspace::generate(&WorkspaceSpec::new("acme", 60, today()));
    let mut workspace = before.clone();
    let changes = workspace.evolve(after(days), SEED);
    (before, workspace, changes)
}

#[test]
fn two_steps_are_one() {
    let (before, whole, changes) = evolved(30);
    assert_eq!(changes.days, 30);
    let mut steps = before.clone();
    steps.evolve(after(11), SEED);
    assert_ne!(steps, whole);
    steps.evolve(after(30), SEED);
    assert_eq!(steps, whole);
    assert_eq!(steps.evolve(after(30), SEED), Changes::default(), "that day is there already");
    assert_eq!(steps, whole);
    let mut other = before;
    other.evolve(after(30), 2);
    assert_ne!(other, whole);
}

#[test]
fn a_year_changes_everything_that_can_change() {
    let (before, workspace, changes) = evolved(365);
    let counts = serde_json::to_value(changes).unwrap();
    for (what, count) in counts.as_object().unwrap() {
        assert!(count.as_u64() > Some(0), "{what}: {counts}");
    }
    assert_eq!(workspace.today, after(365));
    assert_eq!(workspace.members.len(), before.members.len() + changes.members_joined, "nobody is deleted");
    let old: Vec<_> = workspace.members.iter().take(60).map(|member| member.id).collect();
    assert_eq!(old, before.members.iter().map(|member| member.id).collect::<Vec<_>>(), "oldest first");
    let entities = before.entities.len() + changes.entities_created - changes.entities_deleted;
    assert_eq!(workspace.entities.len(), entities);
    assert_eq!(workspace.notes.len(), before.notes.len() + changes.notes_created - changes.notes_deleted);
}

#[test]
fn days_go_on_as_before_and_may_come_late() {
    let (before, workspace, changes) = evolved(60);
    let keys: Vec<_> = workspace.activities.iter().map(|row| (row.date, row.member_id)).collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "sorted and unique");
    let added = changes.activities_added + changes.activities_late;
    assert_eq!(keys.len(), before.activities.len() + added);
    let rows =
        |from: NaiveDate| keys.iter().filter(|(day, _)| *day > from && *day <= from + Days::new(28)).count();
    let (past, future) = (rows(today() - Days::new(30)), rows(after(20)));
    assert!(future * 2 > past && future < past * 2, "{past} before, {future} after");

    let known: HashSet<_> = before.activities.iter().map(|row| (row.date, row.member_id)).collect();
    let late: Vec<_> = keys.iter().filter(|key| key.0 <= today() && !known.contains(*key)).collect();
    assert!(!late.is_empty() && late.iter().all(|key| key.0 >= today() - Days::new(3)));
    let disabled: HashSet<_> =
        before.members.iter().filter(|member| member.disabled).map(|member| member.id).collect();
    assert!(!keys.iter().any(|(day, id)| *day > today() && disabled.contains(id)));
}

#[test]
fn what_is_left_stays_whole() {
    let (before, workspace, _) = evolved(200);
    let by_id: HashMap<_, _> = workspace.entities.iter().map(|entity| (entity.id, entity)).collect();
    for entity in &workspace.entities {
        assert!(entity.relationships.iter().all(|it| {
            by_id[&it.target]
                .relationships
                .iter()
                .any(|back| back.target == entity.id && back.target_kind == entity.kind)
        }));
        assert!(entity.created_at <= entity.updated_at);
    }
    for note in &workspace.notes {
        assert!(!(note.archived && note.processed));
        assert!(note.links.iter().chain(&note.customer).all(|target| by_id.contains_key(&target.id)));
    }
    for member in &workspace.members {
        let teams: HashSet<_> = workspace
            .memberships
            .iter()
            .filter(|it| it.member_id == member.id)
            .map(|it| it.team_id)
            .collect();
        assert_eq!(member.teams.iter().copied().collect::<HashSet<_>>(), teams);
    }
    let was: HashMap<_, _> = before.entities.iter().map(|entity| (entity.id, entity)).collect();
    let changed =
        workspace.entities.iter().filter(|it| was.get(&it.id).is_some_and(|was| was.name != it.name));
    assert!(changed.clone().count() > 0);
    assert!(changed.into_iter().all(|it| it.updated_at > was[&it.id].updated_at), "a change shows its time");
}

#[tokio::test]
async fn a_served_workspace_lives_on_over_http() {
    let simulator = acme().await;
    let target = "/admin/workspaces/acme/evolve";
    let body = r#"{"to":"2026-08-20","seed":1}"#;
    let answer = send(&simulator, "POST", target, None, body).await;
    let (_, expected, changes) = evolved(8);
    assert_eq!((answer.status, answer.body), (200, json!(changes)));
    assert_eq!(*simulator.workspace("acme").unwrap(), expected);
    let days = all(&simulator, "/v2/analytics/member-activities?dateFrom=2026-08-13").await;
    let new = expected.activities.iter().filter(|row| row.date > today()).count();
    assert_eq!(days.len(), new);
    assert_eq!(simulator.evolve("acme", after(9), SEED).unwrap().days, 1);
    assert_eq!(simulator.evolve("nowhere", after(9), SEED), None);
    for (target, body, status) in [
        ("/admin/workspaces/nowhere/evolve", body, 404),
        (target, r#"{"to":"9999-12-31","seed":1}"#, 400),
        (target, r#"{"to":"2026-08-20"}"#, 400),
    ] {
        assert_eq!(send(&simulator, "POST", target, None, body).await.status, status, "{body}");
    }
    assert_eq!(get(&simulator, "/v2/members").await.status, 200);
}
