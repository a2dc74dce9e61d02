//! A server behind TLS, and clients with and without the right certificates.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::{
    client::Caller,
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportForbiddenRequest, ReportForbiddenResponse,
        ReportRejectedRequest, ReportRejectedResponse,
        credentials_service_server::{CredentialsService, CredentialsServiceServer},
    },
    guard::Guard,
    server::{Listen, Server},
};

const TOKEN: &str = "a-token-for-tests-only";

/// Answers nothing, which is an answer.
struct Silent;

#[tonic::async_trait]
impl CredentialsService for Silent {
    async fn get_access_token(
        &self,
        _: tonic::Request<GetAccessTokenRequest>,
    ) -> Result<tonic::Response<GetAccessTokenResponse>, tonic::Status> {
        Ok(tonic::Response::new(GetAccessTokenResponse::default()))
    }

    async fn report_rejected(
        &self,
        _: tonic::Request<ReportRejectedRequest>,
    ) -> Result<tonic::Response<ReportRejectedResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn report_forbidden(
        &self,
        _: tonic::Request<ReportForbiddenRequest>,
    ) -> Result<tonic::Response<ReportForbiddenResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate for `localhost` and its key.
fn issue(by: &Authority, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    let paths = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    fs::write(&paths.0, certificate.pem()).unwrap();
    paths
}

fn write_authority(authority: &Authority, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, authority.pem()).unwrap();
    path
}

struct World {
    folder: TempDir,
    authority: Authority,
    address: String,
    ca: PathBuf,
    files: ServerFiles,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    async fn start(mutual: bool) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
        let (certificate, key) = issue(&authority, folder.path(), "server");
        let ca = write_authority(&authority, folder.path(), "ca.pem");
        let files = ServerFiles { certificate, key, client_ca: mutual.then(|| ca.clone()) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let tls = ServerTls::watch(files.clone()).unwrap();
        let server =
            Server::new(Guard::new(&SecretString::from(TOKEN))).with(CredentialsServiceServer::new(Silent));
        let stop = CancellationToken::new();
        tokio::spawn(server.tls(Some(tls)).serve(Listen::Tcp(listener), stop.clone()));
        Self { folder, authority, address, ca, files, _stop: stop.drop_guard() }
    }

    fn client(&self, ca: &Path, own: Option<(PathBuf, PathBuf)>) -> Caller {
        let files = ClientFiles { ca: ca.to_owned(), own };
        Caller::secured(&self.address, &SecretString::from(TOKEN), &files).unwrap()
    }

    async fn works(&self, caller: &Caller) -> bool {
        match caller.credentials().get_access_token(GetAccessTokenRequest::default()).await {
            Ok(_) => true,
            Err(status) => {
                assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");
                false
            }
        }
    }
}

#[tokio::test]
async fn only_the_right_authority_is_believed() {
    let world = World::start(false).await;
    assert!(world.works(&world.client(&world.ca, None)).await);
    let foreign = write_authority(&authority(), world.folder.path(), "foreign.pem");
    assert!(!world.works(&world.client(&foreign, None)).await);
    let plain = Caller::new(&world.address.replace("https", "http"), &SecretString::from(TOKEN)).unwrap();
    assert!(!world.works(&plain).await, "without TLS nobody is let in");
}

#[tokio::test]
async fn a_caller_shows_a_certificate_where_it_is_asked_for() {
    let world = World::start(true).await;
    let own = issue(&world.authority, world.folder.path(), "client");
    assert!(world.works(&world.client(&world.ca, Some(own))).await);
    assert!(!world.works(&world.client(&world.ca, None)).await);
    let foreign = issue(&authority(), world.folder.path(), "foreign");
    assert!(!world.works(&world.client(&world.ca, Some(foreign))).await);
}

#[tokio::test]
async fn a_renewed_certificate_needs_no_restart_and_a_broken_one_changes_nothing() {
    let world = World::start(false).await;
    let open = world.client(&world.ca, None);
    // Once on each of its connections.
    for _ in 0..4 {
        assert!(world.works(&open).await);
    }
    fs::write(&world.files.certificate, "not a certificate").unwrap();
    tokio::time::sleep(LOOK * 2).await;
    assert!(world.works(&world.client(&world.ca, None)).await, "the old one stays");

    let next = authority();
    issue(&next, world.folder.path(), "server");
    let ca = write_authority(&next, world.folder.path(), "next.pem");
    let renewed = async {
        while !world.works(&world.client(&ca, None)).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("the new one is taken");
    assert!(world.works(&open).await, "open connections go on");
}

#[tokio::test]
async fn a_client_reads_a_replaced_authority_and_a_replaced_certificate_without_a_restart() {
    let world = World::start(true).await;
    let folder = world.folder.path();
    let ours = fs::read(&world.ca).unwrap();
    let ca = write_authority(&authority(), folder, "trusted.pem");
    let own = issue(&authority(), folder, "own");
    let client = world.client(&ca, Some(own));
    assert!(!world.works(&client).await, "another authority, and a stranger's certificate");
    fs::write(&ca, ours).unwrap();
    assert!(!world.works(&client).await, "still a stranger's certificate");
    issue(&world.authority, folder, "own");
    let works = async {
        while !world.works(&client).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), works).await.expect("both were read again");
}

#[tokio::test]
async fn files_are_named_by_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = issue(&authority(), folder.path(), "one");
    let (_, other_key) = issue(&authority(), folder.path(), "two");
    let with = |certificate: &Path, key: &Path| {
        let files = ServerFiles { certificate: certificate.into(), key: key.into(), client_ca: None };
        ServerTls::watch(files).unwrap_err().to_string()
    };
    assert!(with(&folder.path().join("none.pem"), &key).contains("none.pem` cannot be read"));
    assert!(with(&key, &key).contains("no certificate in PEM"));
    assert!(with(&certificate, &certificate).contains("no private key in PEM"));
    assert!(with(&certificate, &other_key).contains("cannot be used together"));
}
