//! Processes that talk TLS, each showing its certificate to the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use secrecy::SecretString;
use tidemark_domain::id::OrganizationId;
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::{CreateConnectionRequest, ListConnectionsRequest},
    syncs::{GetSyncRequest, RunState, StartSyncRequest},
    tls::ClientFiles,
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tonic::Code;

use tidemark_testkit::reserve_port;

use crate::cluster::{Cluster, SERVICE_TOKEN, Wiring, today, until};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority, and its certificate as a file.
fn authority(folder: &Path, name: &str) -> (Authority, PathBuf) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let path = folder.join(name);
    fs::write(&path, authority.pem()).unwrap();
    (authority, path)
}

/// A certificate for `localhost` and its key.
fn issue(by: &Authority, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, by).unwrap();
    let paths = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&paths.0, certificate.pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_goes_through_tls_and_nobody_gets_in_without_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, ca) = authority(folder.path(), "ca.pem");
    let (others, _) = authority(folder.path(), "others.pem");
    let server = issue(&ours, folder.path(), "server");
    let client = issue(&ours, folder.path(), "client");
    let stranger = issue(&others, folder.path(), "stranger");
    let ports @ [credentials, worker, _] = [reserve_port(), reserve_port(), reserve_port()];
    let url = format!("https://localhost:{credentials}");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let files = [
        ("RPC__TLS__CERTIFICATE_FILE", text(&server.0)),
        ("RPC__TLS__KEY_FILE", text(&server.1)),
        ("RPC__TLS__CLIENT_CA_FILE", text(&ca)),
        ("RPC__TLS__CA_FILE", text(&ca)),
        ("RPC__TLS__CLIENT_CERTIFICATE_FILE", text(&client.0)),
        ("RPC__TLS__CLIENT_KEY_FILE", text(&client.1)),
        ("CREDENTIALS__URL", url),
    ];
    let settings: Vec<_> = files.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let cluster = Cluster::start_at(ports, Wiring::Real, &settings).await;
    cluster
        .simulator
        .add(Workspace::generate(&WorkspaceSpec::new("acme", 5, today()).days(10)), "cAnArY-behind-tls");

    let secured = |port: u16, own: Option<(PathBuf, PathBuf)>| {
        let files = ClientFiles { ca: ca.clone(), own };
        Caller::secured(&format!("https://localhost:{port}"), &SecretString::from(SERVICE_TOKEN), &files)
            .unwrap()
    };
    let organization_id = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
    let request = || CreateConnectionRequest {
        organization_id: organization_id.clone(),
        api_key: "cAnArY-behind-tls".to_owned(),
        ..Default::default()
    };
    let plain =
        Caller::new(&format!("http://localhost:{credentials}"), &SecretString::from(SERVICE_TOKEN)).unwrap();
    for outsider in [plain, secured(credentials, None), secured(credentials, Some(stranger))] {
        let refused = outsider.connections().create_connection(request()).await.unwrap_err();
        // How a connection ends that was never let in differs with the moment.
        let expected = [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled];
        assert!(expected.contains(&refused.code()), "{refused:?}");
    }
    let caller = secured(credentials, Some(client.clone()));
    let list = ListConnectionsRequest { organization_id: organization_id.clone(), ..Default::default() };
    let listed = caller.connections().list_connections(list).await.unwrap().into_inner();
    assert_eq!(listed.connections, [], "nobody got in");
    let made = caller.connections().create_connection(request()).await.unwrap().into_inner();
    // The worker asks for the token through TLS as well.
    let connection_id = made.connection.unwrap().id;
    let worker = secured(worker, Some(client));
    let started = worker.syncs().start_sync(StartSyncRequest { connection_id, ..Default::default() }).await;
    let run_id = started.unwrap().into_inner().run.unwrap().id;
    until("the sync is over", async || {
        let found = worker.syncs().get_sync(GetSyncRequest { run_id: run_id.clone() }).await.ok()?;
        (found.into_inner().run?.state() == RunState::Succeeded).then_some(())
    })
    .await;
    cluster.stop().await;
}
