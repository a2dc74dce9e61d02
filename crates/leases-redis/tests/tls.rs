//! Redis behind TLS: whom is believed, by which address, and that what is in files is read again.

use std::time::Duration;

use tidemark_leases_redis::RedisLeases;
use tidemark_ports::{Leases, Unavailable};
use tidemark_runtime::server::{Server, Value};
use tidemark_testkit::servers::{Authority, PASSWORD, RedisServer};
use tokio::time::{sleep, timeout};

const TTL: Duration = Duration::from_secs(30);

fn settings(url: &str, authority: &Authority) -> Server {
    let mut server = Server::from(url);
    server.password = Value::Text(PASSWORD.into());
    server.tls.ca = Some(authority.ca());
    server
}

fn leases(server: Server) -> RedisLeases {
    RedisLeases::new(server, "t").expect("the settings are fine")
}

async fn error(server: Server) -> String {
    let leases = leases(server);
    let Unavailable(text) = leases.check().await.expect_err("nobody is let in");
    assert!(!format!("{text} {leases:?}").contains("hunter2"), "{text}");
    text
}

#[tokio::test]
async fn a_lease_is_taken_over_tls_by_name_and_by_both_kinds_of_address() {
    let authority = Authority::new();
    let redis = RedisServer::start(&authority, false).await;
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let leases = leases(settings(&redis.url(host), &authority));
        let lease = leases.acquire(host, TTL).await.expect(host).expect("the lease is free");
        assert_eq!(leases.release(&lease).await, Ok(true));
    }
}

#[tokio::test]
async fn a_stranger_a_wrong_name_and_a_wrong_password_are_told_apart() {
    let authority = Authority::new();
    let redis = RedisServer::start(&authority, false).await;
    let url = redis.url("localhost");
    let text = error(settings(&url, &Authority::new())).await;
    assert!(text.contains("UnknownIssuer"), "{text}");
    let mut system = settings(&url, &authority);
    system.tls.ca = None;
    let text = error(system).await;
    assert!(text.contains("UnknownIssuer"), "{text}");
    let mut wrong = settings(&url, &authority);
    wrong.password = Value::Text("hunter2-no-more".into());
    let text = error(wrong).await;
    assert!(text.to_lowercase().contains("password") || text.contains("WRONGPASS"), "{text}");
    // In plain text at a port that speaks TLS only.
    let text = error(settings(&url.replace("rediss:", "redis:"), &authority)).await;
    assert!(text.contains(&url["rediss://localhost:".len()..]), "{text}");
    RedisLeases::new(format!("{url}#insecure").as_str(), "t").expect_err("a certificate is always verified");
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_the_server_asks() {
    let authority = Authority::new();
    let redis = RedisServer::start(&authority, true).await;
    let mut server = settings(&redis.url("localhost"), &authority);
    error(server.clone()).await;
    server.tls.own = Some(authority.issue("client"));
    leases(server.clone()).check().await.expect("it is let in");
    server.tls.own = Some(Authority::new().issue("client"));
    RedisLeases::new(server, "t").map(drop).expect_err("the files are gone with their authority");
}

#[tokio::test]
async fn a_replaced_authority_and_a_replaced_password_need_no_restart() {
    let (first, second) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let (ca, password) = (folder.path().join("ca.pem"), folder.path().join("password"));
    std::fs::copy(first.ca(), &ca).unwrap();
    std::fs::write(&password, "not yet\n").unwrap();
    let redis = RedisServer::start(&second, false).await;
    let mut server = Server::from(redis.url("localhost").as_str());
    (server.tls.ca, server.password) = (Some(ca.clone()), Value::File(password.clone()));
    let leases = leases(server);
    leases.check().await.expect_err("another authority");
    std::fs::copy(second.ca(), &ca).unwrap();
    leases.check().await.expect_err("another password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let works = async {
        while leases.check().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), works).await.expect("both were read again");
}

#[tokio::test]
async fn a_replaced_certificate_of_its_own_needs_no_restart() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let show = |of: &Authority| {
        let issued = of.issue("client");
        std::fs::copy(&issued.0, &certificate).unwrap();
        std::fs::copy(&issued.1, &key).unwrap();
    };
    show(&stranger);
    let redis = RedisServer::start(&authority, true).await;
    let mut server = settings(&redis.url("localhost"), &authority);
    server.tls.own = Some((certificate.clone(), key.clone()));
    let leases = leases(server);
    leases.check().await.expect_err("a stranger's certificate");
    show(&authority);
    let works = async {
        while leases.check().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), works).await.expect("it was read again");
}
