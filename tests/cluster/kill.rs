//! SIGKILL in the middle of a sync.

use std::time::Duration;

use rand::Rng;
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::RunState;

use crate::{
    cluster::{Cluster, Wiring, today, until},
    naive,
};

pub(crate) async fn five_kills_end_with_the_same_rows_and_rollups(wiring: Wiring) {
    let mut cluster = Cluster::start(wiring, &[("WORKER__HISTORY_DAYS", "200")]).await;
    let today = today();
    let workspace = Workspace::generate(&WorkspaceSpec::new("killed", 150, today));
    cluster.simulator.add(workspace.clone(), "cAnArY-calm");
    cluster.simulator.issue_token("killed", "cAnArY-killed");

    // The same workspace, once in peace.
    let calm = cluster.connect("cAnArY-calm").await;
    let run_id = cluster.sync(&calm).await;
    cluster.run_in(&run_id, RunState::Succeeded).await;
    cluster.summary(&calm, &run_id).await;

    let killed = cluster.connect("cAnArY-killed").await;
    let run_id = cluster.sync(&killed).await;
    let whole = naive::rows_in_history(&workspace, today, 200);
    for round in 0..5_u64 {
        // Past the rows of the round before, and then some: each kill falls into work.
        let store = cluster.store.clone();
        let reached = whole * round / 8;
        until("the sync got on", async || {
            let rows = store.member_day_count(&killed).await.ok()?;
            (rows >= reached.max(1)).then_some(())
        })
        .await;
        let random = rand::rng().random_range(0..150);
        tokio::time::sleep(Duration::from_millis(random)).await;
        cluster.kill(cluster.worker());
        cluster.spawn(cluster.worker());
        cluster.ready().await;
    }
    let run = cluster.run_in(&run_id, RunState::Succeeded).await;
    assert_eq!(run.id, run_id);
    let summary = cluster.summary(&killed, &run_id).await;
    naive::assert_summary(&summary, &workspace, today);
    assert_eq!(cluster.store.member_day_count(&killed).await.unwrap(), whole);
    let (one, other) = (cluster.store.facts_digest(&calm).await, cluster.store.facts_digest(&killed).await);
    assert_eq!(one.unwrap(), other.unwrap(), "rows and rollups are those of an undisturbed sync");
    cluster.stop().await;
}
