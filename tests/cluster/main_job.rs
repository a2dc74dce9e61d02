//! The main job: connect, sync through the queue, lose the key, reconnect, see the utilization.

use std::sync::{Arc, Mutex};

use tidemark_bus_amqp::AmqpBus;
use tidemark_domain::{event::Event, id::ConnectionId};
use tidemark_ports::{
    Bus, Verdict,
    topology::{Binding, Queue},
};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{connections::ConnectionState, syncs::RunState};
use tidemark_store::OutgoingKind;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    cluster::{Cluster, Wiring, today, until},
    naive,
};

const EVERYTHING: Queue = Queue { name: "test.everything", binding: Binding::Events(&["#"]) };

/// Writes down every event that leaves through the broker.
async fn listen(bus: &AmqpBus) -> (Arc<Mutex<Vec<Event>>>, AbortOnDropHandle<()>) {
    let mut events = bus.subscribe(&EVERYTHING, 100).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&heard);
    let task = tokio::spawn(async move {
        loop {
            let delivery = events.next().await;
            writer.lock().unwrap().push(Event::decode(&delivery.message.body).unwrap());
            delivery.settle(Verdict::Ack).await.unwrap();
        }
    });
    (heard, AbortOnDropHandle::new(task))
}

/// The files say what the service says, in both formats.
async fn export(cluster: &Cluster, id: &ConnectionId, workspace: &Workspace) {
    let url = cluster.utilization_url();
    let csv = cluster.succeed(&["export", id.as_str(), "--table", "seats", "--url", &url]).await;
    let lines = String::from_utf8(csv).unwrap().lines().count();
    assert_eq!(lines, workspace.members.len() + 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("days.parquet");
    let file = path.to_str().unwrap();
    let asked =
        ["export", id.as_str(), "--table", "member-days", "--format", "parquet", "-o", file, "--url", &url];
    cluster.succeed(&asked).await;
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let unknown =
        ["export", "conn_00000000000000000000000000", "--table", "seats", "-o", file, "--url", &url];
    let refused = cluster.command(&unknown).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no rollup"));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "what fails leaves the file as it was");
}

pub(crate) async fn connect_sync_lose_the_key_reconnect_and_see_utilization(wiring: Wiring) {
    let cluster = Cluster::start(wiring, &[]).await;
    let heard = match &cluster.bus {
        Some(bus) => Some(listen(bus).await),
        None => None,
    };
    let today = today();
    let workspace = Workspace::generate(&WorkspaceSpec::new("acme", 80, today));
    let (first, second) = ("cAnArY-first-key", "cAnArY-second-key");
    cluster.simulator.add(workspace.clone(), first);

    // The key dies in the middle of the first sync.
    let id = cluster.connect(first).await;
    cluster.simulator.faults(first, |faults| faults.revoke_after = Some(20));
    let run_id = cluster.sync(&id).await;
    let stopped = cluster.run_in(&run_id, RunState::ReconnectRequired).await;
    assert!(!stopped.reason.is_empty(), "a person is told why");
    let connection = cluster.connection(&id).await;
    assert_eq!(connection.state(), ConnectionState::ReconnectRequired);
    assert_eq!(connection.reason.unwrap().code, "key_rejected");
    let kept = cluster.store.member_day_count(&id).await.unwrap();
    let whole = naive::rows_in_history(&workspace, today, 365);
    assert!(kept < whole, "the key died in the middle");

    // A new key of the same workspace: the same run resumes and completes.
    cluster.simulator.issue_token("acme", second);
    cluster.reconnect(&id, second).await;
    let done = cluster.run_in(&run_id, RunState::Succeeded).await;
    assert!(done.finished_at.is_some());
    let summary = cluster.summary(&id, &run_id).await;
    naive::assert_summary(&summary, &workspace, today);
    assert_eq!(cluster.store.member_day_count(&id).await.unwrap(), whole, "every row is there once");
    assert_eq!(cluster.store.member_count(&id).await.unwrap(), workspace.members.len() as u64);

    let expected = [
        "connection.connected",
        "connection.reconnect_required",
        "connection.reconnected",
        "sync.completed",
        "utilization.updated",
    ];
    let recorded: Vec<_> = cluster
        .store
        .outgoing_of(&id)
        .await
        .unwrap()
        .into_iter()
        .filter(|row| row.kind == OutgoingKind::Event)
        .map(|row| row.name)
        .collect();
    assert_eq!(recorded, expected, "one event per change, in order");
    if let Some((heard, _listener)) = &heard {
        until("the last event is heard", async || {
            (heard.lock().unwrap().len() >= expected.len()).then_some(())
        })
        .await;
        let kinds: Vec<_> = heard.lock().unwrap().iter().map(|event| event.data.kind()).collect();
        assert_eq!(kinds, expected, "exactly once each on the broker, in order");
    }

    // A second sync fetches the trailing days only and changes nothing.
    let digest = cluster.store.facts_digest(&id).await.unwrap();
    let before = cluster.simulator.requests(second);
    let again = cluster.sync(&id).await;
    assert_ne!(again, run_id);
    cluster.run_in(&again, RunState::Succeeded).await;
    cluster.summary(&id, &again).await;
    assert_eq!(cluster.store.facts_digest(&id).await.unwrap(), digest);
    let requests = cluster.simulator.requests(second) - before;
    assert!(requests < 30, "{requests} requests for nothing new");
    export(&cluster, &id, &workspace).await;
    drop(heard);
    cluster.stop().await;
}
