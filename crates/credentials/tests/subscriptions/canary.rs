//! A signing secret passes through everything, and everything that was written down is searched for it.

use tidemark_rpc::connections::{
    RotateWebhookSecretRequest, SendTestWebhookRequest, webhooks_service_server::WebhooksService,
};
use tidemark_testkit::{Sink, TestDatabase, assert_absent};
use tonic::Code;

use crate::{
    receiver::{Receiver, Reply},
    world::{World, by, keys, platform},
};

#[tokio::test]
async fn no_signing_secret_is_in_any_log_column_delivery_or_debug_output() {
    let sink = Sink::default();
    let writer = sink.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let world = World::on(TestDatabase::sqlite_file().await).await;
    let receiver = Receiver::start().await;
    let created = world.create("", &format!("{}/hush-in-the-path", receiver.url), &[]).await.unwrap();
    let id = created.endpoint.clone().unwrap().id;
    let request = by(&platform(), RotateWebhookSecretRequest { endpoint_id: id.clone() });
    let rotated = world.service.rotate_webhook_secret(request).await.unwrap().into_inner();
    let secrets = [created.secret.clone(), rotated.secret.clone(), keys()];

    // A receiver that tells all it knows.
    receiver.then(Reply::Echo(500, format!("I know {} and {}", secrets[0], secrets[1])));
    let (_, connection) = world.customer().await;
    let event = world.happens(&connection, 1).await;
    let log = world.wait_for_log(&id, |log| log.len() == 1 && log[0].attempts.len() == 1).await;
    assert!(
        log[0].attempts[0].response.starts_with("I know whsec_[redacted] and whsec_[redacted] v1,[redacted]"),
        "{log:?}"
    );
    let signature = receiver.hooks()[0].headers["webhook-signature"].clone();
    receiver.then(Reply::Hangup);
    let request = by(&platform(), SendTestWebhookRequest { endpoint_id: id.clone() });
    world.service.send_test_webhook(request).await.unwrap();
    let log =
        world.wait_for_log(&id, |log| log.len() == 2 && log.iter().all(|one| one.attempts.len() == 1)).await;
    let refused = world.create("", "http://hooks.example.com/?hush", &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let sealed = world.store.webhook_secrets(&id.parse().unwrap(), event.time).await.unwrap();
    assert_eq!(sealed.len(), 2);
    let shown = format!("{:?} {created:?} {rotated:?} {log:?} {sealed:?} {refused:?}", world.service);
    assert_absent(&secrets, "Debug output", shown.as_bytes());
    let outgoing = world.store.outgoing_of(&connection).await.unwrap();
    outgoing.iter().for_each(|event| assert_absent(&secrets, "an event", &event.body));
    receiver
        .hooks()
        .iter()
        .for_each(|hook| assert_absent(&secrets, "a webhook", format!("{hook:?}").as_bytes()));

    let path = world.database.url().replace("sqlite://", "");
    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(format!("{path}{suffix}")).unwrap();
        assert_absent(&secrets, "the database", &bytes);
        let signature = signature.split(' ').next().unwrap().as_bytes();
        assert!(!bytes.windows(signature.len()).any(|window| window == signature), "a signature was stored");
    }
    let log = sink.bytes();
    let text = String::from_utf8_lossy(&log);
    for line in ["webhook endpoint created", "webhook secret replaced", "webhook attempted", "TRACE"] {
        assert!(text.contains(line), "the log was captured: {line}");
    }
    assert_absent(&secrets, "the log", &log);
    let own = text.lines().filter(|line| line.contains("tidemark"));
    let told: Vec<_> = own.filter(|line| line.contains("hush")).collect();
    assert!(told.is_empty(), "a URL may hold a secret of the receiver: {told:?}");
}
