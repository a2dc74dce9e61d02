//! What is believed and what is not: refused streams, shrunken lists, days that vanish.

use chrono::{Days, TimeDelta};
use tidemark_domain::{Clock, event::Data, run};
use tidemark_productboard_sim::{Route, Workspace};
use tidemark_rpc::{
    connections::Capability,
    syncs::{AcceptShrinkRequest, RunState, StreamState},
};
use tidemark_store::OwnedMemberFacts;

use crate::support::{Harness, TOKEN, today};

/// The workspace gets other data.
fn change(harness: &Harness, change: impl FnOnce(&mut Workspace)) {
    let mut workspace = Workspace::clone(&harness.simulator.workspace("acme").unwrap());
    change(&mut workspace);
    harness.simulator.add(workspace, TOKEN);
}

async fn roster(harness: &Harness) -> Vec<OwnedMemberFacts> {
    harness.store.member_facts(&harness.connection, None, 1_000, today()).await.unwrap()
}

#[tokio::test]
async fn a_stream_without_permission_makes_the_run_partial() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.forbidden.insert(Route::Teams);
    });
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Partial);
    assert_eq!(run.streams[1].state(), StreamState::Unavailable);
    assert_eq!(run.reason, "teams: could not list teams: the token lacks the scope teams:read.");
    assert_eq!(harness.vault.answers().forbidden, [Capability::Teams], "the credential service was told");
    harness.assert_facts().await;
    let events = harness.events("sync.completed").await;
    let [Data::SyncCompleted(completed)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(completed.state, run::State::Partial);
    harness.finish().await;
}

#[tokio::test]
async fn a_stream_that_no_credential_can_read_is_paused_and_the_vendor_is_not_asked() {
    let harness = Harness::start().await;
    harness.vault.answers().missing = Some(Capability::Teams);
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Partial);
    assert_eq!(run.streams[1].state(), StreamState::Unavailable);
    assert!(run.reason.contains("No credential can read it"), "{}", run.reason);
    assert!(harness.vault.answers().forbidden.is_empty());
    harness.vault.answers().missing = None;
    harness.clock.advance(TimeDelta::minutes(1));
    assert_eq!(harness.sync().await.state(), RunState::Succeeded, "it goes on once it can be read again");
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_plan_without_analytics_leaves_the_days_unknown() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.analytics_unavailable = Some(404));
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Partial);
    assert_eq!(run.streams[2].state(), StreamState::Unavailable);
    assert!(harness.store.coverage(&harness.connection).await.unwrap().is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn nothing_readable_is_a_failure() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.forbidden.extend([Route::Members, Route::Teams, Route::MemberActivities]);
    });
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Failed);
    assert!(run.reason.contains("members:read") && run.reason.contains("analytics:read"), "{}", run.reason);
    assert_eq!(harness.events("sync.failed").await.len(), 1);
    assert!(harness.events("sync.completed").await.is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn an_empty_or_halved_member_list_is_not_applied() {
    let harness = Harness::start().await;
    harness.sync().await;
    let roster_before = roster(&harness).await;
    for left in [0, 20] {
        harness.clock.advance(TimeDelta::minutes(1));
        change(&harness, |workspace| workspace.members.truncate(left));
        let run = harness.sync().await;
        assert_eq!(run.state(), RunState::Partial);
        assert_eq!(run.streams[0].state(), StreamState::Suspect);
        assert!(run.streams[0].detail.contains("where 60 were known"), "{}", run.streams[0].detail);
        assert_eq!(harness.store.member_count(&harness.connection).await.unwrap(), 60);
        assert_eq!(roster(&harness).await, roster_before);
        change(&harness, |workspace| {
            let spec = tidemark_productboard_sim::WorkspaceSpec::new("acme", 60, today());
            workspace.members = Workspace::generate(&spec).members;
        });
    }
    harness.finish().await;
}

#[tokio::test]
async fn days_that_vanish_are_not_believed_and_cover_nothing() {
    let harness = Harness::start().await;
    harness.sync().await;
    let digest = harness.digest().await;
    harness.clock.advance(TimeDelta::days(1));
    change(&harness, |workspace| workspace.activities.clear());
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Partial);
    assert_eq!(run.streams[2].state(), StreamState::Suspect);
    let coverage = harness.store.coverage(&harness.connection).await.unwrap();
    assert_eq!(coverage.last().unwrap().day, today() - Days::new(1), "the new day stays unknown");
    assert_eq!(harness.digest().await, digest);
    harness.finish().await;
}

#[tokio::test]
async fn a_day_that_lost_its_rows_stays_doubted_whatever_its_age_until_that_is_accepted() {
    let harness = Harness::start().await;
    harness.sync().await;
    let lost = today() - Days::new(2);
    change(&harness, |workspace| workspace.activities.retain(|row| row.date != lost));
    let rows = harness.store.member_day_count(&harness.connection).await.unwrap();
    for _ in 0..3 {
        let run = harness.sync().await;
        assert_eq!((run.state(), run.streams[2].state()), (RunState::Partial, StreamState::Suspect));
        assert!(run.streams[2].detail.contains(&lost.to_string()), "{}", run.streams[2].detail);
        assert!(harness.store.member_day_count(&harness.connection).await.unwrap() >= rows);
        let coverage = harness.store.coverage(&harness.connection).await.unwrap();
        assert_eq!(coverage.last().unwrap().day, harness.clock.today() - Days::new(1), "the others are in");
        // It leaves the days that every run fetches again.
        harness.clock.advance(TimeDelta::days(4));
        harness.simulator.evolve("acme", harness.clock.today(), 5).unwrap();
    }
    let connection_id = harness.connection.to_string();
    let request = AcceptShrinkRequest { connection_id, stream: "member_activities".to_owned() };
    harness.syncs.syncs().accept_shrink(request).await.unwrap();
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    let left = harness.store.member_days(&harness.connection, (lost, lost), None, 100).await.unwrap();
    let workspace = harness.simulator.workspace("acme").unwrap();
    // Some came late.
    let there = workspace.activities.iter().filter(|row| row.date == lost).count();
    assert!(left.len() == there && there < 5, "{left:?}");
    assert!(harness.store.doubted_days(&harness.connection).await.unwrap().is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn a_workspace_without_activity_is_covered() {
    let harness = Harness::start().await;
    change(&harness, |workspace| workspace.activities.clear());
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}
