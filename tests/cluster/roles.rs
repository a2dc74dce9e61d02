//! Each service with the database role of its own: the whole way from a key to the numbers works, and only the credential
//! service's role can read what is sealed.

use std::process::{Command, Output};

use tidemark_domain::id::ConnectionId;
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    connections::DisconnectConnectionRequest, credentials::ReportRejectedRequest, syncs::RunState,
};
use url::Url;

use crate::cluster::{Cluster, Wiring, today, until};

const KEY: &str = "cAnArY-key-ac5107ee93d24b";
const NEXT: &str = "cAnArY-key-66f1b0c92de7a8";
const ROLES: [&str; 3] = ["credentials", "worker", "aggregator"];

/// Logged in as the tests' user, and with the rights of the role from the first statement.
fn url(cluster: &Cluster, role: &str) -> String {
    let mut url: Url = cluster.database_url().parse().unwrap();
    url.query_pairs_mut().append_pair("options", &format!("-c role=tidemark_{role}"));
    url.as_str().replace('+', "%20")
}

fn ask(cluster: &Cluster, role: &str, sql: &str) -> Output {
    Command::new("psql").args(["--no-psqlrc", "-qtA", &url(cluster, role), "-c", sql]).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_works_with_its_own_role_and_reads_no_more() {
    let mut cluster = Cluster::start(Wiring::Real, &[]).await;
    cluster.succeed(&["migrate", "--roles"]).await;
    for role in ROLES {
        cluster.kill(role);
        let url = url(&cluster, role);
        cluster.spawn_as(role, role, &[("DATABASE__URL", url)]);
    }
    cluster.ready().await;
    whole_way(&cluster).await;

    // A table that nobody was granted is one that a migration added and roles.sql forgot. The parts of one are reached
    // through it.
    let forgotten = "select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition and not exists (
            select 1 from unnest(array['credentials', 'worker', 'aggregator']) as role
            where has_table_privilege('tidemark_' || role, oid, 'select'))";
    let answer = ask(&cluster, "credentials", forgotten);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "", "not in crates/store/src/roles.sql");
    for role in ROLES {
        let sealed = ["credentials", "webhook_secrets", "consents", "invitation_tokens", "connect_links"];
        for table in sealed {
            let answer = ask(&cluster, role, &format!("select count(*) from {table}"));
            assert_eq!(answer.status.success(), role == "credentials", "{role} reads {table}");
        }
        for sql in [
            "update audit set outcome = 'ok'",
            "delete from audit",
            "delete from audit_heads",
            "update service_tokens set scopes = '[]'",
            "insert into service_tokens select * from service_tokens",
            "drop table runs",
            "create table mine (id bigint)",
        ] {
            let answer = ask(&cluster, role, sql);
            let told = String::from_utf8_lossy(&answer.stderr);
            let is_refused = told.contains("permission denied") || told.contains("must be owner");
            assert!(!answer.status.success() && is_refused, "{role} may {sql}: {told}");
        }
    }
    for (role, sql) in [
        ("worker", "update connections set state = 'connected'"),
        ("worker", "delete from contracts"),
        ("aggregator", "delete from member_days"),
        ("aggregator", "update runs set state = 'succeeded'"),
        ("credentials", "update member_days set role = 'admin'"),
    ] {
        let answer = ask(&cluster, role, sql);
        assert!(String::from_utf8_lossy(&answer.stderr).contains("permission denied"), "{role} may {sql}");
    }
    assert!(!cluster.wrote("permission denied"), "a service needs what its role may not");
    cluster.stop().await;
}

/// Connect, sync, lose the key, reconnect, see the numbers, enter a contract, leave and delete the facts.
async fn whole_way(cluster: &Cluster) {
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
    cluster.simulator.issue_token("acme", NEXT);
    let id = cluster.connect(KEY).await;
    let run = cluster.sync(&id).await;
    cluster.run_in(&run, RunState::Succeeded).await;
    cluster.summary(&id, &run).await;
    cluster.simulator.revoke(KEY);
    let report = ReportRejectedRequest { connection_id: id.to_string(), generation: 1 };
    cluster.caller(0).credentials().report_rejected(report).await.unwrap();
    cluster.reconnect(&id, NEXT).await;
    let run = cluster.sync(&id).await;
    cluster.run_in(&run, RunState::Succeeded).await;
    cluster.summary(&id, &run).await;
    cluster.succeed(&["sync", "schedule", id.as_str(), "--every", "3600"]).await;
    purged(cluster, &id).await;
}

async fn purged(cluster: &Cluster, id: &ConnectionId) {
    let request = DisconnectConnectionRequest { connection_id: id.to_string(), facts: 2 };
    cluster.caller(0).connections().disconnect_connection(request).await.unwrap();
    until("the facts are gone", async || {
        let days = cluster.store.coverage(id).await.unwrap();
        days.is_empty().then_some(())
    })
    .await;
}
