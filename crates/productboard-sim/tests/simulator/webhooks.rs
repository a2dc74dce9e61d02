//! Subscriptions, and events on their way to a receiver that fails.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, acme, bearer, call, send};
use tidemark_productboard_sim::{
    Access, Delivery, DeliveryState, Outcome, Simulator, WebhookEvent, Workspace,
};

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
    for (kind, status) in [("application/json;charset=utf-8", 201), ("application/jsonp", 400)] {
        let headers = format!("{bare}Content-Type: {kind}\r\n");
        let answer = call(&simulator.base_url(), "POST", "/v2/webhooks", &headers, &good.to_string()).await;
        assert_eq!(answer.status, status, "{kind}");
    }
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
    assert!(bodies[1]["updatedAttributes"].is_null());
    let linked = |name: &str| -> Uuid {
        bodies[1]["links"][name].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
    };
    let facts = simulator.workspace("acme").unwrap();
    let note = facts.notes.iter().find(|note| note.id == linked("note")).unwrap();
    assert!(note.links.iter().any(|link| link.id == linked("feature")), "two things that belong together");
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

/// One event more, through all nine failures.
async fn drop_one(simulator: &Simulator) {
    assert_eq!(simulator.deliver("acme", &WebhookEvent::new("feature.updated", Uuid::nil())), 1);
    for attempts in 1..9 {
        until(simulator, "waits", |last| last.attempts.len() == attempts && last.next_attempt_at.is_some())
            .await;
        simulator.advance(Duration::from_secs(60 * 3_u64.pow(8)));
    }
    until(simulator, "dropped", |last| last.state == DeliveryState::Dropped).await;
}

#[tokio::test]
async fn three_dropped_events_in_a_row_disable_a_subscription() {
    let simulator = acme().await;
    let receiver = Receiver::subscribed(&simulator, [Some(503); 18]).await;
    drop_one(&simulator).await;
    drop_one(&simulator).await;
    assert_eq!(simulator.webhooks("acme")[0].dropped_in_a_row, 2);
    simulator.deliver("acme", &WebhookEvent::new("feature.updated", Uuid::nil()));
    until(&simulator, "taken", |last| last.state == DeliveryState::Acknowledged).await;
    assert_eq!(simulator.webhooks("acme")[0].dropped_in_a_row, 0, "in a row");

    receiver.statuses.lock().unwrap().extend([Some(503); 27]);
    for dropped in 1..=3 {
        assert!(!simulator.webhooks("acme")[0].disabled);
        drop_one(&simulator).await;
        assert_eq!(simulator.webhooks("acme")[0].dropped_in_a_row, dropped);
    }
    let received = receiver.received.lock().unwrap().len();
    assert_eq!(simulator.deliver("acme", &WebhookEvent::new("feature.updated", Uuid::nil())), 0);
    let lost = simulator.deliveries("acme").pop().unwrap();
    assert_eq!((lost.state, lost.attempts.len(), lost.next_attempt_at), (DeliveryState::Dropped, 0, None));
    assert_eq!(receiver.received.lock().unwrap().len(), received);
    let states = send(&simulator, "GET", "/admin/workspaces/acme/webhooks", None, "").await.body;
    assert_eq!((&states[0]["disabled"], &states[0]["app"]), (&json!(true), &Value::Null));
    assert_eq!(states[0]["webhook_id"], json!(lost.webhook_id));
}

#[tokio::test]
async fn evolution_can_be_announced() {
    let simulator = acme().await;
    let target = draft("https://product.example/hook", &["note.created"]);
    let all = ["feature", "note", "objective"]
        .map(|it| ["created", "updated", "deleted"].map(|what| format!("{it}.{what}")));
    let all: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
    assert_eq!(create(&simulator, "t", &target).await.status, 201);
    assert_eq!(create(&simulator, "t", &draft("https://other.example", &all)).await.status, 201);
    let before = simulator.workspace("acme").unwrap();
    simulator.evolve("acme", before.today + chrono::Days::new(10), 1);
    assert!(simulator.deliveries("acme").is_empty(), "switched off");

    simulator.workspace_faults("acme", |faults| faults.announce_evolution = true);
    let before = simulator.workspace("acme").unwrap();
    let changes = simulator.evolve("acme", before.today + chrono::Days::new(40), 1).unwrap();
    let mut told = HashMap::new();
    for delivery in simulator.deliveries("acme") {
        *told.entry(delivery.event_type).or_insert(0) += 1;
    }
    // A note that was made and deleted since is no news; both subscribers hear of those that were made.
    let after = simulator.workspace("acme").unwrap();
    let ids = |workspace: &Workspace| workspace.notes.iter().map(|note| note.id).collect::<HashSet<_>>();
    let (was, is) = (ids(&before), ids(&after));
    assert_eq!(told["note.created"], 2 * is.difference(&was).count());
    assert_eq!(told["note.deleted"], was.difference(&is).count());
    assert!((1..=changes.notes_updated).contains(&told["note.updated"]));
    assert!(told["feature.updated"] > 0 && told["feature.created"] > 0);
    assert!(!told.keys().any(|event| event.starts_with("company")));
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
