//! Webhook subscriptions: made, seen, gone.

use secrecy::SecretString;
use tidemark_productboard::{Error, NewWebhook};

use crate::support::{all, client, simulator};

fn webhook(events: &[&str]) -> NewWebhook {
    NewWebhook {
        name: "tidemark".to_owned(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        url: "https://hooks.example/pb".parse().unwrap(),
        authorization: Some(SecretString::from("hush")),
    }
}

#[tokio::test]
async fn a_webhook_lives_and_goes() {
    let simulator = simulator().await;
    let client = client(&simulator);
    let id = client.create_webhook(&webhook(&["note.created", "note.updated"])).await.unwrap();
    let listed = all(client.webhooks(None)).await.unwrap();
    assert_eq!(listed.len(), 1);
    let made = client.webhook(id).await.unwrap();
    assert_eq!(made, listed[0]);
    assert_eq!((made.name.as_str(), made.url.as_str()), ("tidemark", "https://hooks.example/pb"));
    assert_eq!(made.events, ["note.created", "note.updated"]);
    client.delete_webhook(id).await.unwrap();
    let error = client.webhook(id).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 404, .. }), "{error:?}");
    assert_eq!(all(client.webhooks(None)).await.unwrap(), []);
}

#[tokio::test]
async fn a_wrong_webhook_is_told_where() {
    let simulator = simulator().await;
    let error = client(&simulator).create_webhook(&webhook(&["member.created"])).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert!(error.vendor_id().unwrap().starts_with("req-"));
    assert!(!error.to_string().contains("hush"), "{error}");
}
