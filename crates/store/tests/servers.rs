//! PostgreSQL as people have it, started by these tests: over TLS, with a password that changes, read-only after a
//! failover, behind PgBouncer.

#![expect(clippy::unwrap_used, reason = "a test says with a panic what it did not expect")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tidemark_store::{Outage, Settings, Store};
use tidemark_testkit::servers::{Authority, PASSWORD, Pooler, PostgresServer};

const PATIENCE: Duration = Duration::from_secs(30);
const USER: &str = "tidemark";

fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap()
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
    let (ours, foreign) = (Authority::new(), Authority::new());
    let server = PostgresServer::start(&ours).await;
    let (trusted, untrusted) = (shown(&ours.ca()), shown(&foreign.ca()));

    let full = format!("sslmode=verify-full&sslrootcert={trusted}");
    open(server.url(&ours)).await.unwrap().migrate().await.unwrap();
    // Of its own authority, with another name.
    refused(server.url_of(USER, "127.0.0.1", &full), Outage::Tls).await;
    let authority_only = format!("sslmode=verify-ca&sslrootcert={trusted}");
    open(server.url_of(USER, "127.0.0.1", &authority_only)).await.unwrap();
    let stranger = format!("sslmode=verify-full&sslrootcert={untrusted}");
    refused(server.url_of(USER, "localhost", &stranger), Outage::Tls).await;
    refused(server.url_of(USER, "localhost", "sslmode=verify-full"), Outage::Tls).await;
    // The server takes nothing unencrypted.
    refused(server.url_of(USER, "localhost", "sslmode=disable"), Outage::Login).await;

    server.sql("create role certified login");
    let (certificate, key) = ours.issue_for("client", &["certified"]);
    let own = format!("{full}&sslcert={}&sslkey={}", shown(&certificate), shown(&key));
    open(server.url_of("certified", "localhost", &own)).await.unwrap();
    refused(server.url_of("certified", "localhost", &full), Outage::Login).await;
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_an_authority_that_change_in_their_files_are_taken() {
    let first = Authority::new();
    let server = PostgresServer::start(&first).await;
    server.sql(&format!("create role rotating login superuser password '{PASSWORD}'"));
    let folder = tempfile::tempdir().unwrap();
    let (ca, password) = (folder.path().join("ca.pem"), folder.path().join("password"));
    fs::copy(first.ca(), &ca).unwrap();
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let parameters = format!("sslmode=verify-full&sslrootcert={}", shown(&ca));
    let settings = Settings {
        url: server.url_of("rotating", "localhost", &parameters).into(),
        max_connections: 2,
        password_file: Some(password.clone()),
        ..Settings::default()
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    store.try_write(now()).await.unwrap();

    let second = Authority::new();
    fs::copy(second.ca(), &ca).unwrap();
    fs::write(&password, "second\n").unwrap();
    server.sql("alter role rotating password 'second'");
    server.certify(&second);
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotating'");
    until_it_writes(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_process_that_changes_in_its_files_is_taken() {
    let authority = Authority::new();
    let server = PostgresServer::start(&authority).await;
    server.sql("create role certified login superuser");
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let show = |name: &str| {
        let (new, new_key) = authority.issue_for(&name.replace('_', "-"), &[name]);
        fs::copy(new, &certificate).unwrap();
        fs::copy(new_key, &key).unwrap();
    };
    show("certified");
    let parameters = format!(
        "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
        shown(&authority.ca()),
        shown(&certificate),
        shown(&key)
    );
    let store = open(server.url_of("certified", "localhost", &parameters)).await.unwrap();
    store.migrate().await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'certified'";
    // Another's name is in it: what connects from now on is refused.
    show("somebody_else");
    server.sql(end);
    let started = Instant::now();
    while !store.try_write(now()).await.is_err_and(|error| error.outage() == Some(Outage::Login)) {
        assert!(started.elapsed() < PATIENCE, "the new certificate is shown");
    }
    show("certified");
    until_it_writes(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_turned_read_only_is_named_and_found_again() {
    let server = PostgresServer::start(&Authority::new()).await;
    let store = open(server.url_of(USER, "localhost", "sslmode=require")).await.unwrap();
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
async fn a_standby_is_read_only_and_takes_writes_once_it_is_promoted() {
    let authority = Authority::new();
    let mut primary = PostgresServer::start(&authority).await;
    let standby = primary.standby().await;
    let before = open(primary.url(&authority)).await.unwrap();
    before.migrate().await.unwrap();
    let store = open(standby.url(&authority)).await.unwrap();
    let error = store.try_write(now()).await.unwrap_err();
    assert_eq!(error.outage(), Some(Outage::ReadOnly), "{error:?}");
    primary.stop();
    // Whether its connections broke or could not be made again.
    let outage = before.try_write(now()).await.unwrap_err().outage();
    assert!(matches!(outage, Some(Outage::Away | Outage::NoConnection)), "{outage:?}");
    standby.sql("select pg_promote()");
    until_it_writes(&store).await;
    assert_eq!(
        store.check().await.unwrap().pending_migrations,
        Vec::<String>::new(),
        "it has what was acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_is_a_server_too() {
    let server = PostgresServer::start(&Authority::new()).await;
    let folder = shown(server.folder());
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres:///postgres?host={folder}&port={}&user={USER}", server.port()),
        format!("postgres://{USER}@{encoded}:{}/postgres?options=-c%20work_mem%3D8MB", server.port()),
    ] {
        open(url).await.unwrap().check().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_reached_by_its_ipv6_address() {
    if !Path::new("/proc/net/if_inet6").exists() {
        // Without IPv6, nothing can listen there: then the address is refused, and said as it was written.
        let error = open("postgres://tidemark@[::1]:9/postgres".to_owned()).await.unwrap_err();
        assert!(format!("{error:?}").contains("[::1]:9"), "{error:?}");
        return;
    }
    let authority = Authority::new();
    let server = PostgresServer::start(&authority).await;
    let parameters = format!("sslmode=verify-ca&sslrootcert={}", shown(&authority.ca()));
    let store = open(server.url_of(USER, "[::1]", &parameters)).await.unwrap();
    store.migrate().await.unwrap();
    store.try_write(now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_carries_everything() {
    let server = PostgresServer::start(&Authority::new()).await;
    let pooler = Pooler::start(&server, "session").await;
    let store = open(pooler.url()).await.unwrap();
    store.migrate().await.unwrap();
    for _ in 0..5 {
        store.try_write(now()).await.unwrap();
        assert_eq!(store.check().await.unwrap().pending_migrations, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_carries_everything_or_is_named() {
    let server = PostgresServer::start(&Authority::new()).await;
    open(server.url_of(USER, "localhost", "sslmode=require")).await.unwrap().migrate().await.unwrap();
    let pooler = Pooler::start(&server, "transaction").await;
    let mut named = None;
    // Each of these has connections of its own, and PostgreSQL's are handed around among them.
    for _ in 0..3 {
        let store = open(pooler.url()).await.unwrap();
        let asked = async {
            for _ in 0..5 {
                tokio::try_join!(store.try_write(now()), store.unsent())?;
            }
            Ok::<_, tidemark_store::Error>(())
        };
        named = named.or(asked.await.err());
    }
    if Pooler::carries_statements() {
        assert!(named.is_none(), "{named:?}");
    } else {
        let error = named.expect("statements are lost");
        assert_eq!(error.outage(), Some(Outage::Pooler), "{error:?}");
        assert!(error.to_string().contains("max_prepared_statements"), "{error}");
    }
}
