//! What is believed and what is not: refused streams, shrunken lists, days that vanish.

use std::{sync::Arc, time::Duration};

use chrono::{Days, TimeDelta};
use tidemark_domain::{Clock, event::Data, run, stream::Stream};
use tidemark_inproc::InprocLeases;
use tidemark_productboard_sim::{Route, Workspace};
use tidemark_rpc::{
    connections::Capability,
    syncs::{AcceptShrinkRequest, RunState, StreamState},
};
use tidemark_store::OwnedMemberFacts;
use tidemark_sync::Settings;

use crate::support::{Harness, TOKEN, settings, today};

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
    harness.simulator.faults(TOKEN, |faults| faults.analytics_unavailable = Some(501));
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

/// Rows of activity prove members, and each workspace has one at least.
#[tokio::test]
async fn a_first_list_that_lacks_the_active_members_is_not_believed() {
    for (left, with_activity) in [(0, true), (1, true), (20, true), (0, false)] {
        let harness = Harness::start().await;
        let whole = harness.simulator.workspace("acme").unwrap();
        change(&harness, |workspace| {
            workspace.members.truncate(left);
            if !with_activity {
                workspace.activities.clear();
            }
        });
        let run = harness.sync().await;
        assert_eq!(run.state(), RunState::Partial, "{left} listed");
        assert_eq!(run.streams[0].state(), StreamState::Suspect, "{left} listed: {:?}", run.streams[0]);
        assert_eq!(run.streams[2].state(), StreamState::Complete);
        assert!(
            run.reason.contains(&format!(
                "members: Productboard listed {}",
                if left == 0 { "no".to_owned() } else { left.to_string() }
            )),
            "{}",
            run.reason
        );
        assert_eq!(run.reason.contains("in paid roles"), with_activity, "{}", run.reason);
        assert_eq!(
            harness.store.roster_start(&harness.connection).await.unwrap(),
            None,
            "nothing was applied"
        );
        if left == 0 {
            // A list without anybody is not even believed where somebody accepts it.
            let connection_id = harness.connection.to_string();
            let request = AcceptShrinkRequest { connection_id, stream: "members".to_owned() };
            harness.syncs.syncs().accept_shrink(request).await.unwrap();
            harness.clock.advance(TimeDelta::minutes(1));
            assert_eq!(harness.sync().await.streams[0].state(), StreamState::Suspect);
        }
        harness.clock.advance(TimeDelta::minutes(1));
        change(&harness, |workspace| workspace.members.clone_from(&whole.members));
        assert_eq!(harness.sync().await.state(), RunState::Succeeded, "the next run heals it");
        assert_eq!(harness.store.member_count(&harness.connection).await.unwrap(), 60);
        harness.finish().await;
    }
}

#[tokio::test]
async fn a_few_rows_of_strangers_are_no_reason_to_doubt_the_first_list() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.unknown_member_ids = true);
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
    assert_eq!(harness.store.member_count(&harness.connection).await.unwrap(), 60);
    harness.finish().await;
}

/// The list was read in a delivery before the one in which the activity came.
#[tokio::test]
async fn a_resumed_run_judges_its_first_list_too() {
    for is_empty in [true, false] {
        let settings = Settings { delivery_budget: Duration::ZERO, ..settings() };
        let harness = Harness::with(settings, Arc::new(InprocLeases::new())).await;
        if is_empty {
            change(&harness, |workspace| workspace.members.clear());
        }
        let run = harness.sync().await;
        let expected = if is_empty { StreamState::Suspect } else { StreamState::Complete };
        assert_eq!(run.streams[0].state(), expected, "{}", run.reason);
        let known = harness.store.member_count(&harness.connection).await.unwrap();
        assert_eq!(known, if is_empty { 0 } else { 60 });
        harness.finish().await;
    }
}

/// What cannot be judged by activity is judged by what it is.
#[tokio::test]
async fn a_first_list_does_not_wait_for_activity_that_never_comes() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.forbidden.insert(Route::MemberActivities);
    });
    let run = harness.sync().await;
    assert_eq!(
        (run.streams[0].state(), run.streams[2].state()),
        (StreamState::Complete, StreamState::Unavailable)
    );
    assert_eq!(harness.store.member_count(&harness.connection).await.unwrap(), 60);
    harness.finish().await;
}

/// A list of one that was believed as nothing spoke against it, and later rows that do.
#[tokio::test]
async fn a_later_list_is_judged_by_activity_too() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.forbidden.insert(Route::MemberActivities);
    });
    change(&harness, |workspace| workspace.members.truncate(1));
    assert_eq!(harness.sync().await.streams[0].state(), StreamState::Complete);
    harness.simulator.faults(TOKEN, |faults| faults.forbidden.clear());
    harness.clock.advance(TimeDelta::minutes(1));
    harness.sync().await;
    harness.clock.advance(TimeDelta::minutes(1));
    let run = harness.sync().await;
    assert_eq!(run.streams[0].state(), StreamState::Suspect, "{}", run.reason);
    harness.finish().await;
}

#[tokio::test]
async fn members_in_unknown_roles_are_flagged_by_name() {
    let harness = Harness::start().await;
    change(&harness, |workspace| {
        for member in workspace.members.iter_mut().take(10) {
            member.role = "owner".into();
        }
        for (member, role) in workspace.members[11..].iter_mut().zip(["Maker", "ADMIN", " maker ", "EDITOR"])
        {
            member.role = role.into();
        }
    });
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    let flags = harness.store.data_flags(&harness.connection).await.unwrap();
    let [flag] = flags.as_slice() else { panic!("{flags:?}") };
    assert_eq!(flag.flag, "unknown_role");
    assert!(flag.detail.contains("`owner` ("), "{}", flag.detail);
    let roster = roster(&harness).await;
    let makers =
        roster.iter().filter_map(|it| it.versions.last()?.standing.as_ref()).filter(|it| it.role.is_paid());
    let workspace = harness.simulator.workspace("acme").unwrap();
    let paid = ["admin", "maker", "editor"];
    let expected =
        workspace.members.iter().filter(|it| paid.contains(&it.role.trim().to_lowercase().as_str()));
    assert_eq!(makers.count(), expected.count());
    // The flag goes with the role.
    let spec = tidemark_productboard_sim::WorkspaceSpec::new("acme", 60, today());
    change(&harness, |workspace| workspace.members = Workspace::generate(&spec).members);
    harness.clock.advance(TimeDelta::days(1));
    harness.sync().await;
    assert!(harness.store.data_flags(&harness.connection).await.unwrap().is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn what_is_accepted_while_a_sync_is_under_way_is_for_the_next_one() {
    let harness = Harness::start().await;
    harness.sync().await;
    harness.clock.advance(TimeDelta::minutes(1));
    change(&harness, |workspace| workspace.members.truncate(20));
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(300));
    let (run, _) = harness.start_sync().await;
    harness.wait_for_state(&run.id, RunState::Running).await;
    harness.clock.advance(TimeDelta::minutes(1));
    let connection_id = harness.connection.to_string();
    let request = AcceptShrinkRequest { connection_id, stream: "members".to_owned() };
    harness.syncs.syncs().accept_shrink(request).await.unwrap();
    let run = harness.wait_for_end(&run.id).await;
    let mark = harness.store.mark(&harness.connection, Stream::Members).await.unwrap();
    let was_next = run.streams[0].state() == StreamState::Complete;
    assert!(was_next || mark.accepts_shrink, "an acceptance is used or kept, and never lost: {run:?}");
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.clock.advance(TimeDelta::minutes(1));
    assert_eq!(harness.sync().await.streams[0].state(), StreamState::Complete);
    assert_eq!(harness.store.member_count(&harness.connection).await.unwrap(), 20);
    harness.finish().await;
}
