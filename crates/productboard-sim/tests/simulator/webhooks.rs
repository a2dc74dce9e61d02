//! Subscriptions, and events on their way to a receiver that fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, acme, bearer, call, send};
use tidemark_productboard_sim::{Access, Delivery, DeliveryState, Outcome, Simulator, WebhookEvent};

fn draft(url: &str, events: &[&str]) -> Value {
    let events: Vec<_> = events.iter().map(|event| json!({ "eventType": event })).collect();
    let notification = json!({ "url": url, "version": 1, "headers": { "authorization": "Bearer hush" } });
    json!({ "data": { "fields": { "name": "tide", "events": events, "notification": notification } } })
}

async fn create(simulator: &Simulator, token: &str, draft: &Value) -> Answer {
    send(simulator, "POST", "/v2/webhooks", Some(token), &draft.to_string()).await
}

#[tokio::test]
async fn a_subscription_is_made_read_and_deleted() {
    let simulator = acme().await;
    let made = create(&simulator, "t", &draft("https://product.example/hook", &["note.created"])).await;
    assert_eq!(made.status, 201);
    let reference = &made.body["data"];
    assert_eq!((&reference["type"], &reference["fields"]), (&json!("webhook"), &Value::Null));
    let link = reference["links"]["self"].as_str().unwrap().to_owned();

    let one = send(&simulator, "GET", &link, Some("t"), "").await;
    let fields = &one.body["data"]["fields"];
    assert_eq!(fields["events"], json!([{ "eventType": "note.created" }]));
    assert_eq!(fields["notification"], json!({ "url": "https://product.example/hook", "version": 1 }));
    let list = send(&simulator, "GET", "/v2/webhooks", Some("t"), "").await;
    assert_eq!((&list.data()[0], list.next()), (&one.body["data"], None));
    assert!(!list.text().contains("hush") && !one.text().contains("hush"));

    assert_eq!(send(&simulator, "DELETE", &link, Some("t"), "").await.status, 204);
    for method in ["GET", "DELETE"] {
        let gone = send(&simulator, method, &link, Some("t"), "").await;
        assert_eq!((gone.status, gone.code()), (404, "resource.notFound"));
    }
    assert_eq!(send(&simulator, "PATCH", &link, Some("t"), "").await.code(), "route.notFound");
}

#[tokio::test]
async fn drafts_are_checked() {
    let simulator = acme().await;
    let good = draft("https://product.example/hook", &["note.created"]);
    for (pointer, value, status, code) in [
        ("name", json!(""), 400, "request.invalid"),
        ("events", json!([]), 400, "request.invalid"),
        ("events", json!([{ "eventType": "member.created" }]), 400, "request.invalid"),
        (
            "events",
            json!([{ "eventType": "note.created" }, { "eventType": "note.created" }]),
            400,
            "request.invalid",
        ),
        ("notification", json!({ "url": "https://a.example", "version": 2 }), 400, "request.invalid"),
        ("notification", json!({ "url": "http://a.example", "version": 1 }), 400, "request.invalid"),
        ("notification", json!({ "url": "http://127.0.0.1:1/", "version": 1 }), 400, "request.invalid"),
        ("notification", json!({ "url": "https://localhost/", "version": 1 }), 422, "validation.failed"),
        ("notification", json!({ "url": "https://10.0.0.1/", "version": 1 }), 422, "validation.failed"),
        ("notification", Value::Null, 400, "request.invalid"),
    ] {
        let mut draft = good.clone();
        draft["data"]["fields"][pointer] = value;
        let refused = create(&simulator, "t", &draft).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{draft}");
    }
    let no_json = create(&simulator, "t", &json!("x")).await;
    assert_eq!(no_json.code(), "request.invalid");
    let bare = bearer("t");
    let no_type = call(&simulator.base_url(), "POST", "/v2/webhooks", &bare, &good.to_string()).await;
    assert_eq!((no_type.status, no_type.code()), (400, "request.malformed"));
}

#[tokio::test]
async fn applications_need_scopes_and_see_their_own() {
    let simulator = acme().await;
    let scopes = ["webhooks:read", "webhooks:write", "entities:read"];
    simulator.issue("acme", "one", Access::oauth(scopes).app("one"));
    simulator.issue("acme", "two", Access::oauth(scopes).app("two"));
    let refused = create(&simulator, "one", &draft("https://a.example", &["note.created"])).await;
    assert_eq!(refused.body["errors"][0]["detail"], "Missing required scope notes:read");
    let made = create(&simulator, "one", &draft("https://a.example", &["feature.updated"])).await;
    let link = made.body["data"]["links"]["self"].as_str().unwrap().to_owned();
    for (token, status, count) in [("one", 200, 1), ("two", 404, 0), ("t", 200, 1)] {
        assert_eq!(send(&simulator, "GET", &link, Some(token), "").await.status, status, "{token}");
        let list = send(&simulator, "GET", "/v2/webhooks", Some(token), "").await;
        assert_eq!(list.data().len(), count, "{token}");
    }
    let refused = send(&simulator, "DELETE", &link, Some("one"), "").await;
    assert_eq!(refused.body["errors"][0]["detail"], "Missing required scope webhooks:delete");
}

/// A receiver: answers the statuses in their order, then 204; `None` never answers.
#[derive(Clone, Default)]
struct Receiver {
    statuses: Arc<Mutex<VecDeque<Option<u16>>>>,
    received: Arc<Mutex<Vec<(String, Value)>>>,
}

async fn receive(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> impl IntoResponse {
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    receiver.received.lock().unwrap().push((authorization, body));
    let status = receiver.statuses.lock().unwrap().pop_front().unwrap_or(Some(204));
    let Some(status) = status else { std::future::pending().await };
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/elsewhere")])
}

impl Receiver {
    /// Listens, and is subscribed to all events that the tests send.
    async fn subscribed(simulator: &Simulator, statuses: impl IntoIterator<Item = Option<u16>>) -> Self {
        let receiver = Self::default();
        receiver.statuses.lock().unwrap().extend(statuses);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", routing::post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        simulator.workspace_faults("acme", |faults| faults.local_webhooks = true);
        let events = ["feature.updated", "insight.created", "feature-release-assignment.updated"];
        assert_eq!(create(simulator, "t", &draft(&url, &events)).await.status, 201);
        receiver
    }
}

async fn until(simulator: &Simulator, what: &str, is: impl Fn(&Delivery) -> bool) -> Delivery {
    let start = Instant::now();
    loop {
        if let Some(delivery) = simulator.deliveries("acme").into_iter().next_back().filter(&is) {
            return delivery;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", simulator.deliveries("acme"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn events_name_what_changed_and_carry_the_secret() {
    let simulator = acme().await;
    let receiver = Receiver::subscribed(&simulator, []).await;
    let id = Uuid::from_u128(7);
    assert_eq!(simulator.deliver("acme", &WebhookEvent::new("note.created", id)), 0, "nobody asked for it");
    let updated = WebhookEvent {
        updated_attributes: vec!["name".to_owned()],
        ..WebhookEvent::new("feature.updated", id)
    };
    for (count, event) in [
        (1, updated),
        (2, WebhookEvent::new("insight.created", id)),
        (3, WebhookEvent::new("feature-release-assignment.updated", id)),
    ] {
        assert_eq!(simulator.deliver("acme", &event), 1);
        until(&simulator, "taken", |last| last.state == DeliveryState::Acknowledged).await;
        assert_eq!(simulator.deliveries("acme").len(), count);
    }
    let received = receiver.received.lock().unwrap().clone();
    assert!(received.iter().all(|(authorization, _)| authorization == "Bearer hush"));
    let bodies: Vec<_> = received.iter().map(|(_, body)| &body["data"]).collect();
    let target = format!("{}/v2/entities/{id}", simulator.base_url());
    let expected = json!({
        "id": id, "eventType": "feature.updated", "links": { "target": target }, "updatedAttributes": ["name"],
    });
    assert_eq!(bodies[0], &expected);
    assert!(bodies[1]["links"]["note"].is_string() && bodies[1]["updatedAttributes"].is_null());
    assert!(bodies[2]["id"].is_null());
}

#[tokio::test]
async fn failures_are_tried_again_by_the_clock_until_one_is_taken() {
    let simulator = acme().await;
    let receiver = Receiver::subscribed(&simulator, [Some(500), Some(302), Some(410)]).await;
    let body = format!(r#"{{"event_type":"feature.updated","id":"{}"}}"#, Uuid::nil());
    let sent = send(&simulator, "POST", "/admin/workspaces/acme/events", None, &body).await;
    assert_eq!((sent.status, &sent.body["subscribers"]), (202, &json!(1)));
    for (attempts, minutes) in [(1, 1), (2, 3), (3, 9)] {
        let waiting = until(&simulator, "waits", |last| {
            last.attempts.len() == attempts && last.next_attempt_at.is_some()
        });
        let waiting = waiting.await;
        let wait = waiting.next_attempt_at.unwrap() - waiting.attempts.last().unwrap().at;
        assert_eq!(wait.num_minutes(), minutes);
        simulator.advance(Duration::from_secs(60 * u64::try_from(minutes).unwrap()));
    }
    let taken = until(&simulator, "taken", |last| last.state == DeliveryState::Acknowledged).await;
    let outcomes: Vec<_> = taken.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [500, 302, 410, 204].map(Outcome::Status));
    assert_eq!(receiver.received.lock().unwrap().len(), 4);
    let log = send(&simulator, "GET", "/admin/workspaces/acme/deliveries", None, "").await.body;
    assert_eq!(
        (&log[0]["state"], &log[0]["attempts"][3]["outcome"]),
        (&json!("acknowledged"), &json!({"status": 204}))
    );
}

#[tokio::test]
async fn after_nine_failures_an_event_is_dropped() {
    let simulator = acme().await;
    let _receiver = Receiver::subscribed(&simulator, [Some(503); 20]).await;
    simulator.deliver("acme", &WebhookEvent::new("feature.updated", Uuid::nil()));
    for attempts in 1..9 {
        until(&simulator, "waits", |last| last.attempts.len() == attempts && last.next_attempt_at.is_some())
            .await;
        simulator.advance(Duration::from_secs(60 * 3_u64.pow(8)));
    }
    let dropped = until(&simulator, "dropped", |last| last.state == DeliveryState::Dropped).await;
    assert_eq!((dropped.attempts.len(), dropped.next_attempt_at), (9, None));
}

#[tokio::test]
async fn a_silent_receiver_has_five_seconds_and_does_not_hold_the_shutdown() {
    let simulator = acme().await;
    let _receiver = Receiver::subscribed(&simulator, [None, None]).await;
    simulator.deliver("acme", &WebhookEvent::new("feature.updated", Uuid::nil()));
    let late = until(&simulator, "times out", |last| !last.attempts.is_empty()).await;
    assert_eq!(late.attempts[0].outcome, Outcome::TimedOut);
    simulator.advance(Duration::from_secs(61));
    tokio::time::timeout(Duration::from_secs(3), simulator.shutdown()).await.expect("stops at once");
}
