//! Every method × every scope × the wrong organization, against the real servers over gRPC; and what the audit log
//! tells of it afterwards.

use std::time::Duration;

use serde_json::Value;
use tidemark_domain::{
    Clock,
    contract::Contract,
    id::{ConnectionId, OrganizationId},
};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    REQUEST_ID,
    client::Caller,
    connections as conn, credentials as cred,
    scope::{METHODS, Scope},
    status, syncs, utilization,
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tonic::{Code, Status};

use crate::cluster::{Cluster, Wiring, today, until};

const KEY: &str = "cAnArY-callers-key";
const NOBODYS: &str = "conn_00000000000000000000000000";
const NO_RUN: &str = "run_00000000000000000000000000";

const NO_ENDPOINT: &str = "whep_00000000000000000000000000";
const NO_DELIVERY: &str = "whdl_00000000000000000000000000";
const NO_INVITATION: &str = "inv_00000000000000000000000000";

/// Methods that name something that exists here, and belongs to somebody.
const ISOLATED: [&str; 39] = [
    "CreateConnection",
    "GetConnection",
    "ListConnections",
    "ReconnectConnection",
    "DisconnectConnection",
    "ProbeConnection",
    "ListInvitations",
    "WatchConnections",
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
    if method.contains("UtilizationService") {
        return ask_utilization(caller, method, of).await;
    }
    let Target { organization: organization_id, connection: connection_id, run: run_id, generation, .. } = of;
    let (connections, credentials, api_key) = (caller.connections(), caller.credentials(), KEY.to_owned());
    let mut connections = connections;
    let mut credentials = credentials;
    match method.split('/').nth(1).unwrap() {
        "CreateConnection" => connections
            .create_connection(conn::CreateConnectionRequest {
                organization_id,
                api_key,
                ..Default::default()
            })
            .await
            .map(drop),
        "GetConnection" => {
            connections.get_connection(conn::GetConnectionRequest { connection_id }).await.map(drop)
        }
        "ListConnections" => connections
            .list_connections(conn::ListConnectionsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "ReconnectConnection" => connections
            .reconnect_connection(conn::ReconnectConnectionRequest { connection_id, api_key, auth_scheme: 0 })
            .await
            .map(drop),
        "GetAccessToken" => credentials
            .get_access_token(cred::GetAccessTokenRequest { connection_id, capability: 0 })
            .await
            .map(drop),
        "ReportRejected" => credentials
            .report_rejected(cred::ReportRejectedRequest { connection_id, generation })
            .await
            .map(drop),
        "StartSync" => {
            let request = syncs::StartSyncRequest { connection_id, ..syncs::StartSyncRequest::default() };
            caller.syncs().start_sync(request).await.map(drop)
        }
        "GetSync" => caller.syncs().get_sync(syncs::GetSyncRequest { run_id }).await.map(drop),
        "ListSyncs" => caller
            .syncs()
            .list_syncs(syncs::ListSyncsRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "WatchSync" => caller.syncs().watch_sync(syncs::WatchSyncRequest { run_id }).await.map(drop),
        "CancelSync" => caller.syncs().cancel_sync(syncs::CancelSyncRequest { run_id }).await.map(drop),
        "GetSchedule" => {
            caller.syncs().get_schedule(syncs::GetScheduleRequest { connection_id }).await.map(drop)
        }
        "SetSchedule" => {
            let request = syncs::SetScheduleRequest { connection_id, ..syncs::SetScheduleRequest::default() };
            caller.syncs().set_schedule(request).await.map(drop)
        }
        "GetSyncOptions" => {
            caller.syncs().get_sync_options(syncs::GetSyncOptionsRequest { connection_id }).await.map(drop)
        }
        "SetSyncOptions" => {
            let request =
                syncs::SetSyncOptionsRequest { connection_id, ..syncs::SetSyncOptionsRequest::default() };
            caller.syncs().set_sync_options(request).await.map(drop)
        }
        "AcceptShrink" => {
            let request = syncs::AcceptShrinkRequest { connection_id, stream: "notes".to_owned() };
            caller.syncs().accept_shrink(request).await.map(drop)
        }
        "GetDataQuality" => {
            caller.syncs().get_data_quality(syncs::GetDataQualityRequest { connection_id }).await.map(drop)
        }
        "ReportForbidden" => credentials
            .report_forbidden(cred::ReportForbiddenRequest { connection_id, generation, capability: 1 })
            .await
            .map(drop),
        "ProbeConnection" => {
            connections.probe_connection(conn::ProbeConnectionRequest { connection_id }).await.map(drop)
        }
        "DisconnectConnection" => connections
            .disconnect_connection(conn::DisconnectConnectionRequest { connection_id, facts: 1 })
            .await
            .map(drop),
        other => beside(caller, other, organization_id).await,
    }
}

/// The numbers of a connection, and what is entered for it.
async fn ask_utilization(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    use utilization as util;
    let Target { organization: organization_id, connection: connection_id, member: member_id, .. } = of;
    let mut client = caller.utilization();
    match method.split('/').nth(1).unwrap() {
        "GetSummary" => client.get_summary(util::GetSummaryRequest { connection_id }).await.map(drop),
        "GetTrend" => {
            client.get_trend(util::GetTrendRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "ListCuts" => {
            client.list_cuts(util::ListCutsRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "GetFeatureAdoption" => client
            .get_feature_adoption(util::GetFeatureAdoptionRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "ListSeats" => {
            client.list_seats(util::ListSeatsRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "ListRecommendations" => client
            .list_recommendations(util::ListRecommendationsRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "GetContract" => client.get_contract(util::GetContractRequest { connection_id }).await.map(drop),
        "SetContract" => client
            .set_contract(util::SetContractRequest {
                connection_id,
                contract: Some(util::Contract::default()),
            })
            .await
            .map(drop),
        "ListExemptions" => client
            .list_exemptions(util::ListExemptionsRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "SetExemption" => client
            .set_exemption(util::SetExemptionRequest {
                connection_id,
                member_id,
                reason: "a test".to_owned(),
                until: today().to_string(),
            })
            .await
            .map(drop),
        "EndExemption" => {
            client.end_exemption(util::EndExemptionRequest { connection_id, member_id }).await.map(drop)
        }
        "PreviewRenewal" => client
            .preview_renewal(util::PreviewRenewalRequest { connection_id, drop_seats: 1 })
            .await
            .map(drop),
        "GetCoverage" => client.get_coverage(util::GetCoverageRequest { connection_id }).await.map(drop),
        "ListAlerts" => client
            .list_alerts(util::ListAlertsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "Export" => client
            .export(util::ExportRequest { connection_id, table: 3, ..Default::default() })
            .await
            .map(drop),
        other => panic!("add {other} to this table"),
    }
}

/// The methods around connections. What they name by a token or an id of their own does not exist.
async fn beside(caller: &Caller, method: &str, organization_id: String) -> Result<(), Status> {
    let (mut connections, mut invitations) = (caller.connections(), caller.invitations());
    let (mut links, mut webhooks) = (caller.connect_links(), caller.webhooks());
    let (endpoint_id, invitation_id) = (NO_ENDPOINT.to_owned(), NO_INVITATION.to_owned());
    match method {
        "BeginConsent" => connections
            .begin_consent(conn::BeginConsentRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "CompleteConsent" => {
            connections.complete_consent(conn::CompleteConsentRequest::default()).await.map(drop)
        }
        "ConnectWithAssertion" => connections
            .connect_with_assertion(conn::ConnectWithAssertionRequest {
                organization_id,
                ..Default::default()
            })
            .await
            .map(drop),
        "CreateInvitation" => invitations
            .create_invitation(conn::CreateInvitationRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "GetInvitation" => {
            invitations.get_invitation(conn::GetInvitationRequest { invitation_id }).await.map(drop)
        }
        "ListInvitations" => invitations
            .list_invitations(conn::ListInvitationsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "ResendInvitation" => invitations
            .resend_invitation(conn::ResendInvitationRequest { invitation_id, actor: "Ada".to_owned() })
            .await
            .map(drop),
        "RevokeInvitation" => invitations
            .revoke_invitation(conn::RevokeInvitationRequest { invitation_id, actor: "Ada".to_owned() })
            .await
            .map(drop),
        "OpenInvitation" => {
            invitations.open_invitation(conn::OpenInvitationRequest::default()).await.map(drop)
        }
        "AcceptInvitation" => {
            invitations.accept_invitation(conn::AcceptInvitationRequest::default()).await.map(drop)
        }
        "CreateConnectLink" => links
            .create_connect_link(conn::CreateConnectLinkRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "RedeemConnectLink" => {
            links.redeem_connect_link(conn::RedeemConnectLinkRequest::default()).await.map(drop)
        }
        "ConnectThroughLink" => {
            links.connect_through_link(conn::ConnectThroughLinkRequest::default()).await.map(drop)
        }
        "CreateConsoleLink" => caller
            .console()
            .create_console_link(conn::CreateConsoleLinkRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "RedeemConsoleLink" => {
            caller.console().redeem_console_link(conn::RedeemConsoleLinkRequest::default()).await.map(drop)
        }
        "TouchConsoleSession" => caller
            .console()
            .touch_console_session(conn::TouchConsoleSessionRequest::default())
            .await
            .map(drop),
        "EndConsoleSession" => {
            caller.console().end_console_session(conn::EndConsoleSessionRequest::default()).await.map(drop)
        }
        "WatchConnections" => caller
            .events()
            .watch_connections(conn::WatchConnectionsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "CreateWebhookEndpoint" => webhooks
            .create_webhook_endpoint(conn::CreateWebhookEndpointRequest {
                organization_id,
                url: "https://hooks.example/tidemark".to_owned(),
                ..Default::default()
            })
            .await
            .map(drop),
        "ListWebhookEndpoints" => webhooks
            .list_webhook_endpoints(conn::ListWebhookEndpointsRequest {
                organization_id,
                ..Default::default()
            })
            .await
            .map(drop),
        "GetWebhookEndpoint" => {
            webhooks.get_webhook_endpoint(conn::GetWebhookEndpointRequest { endpoint_id }).await.map(drop)
        }
        "UpdateWebhookEndpoint" => webhooks
            .update_webhook_endpoint(conn::UpdateWebhookEndpointRequest { endpoint_id, ..Default::default() })
            .await
            .map(drop),
        "DeleteWebhookEndpoint" => webhooks
            .delete_webhook_endpoint(conn::DeleteWebhookEndpointRequest { endpoint_id })
            .await
            .map(drop),
        "RotateWebhookSecret" => {
            webhooks.rotate_webhook_secret(conn::RotateWebhookSecretRequest { endpoint_id }).await.map(drop)
        }
        "ListWebhookDeliveries" => webhooks
            .list_webhook_deliveries(conn::ListWebhookDeliveriesRequest { endpoint_id, ..Default::default() })
            .await
            .map(drop),
        "RedeliverWebhook" => webhooks
            .redeliver_webhook(conn::RedeliverWebhookRequest { delivery_id: NO_DELIVERY.to_owned() })
            .await
            .map(drop),
        "SendTestWebhook" => {
            webhooks.send_test_webhook(conn::SendTestWebhookRequest { endpoint_id }).await.map(drop)
        }
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
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 5, today()).days(20)), KEY);
    let id = cluster.connect(KEY).await;
    let run = cluster.sync(&id).await;
    cluster.run_in(&run, syncs::RunState::Succeeded).await;
    cluster.summary(&id, &run).await;
    let organization = cluster.connection(&id).await.organization_id;
    let member = cluster.store.seats(&id).await.unwrap()[0].member_id.to_string();
    // What is previewed is a contract.
    let contract = Contract { purchased: Some(5), ..Contract::default() };
    let tx = cluster.store.begin().await.unwrap();
    tx.set_contract(&id, &contract, SystemClock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let target = Target { organization, connection: id.to_string(), run, member, generation: 1 };
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
    audited(&cluster, &right.organization).await;
    cluster.stop().await;
}

/// The chains are sound, tell of what happened, and cannot be shortened behind an anchor.
async fn audited(cluster: &Cluster, organization: &str) {
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
