//! Every method × every scope × the wrong organization, against the real servers over gRPC; and what the audit log
//! tells of it afterwards.

mod audit;
mod connections;
mod events;
mod limits;
mod links;
mod syncs;
mod utilization;

use serde_json::Value;
use tidemark_domain::{
    Clock,
    contract::Contract,
    id::{ConnectionId, OrganizationId},
};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    scope::{METHODS, Scope},
    status,
    syncs::RunState,
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tonic::{Code, Status};

use crate::cluster::{Cluster, Wiring, today};

const KEY: &str = "cAnArY-callers-key";
const NOBODYS: &str = "conn_00000000000000000000000000";
const NO_RUN: &str = "run_00000000000000000000000000";

/// Methods that name something that exists here, and belongs to somebody.
const ISOLATED: [&str; 42] = [
    "CreateConnection",
    "GetConnection",
    "ListConnections",
    "ReconnectConnection",
    "DisconnectConnection",
    "ProbeConnection",
    "ListInvitations",
    "WatchConnections",
    "ListEvents",
    "CreateWebhookEndpoint",
    "ListWebhookEndpoints",
    "GetAccessToken",
    "ReportRejected",
    "ReportForbidden",
    "StartSync",
    "GetSync",
    "ListSyncs",
    "WatchSync",
    "CancelSync",
    "GetSchedule",
    "SetSchedule",
    "GetSyncOptions",
    "SetSyncOptions",
    "AcceptShrink",
    "GetDataQuality",
    "GetSummary",
    "GetTrend",
    "ListCuts",
    "GetFeatureAdoption",
    "ListSeats",
    "ListRecommendations",
    "AcceptRecommendation",
    "WithdrawAcceptance",
    "GetContract",
    "SetContract",
    "ListExemptions",
    "SetExemption",
    "EndExemption",
    "PreviewRenewal",
    "GetCoverage",
    "ListAlerts",
    "Export",
];

/// Those of them that name the organization itself.
const NAMES_ORGANIZATION: [&str; 7] = [
    "CreateConnection",
    "ListConnections",
    "ListInvitations",
    "WatchConnections",
    "CreateWebhookEndpoint",
    "ListWebhookEndpoints",
    "ListAlerts",
];

/// What the calls are about.
#[derive(Clone)]
struct Target {
    organization: String,
    connection: String,
    run: String,
    member: String,
    /// What is recommended of the member.
    action: String,
    generation: i64,
}

/// Which process serves a method.
fn served_by(method: &str) -> usize {
    match method.split('.').nth(1) {
        Some("connections" | "credentials") => 0,
        Some("syncs") => 1,
        Some("utilization") => 2,
        _ => panic!("no process serves {method}"),
    }
}

async fn call(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (service, name) = method.split_once('/').unwrap();
    match service.rsplit('.').next().unwrap() {
        "ConnectionsService" => connections::connections(caller, name, of).await,
        "CredentialsService" => connections::credentials(caller, name, of).await,
        "InvitationsService" => links::invitations(caller, name, of).await,
        "ConnectLinksService" => links::connect_links(caller, name, of).await,
        "ConsoleService" => links::console(caller, name, of).await,
        "EventsService" => events::events(caller, name, of).await,
        "WebhooksService" => events::webhooks(caller, name, of).await,
        "SyncsService" => syncs::syncs(caller, name, of).await,
        "UtilizationService" => utilization::utilization(caller, name, of).await,
        other => panic!("add {other} to this table"),
    }
}

/// Makes a token; gives its id and its text.
async fn token(cluster: &Cluster, arguments: &[&str]) -> (String, String) {
    let arguments = [&["token", "create", "--json", "--name", "test"], arguments].concat();
    let made: Value = serde_json::from_slice(&cluster.succeed(&arguments).await).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

/// A connection with a summary.
async fn target(cluster: &Cluster) -> (ConnectionId, Target) {
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 40, today()).days(20)), KEY);
    let id = cluster.connect(KEY).await;
    let run = cluster.sync(&id).await;
    cluster.run_in(&run, RunState::Succeeded).await;
    cluster.summary(&id, &run).await;
    let organization = cluster.connection(&id).await.organization_id;
    let recommended = cluster.store.recommendations(&id).await.unwrap()[0];
    let (member, action) = (recommended.member_id.to_string(), recommended.action.as_str().to_owned());
    // What is previewed is a contract.
    let contract = Contract { purchased: Some(5), ..Contract::default() };
    let tx = cluster.store.begin().await.unwrap();
    tx.set_contract(&id, &contract, SystemClock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let target = Target { organization, connection: id.to_string(), run, member, action, generation: 1 };
    (id, target)
}

pub(crate) async fn every_method_refuses_wrong_scopes_and_organizations(wiring: Wiring) {
    let cluster = Cluster::start(wiring, &[("WORKER__HISTORY_DAYS", "14")]).await;
    let (id, right) = target(&cluster).await;
    let other = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
    let nothing = Target {
        organization: right.organization.clone(),
        connection: NOBODYS.to_owned(),
        run: NO_RUN.to_owned(),
        member: right.member.clone(),
        action: right.action.clone(),
        generation: 1,
    };
    for scope in Scope::ALL {
        let of = |org| ["--scope", scope.as_str(), "--org", org];
        let (_, mine) = token(&cluster, &of(&right.organization)).await;
        let (_, theirs) = token(&cluster, &of(&other)).await;
        for (method, needed) in METHODS {
            let right = Target { generation: cluster.connection(&id).await.generation, ..right.clone() };
            let [mine, theirs] = [&mine, &theirs].map(|token| cluster.caller_with(served_by(method), token));
            if scope != *needed {
                for caller in [mine, theirs] {
                    let refused = call(&caller, method, right.clone()).await.unwrap_err();
                    assert_eq!(refused.code(), Code::PermissionDenied, "{method} with {scope}: {refused}");
                    assert_eq!(status::reason(&refused).as_deref(), Some("SCOPE_MISSING"));
                }
                continue;
            }
            let name = method.split('/').nth(1).unwrap();
            if !ISOLATED.contains(&name) {
                // Not configured, or about something that does not exist: past the gate, and no further.
                for caller in [mine, theirs] {
                    let refused = call(&caller, method, right.clone()).await.unwrap_err();
                    let expected = [Code::NotFound, Code::InvalidArgument, Code::FailedPrecondition];
                    assert!(expected.contains(&refused.code()), "{method}: {refused}");
                }
                continue;
            }
            let refused = call(&theirs, method, right.clone()).await.unwrap_err();
            assert_eq!(refused.code(), Code::NotFound, "{method} from elsewhere: {refused}");
            if name != "DisconnectConnection" {
                let done = call(&mine, method, right.clone()).await;
                done.unwrap_or_else(|refused| panic!("{method}: {refused}"));
            }
            if !NAMES_ORGANIZATION.contains(&name) {
                let unknown = call(&mine, method, nothing.clone()).await.unwrap_err();
                let told = |status: &Status| (status.message().to_owned(), status.details().to_vec());
                assert_eq!(told(&refused), told(&unknown), "{method}: the answers tell them apart");
            }
        }
    }
    for method in METHODS.iter().map(|(method, _)| method) {
        for wrong in ["", "tmk_", "tmk_00000000000000000000000000_x"] {
            let caller = cluster.caller_with(served_by(method), wrong);
            let refused = call(&caller, method, right.clone()).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{method}");
        }
    }
    audit::audited(&cluster, &right.organization).await;
    cluster.stop().await;
}
