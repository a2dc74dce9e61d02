//! PostgreSQL as people have it, started by these tests: over TLS, with a password that changes, read-only after a
//! failover, behind PgBouncer.

#![expect(clippy::unwrap_used, reason = "a test says with a panic what it did not expect")]

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tidemark_store::{Outage, Settings, Store};
use tidemark_testkit::reserve_port;

const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "first";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// A server, or a pooler, that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The user that a server may run as: never root.
fn user() -> Option<(u32, u32)> {
    let ids = |flag: &str, name: &[&str]| {
        let output = Command::new("id").arg(flag).args(name).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    (ids("-u", &[]) == 0).then(|| (ids("-u", &["postgres"]), ids("-g", &["postgres"])))
}

fn program(path: impl AsRef<Path>) -> Command {
    let mut command = Command::new(path.as_ref());
    if let Some((uid, gid)) = user() {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command
}

fn binary(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL's packages are installed");
    let newest = versions.filter_map(|it| it.unwrap().file_name().to_str()?.parse::<u32>().ok()).max();
    PathBuf::from(format!("/usr/lib/postgresql/{}/bin/{name}", newest.unwrap()))
}

struct Postgres {
    _process: Process,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    /// With a certificate for `localhost` alone, and connections over TCP by TLS only.
    async fn start(signed_by: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        give(folder.path());
        let data = folder.path().join("data");
        let made = program(binary("initdb"))
            .args(["-U", "postgres", "--auth=trust", "--no-sync", "-D"])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "no data folder");
        let port = reserve_port();
        let mut process = program(binary("postgres"));
        process
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-F", "-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"])
            .args(["-c", "ssl_cert_file=server.pem", "-c", "ssl_key_file=server.key"])
            .args(["-c", "ssl_ca_file=ca.pem"])
            .arg(format!("-cunix_socket_directories={}", folder.path().display()));
        let server = {
            write(&data.join("ca.pem"), &signed_by.pem());
            certify(&data, "server", signed_by, "localhost");
            let rules = "local all all trust\nhostssl all certified all cert\nhostssl all rotating all scram-sha-256\n\
                         hostssl all all all trust\n";
            write(&data.join("pg_hba.conf"), rules);
            Self { _process: Process(process.spawn().unwrap()), port, folder }
        };
        let started = Instant::now();
        while !server.try_sql("select 1") {
            assert!(started.elapsed() < PATIENCE, "PostgreSQL did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn try_sql(&self, sql: &str) -> bool {
        let mut psql = program(binary("psql"));
        psql.args(["-U", "postgres", "-p", &self.port.to_string(), "-v", "ON_ERROR_STOP=1", "-c", sql, "-h"]);
        psql.arg(self.folder.path()).status().unwrap().success()
    }

    fn sql(&self, sql: &str) {
        assert!(self.try_sql(sql), "{sql}");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        format!("postgres://{user}@{host}:{}/postgres?{parameters}", self.port)
    }
}

fn give(path: &Path) {
    if let Some((uid, gid)) = user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    give(path);
}

/// Writes `<name>.pem` and `<name>.key` for that subject.
fn certify(folder: &Path, name: &str, authority: &Authority, subject: &str) {
    let mut params = CertificateParams::new([subject.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, subject);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    write(&folder.join(format!("{name}.pem")), &certificate.pem());
    write(&folder.join(format!("{name}.key")), &key.serialize_pem());
}

async fn open(url: String) -> tidemark_store::Result<Store> {
    Store::connect(&Settings { url: url.into(), max_connections: 2, ..Settings::default() }).await
}

async fn refused(url: String, outage: Outage) {
    let error = open(url).await.unwrap_err();
    assert_eq!(error.outage(), Some(outage), "{error:?}");
}

async fn until_it_writes(store: &Store) {
    let started = Instant::now();
    while let Err(error) = store.try_write(now()).await {
        assert!(started.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_and_the_client_prove_who_they_are() {
    let (ours, foreign) = (authority(), authority());
    let server = Postgres::start(&ours).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    write(&folder.path().join("ca.pem"), &ours.pem());
    write(&folder.path().join("foreign.pem"), &foreign.pem());
    let (trusted, untrusted) = (file("ca.pem"), file("foreign.pem"));

    let full = format!("sslmode=verify-full&sslrootcert={trusted}");
    open(server.url("postgres", "localhost", &full)).await.unwrap().migrate().await.unwrap();
    // Of its own authority, with another name.
    refused(server.url("postgres", "127.0.0.1", &full), Outage::Tls).await;
    let authority_only = format!("sslmode=verify-ca&sslrootcert={trusted}");
    open(server.url("postgres", "127.0.0.1", &authority_only)).await.unwrap();
    refused(
        server.url("postgres", "localhost", &format!("sslmode=verify-full&sslrootcert={untrusted}")),
        Outage::Tls,
    )
    .await;
    refused(server.url("postgres", "localhost", "sslmode=verify-full"), Outage::Tls).await;
    // The server takes nothing unencrypted.
    refused(server.url("postgres", "localhost", "sslmode=disable"), Outage::Login).await;

    server.sql("create role certified login");
    certify(folder.path(), "client", &ours, "certified");
    let shown = format!("{full}&sslcert={}&sslkey={}", file("client.pem"), file("client.key"));
    open(server.url("certified", "localhost", &shown)).await.unwrap();
    refused(server.url("certified", "localhost", &full), Outage::Login).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_an_authority_that_change_in_their_files_are_taken() {
    let first = authority();
    let server = Postgres::start(&first).await;
    server.sql(&format!("create role rotating login superuser password '{PASSWORD}'"));
    let folder = tempfile::tempdir().unwrap();
    let (ca, password) = (folder.path().join("ca.pem"), folder.path().join("password"));
    write(&ca, &first.pem());
    write(&password, &format!("{PASSWORD}\n"));
    let parameters = format!("sslmode=verify-full&sslrootcert={}", ca.display());
    let settings = Settings {
        url: server.url("rotating", "localhost", &parameters).into(),
        max_connections: 2,
        password_file: Some(password.clone()),
        ..Settings::default()
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    store.try_write(now()).await.unwrap();

    let second = authority();
    write(&ca, &second.pem());
    certify(&server.data(), "server", &second, "localhost");
    write(&password, "second\n");
    server.sql("alter role rotating password 'second'");
    server.sql("select pg_reload_conf()");
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotating'");
    until_it_writes(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_process_that_changes_in_its_files_is_taken() {
    let authority = authority();
    let server = Postgres::start(&authority).await;
    server.sql("create role certified login superuser");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    write(&folder.path().join("ca.pem"), &authority.pem());
    certify(folder.path(), "client", &authority, "certified");
    let parameters = format!(
        "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
        file("ca.pem"),
        file("client.pem"),
        file("client.key")
    );
    let url = server.url("certified", "localhost", &parameters);
    let store = open(url).await.unwrap();
    store.migrate().await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'certified'";
    // Another's name is in it: what connects from now on is refused.
    certify(folder.path(), "client", &authority, "somebody_else");
    server.sql(end);
    let started = Instant::now();
    while !store.try_write(now()).await.is_err_and(|error| error.outage() == Some(Outage::Login)) {
        assert!(started.elapsed() < PATIENCE, "the new certificate is shown");
    }
    certify(folder.path(), "client", &authority, "certified");
    until_it_writes(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_turned_read_only_is_named_and_found_again() {
    let server = Postgres::start(&authority()).await;
    let store = open(server.url("postgres", "localhost", "sslmode=require")).await.unwrap();
    store.migrate().await.unwrap();
    server.sql("alter system set default_transaction_read_only = on");
    server.sql("select pg_reload_conf()");
    let started = Instant::now();
    let error = loop {
        if let Err(error) = store.try_write(now()).await {
            break error;
        }
        assert!(started.elapsed() < PATIENCE, "it takes writes");
    };
    assert_eq!(error.outage(), Some(Outage::ReadOnly), "{error:?}");
    server.sql("alter system reset default_transaction_read_only");
    server.sql("select pg_reload_conf()");
    until_it_writes(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_is_a_server_too() {
    let server = Postgres::start(&authority()).await;
    let folder = server.folder.path().display().to_string();
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres:///postgres?host={folder}&port={}&user=postgres", server.port),
        format!("postgres://postgres@{encoded}:{}/postgres?options=-c%20work_mem%3D8MB", server.port),
    ] {
        open(url).await.unwrap().check().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_carries_everything() {
    let server = Postgres::start(&authority()).await;
    let port = reserve_port();
    let file = server.folder.path().join("pgbouncer.ini");
    let settings = format!(
        "[databases]\npostgres = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = session\n",
        server.folder.path().display(),
        server.port
    );
    let settings = settings.replace("host=", "user=postgres host=");
    write(&file, &settings);
    let _pooler = Process(program("/usr/sbin/pgbouncer").arg(&file).spawn().expect("pgbouncer is installed"));
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let started = Instant::now();
    let store = loop {
        match open(url.clone()).await {
            Ok(store) => break store,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    store.migrate().await.unwrap();
    for _ in 0..5 {
        store.try_write(now()).await.unwrap();
        assert_eq!(store.check().await.unwrap().pending_migrations, Vec::<String>::new());
    }
}
