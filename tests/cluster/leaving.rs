//! A process that is asked to stop: it says that it is unready, and serves for a while yet.

use tidemark_domain::id::OrganizationId;
use tidemark_rpc::connections::ListConnectionsRequest;
use tidemark_runtime::{OsEntropy, SystemClock};

use crate::{
    cluster::{Cluster, Wiring, until},
    console::web::Web,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_got_sigterm_is_unready_and_serves_until_a_second_signal_or_its_time() {
    // Longer than the test: the second signal ends it.
    let cluster = Cluster::start(Wiring::Embedded, &[("SHUTDOWN__LAME_DUCK_MS", "600000")]).await;
    let port = cluster.watched()["all"];
    cluster.listens(port).await;
    let is_ready = async |status: u16| {
        until(&format!("/readyz answers {status}"), async || {
            let answer = Web::new(port).get("/readyz").await;
            (answer.status == status).then_some(answer.text)
        })
        .await
    };
    is_ready(200).await;
    cluster.signal("all", "TERM");
    let report = is_ready(503).await;
    assert!(report.contains("\"unready\"") && report.contains("asked to stop"), "{report}");
    let organization_id = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
    let request = ListConnectionsRequest { organization_id, ..Default::default() };
    let answer = cluster.caller(0).connections().list_connections(request).await.unwrap();
    assert!(answer.into_inner().connections.is_empty(), "it serves, as it did before");
    // The second signal.
    cluster.stop().await;
}
