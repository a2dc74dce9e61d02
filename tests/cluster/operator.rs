//! What the engineer who runs the cluster asks of it: syncs by hand, cadences, dead letters.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemark_ports::{Bus, Message, Receipt, Route};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};

use crate::cluster::{Cluster, Wiring, today, until};

/// One object per line.
fn lines(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(output);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON only")).collect()
}

pub(crate) async fn syncs_and_dead_letters_by_hand(wiring: Wiring) {
    let cluster = Cluster::start(wiring, &[("WORKER__HISTORY_DAYS", "30")]).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("hand", 30, today())), "cAnArY-hand");
    let connection = cluster.connect("cAnArY-hand").await.to_string();
    let port = if wiring == Wiring::Embedded { 0 } else { 1 };
    let url = format!("http://127.0.0.1:{}", cluster.port(port));
    let sync = async |arguments: &[&str]| {
        let arguments = [&["sync", "--url", url.as_str(), "--json"], arguments].concat();
        lines(&cluster.succeed(&arguments).await)
    };
    let told = sync(&["start", &connection, "--watch"]).await;
    let end = told.last().unwrap();
    assert_eq!((&end["state"], &end["coverage"]["days"]), (&"succeeded".into(), &30.into()), "{end:#}");
    let run = end["id"].as_str().unwrap();
    assert_eq!(sync(&["show", run]).await[0]["state"], "succeeded");
    assert_eq!(sync(&["cancel", run]).await[0]["state"], "succeeded", "what has ended stays as it is");
    assert!(sync(&["list", &connection]).await.iter().any(|listed| listed["id"] == run));
    assert_eq!(sync(&["schedule", &connection, "--every", "86400"]).await[0]["every_seconds"], 86_400);
    assert_eq!(sync(&["schedule", &connection]).await[0]["every_seconds"], 86_400);
    let metadata = sync(&["options", &connection, "--streams", "entities,notes"]).await.remove(0);
    assert_eq!(metadata, json!({ "optional_streams": ["entities", "notes"], "capture": "metadata" }));
    let full = sync(&["options", &connection, "--capture", "full"]).await.remove(0);
    assert_eq!(full, json!({ "optional_streams": ["entities", "notes"], "capture": "full" }));
    assert_eq!(sync(&["options", &connection]).await[0], full);
    let none = sync(&["options", &connection, "--streams", "none"]).await.remove(0);
    assert_eq!(none["optional_streams"], json!([]));
    assert_eq!(sync(&["quality", &connection]).await[0]["unknown_fields"], json!([]));
    assert_eq!(sync(&["accept-shrink", &connection, "members"]).await[0], json!({ "accepted": "members" }));
    let refused = cluster.command(&["sync", "--url", &url, "accept-shrink", &connection, "boards"]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`member_activities`"), "{refused:?}");
    dead_letters(&cluster).await;
    cluster.stop().await;
}

async fn dead_letters(cluster: &Cluster) {
    let Some(bus) = &cluster.bus else {
        let refused = cluster.command(&["queue", "dead", "list"]).await;
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("lives and dies with its process"));
        return;
    };
    let list = async || -> Vec<Value> {
        serde_json::from_slice(&cluster.succeed(&["queue", "dead", "list", "--json"]).await).unwrap()
    };
    assert!(list().await.is_empty());
    let (id, headers) = ("no-command".to_owned(), BTreeMap::new());
    let message = Message { id, route: Route::Command("sync.run".to_owned()), headers, body: "[]".into() };
    assert_eq!(bus.publish(vec![message]).await, [Receipt::Accepted]);
    let is_dead = async || list().await.pop();
    let letter = until("the message is dead", is_dead).await;
    assert_eq!((&letter["queue"], &letter["id"]), (&"sync.run".into(), &"no-command".into()));
    assert_eq!(letter["reason"], "rejected");
    let shown = cluster.succeed(&["queue", "dead", "show", "no-command", "--json"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap()["body"], Value::Array(Vec::new()));
    cluster.succeed(&["queue", "dead", "replay", "no-command"]).await;
    until("it dies again", is_dead).await;
    assert!(!cluster.command(&["queue", "dead", "drop", "another"]).await.status.success());
    cluster.succeed(&["queue", "dead", "drop", "--all-of", "sync.run"]).await;
    assert!(list().await.is_empty());
    assert!(!cluster.command(&["queue", "dead", "list", "--queue", "made.up"]).await.status.success());
}
