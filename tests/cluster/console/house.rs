//! A cluster with its console, and two organizations that know nothing of each other.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tidemark_domain::id::OrganizationId;
use tidemark_productboard_sim::{App, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    connections::{ConsoleRole, CreateConnectionRequest, CreateConsoleLinkRequest},
    token,
};
use tidemark_runtime::{OsEntropy, SystemClock};

use tidemark_testkit::reserve_port;

use crate::cluster::{Cluster, Wiring, today};

pub(crate) const ACME: &str = "cAnArY-acme-key-1";
pub(crate) const GLOBEX: &str = "cAnArY-globex-key-1";
const APPLICATION: &str = "tidemark";

/// Where people go.
pub(crate) struct House {
    pub(crate) cluster: Cluster,
    pub(crate) port: u16,
}

/// An organization and its workspace.
pub(crate) struct Tenant {
    pub(crate) organization: String,
    pub(crate) connection: String,
}

impl House {
    pub(crate) async fn open(wiring: Wiring, extra: &[(&str, &str)]) -> Self {
        let port = reserve_port();
        let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
        let redirect = format!("{url}/oauth/callback");
        // The console shows a token of its own, which may do what the console does, and no more.
        let token = token::mint(&SystemClock, &OsEntropy).text;
        let settings = [
            ("CONSOLE__TOKEN", token.expose_secret()),
            ("CONSOLE__LISTEN", listen.as_str()),
            ("CONSOLE__PUBLIC_URL", url.as_str()),
            ("OAUTH__CLIENT_ID", APPLICATION),
            ("OAUTH__CLIENT_SECRET", "cAnArY-application-secret"),
            ("OAUTH__REDIRECT_URL", redirect.as_str()),
            ("WORKER__HISTORY_DAYS", "30"),
        ];
        let mut cluster = Cluster::start(wiring, &[&settings[..], extra].concat()).await;
        cluster.register("console", token.expose_secret()).await;
        if wiring == Wiring::Real {
            cluster.spawn("console");
        }
        cluster.listens(port).await;
        cluster.simulator.register_app(App {
            client_id: APPLICATION.to_owned(),
            client_secret: "cAnArY-application-secret".to_owned(),
            redirect_uris: vec![redirect.clone()],
            scopes: SCOPES.split(' ').map(str::to_owned).collect(),
            public_key_pem: None,
        });
        for (domain, key) in [("acme", ACME), ("globex", GLOBEX)] {
            let spec = WorkspaceSpec::new(domain, 30, today()).days(40);
            cluster.simulator.add(Workspace::generate(&spec), key);
        }
        Self { cluster, port }
    }

    pub(crate) fn organization(&self) -> String {
        OrganizationId::generate(&SystemClock, &OsEntropy).to_string()
    }

    pub(crate) async fn acme(&self) -> Tenant {
        self.tenant(ACME).await
    }

    pub(crate) async fn globex(&self) -> Tenant {
        self.tenant(GLOBEX).await
    }

    /// Makes the vendor answer late: a first sync takes a while, then.
    pub(crate) fn slow(&self, domain: &str, latency: Duration) {
        assert!(self.cluster.simulator.workspace_faults(domain, |faults| faults.latency = latency));
    }

    pub(crate) async fn tenant(&self, key: &str) -> Tenant {
        self.connected(self.organization(), key).await
    }

    /// One more workspace of the same organization.
    pub(crate) async fn beside(&self, tenant: &Tenant, key: &str) -> Tenant {
        self.connected(tenant.organization.clone(), key).await
    }

    async fn connected(&self, organization: String, key: &str) -> Tenant {
        let request = CreateConnectionRequest {
            organization_id: organization.clone(),
            api_key: key.to_owned(),
            ..Default::default()
        };
        let made = self.cluster.caller(0).connections().create_connection(request).await.unwrap();
        Tenant { organization, connection: made.into_inner().connection.unwrap().id }
    }

    /// The path of a link into the console.
    pub(crate) async fn link(&self, organization: &str, role: ConsoleRole) -> String {
        let request = CreateConsoleLinkRequest {
            organization_id: organization.to_owned(),
            organization_name: "Acme Industries".to_owned(),
            person: "Grace Hopper".to_owned(),
            role: role.into(),
            ..Default::default()
        };
        let made = self.cluster.caller(0).console().create_console_link(request).await.unwrap();
        let url = made.into_inner().url;
        let at = url.find("://").map_or(0, |at| at + 3);
        let path = url[at..].find('/').unwrap();
        url[at + path..].to_owned()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

const SCOPES: &str = "members:read members:pii:read teams:read analytics:read notes:read entities:read";
