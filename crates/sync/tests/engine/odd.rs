//! Rows that cannot be read, and ranges of days that end a day early.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, TimeDelta};
use serde_json::{Value, json};
use tidemark_domain::{
    Clock,
    stream::{Capture, Options, Stream},
};
use tidemark_productboard_sim::{OddRow, Route, Workspace};
use tidemark_rpc::syncs::{GetDataQualityRequest, GetDataQualityResponse, Run, RunState, StreamState};
use tidemark_store::VendorFinding;
use uuid::Uuid;

use crate::support::{Harness, TOKEN, today};

fn workspace(harness: &Harness) -> std::sync::Arc<Workspace> {
    harness.simulator.workspace("acme").unwrap()
}

/// Rows of the workspace carry something else from now on.
fn odd(harness: &Harness, rows: Vec<OddRow>) {
    harness.simulator.faults(TOKEN, |faults| faults.odd_rows = rows);
}

fn day_of(member: Uuid, date: NaiveDate, pointer: &str, value: Value) -> OddRow {
    OddRow {
        route: Route::MemberActivities,
        id: member,
        date: Some(date),
        pointer: pointer.to_owned(),
        value,
    }
}

fn of(route: Route, id: Uuid, pointer: &str, value: Value) -> OddRow {
    OddRow { route, id, date: None, pointer: pointer.to_owned(), value }
}

async fn quality(harness: &Harness) -> GetDataQualityResponse {
    let request = GetDataQualityRequest { connection_id: harness.connection.to_string() };
    harness.syncs.syncs().get_data_quality(request).await.unwrap().into_inner()
}

async fn covered(harness: &Harness) -> BTreeSet<NaiveDate> {
    let coverage = harness.store.coverage(&harness.connection).await.unwrap();
    coverage.iter().map(|covered| covered.day).collect()
}

/// All days of the history up to yesterday.
fn history(harness: &Harness) -> BTreeSet<NaiveDate> {
    let today = harness.clock.today();
    (1..=u64::from(harness.settings.history_days)).map(|back| today - Days::new(back)).collect()
}

fn stream(run: &Run, stream: Stream) -> &tidemark_rpc::syncs::StreamProgress {
    run.streams.iter().find(|it| it.stream == stream.as_str()).unwrap()
}

#[tokio::test]
async fn a_row_of_activity_that_cannot_be_read_costs_its_member_that_day_and_nobody_else_anything() {
    let harness = Harness::start().await;
    let rows = workspace(&harness).activities.clone();
    let old = today() - Days::new(40);
    // One of each kind, on days of their own, one of them long ago.
    let kinds = [
        ("/noteCreatedCount", json!(-1)),
        ("/role", Value::Null),
        ("/boardOpenedCount", json!("many")),
        ("/activeFlag", json!("perhaps")),
    ];
    let with_rows: BTreeSet<_> = rows.iter().map(|row| row.date).filter(|date| *date < old).collect();
    let days = with_rows.iter().rev().take(3).copied();
    let recent = rows.iter().map(|row| row.date).filter(|date| *date < today()).max().unwrap();
    let days: Vec<_> = std::iter::once(recent).chain(days).collect();
    let row_on = |day| rows.iter().find(|row| row.date == day).unwrap();
    let bad: Vec<_> = kinds
        .into_iter()
        .zip(&days)
        .map(|((pointer, value), day)| day_of(row_on(*day).member_id, *day, pointer, value))
        .collect();
    odd(&harness, bad.clone());
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
    assert_eq!(covered(&harness).await, history(&harness), "each day is covered");
    let unknown = harness.store.unknown_days(&harness.connection).await.unwrap();
    for row in &bad {
        assert!(unknown[&row.id].contains(&row.date.unwrap()), "{row:?}");
    }
    let held = rows.iter().filter(|row| history(&harness).contains(&row.date)).count() as u64;
    assert_eq!(harness.store.member_day_count(&harness.connection).await.unwrap(), held - bad.len() as u64);
    let told = quality(&harness).await;
    assert_eq!(told.quarantine.len(), 1);
    assert_eq!((told.quarantine[0].stream.as_str(), told.quarantine[0].rows), ("member_activities", 4));
    assert!(told.flags.iter().any(|flag| flag.flag == "quarantined_rows.member_activities"), "{told:?}");
    let kept =
        harness.store.quarantined_rows(&harness.connection, Stream::MemberActivities, 10).await.unwrap();
    assert!(kept.iter().all(|row| row.raw.contains("memberId") && row.id.is_some()), "kept as they came");

    // What can be read later leaves; days that are not asked for again stay as they are.
    odd(&harness, Vec::new());
    harness.clock.advance(TimeDelta::minutes(1));
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    assert_eq!(quality(&harness).await.quarantine[0].rows, 3);
    harness.finish().await;
}

/// It may be anybody's who has no other row on that day.
#[tokio::test]
async fn a_day_with_a_row_of_nobody_is_not_covered_until_it_says_whose_it_is() {
    let harness = Harness::start().await;
    let rows = workspace(&harness).activities.clone();
    let old = rows.iter().rfind(|row| row.date < today() - Days::new(30)).unwrap();
    odd(&harness, vec![day_of(old.member_id, old.date, "/memberId", Value::Null)]);
    for _ in 0..2 {
        let run = harness.sync().await;
        assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
        let missing: Vec<_> = history(&harness).difference(&covered(&harness).await).copied().collect();
        assert_eq!(missing, [old.date]);
        let told = quality(&harness).await;
        assert!(told.flags[0].detail.contains("do not say whose they are"), "{told:?}");
        harness.clock.advance(TimeDelta::minutes(1));
    }
    odd(&harness, Vec::new());
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    let told = quality(&harness).await;
    assert!(told.flags.is_empty() && told.quarantine.is_empty(), "{told:?}");
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn too_many_rows_that_cannot_be_read_stop_the_stream() {
    let harness = Harness::start().await;
    let rows = workspace(&harness).activities.clone();
    let held: Vec<_> = rows.iter().filter(|row| history(&harness).contains(&row.date)).collect();
    // A little above one of a hundred, spread over the whole history.
    let bad = held.iter().step_by(90).map(|row| day_of(row.member_id, row.date, "/role", Value::Null));
    odd(&harness, bad.collect());
    let run = harness.sync().await;
    assert_eq!(
        (run.state(), run.streams[2].state()),
        (RunState::Partial, StreamState::Suspect),
        "{}",
        run.reason
    );
    assert!(run.reason.contains("Productboard changed what it sends"), "{}", run.reason);

    // All of them: the first page is enough.
    let all = held.iter().map(|row| day_of(row.member_id, row.date, "/role", Value::Null));
    odd(&harness, all.collect());
    harness.clock.advance(TimeDelta::minutes(1));
    let before = harness.simulator.requests(TOKEN);
    let run = harness.sync().await;
    assert_eq!(run.streams[2].state(), StreamState::Suspect, "{}", run.reason);
    assert!(harness.simulator.requests(TOKEN) - before < 60, "it does not read on");

    odd(&harness, Vec::new());
    harness.clock.advance(TimeDelta::minutes(1));
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    harness.finish().await;
}

#[tokio::test]
async fn a_member_that_cannot_be_read_stays_and_the_others_are_as_ever() {
    let harness = Harness::start().await;
    harness.sync().await;
    let members = workspace(&harness).members.clone();
    for bad in [
        of(Route::Members, members[3].id, "/fields/disabled", json!("maybe")),
        of(Route::Members, members[3].id, "/id", json!("not an id")),
    ] {
        odd(&harness, vec![bad]);
        harness.clock.advance(TimeDelta::days(1));
        harness.simulator.evolve("acme", harness.clock.today(), 5).unwrap();
        let run = harness.sync().await;
        assert_eq!(stream(&run, Stream::Members).state(), StreamState::Complete, "{}", run.reason);
        let roster = harness.store.member_facts(&harness.connection, None, 1_000, today()).await.unwrap();
        let kept = roster.iter().find(|it| it.member_id == members[3].id).unwrap();
        assert!(kept.versions.last().unwrap().standing.is_some(), "no tombstone");
        assert_eq!(quality(&harness).await.quarantine[0].rows, 1);
    }
    odd(&harness, Vec::new());
    harness.clock.advance(TimeDelta::minutes(1));
    harness.sync().await;
    assert!(quality(&harness).await.quarantine.is_empty());
    harness.finish().await;
}

/// Eleven of sixty are too many, and so are all of five.
#[tokio::test]
async fn a_member_list_that_mostly_cannot_be_read_is_not_applied() {
    for (of_all, bad) in [(60, 11), (5, 5)] {
        let harness = Harness::start().await;
        let mut changed = Workspace::clone(&workspace(&harness));
        changed.members.truncate(of_all);
        let bad =
            changed.members.iter().take(bad).map(|it| of(Route::Members, it.id, "/fields/role", Value::Null));
        let bad = bad.collect();
        changed.activities.clear();
        harness.simulator.add(changed, TOKEN);
        odd(&harness, bad);
        let run = harness.sync().await;
        let members = stream(&run, Stream::Members);
        assert_eq!(members.state(), StreamState::Suspect, "{}", run.reason);
        assert!(members.detail.contains("cannot be read"), "{}", members.detail);
        assert_eq!(harness.store.roster_start(&harness.connection).await.unwrap(), None);
        harness.finish().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_of_the_other_lists_stays_as_it_was() {
    let harness = Harness::start().await;
    let tx = harness.store.begin().await.unwrap();
    let options = Options::new(Stream::OPTIONAL, Capture::Metadata);
    tx.put_sync_options(&harness.connection, &options, harness.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let first = harness.sync().await;
    assert_eq!(first.state(), RunState::Succeeded, "{}", first.reason);
    let digest = harness.digest().await;
    let whole = workspace(&harness);
    odd(
        &harness,
        vec![
            of(Route::Teams, whole.teams[0].id, "/fields/name", json!(7)),
            of(Route::Notes, whole.notes[0].id, "/type", json!(["a"])),
            of(Route::Entities, whole.entities[0].id, "/id", json!(null)),
        ],
    );
    // Whole lists are read again.
    harness.clock.advance(TimeDelta::minutes(1));
    for stream in [Stream::Notes, Stream::Entities] {
        let tx = harness.store.begin().await.unwrap();
        tx.accept_shrink(&harness.connection, stream, harness.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
    assert_eq!(harness.digest().await, digest, "nothing is taken for gone");
    let told = quality(&harness).await;
    let streams: BTreeSet<_> = told.quarantine.iter().map(|it| it.stream.as_str()).collect();
    assert_eq!(streams, ["entities", "notes", "teams"].into());
    harness.finish().await;
}

#[tokio::test]
async fn a_list_in_a_circle_is_read_and_flagged() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.repeat_last_cursor = true);
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
    harness.assert_facts().await;
    let flags: BTreeSet<_> = quality(&harness).await.flags.into_iter().map(|flag| flag.flag).collect();
    let expected =
        ["members", "teams", "member_activities"].map(|stream| format!("repeated_cursor.{stream}"));
    assert!(expected.iter().all(|flag| flags.contains(flag)), "{flags:?}");
    harness.simulator.faults(TOKEN, |faults| faults.repeat_last_cursor = false);
    harness.clock.advance(TimeDelta::days(1));
    harness.simulator.evolve("acme", harness.clock.today(), 5).unwrap();
    harness.sync().await;
    let left = quality(&harness).await.flags;
    assert!(left.is_empty(), "{left:?}");
    harness.finish().await;
}

/// A connection that was made before there were checks, or whose checks could not be made.
#[tokio::test]
async fn what_is_assumed_is_checked_once_with_the_first_sync() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.include_ignored = true;
        faults.not_found_code = Some("gone.away".to_owned());
    });
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    let findings = harness.store.vendor_findings(&harness.connection).await.unwrap();
    let found: Vec<_> = findings.iter().map(|it| (it.assumption.as_ref(), it.holds)).collect();
    let expected = [
        ("date_to_inclusive", Some(true)),
        ("roster_whole", Some(false)),
        ("unknown_route", Some(false)),
        ("window_obeyed", Some(true)),
    ];
    assert_eq!(found, expected);
    let told = quality(&harness).await.flags;
    let flags: Vec<_> = told.iter().map(|it| it.flag.as_str()).collect();
    assert_eq!(flags, ["assumption.roster_whole", "assumption.unknown_route"]);
    assert!(told[1].detail.contains("code gone.away"), "{}", told[1].detail);

    // Once: the next run asks for no unknown path.
    harness.clock.advance(TimeDelta::minutes(1));
    let before = harness.simulator.requests(TOKEN);
    harness.sync().await;
    let second = harness.simulator.requests(TOKEN) - before;
    let (run, _) = harness.start_sync().await;
    let run = harness.wait_for_end(&run.id).await;
    let counted: u64 = run.streams.iter().map(|it| it.requests).sum();
    assert_eq!(counted, second, "no request is outside of the streams' count");
    harness.finish().await;
}

/// Known from the connect: no answer is asked for twice.
#[tokio::test]
async fn a_workspace_whose_date_to_is_exclusive_is_read_so_from_the_start() {
    let requests = async |known: Option<bool>| {
        let harness = Harness::start().await;
        harness.simulator.faults(TOKEN, |faults| faults.date_to_exclusive = true);
        let finding = |assumption: &'static str, holds| VendorFinding {
            assumption: assumption.into(),
            holds,
            detail: "found at the connect".to_owned(),
        };
        let findings = [finding("date_to_inclusive", known), finding("unknown_route", Some(true))];
        let tx = harness.store.begin().await.unwrap();
        tx.put_vendor_findings(&harness.connection, &findings, harness.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let before = harness.simulator.requests(TOKEN);
        let run = harness.sync().await;
        assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
        harness.assert_facts().await;
        assert_eq!(quality(&harness).await.flags[0].flag, "assumption.date_to_inclusive");
        let sent = harness.simulator.requests(TOKEN) - before;
        harness.finish().await;
        sent
    };
    let (found_out, known) = (requests(None).await, requests(Some(false)).await);
    assert!(known < found_out, "{known} requests, {found_out} without");
}

/// What it costs to be right whether `dateTo` belongs to the answer or not.
#[tokio::test]
async fn a_date_to_that_is_left_out_is_found_and_no_day_is_lost() {
    let harness = Harness::start().await;
    let before = harness.simulator.requests(TOKEN);
    harness.sync().await;
    let inclusive = harness.simulator.requests(TOKEN) - before;
    harness.assert_facts().await;
    assert!(quality(&harness).await.flags.is_empty());
    harness.finish().await;

    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.date_to_exclusive = true);
    let before = harness.simulator.requests(TOKEN);
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
    let exclusive = harness.simulator.requests(TOKEN) - before;
    harness.assert_facts().await;
    assert_eq!(quality(&harness).await.flags[0].flag, "assumption.date_to_inclusive");
    // Until the first slice has found out, those that are read beside it ask again, too.
    assert!(exclusive <= 2 * inclusive, "{exclusive} requests, {inclusive} without");
    // The next run knows it, and one with the other kind of answer finds that out.
    for is_exclusive in [true, false] {
        harness.simulator.faults(TOKEN, |faults| faults.date_to_exclusive = is_exclusive);
        harness.clock.advance(TimeDelta::days(1));
        harness.simulator.evolve("acme", harness.clock.today(), 5).unwrap();
        assert_eq!(harness.sync().await.state(), RunState::Succeeded);
        let yesterday = harness.clock.today() - Days::new(1);
        assert!(covered(&harness).await.contains(&yesterday));
        let rows = workspace(&harness).activities.iter().filter(|row| row.date == yesterday).count();
        let held = harness
            .store
            .member_days(&harness.connection, (yesterday, yesterday), None, 1_000)
            .await
            .unwrap();
        assert_eq!(held.len(), rows);
        assert_eq!(quality(&harness).await.flags.is_empty(), !is_exclusive);
    }
    harness.finish().await;
}
