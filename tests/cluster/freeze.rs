//! A vendor that asks for a pause of an hour and more: no restart keeps it from a person who asks, or reconnects.

use std::time::Duration;

use tidemark_productboard_sim::{Storm, Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::RunState;

use crate::{
    cluster::{Cluster, Wiring, today, until},
    naive,
};

pub(crate) async fn a_person_and_a_reconnect_break_a_freeze_that_outlived_a_restart(wiring: Wiring) {
    let mut cluster = Cluster::start(wiring, &[("WORKER__HISTORY_DAYS", "100")]).await;
    for (domain, by_person) in [("person", true), ("reconnect", false)] {
        let workspace = Workspace::generate(&WorkspaceSpec::new(domain, 30, today()));
        let (token, second) = (format!("cAnArY-{domain}"), format!("cAnArY-second-{domain}"));
        cluster.simulator.add(workspace.clone(), token.as_str());
        cluster.simulator.issue_token(domain, second.as_str());
        let id = cluster.connect(&token).await;
        let storm = Some(Storm { requests: 10_000, retry_after_secs: u64::MAX });
        cluster.simulator.workspace_faults(domain, |faults| faults.storm_429 = storm);
        let run_id = cluster.sync(&id).await;
        let store = cluster.store.clone();
        let run = run_id.parse().unwrap();
        until("the run waits for an hour", async || {
            let run = store.run(&run).await.ok()??;
            let reason = run.reason?;
            (reason.starts_with("Productboard asked to wait 6") && reason.contains(" min; ")).then_some(())
        })
        .await;
        cluster.kill(cluster.worker());
        cluster.spawn(cluster.worker());
        cluster.ready().await;
        cluster.simulator.workspace_faults(domain, |faults| faults.storm_429 = None);
        let asked = tokio::time::Instant::now();
        if by_person {
            assert_eq!(cluster.sync(&id).await, run_id, "the same run goes on");
        } else {
            cluster.reconnect(&id, &second).await;
        }
        cluster.run_in(&run_id, RunState::Succeeded).await;
        assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
        naive::assert_summary(&cluster.summary(&id, &run_id).await, &workspace, today());
    }
    cluster.stop().await;
}
