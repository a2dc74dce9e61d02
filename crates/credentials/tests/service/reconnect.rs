//! Reconnecting: proven first, then swapped at once; a refusal leaves everything as it was.

use futures::future::join_all;
use tidemark_productboard_sim::{Route, Workspace, WorkspaceSpec};
use tidemark_rpc::{connections::ConnectionState, credentials::Verdict, status};
use tonic::Code;

use crate::world::{ACME, GLOBEX, World, today};

const SECOND: &str = "acme-key-2";

#[tokio::test]
async fn a_new_key_of_the_same_workspace_takes_the_old_ones_place() {
    let world = World::new().await;
    let lost = world.lost().await;
    world.simulator.issue_token("acme", SECOND);
    world.clock.advance(chrono::TimeDelta::minutes(5));
    let connection = world.reconnect(&lost.id, SECOND).await.unwrap();
    assert_eq!((connection.id.as_str(), connection.generation), (lost.id.as_str(), 2));
    assert_eq!((connection.state(), connection.reason.as_ref()), (ConnectionState::Connected, None));
    assert_eq!(connection.created_at, lost.created_at);
    assert_eq!(world.get(&lost.id).await.unwrap(), connection);
    let expected = ["connection.connected", "connection.reconnect_required", "connection.reconnected"];
    assert_eq!(world.events(&lost.id).await, expected);

    let token = world.token(&lost.id).await.unwrap();
    assert_eq!((token.access_token.as_str(), token.generation), (SECOND, 2));
    assert_eq!(world.store.credential(&lost.id.parse().unwrap(), 1).await.unwrap(), None);

    assert_eq!(world.report(&lost.id, 1).await.unwrap(), Verdict::Superseded, "a late report of the old key");
    assert_eq!(world.report(&lost.id, 2).await.unwrap(), Verdict::StillValid);
    assert_eq!(world.events(&lost.id).await.len(), 3);
}

#[tokio::test]
async fn a_key_can_be_replaced_while_it_still_works() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.issue_token("acme", SECOND);
    assert_eq!(world.reconnect(&id, SECOND).await.unwrap().generation, 2);
    assert_eq!(world.token(&id).await.unwrap().access_token, SECOND);
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnected"]);
}

#[tokio::test]
async fn a_key_of_another_workspace_is_refused_and_the_old_one_stays() {
    let world = World::new().await;
    let connection = world.connected().await;
    let refused = world.reconnect(&connection.id, GLOBEX).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(status::reason(&refused).as_deref(), Some("WRONG_WORKSPACE"));
    assert!(refused.message().contains("`globex`") && refused.message().contains("`acme`"), "{refused}");
    assert_eq!(world.get(&connection.id).await.unwrap(), connection);
    assert_eq!(world.token(&connection.id).await.unwrap().access_token, ACME);
    assert_eq!(world.events(&connection.id).await, ["connection.connected"]);
}

#[tokio::test]
async fn a_key_that_does_not_work_leaves_the_old_one() {
    let world = World::new().await;
    let connection = world.connected().await;
    let refused = world.reconnect(&connection.id, "nobodys-key").await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("KEY_REJECTED"));
    assert!(refused.message().contains("its stored credentials are as they were"), "{refused}");

    world.simulator.issue_token("acme", SECOND);
    world.forbid(SECOND, Route::Members);
    let refused = world.reconnect(&connection.id, SECOND).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("KEY_WITHOUT_MEMBERS"));

    assert_eq!(world.get(&connection.id).await.unwrap(), connection);
    assert_eq!(world.token(&connection.id).await.unwrap().access_token, ACME);
}

#[tokio::test]
async fn a_lost_connection_stays_lost_when_the_reconnect_fails() {
    let world = World::new().await;
    let lost = world.lost().await;
    assert!(world.reconnect(&lost.id, GLOBEX).await.is_err());
    assert_eq!(world.get(&lost.id).await.unwrap(), lost);
    assert!(world.token(&lost.id).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_reconnects_at_the_same_time_each_counts_once_or_is_aborted() {
    let world = World::new().await;
    let id = world.lost().await.id;
    let keys: Vec<_> = (0..8).map(|number| format!("acme-new-{number}")).collect();
    keys.iter().for_each(|key| assert!(world.simulator.issue_token("acme", key)));
    let outcomes = join_all(keys.iter().map(|key| world.reconnect(&id, key))).await;
    let won: Vec<_> = outcomes.iter().flatten().collect();
    assert!(!won.is_empty());
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    refused.for_each(|status| assert_eq!(status.code(), Code::Aborted, "{status}"));

    let connection = world.get(&id).await.unwrap();
    assert_eq!(connection.generation, 1 + won.len() as i64, "no generation is given twice");
    let reconnected = world.events(&id).await.iter().filter(|name| *name == "connection.reconnected").count();
    assert_eq!(reconnected, won.len());
    assert!(keys.contains(&world.token(&id).await.unwrap().access_token));
}

/// The workspace with that many members, which was renamed: only the new key of that name works any more.
fn renamed(world: &World, domain: &str, change: impl FnOnce(&mut Workspace)) {
    let mut workspace = Workspace::clone(&world.simulator.workspace("acme").unwrap());
    workspace.domain = domain.to_owned();
    change(&mut workspace);
    world.simulator.add(workspace, SECOND);
    world.simulator.revoke(ACME);
}

#[tokio::test]
async fn a_workspace_that_changed_its_domain_is_known_by_its_members() {
    let world = World::new().await;
    let lost = world.lost().await;
    renamed(&world, "acme-labs", |_| {});
    let connection = world.reconnect(&lost.id, SECOND).await.unwrap();
    assert_eq!((connection.id.as_str(), connection.workspace.as_str()), (lost.id.as_str(), "acme-labs"));
    assert_eq!(world.token(&lost.id).await.unwrap().access_token, SECOND);
    assert_eq!(world.events(&lost.id).await.last().unwrap(), "connection.reconnected");
    let entries = world.store.audit_entries(world.organization.as_str(), 0, 100).await.unwrap();
    let entry = entries.iter().find(|entry| entry.action == "connection.reconnect").unwrap();
    let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap();
    assert_eq!((&details["workspace_was"], &details["workspace"]), (&"acme".into(), &"acme-labs".into()));
}

/// Newest first, and more than a page of newcomers: nobody who is known is on the first page.
#[tokio::test]
async fn known_members_are_found_wherever_they_are_in_the_list() {
    let world = World::new().await;
    let lost = world.lost().await;
    renamed(&world, "acme-labs", |workspace| {
        let newcomers = Workspace::generate(&WorkspaceSpec::new("acme", 150, today()).seed(99).days(3));
        workspace.members.splice(0..0, newcomers.members);
    });
    assert_eq!(world.reconnect(&lost.id, SECOND).await.unwrap().workspace, "acme-labs");
}

#[tokio::test]
async fn a_renamed_workspace_without_most_of_the_known_members_is_refused() {
    let world = World::new().await;
    let lost = world.lost().await;
    renamed(&world, "acme-labs", |workspace| {
        workspace.members.drain(..workspace.members.len() - 2);
    });
    let refused = world.reconnect(&lost.id, SECOND).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("WRONG_WORKSPACE"), "{refused}");
    assert_eq!(world.get(&lost.id).await.unwrap(), lost);
}

/// The domain was given up, and somebody else took it.
#[tokio::test]
async fn another_workspace_of_the_same_domain_is_refused() {
    let world = World::new().await;
    let lost = world.lost().await;
    world
        .simulator
        .add(Workspace::generate(&WorkspaceSpec::new("acme", 30, today()).seed(99).days(30)), SECOND);
    let refused = world.reconnect(&lost.id, SECOND).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("WRONG_WORKSPACE"), "{refused}");
    assert!(refused.message().contains("has taken the domain"), "{refused}");
    assert_eq!(world.get(&lost.id).await.unwrap(), lost);
}

#[tokio::test]
async fn a_tiny_workspace_is_known_by_all_its_members() {
    for (stay, is_proven) in [(2, true), (1, false)] {
        let world = World::new().await;
        let tiny = WorkspaceSpec::new("tiny", 2, today()).days(30);
        world.simulator.add(Workspace::generate(&tiny), "tiny-key-1");
        let id = world.create("tiny-key-1").await.unwrap().id;
        let mut renamed = Workspace::generate(&tiny);
        renamed.domain = "tiny-labs".to_owned();
        renamed.members.truncate(stay);
        world.simulator.add(renamed, SECOND);
        assert_eq!(world.reconnect(&id, SECOND).await.is_ok(), is_proven, "{stay} of two");
    }
}

/// A consent that may not list members shows only its domain.
#[tokio::test]
async fn a_new_domain_whose_members_cannot_be_seen_is_refused_with_the_way_out() {
    let world = World::new().await;
    let id = world.connected().await.id;
    renamed(&world, "acme-labs", |_| {});
    world.simulator.workspace_faults("acme-labs", |faults| {
        faults.forbidden.extend([Route::Members, Route::Member, Route::MembersSearch]);
    });
    let begun = world.begin(&id).await.unwrap();
    let refused = world.complete(&begun, "acme-labs").await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("WRONG_WORKSPACE"), "{refused}");
    assert!(refused.message().contains("cannot be seen with it"), "{refused}");
    assert!(refused.message().contains("API key of an admin"), "{refused}");
}
