//! RabbitMQ behind TLS: whom is believed, by which address, and that what is in files is read again.

use std::{collections::BTreeMap, time::Duration};

use tidemark_bus_amqp::AmqpBus;
use tidemark_ports::{Bus, Message, Receipt, Route, Verdict, topology::SYNC_RUN};
use tidemark_runtime::server::{Server, Value};
use tidemark_testkit::servers::{Authority, PASSWORD, RabbitServer};
use tokio::time::{sleep, timeout};

fn settings(url: &str, authority: &Authority) -> Server {
    let mut server = Server::from(url);
    server.password = Value::Text(PASSWORD.into());
    server.tls.ca = Some(authority.ca());
    server
}

fn command(id: &str) -> Message {
    let route = Route::Command("sync.run".to_owned());
    Message { id: id.to_owned(), route, headers: BTreeMap::new(), body: "{}".into() }
}

/// The error of a check with its causes, which must not hold the password.
async fn error(server: Server) -> String {
    let bus = AmqpBus::new(server, "t").expect("the settings are fine");
    let error = bus.check().await.expect_err("nobody is let in");
    let text = format!("{error} {error:?} {bus:?}");
    assert!(!text.contains("hunter2"), "{text}");
    text
}

async fn passes(server: Server) {
    let bus = AmqpBus::new(server, "t").expect("the settings are fine");
    assert!(bus.check().await.expect("it is let in").version.is_some(), "seen through TLS, too");
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    assert_eq!(bus.publish(vec![command("a")]).await, [Receipt::Accepted]);
    let delivery = timeout(Duration::from_secs(20), runs.next()).await.expect("a delivery");
    assert_eq!(delivery.settle(Verdict::Ack).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_pass_over_tls_and_strangers_are_told_apart() {
    let authority = Authority::new();
    let rabbit = RabbitServer::start(&authority, false).await;
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        passes(settings(&rabbit.url(host), &authority)).await;
    }
    passes(Server::from(rabbit.plain_url().as_str())).await;
    let url = rabbit.url("localhost");
    let text = error(settings(&url, &Authority::new())).await;
    assert!(text.contains("UnknownIssuer"), "{text}");
    let mut wrong = settings(&url, &authority);
    wrong.password = Value::Text("hunter2-no-more".into());
    let text = error(wrong).await;
    assert!(text.contains("ACCESS") && text.contains("REFUSED"), "{text}");
    // A port that speaks TLS only, in plain text.
    error(settings(&url.replace("amqps:", "amqp:"), &authority)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_shown_and_what_is_in_files_is_read_again() {
    let authority = Authority::new();
    let rabbit = RabbitServer::start(&authority, true).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let stranger = Authority::new();
    let own = stranger.issue("client");
    std::fs::copy(stranger.ca(), at("ca.pem")).unwrap();
    std::fs::copy(&own.0, at("client.pem")).unwrap();
    std::fs::copy(&own.1, at("client.key")).unwrap();
    std::fs::write(at("password"), "not yet").unwrap();
    let mut server = Server::from(rabbit.url("localhost").as_str());
    server.tls.ca = Some(at("ca.pem"));
    server.tls.own = Some((at("client.pem"), at("client.key")));
    server.password = Value::File(at("password"));
    let bus = AmqpBus::new(server, "t").unwrap();
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    assert!(bus.check().await.is_err(), "another authority");
    std::fs::copy(authority.ca(), at("ca.pem")).unwrap();
    assert!(bus.check().await.is_err(), "a stranger's certificate");
    let own = authority.issue("client");
    std::fs::copy(&own.0, at("client.pem")).unwrap();
    std::fs::copy(&own.1, at("client.key")).unwrap();
    assert!(bus.check().await.is_err(), "another password");
    std::fs::write(at("password"), format!("{PASSWORD}\n")).unwrap();
    // The subscriber that was there from the start and the publisher both get through.
    let works = async {
        while bus.publish(vec![command("a")]).await != [Receipt::Accepted] {
            sleep(Duration::from_millis(100)).await;
        }
        runs.next().await.settle(Verdict::Ack).await
    };
    assert_eq!(timeout(Duration::from_secs(60), works).await.expect("all was read again"), Ok(()));
}
