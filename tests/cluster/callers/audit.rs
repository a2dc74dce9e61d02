//! What the audit log tells of the calls.

use serde_json::Value;

use super::ISOLATED;
use crate::cluster::Cluster;

/// The chains are sound, tell of what happened, and cannot be shortened behind an anchor.
pub(super) async fn audited(cluster: &Cluster, organization: &str) {
    let anchors = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(anchors.path(), cluster.succeed(&["audit", "head"]).await).unwrap();
    let path = anchors.path().to_str().unwrap();
    cluster.succeed(&["audit", "verify", "--anchors", path]).await;
    let list = cluster.succeed(&["audit", "list", "--json", "--limit", "1000", "--org", organization]).await;
    let entries: Vec<Value> = serde_json::from_slice(&list).unwrap();
    let is = |entry: &Value, key: &str, text: &str| entry[key] == text;
    let actions = [
        "connection.connect",
        "connection.reconnect",
        "secret.release",
        "webhook_secret.create",
        "token.create",
    ];
    for action in actions {
        assert!(
            entries.iter().any(|entry| is(entry, "action", action) && is(entry, "outcome", "ok")),
            "{action}"
        );
    }
    let denied: Vec<_> = entries.iter().filter(|entry| is(entry, "action", "call.deny")).collect();
    assert_eq!(
        denied.len(),
        ISOLATED.len(),
        "one for each method that was called from elsewhere: {denied:#?}"
    );
    assert!(denied.iter().all(|entry| is(entry, "outcome", "WRONG_ORGANIZATION")));
    let list = cluster.succeed(&["audit", "list", "--json", "--limit", "1000"]).await;
    let entries: Vec<Value> = serde_json::from_slice(&list).unwrap();
    for outcome in ["SCOPE_MISSING", "TOKEN_UNKNOWN"] {
        assert!(entries.iter().any(|entry| is(entry, "outcome", outcome)), "{outcome}");
    }

    let chain = cluster.store.audit_heads().await.unwrap();
    let head = chain.into_iter().find(|head| head.chain == organization).unwrap();
    let tx = cluster.store.begin().await.unwrap();
    tx.delete_audit(organization, head.sequence).await.unwrap();
    tx.commit().await.unwrap();
    let output = cluster.command(&["audit", "verify", "--org", organization]).await;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(told.contains(&format!("BROKEN {organization}: entry {} is missing", head.sequence)), "{told}");
}
