//! The switches for answers that nobody expects: circles, hosts that hang, gateways, odd texts and odd numbers.

use std::time::Duration;

use crate::support::{acme, all, call, get};
use tidemark_productboard_sim::{Region, Route, Swap};

#[tokio::test]
async fn the_last_page_can_lead_back_or_on_into_nothing() {
    let simulator = acme().await;
    let members = all(&simulator, "/v2/members").await.len();
    let first = get(&simulator, "/v2/teams").await;
    simulator.faults("t", |faults| faults.last_page_links_to = Some(0));
    let next = get(&simulator, "/v2/teams").await.next().unwrap().to_owned();
    assert_eq!(get(&simulator, &next).await.data(), first.data(), "{members}");

    simulator.faults("t", |faults| {
        faults.last_page_links_to = None;
        faults.endless_empty_pages = [Route::Teams].into();
    });
    let mut target = "/v2/teams".to_owned();
    let mut seen = std::collections::HashSet::new();
    for page in 0..20 {
        let answer = get(&simulator, &target).await;
        assert_eq!(answer.data().is_empty(), page > 0, "{page}");
        target = answer.next().unwrap().to_owned();
        assert!(seen.insert(target.clone()), "a fresh cursor each time");
    }
}

#[tokio::test]
async fn texts_of_a_body_can_be_others() {
    let simulator = acme().await;
    let swap = |find: &str, put: &str, most| Swap { find: find.to_owned(), put: put.to_owned(), most };
    simulator.workspace_faults("acme", |faults| {
        faults.body_swaps = vec![swap(r#""role":"maker""#, r#""role":"Maker""#, Some(2))];
        faults.deep_field = 300;
    });
    let text = get(&simulator, "/v2/members").await.text().to_owned();
    assert_eq!(text.matches(r#""role":"Maker""#).count(), 2);
    assert!(text.contains(&"[".repeat(300)));
}

#[tokio::test]
async fn a_workspace_or_a_host_can_hang() {
    let simulator = acme().await;
    let asked = || tokio::time::timeout(Duration::from_millis(200), get(&simulator, "/v2/members"));
    simulator.workspace_faults("acme", |faults| faults.hangs = true);
    assert!(asked().await.is_err());
    simulator.workspace_faults("acme", |faults| faults.hangs = false);
    simulator.hang(Region::Us, true);
    assert!(asked().await.is_err());
    simulator.hang(Region::Us, false);
    assert_eq!(get(&simulator, "/v2/members").await.status, 200);
}

#[tokio::test]
async fn the_gateway_speaks_before_the_api() {
    let simulator = acme().await;
    for (header, expected) in [
        ("", "Unauthorized"),
        ("Authorization: Bearer \r\n", "Unauthorized"),
        ("Authorization: Basic dDo=\r\n", "Bad token; invalid JSON"),
    ] {
        let answer = call(&simulator.base_url(), "GET", "/v2/members", header, "").await;
        assert_eq!((answer.status, answer.body["message"].as_str()), (401, Some(expected)), "{header}");
    }
    let body = r#"{"message":"No credentials found for given 'iss'"}"#;
    simulator.faults("t", |faults| {
        faults.unauthorized_body = Some(body.to_owned());
        faults.unauthorized_on = [Route::Teams].into();
    });
    assert_eq!(get(&simulator, "/v2/teams").await.text(), body);
    simulator.revoke("t");
    assert_eq!(get(&simulator, "/v2/members").await.text(), body);
}

#[tokio::test]
async fn headers_can_say_anything() {
    let simulator = acme().await;
    simulator.faults("t", |faults| {
        faults.retry_after_text = Some("1796099990".to_owned());
        faults.rate_limit_text = Some("1000000000000".to_owned());
        faults.fail_next = [429, 503, 500].into();
    });
    for (status, expected) in [(429, Some("1796099990")), (503, Some("1796099990")), (500, None)] {
        let answer = get(&simulator, "/v2/members").await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, expected));
    }
    assert_eq!(get(&simulator, "/v2/members").await.header("x-ratelimit-limit"), Some("1000000000000"));
}

#[tokio::test]
async fn notes_can_be_large_and_hear_one_selector() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.note_bytes = 5_000);
    let whole = get(&simulator, "/v2/notes").await;
    assert!(whole.data().iter().all(|note| note["fields"]["content"].as_str().unwrap().len() == 5_000));
    let both = get(&simulator, "/v2/notes?fields=owner&fields[]=owner").await;
    assert!(both.data().iter().all(|note| note["fields"].get("content").is_none()));
    simulator.faults("t", |faults| faults.plain_note_fields = true);
    let ignored = get(&simulator, "/v2/notes?fields[]=owner").await;
    assert!(ignored.data().iter().all(|note| note["fields"].get("content").is_some()));
}
