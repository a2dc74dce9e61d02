//! What ends a caller's calls: its token, and too many of them.

use std::time::Duration;

use serde_json::Value;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::{REQUEST_ID, connections as conn, status};
use tidemark_runtime::{OsEntropy, SystemClock};
use tonic::Code;

use super::{NOBODYS, token};
use crate::cluster::{Cluster, Wiring, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_within_five_seconds_and_every_answer_has_an_id() {
    let cluster = Cluster::start(Wiring::Embedded, &[]).await;
    let organization = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
    let arguments = ["--scope", "connections:read", "--expires-in", "1h"];
    let (id, text) = token(&cluster, &arguments).await;
    let mut caller = cluster.caller_with(0, &text).connections();
    let request = || {
        let list =
            conn::ListConnectionsRequest { organization_id: organization.clone(), ..Default::default() };
        let mut request = tonic::Request::new(list);
        request.metadata_mut().insert(REQUEST_ID, "asked-by-a-test".parse().unwrap());
        request
    };
    let answer = caller.list_connections(request()).await.unwrap();
    assert_eq!(answer.metadata().get(REQUEST_ID).unwrap(), "asked-by-a-test");
    until("the use is noted", async || {
        let listed: Value =
            serde_json::from_slice(&cluster.succeed(&["token", "list", "--json"]).await).unwrap();
        listed[0]["last_used_at"].as_str().map(drop)
    })
    .await;
    // A stream that was opened before ends as well.
    let watching = ["--scope", "events:watch", "--expires-in", "1h"];
    let (watcher, text) = token(&cluster, &watching).await;
    let watch = conn::WatchConnectionsRequest { organization_id: organization.clone(), ..Default::default() };
    let opened = cluster.caller_with(0, &text).events().watch_connections(watch).await.unwrap();
    let mut stream = opened.into_inner();
    assert!(stream.message().await.unwrap().is_some());
    cluster.succeed(&["token", "revoke", &watcher]).await;
    let ended = async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(7), ended).await.expect("within 5 s, and a little");
    assert_eq!(status::reason(&ended).as_deref(), Some("TOKEN_REVOKED"));

    cluster.succeed(&["token", "revoke", &id]).await;
    let refused = async {
        loop {
            if let Err(status) = caller.list_connections(request()).await {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(5), refused).await.expect("within 5 s");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(status::reason(&refused).as_deref(), Some("TOKEN_REVOKED"));
    assert!(refused.metadata().get(REQUEST_ID).is_some());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_calls_too_often_is_told_when_to_come_again() {
    let limits = [("RPC__CALLS_PER_SECOND", "5"), ("RPC__CALLS_BURST", "10")];
    let cluster = Cluster::start(Wiring::Embedded, &limits).await;
    let (_, text) = token(&cluster, &["--scope", "connections:read"]).await;
    let mut caller = cluster.caller_with(0, &text).connections();
    let mut refusals = Vec::new();
    for _ in 0..30 {
        let request = conn::GetConnectionRequest { connection_id: NOBODYS.to_owned() };
        refusals.push(caller.get_connection(request).await.unwrap_err());
    }
    let exhausted: Vec<_> =
        refusals.iter().filter(|refusal| refusal.code() == Code::ResourceExhausted).collect();
    assert!((10..=20).contains(&exhausted.len()), "{} of 30", exhausted.len());
    assert!(exhausted.iter().all(|refusal| status::retry_after(refusal).is_some()));
    cluster.stop().await;
}
