//! Every kind of secret passes through the processes; then everything that was written down or sent is searched for them:
//! logs, statuses, events, all that went to Redis and RabbitMQ, and the whole database.

use std::process::Command;

use tidemark_domain::id::OrganizationId;
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    connections::{
        ConnectThroughLinkRequest, CreateConnectLinkRequest, CreateConnectionRequest,
        CreateInvitationRequest, CreateWebhookEndpointRequest, DisconnectConnectionRequest,
        ReconnectConnectionRequest, RedeemConnectLinkRequest, SendTestWebhookRequest,
    },
    credentials::{GetAccessTokenRequest, ReportRejectedRequest},
    syncs::RunState,
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tidemark_testkit::{Proxy, assert_absent};
use tonic::Status;

use crate::{
    cluster::{AUDIT_KEY, Cluster, KEYS, SERVICE_TOKEN, Wiring, amqp_url, redis_url, today, until},
    vendor,
};

const FIRST: &str = "cAnArY-key-4f1c9a7be2d853";
const SECOND: &str = "cAnArY-key-0d77e1a6c3b924";
const WRONG: &str = "cAnArY-key-9b20f4d81e65ca";
const MAIL_PASSWORD: &str = "cAnArY-mail-password-55d0";
const CONSOLE: &str = "https://app.example.com";

/// What went by.
struct Told {
    secrets: Vec<String>,
    statuses: Vec<Status>,
}

impl Told {
    fn secret(&mut self, text: impl Into<String>) {
        self.secrets.push(text.into());
    }
}

pub(crate) async fn no_secret_is_found_anywhere(wiring: Wiring) {
    let (redis, rabbit) = (Proxy::start(&redis_url()).await, Proxy::start(&amqp_url()).await);
    [&redis, &rabbit].into_iter().for_each(Proxy::record);
    let (leases, bus) = (redis.url(&redis_url()), rabbit.url(&amqp_url()));
    let mail = format!("smtp://user:{MAIL_PASSWORD}@127.0.0.1:1");
    let mut settings = vendor::SETTINGS.to_vec();
    settings.extend([
        ("CONSOLE__PUBLIC_URL", CONSOLE),
        ("CONSOLE__RETURN_URLS", CONSOLE),
        ("MAIL__SMTP_URL", &mail),
    ]);
    if wiring == Wiring::Real {
        settings.extend([("LEASES__URL", leases.as_str()), ("BUS__URL", &bus)]);
    }
    let cluster = Cluster::start(wiring, &settings).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), FIRST);
    cluster.simulator.issue_token("acme", SECOND);
    vendor::register(&cluster.simulator);

    let constant =
        [FIRST, SECOND, WRONG, MAIL_PASSWORD, vendor::CLIENT_SECRET, vendor::SESSION, SERVICE_TOKEN];
    let mut told = Told { secrets: constant.map(str::to_owned).to_vec(), statuses: Vec::new() };
    told.secrets.extend([KEYS, AUDIT_KEY].map(str::to_owned));
    let organization = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
    keys_and_consents(&cluster, &organization, &mut told).await;
    links_and_webhooks(&cluster, &organization, &mut told).await;

    let Told { secrets, statuses } = told;
    assert!(statuses.len() > 4);
    for status in statuses {
        let shown = format!("{status:?} {status} {}", String::from_utf8_lossy(status.details()));
        assert_absent(&secrets, "a status", shown.as_bytes());
    }
    assert_absent(&secrets, "the database", &database(&cluster));
    if wiring == Wiring::Real {
        let events = async || has(&rabbit.recorded(), "connection.reconnected").then_some(());
        until("the events were sent", events).await;
        let (kept, sent) = (redis.recorded(), rabbit.recorded());
        assert!(has(&kept, "lease:workspace:"), "Redis was used");
        assert_absent(&secrets, "what went to Redis", &kept);
        assert_absent(&secrets, "what went to RabbitMQ", &sent);
    }
    for (name, text) in cluster.written() {
        assert_absent(&secrets, &name, text.as_bytes());
    }
    cluster.stop().await;
}

fn has(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

/// All tables with all columns.
fn database(cluster: &Cluster) -> Vec<u8> {
    let url = cluster.database_url();
    let bytes = match url.strip_prefix("sqlite://") {
        Some(file) => {
            let part = |suffix: &str| std::fs::read(format!("{file}{suffix}")).unwrap_or_default();
            [part(""), part("-wal")].concat()
        }
        None => {
            let dump = Command::new("pg_dump").args(["--inserts", "--no-owner", &url]).output().unwrap();
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            dump.stdout
        }
    };
    assert!(has(&bytes, "connection.reconnected"), "the events are in it");
    bytes
}

/// Keys, right and wrong ones, a sync, an end, a way back, a consent with its renewal.
async fn keys_and_consents(cluster: &Cluster, organization: &str, told: &mut Told) {
    let (mut connections, mut credentials) =
        (cluster.caller(0).connections(), cluster.caller(0).credentials());
    let create = |api_key: &str| CreateConnectionRequest {
        organization_id: organization.to_owned(),
        api_key: api_key.to_owned(),
        ..Default::default()
    };
    told.statuses.push(connections.create_connection(create(WRONG)).await.unwrap_err());
    told.statuses.push(connections.create_connection(create(&format!("Bearer {FIRST}"))).await.unwrap_err());
    let made = connections.create_connection(create(FIRST)).await.unwrap().into_inner();
    let id = made.connection.unwrap().id;
    let run = cluster.sync(&id.parse().unwrap()).await;
    cluster.run_in(&run, RunState::Succeeded).await;
    cluster.simulator.revoke(FIRST);
    let report = ReportRejectedRequest { connection_id: id.clone(), generation: 1 };
    credentials.report_rejected(report).await.unwrap();
    let token = || GetAccessTokenRequest { connection_id: id.clone(), capability: 0 };
    told.statuses.push(credentials.get_access_token(token()).await.unwrap_err());
    for (api_key, works) in [(WRONG, false), (SECOND, true)] {
        let request = ReconnectConnectionRequest { connection_id: id.clone(), api_key: api_key.to_owned() };
        match connections.reconnect_connection(request).await {
            Ok(_) => assert!(works),
            Err(status) => told.statuses.push(status),
        }
    }
    credentials.get_access_token(token()).await.unwrap();

    let (granted, answer) =
        vendor::consented(&cluster.caller(0), &cluster.simulator, "acme", (organization, "")).await;
    told.statuses.push(connections.complete_consent(answer.clone()).await.unwrap_err());
    told.secret(answer.code);
    told.secret(answer.state);
    let token = GetAccessTokenRequest { connection_id: granted.id.clone(), capability: 0 };
    told.secret(credentials.get_access_token(token).await.unwrap().into_inner().access_token);
    let end = DisconnectConnectionRequest { connection_id: granted.id, facts: 1 };
    connections.disconnect_connection(end).await.unwrap();
}

/// Invitations, connect links, webhooks, service tokens.
async fn links_and_webhooks(cluster: &Cluster, organization: &str, told: &mut Told) {
    let caller = cluster.caller(0);
    let request = CreateInvitationRequest {
        organization_id: organization.to_owned(),
        organization_name: "Acme".to_owned(),
        invitee_email: "ada@example.com".to_owned(),
        invited_by: "Grace".to_owned(),
        ..Default::default()
    };
    let invited = caller.invitations().create_invitation(request).await.unwrap().into_inner();
    told.secret(last_part(&invited.link));
    let request = CreateConnectLinkRequest {
        organization_id: organization.to_owned(),
        organization_name: "Acme".to_owned(),
        return_url: CONSOLE.to_owned(),
        ..Default::default()
    };
    let mut links = caller.connect_links();
    let link = links.create_connect_link(request).await.unwrap().into_inner();
    let token = last_part(&link.url);
    told.secret(&token);
    let redeem = || RedeemConnectLinkRequest { token: token.clone() };
    let session = links.redeem_connect_link(redeem()).await.unwrap().into_inner().session;
    told.statuses.push(links.redeem_connect_link(redeem()).await.unwrap_err());
    told.secret(&session);
    let through = ConnectThroughLinkRequest { session, api_key: SECOND.to_owned(), region: 0 };
    links.connect_through_link(through).await.unwrap();

    let request = CreateWebhookEndpointRequest {
        organization_id: organization.to_owned(),
        url: "https://hooks.example/tidemark".to_owned(),
        ..Default::default()
    };
    let mut webhooks = caller.webhooks();
    let made = webhooks.create_webhook_endpoint(request).await.unwrap().into_inner();
    told.secret(made.secret);
    let endpoint_id = made.endpoint.unwrap().id;
    webhooks.send_test_webhook(SendTestWebhookRequest { endpoint_id }).await.unwrap();

    let made = cluster.succeed(&["token", "create", "--name", "test", "--scope", "connections:read"]).await;
    let text = String::from_utf8(made).unwrap().trim().to_owned();
    let request = tidemark_rpc::connections::ListConnectionsRequest {
        organization_id: organization.to_owned(),
        ..Default::default()
    };
    cluster.caller_with(0, &text).connections().list_connections(request).await.unwrap();
    told.secret(text);
}

fn last_part(url: &str) -> String {
    url.rsplit('/').next().unwrap().to_owned()
}
