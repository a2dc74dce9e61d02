//! A standby takes over while the system works.

use std::time::Duration;

use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{credentials::GetAccessTokenRequest, syncs::RunState};
use tidemark_store::{Settings, Store};
use tidemark_testkit::{
    Proxy,
    servers::{Authority, PostgresServer},
};
use tonic::Code;

use crate::{
    cluster::{Cluster, Wiring, today, until, until_within},
    console::web::Web,
    naive,
};

const KEY: &str = "cAnArY-key-of-a-failover";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_goes_on_with_all_that_was_acknowledged() {
    let authority = Authority::new();
    let mut primary = PostgresServer::start(&authority).await;
    let standby = primary.standby().await;
    // As an address that moves from one server to the other.
    let [from, to] =
        [&primary, &standby].map(|server| server.url_of("tidemark", "127.0.0.1", "sslmode=require"));
    let address = Proxy::start(&from).await;
    let database = address.url(&from);
    let opened = Store::connect(&Settings { url: database.clone().into(), ..Settings::default() }).await;
    let store = opened.unwrap();
    store.migrate().await.unwrap();
    let cluster = Cluster::start(Wiring::Real, &[("DATABASE__URL", &database)]).await;
    let today = today();
    let workspace = Workspace::generate(&WorkspaceSpec::new("acme", 60, today).days(60));
    cluster.simulator.add(workspace.clone(), KEY);
    let connection = cluster.connect(KEY).await;
    let run = cluster.sync(&connection).await;
    until("the sync works", async || (store.member_day_count(&connection).await.ok()? > 0).then_some(()))
        .await;

    // The address moves before the standby is promoted: it answers, and takes no writes.
    address.lead_to(&to);
    address.cut().await;
    address.mend();
    for process in ["credentials", "worker", "aggregator"] {
        until_within(Duration::from_secs(20), &format!("{process} says that it is read-only"), async || {
            let report = Web::new(cluster.watched()[process]).get("/readyz").await.text;
            (report.contains("\"unready\"") && report.contains("read-only")).then_some(())
        })
        .await;
    }
    let token = || GetAccessTokenRequest { connection_id: connection.to_string(), capability: 0 };
    until("no secret is released that the audit log cannot tell of", async || {
        let answer = cluster.caller(0).credentials().get_access_token(token()).await;
        answer.is_err_and(|refused| refused.code() == Code::Unavailable).then_some(())
    })
    .await;

    primary.stop();
    standby.sql("select pg_promote()");
    for process in ["credentials", "worker", "aggregator"] {
        until(&format!("{process} is ready again"), async || {
            (Web::new(cluster.watched()[process]).get("/readyz").await.status == 200).then_some(())
        })
        .await;
    }
    let released = cluster.caller(0).credentials().get_access_token(token()).await.unwrap().into_inner();
    assert_eq!(released.access_token, KEY);
    cluster.run_in(&run, RunState::Succeeded).await;
    let summary = cluster.summary(&connection, &run).await;
    naive::assert_summary(&summary, &workspace, today);
    cluster.stop().await;
}
