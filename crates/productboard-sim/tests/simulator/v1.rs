//! The first version, where it is still alive: its cursor is beside the data, dies after a minute, and can go round.

use std::time::Duration;

use serde_json::Value;
use tidemark_productboard_sim::Simulator;

use crate::support::{Answer, acme, bearer, call};

async fn notes(simulator: &Simulator, query: &str) -> Answer {
    let headers = bearer("t") + "X-Version: 1\r\n";
    call(&simulator.base_url(), "GET", &format!("/notes?{query}"), &headers, "").await
}

async fn alive() -> Simulator {
    let simulator = acme().await;
    simulator.workspace_faults("acme", |faults| faults.v1_alive = true);
    simulator
}

fn cursor(answer: &Answer) -> Option<&str> {
    answer.body["pageCursor"].as_str()
}

#[tokio::test]
async fn it_is_off_until_it_is_switched_on_and_needs_its_version() {
    let simulator = acme().await;
    assert_eq!(notes(&simulator, "").await.status, 410);
    simulator.faults("t", |faults| faults.v1_alive = true);
    assert_eq!(notes(&simulator, "").await.status, 200);
    let bare = call(&simulator.base_url(), "GET", "/notes", &bearer("t"), "").await;
    assert_eq!((bare.status, &bare.body["ok"]), (400, &Value::Bool(false)));
    let companies = call(&simulator.base_url(), "GET", "/companies", &bearer("t"), "").await;
    let post = call(&simulator.base_url(), "POST", "/notes", &bearer("t"), "{}").await;
    assert_eq!((companies.status, post.status), (410, 410), "nothing else is alive");
    for query in ["pageLimit=0", "pageLimit=2001", "pageLimit=x"] {
        assert_eq!(notes(&simulator, query).await.status, 400, "{query}");
    }
    simulator.revoke("t");
    assert_eq!(notes(&simulator, "").await.status, 401);
}

#[tokio::test]
async fn pages_cover_all_notes_once_and_cursors_die_after_a_minute() {
    let simulator = alive().await;
    let facts = simulator.workspace("acme").unwrap();
    let (mut seen, mut query) = (Vec::new(), "pageLimit=70".to_owned());
    loop {
        let page = notes(&simulator, &query).await;
        assert_eq!(page.body["totalResults"], facts.notes.len());
        seen.extend(page.data().iter().map(|row| row["id"].clone()));
        let Some(next) = cursor(&page) else { break };
        query = format!("pageLimit=70&pageCursor={next}");
        simulator.advance(Duration::from_secs(55));
    }
    assert_eq!(seen, facts.notes.iter().map(|note| Value::from(note.id.to_string())).collect::<Vec<_>>());
    assert_eq!(notes(&simulator, &query).await.status, 200);
    simulator.advance(Duration::from_secs(6));
    assert_eq!(notes(&simulator, &query).await.status, 422, "a minute old");
    assert_eq!(notes(&simulator, "pageCursor=nonsense").await.status, 422);
}

#[tokio::test]
async fn its_last_page_can_lead_back() {
    let simulator = alive().await;
    simulator.workspace_faults("acme", |faults| faults.v1_cursor_loops = true);
    let first = notes(&simulator, "pageLimit=100").await;
    let (mut page, mut pages) = (notes(&simulator, &next(&first)).await, 2);
    while cursor(&page) != cursor(&first) {
        page = notes(&simulator, &next(&page)).await;
        pages += 1;
    }
    assert_eq!(pages, simulator.workspace("acme").unwrap().notes.len().div_ceil(100));
    assert_eq!(
        notes(&simulator, &next(&page)).await.data()[0],
        notes(&simulator, &next(&first)).await.data()[0]
    );
}

fn next(page: &Answer) -> String {
    format!("pageLimit=100&pageCursor={}", cursor(page).unwrap())
}
