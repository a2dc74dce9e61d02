//! A token for each role, as docker-compose.yml and the chart have them: the whole way works, and none opens more than its
//! role needs.

use secrecy::ExposeSecret as _;
use tidemark_domain::id::OrganizationId;
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::{CreateConnectionRequest, ListConnectionsRequest},
    credentials::GetAccessTokenRequest,
    syncs::{GetSyncRequest, ListSyncsRequest, RunState, StartSyncRequest},
    token,
    utilization::GetSummaryRequest,
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tonic::{Code, Status};

use crate::cluster::{CANARY, Cluster, SERVICE_TOKEN, Wiring, today, until};

const KEY: &str = "cAnArY-key-of-role-tokens";

async fn release(caller: &Caller, connection_id: &str) -> Result<(), Status> {
    let request = GetAccessTokenRequest { connection_id: connection_id.to_owned(), capability: 0 };
    caller.credentials().get_access_token(request).await.map(drop)
}

async fn list(caller: &Caller, organization: &OrganizationId) -> Result<(), Status> {
    let request = ListConnectionsRequest { organization_id: organization.to_string(), ..Default::default() };
    caller.connections().list_connections(request).await.map(drop)
}

async fn list_syncs(caller: &Caller, connection_id: &str) -> Result<(), Status> {
    let request = ListSyncsRequest { connection_id: connection_id.to_owned(), ..Default::default() };
    caller.syncs().list_syncs(request).await.map(drop)
}

fn code(answer: Result<(), Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_has_a_token_of_its_own_that_opens_only_what_it_needs() {
    let mut cluster = Cluster::start(Wiring::Real, &[]).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
    let minted = ["worker", "console", "operator"].map(|role| (role, token::mint(&SystemClock, &OsEntropy)));
    for (role, token) in &minted {
        cluster.register(role, token.text.expose_secret()).await;
        // The next start of the deployment does the same.
        cluster.register(role, token.text.expose_secret()).await;
    }
    assert_eq!(cluster.store.service_tokens().await.unwrap().len(), 3);
    let [worker, console, operator] = minted.each_ref().map(|(_, token)| token.text.expose_secret());
    for (role, token) in [("credentials", ""), ("worker", worker), ("aggregator", "")] {
        cluster.kill(role);
        cluster.spawn_as(role, role, &[("RPC__TOKEN", token.to_owned())]);
    }
    cluster.ready().await;

    let organization = OrganizationId::generate(&SystemClock, &OsEntropy);
    let [connections, syncs, numbers] = [0, 1, 2].map(|at| cluster.caller_with(at, operator));
    let request = CreateConnectionRequest {
        organization_id: organization.to_string(),
        api_key: KEY.to_owned(),
        ..Default::default()
    };
    let made = connections.connections().create_connection(request).await.unwrap().into_inner();
    let connection_id = made.connection.unwrap().id;
    let run_id = until("a sync starts", async || {
        let request = StartSyncRequest { connection_id: connection_id.clone(), ..Default::default() };
        match syncs.syncs().start_sync(request).await {
            Ok(response) => Some(response.into_inner().run?.id),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                None
            }
        }
    })
    .await;
    until("it succeeds: the worker gets the key with its own token", async || {
        let request = GetSyncRequest { run_id: run_id.clone() };
        let run = syncs.syncs().get_sync(request).await.ok()?.into_inner().run?;
        (run.state() == RunState::Succeeded).then_some(())
    })
    .await;
    until("the numbers are there", async || {
        let request = GetSummaryRequest { connection_id: connection_id.clone() };
        numbers.utilization().get_summary(request).await.ok()?.into_inner().summary
    })
    .await;

    // What no role needs is closed to it: also at the server of the process that shows the token.
    let at = |place, token| cluster.caller_with(place, token);
    for (token, releases, lists, lists_syncs) in [
        (worker, Code::Ok, Code::Ok, Code::PermissionDenied),
        (console, Code::PermissionDenied, Code::Ok, Code::Ok),
        (operator, Code::PermissionDenied, Code::Ok, Code::Ok),
        (SERVICE_TOKEN, Code::Unauthenticated, Code::Unauthenticated, Code::Unauthenticated),
        ("", Code::Unauthenticated, Code::Unauthenticated, Code::Unauthenticated),
    ] {
        assert_eq!(code(release(&at(0, token), &connection_id).await), releases);
        assert_eq!(code(list(&at(0, token), &organization).await), lists);
        assert_eq!(code(list_syncs(&at(1, token), &connection_id).await), lists_syncs);
    }
    // The doctor runs in any of the containers, with that role's token or none.
    for (token, unasked) in [("", 3), (worker, 2)] {
        let output = cluster.command_with(&["doctor"], &[("TIDEMARK_RPC__TOKEN", token)]).await;
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.matches("may ask no more").count() == unasked, "{report}");
        assert!(!report.contains("FAIL credential service"), "{report}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_token_that_cannot_be_used_is_refused_with_its_reason_and_without_its_text() {
    let cluster = Cluster::start(Wiring::Embedded, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker-token");
    let argument = format!("worker={}", file.display());
    let refused = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = cluster.command(&["migrate", "--token", &argument]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !error.contains(CANARY), "{error}");
        error
    };
    assert!(refused("cAnArY-some-password").await.contains("holds no service token"));
    let token = token::mint(&SystemClock, &OsEntropy);
    cluster.register("worker", token.text.expose_secret()).await;
    let (front, _) = token.text.expose_secret().rsplit_once('_').unwrap();
    assert!(refused(&format!("{front}_cAnArY")).await.contains("with another secret"));
    cluster.succeed(&["token", "revoke", token.id.as_str()]).await;
    assert!(refused(token.text.expose_secret()).await.contains("was revoked: put a new token into"));
    // Scopes of another version become those of this one.
    let token = token::mint(&SystemClock, &OsEntropy);
    cluster.register("worker", token.text.expose_secret()).await;
    cluster.register("operator", token.text.expose_secret()).await;
    let found = cluster.store.service_token(&token.id).await.unwrap().unwrap();
    assert!(found.scopes.contains(&"console:mint".to_owned()), "{:?}", found.scopes);
    assert!(!found.scopes.contains(&"credentials:release".to_owned()));
    cluster.stop().await;
}
