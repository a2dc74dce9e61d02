//! Whatever happens on the way, the end is the same: after a last undisturbed sync the database has what the workspace has.
//!
//! A seed is a history: the workspace lives on and is edited, the vendor has all kinds of trouble, workers die, messages
//! come twice.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{Days, TimeDelta};
use futures::StreamExt;
use tidemark_domain::{
    Clock, Entropy,
    command::SyncRun,
    stream::{Capture, Stream},
};
use tidemark_inproc::InprocLeases;
use tidemark_ports::{Bus, Receipt, Route};
use tidemark_productboard_sim::{Access, Faults, Route as Asked, Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::{Run, RunState, StreamState};
use tidemark_sync::Settings;
use tidemark_testkit::SeededEntropy;

use crate::support::{Harness, TOKEN, foreign, member_day, run_id, settings, today};

/// Seeds in all, over the four tests; more at night.
fn seeds() -> u64 {
    std::env::var("TIDEMARK_TEST_SEEDS").map_or(20, |seeds| seeds.parse().expect("a number of seeds"))
}

/// Days that are fetched, and always fetched again: whatever a fault wrote into them is put right.
const DAYS: u32 = 18;
const STEPS: u64 = 5;

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, count: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % count
    }

    fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn place(&self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}

fn trouble(dice: &Dice, faults: &mut Faults) {
    let routes = [
        Asked::Members,
        Asked::Teams,
        Asked::Entities,
        Asked::EntitiesSearch,
        Asked::Notes,
        Asked::MemberActivities,
    ];
    let route = routes[dice.place(routes.len())];
    match dice.below(16) {
        0 => faults.fail_next = (0..3 + dice.below(9)).map(|_| [429, 500, 503, 408][dice.place(4)]).collect(),
        1 => faults.reset_before_head = 1 + dice.below(4),
        2 => faults.reset_mid_body = 1 + dice.below(4),
        3 => faults.truncated_json = 1 + dice.below(4),
        4 => faults.html_error = 1 + dice.below(4),
        5 => faults.malformed_json = 1 + dice.below(3),
        6 => faults.repeat_last_cursor = true,
        7 => faults.empty_list.extend([route]),
        8 => faults.shrunken_list.extend([route]),
        9 => faults.shrinks_between_pages.extend([route]),
        10 => faults.forbidden.extend([route]),
        11 => (faults.unknown_fields, faults.objective_search_empty) = (true, true),
        12 => (faults.hide_zeros, faults.absent_counters, faults.editor_role) = (true, true, true),
        13 => (faults.late_days, faults.relationships_as_array) = (3, true),
        14 => (faults.empty_window, faults.nested_timestamps) = (true, true),
        _ => (faults.unknown_member_ids, faults.totals_zero) = (true, true),
    }
}

/// A hand in the workspace: things that its own life never does, too.
fn edit(dice: &Dice, workspace: &mut Workspace) {
    for _ in 0..1 + dice.below(3) {
        match dice.below(9) {
            0 => drop(workspace.notes.remove(dice.place(workspace.notes.len()))),
            1 => drop(workspace.entities.remove(dice.place(workspace.entities.len()))),
            2 => {
                let last = workspace.activities.iter().rposition(|row| row.date < workspace.today).unwrap();
                workspace.activities.remove(last);
            }
            3 => {
                let gone = workspace.members.remove(dice.place(workspace.members.len())).id;
                workspace.memberships.retain(|it| it.member_id != gone);
            }
            4 if workspace.teams.len() > 2 => {
                let gone = workspace.teams.remove(dice.place(workspace.teams.len())).id;
                workspace.memberships.retain(|it| it.team_id != gone);
                workspace.members.iter_mut().for_each(|member| member.teams.retain(|team| *team != gone));
            }
            5 => {
                let at = dice.place(workspace.members.len());
                workspace.members[at].role = "viewer".to_owned();
            }
            6 => {
                let at = dice.place(workspace.entities.len());
                workspace.entities[at].owner = None;
            }
            7 => {
                let at = dice.place(workspace.notes.len());
                let copy = workspace.notes[at].clone();
                let id = uuid::Uuid::from_u64_pair(dice.below(u64::MAX), dice.below(u64::MAX));
                workspace.notes.push(tidemark_productboard_sim::Note { id, ..copy });
            }
            _ => {
                let at = dice.place(workspace.notes.len());
                workspace.notes[at].processed ^= true;
            }
        }
    }
}

async fn live_on(harness: &Harness, days: u64, seed: u64) {
    // To noon, so that no run works through a midnight.
    let noon = (harness.clock.today() + Days::new(days)).and_hms_opt(12, 0, 0).unwrap().and_utc();
    harness.clock.advance(noon - harness.clock.now());
    harness.simulator.evolve("acme", harness.clock.today(), seed).unwrap();
}

/// The run's message comes once more, or twice.
async fn repeat(harness: &Harness, run: &Run, dice: &Dice) {
    let command = SyncRun { run_id: run_id(run), connection_id: harness.connection.clone() };
    for _ in 0..dice.below(3) {
        let route = Route::Command(SyncRun::NAME.to_owned());
        let id = format!("again-{}", dice.below(u64::MAX));
        let message = foreign(&id, route, serde_json::to_vec(&command).unwrap());
        assert_eq!(harness.bus.publish(vec![message]).await, [Receipt::Accepted]);
    }
}

async fn step(harness: &mut Harness, dice: &Dice, seed: u64) {
    if dice.one_in(2) {
        live_on(harness, 1 + dice.below(2), seed).await;
    }
    if dice.one_in(2) {
        harness.edit(|workspace| edit(dice, workspace));
    }
    let is_masked = dice.one_in(6);
    if is_masked {
        let scopes = ["members:read", "teams:read", "analytics:read", "entities:read", "notes:read"];
        harness.simulator.issue("acme", "masked", Access::oauth(scopes));
        harness.vault.replace("masked");
    }
    harness.simulator.workspace_faults("acme", |faults| {
        *faults = Faults::default();
        (0..dice.below(3)).for_each(|_| trouble(dice, faults));
    });
    if dice.one_in(3) {
        harness.choose(Stream::ALL, [Capture::Metadata, Capture::Full][dice.place(2)]).await;
    }
    let (run, _) = harness.start_sync().await;
    repeat(harness, &run, dice).await;
    if dice.one_in(2) {
        let requests = harness.simulator.requests(if is_masked { "masked" } else { TOKEN }) + dice.below(60);
        harness
            .wait_for(&run.id, "some requests", |run| {
                harness.clock.advance(TimeDelta::seconds(1));
                let token = if is_masked { "masked" } else { TOKEN };
                run.finished_at.is_some() || harness.simulator.requests(token) >= requests
            })
            .await;
        if dice.one_in(2) {
            harness.edit(|workspace| edit(dice, workspace));
        }
        harness.replace_worker().await;
    }
    harness.wait_for_end_in_time(&run.id).await;
    if is_masked {
        harness.vault.replace(TOKEN);
    }
}

/// Whoever looks at the doubts finds that the lists were right.
async fn accept_doubts(harness: &Harness, run: &Run) {
    let tx = harness.store.begin().await.unwrap();
    for stream in run.streams.iter().filter(|stream| stream.state() == StreamState::Suspect) {
        tx.accept_shrink(&harness.connection, Stream::parse(&stream.stream).unwrap(), harness.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    harness.clock.advance(TimeDelta::minutes(1));
}

async fn assert_activities(harness: &Harness) {
    let workspace = harness.simulator.workspace("acme").unwrap();
    let yesterday = harness.clock.today() - Days::new(1);
    let first = yesterday - Days::new(u64::from(DAYS) - 1);
    let coverage = harness.store.coverage(&harness.connection).await.unwrap();
    let covered: BTreeSet<_> = coverage.iter().map(|covered| covered.day).collect();
    assert!(first.iter_days().take_while(|day| *day <= yesterday).all(|day| covered.contains(&day)));
    let facts = harness.store.member_facts(&harness.connection, None, 10_000, first).await.unwrap();
    let listed: Vec<_> = facts.iter().filter(|it| it.versions.last().unwrap().standing.is_some()).collect();
    assert_eq!(listed.len(), workspace.members.len());
    for kept in listed {
        let member = workspace.members.iter().find(|it| it.id == kept.member_id).expect("one too many");
        let standing = kept.versions.last().unwrap().standing.as_ref().unwrap();
        assert_eq!(standing.role.as_str(), member.role);
        assert_eq!((standing.disabled, standing.pending), (member.disabled, member.invitation_pending));
        let rows = workspace.activities.iter().filter(|row| row.member_id == member.id);
        let rows = rows.filter(|row| (first..=yesterday).contains(&row.date)).map(member_day);
        assert_eq!(kept.days, rows.collect::<Vec<_>>());
    }
}

async fn sync(harness: &Harness) -> Run {
    let (run, coalesced) = harness.start_sync().await;
    assert!(!coalesced);
    harness.wait_for_end_in_time(&run.id).await
}

async fn history(seed: u64) {
    println!("seed {seed}: run it alone with TIDEMARK_TEST_SEED={seed}");
    let dice = Dice(SeededEntropy::new(seed));
    let settings = Settings {
        history_days: DAYS,
        trailing_days: DAYS,
        delivery_budget: [Duration::ZERO, Duration::from_millis(30), Duration::from_secs(60)][dice.place(3)],
        ..settings()
    };
    let spec = WorkspaceSpec::new("acme", 20, today()).seed(seed).teams(6).days(45).entities(90).notes(90);
    let mut harness = Harness::over(settings, Arc::new(InprocLeases::new()), 13, &spec).await;
    harness.choose(Stream::ALL, Capture::Metadata).await;
    for _ in 0..STEPS {
        step(&mut harness, &dice, seed).await;
    }
    harness.simulator.workspace_faults("acme", |faults| *faults = Faults::default());
    let capture = [Capture::Metadata, Capture::Full][dice.place(2)];
    harness.choose(Stream::ALL, capture).await;
    live_on(&harness, 8, seed).await;
    let mut run = sync(&harness).await;
    if run.state() == RunState::Partial {
        accept_doubts(&harness, &run).await;
        run = sync(&harness).await;
    }
    assert_eq!(run.state(), RunState::Succeeded, "{run:#?}");
    assert_activities(&harness).await;
    harness.assert_teams().await;
    harness.assert_planned(capture).await;
    harness.assert_configurations().await;
    let digest = harness.digest().await;
    harness.clock.advance(TimeDelta::minutes(1));
    assert_eq!(sync(&harness).await.state(), RunState::Succeeded);
    assert_eq!(harness.digest().await, digest, "nothing new");
    harness.finish().await;
}

async fn histories(part: u64) {
    let only: Option<u64> = std::env::var("TIDEMARK_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = (part..seeds()).step_by(4).filter(|seed| only.is_none_or(|only| only == *seed));
    // They mostly wait: for the vendor, and for their next attempt.
    futures::stream::iter(seeds).map(history).buffer_unordered(5).collect::<()>().await;
}

#[tokio::test]
async fn histories_of_a_first_quarter_end_the_same() {
    histories(0).await;
}

#[tokio::test]
async fn histories_of_a_second_quarter_end_the_same() {
    histories(1).await;
}

#[tokio::test]
async fn histories_of_a_third_quarter_end_the_same() {
    histories(2).await;
}

#[tokio::test]
async fn histories_of_a_fourth_quarter_end_the_same() {
    histories(3).await;
}
