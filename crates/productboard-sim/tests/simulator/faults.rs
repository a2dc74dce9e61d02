//! Every switch does what it says, to its own token only.

use std::time::{Duration, Instant};

use crate::support::{acme, all, get, send};
use tidemark_productboard_sim::{COUNTER_NAMES, NextLink, Route};

const ACTIVITIES: &str = "/v2/analytics/member-activities";
const WEEK: &str = "/v2/analytics/member-activities?dateFrom=2026-08-03&dateTo=2026-08-09";

#[tokio::test]
async fn forced_failures_come_once_each_and_in_order() {
    let simulator = acme().await;
    simulator.issue_token("acme", "other");
    assert!(simulator.faults("t", |faults| faults.fail_next.extend([503, 408, 429])));
    assert!(!simulator.faults("nobody", |_| {}));
    assert_eq!(send(&simulator, "GET", "/v2/members", Some("other"), "").await.status, 200);
    for (status, code) in
        [(503, "internal.serverError"), (408, "request.timeout"), (429, "rate.limitExceeded")]
    {
        let answer = get(&simulator, "/v2/members").await;
        assert_eq!((answer.status, answer.code()), (status, code));
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
    }
    assert_eq!(get(&simulator, "/v2/members").await.status, 200);
}

#[tokio::test]
async fn analytics_can_be_missing_from_the_plan() {
    let simulator = acme().await;
    for status in [403, 404, 501] {
        simulator.faults("t", |faults| faults.analytics_unavailable = Some(status));
        let answer = get(&simulator, ACTIVITIES).await;
        assert_eq!(answer.status, status);
        answer.code();
        assert_eq!(get(&simulator, "/v2/members").await.status, 200);
    }
}

#[tokio::test]
async fn forbidden_routes_name_the_missing_scope() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.forbidden.extend([Route::Members, Route::MemberActivities]));
    for (target, scope) in [("/v2/members", "members:read"), (ACTIVITIES, "analytics:read")] {
        let answer = get(&simulator, target).await;
        assert_eq!((answer.status, answer.code()), (403, "auth.accessDenied"));
        assert_eq!(answer.body["errors"][0]["detail"], format!("Missing required scope {scope}"));
    }
    assert_eq!(get(&simulator, "/v2/teams").await.status, 200);
}

#[tokio::test]
async fn next_links_can_be_relative_or_lose_the_window() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.next_link = NextLink::Relative);
    let window = format!("{ACTIVITIES}?dateFrom=2026-06-01&dateTo=2026-06-30");
    let relative = get(&simulator, &window).await;
    assert!(relative.next().unwrap().starts_with("/member-activities?pageCursor="));

    simulator.faults("t", |faults| faults.next_link = NextLink::WithoutDates);
    let bare = get(&simulator, &window).await;
    assert!(bare.next().unwrap().starts_with(&format!("{}{ACTIVITIES}?pageCursor=", simulator.base_url())));
    let rows = all(&simulator, &window).await;
    assert!(rows.iter().all(|row| row["date"].as_str().unwrap().starts_with("2026-06-")), "the cursor knows");
}

#[tokio::test]
async fn totals_can_be_zero() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.totals_zero = true);
    let rows = all(&simulator, WEEK).await;
    assert!(rows.iter().all(|row| row["boardOpenedCount"] == 0 && row["boardCreatedCount"] == 0));
    assert!(rows.iter().any(|row| row["gridBoardOpenedCount"].as_u64() > Some(0)));
}

#[tokio::test]
async fn totals_of_the_workspace_can_repeat_on_each_row() {
    let simulator = acme().await;
    let truth: u64 =
        all(&simulator, WEEK).await.iter().filter_map(|row| row["noteCreatedCount"].as_u64()).sum();
    simulator.faults("t", |faults| faults.repeated_totals = true);
    let rows = all(&simulator, WEEK).await;
    let mut by_day = std::collections::BTreeMap::new();
    for row in &rows {
        let counters: Vec<_> = COUNTER_NAMES.iter().map(|name| row[*name].clone()).collect();
        assert_eq!(by_day.entry(row["date"].to_string()).or_insert_with(|| counters.clone()), &counters);
    }
    let sums: u64 = by_day.values().filter_map(|counters| counters[5].as_u64()).sum();
    assert_eq!(sums, truth);
}

#[tokio::test]
async fn zeros_can_be_hidden_and_unknown_fields_added() {
    let simulator = acme().await;
    let is_zero = |row: &serde_json::Value| COUNTER_NAMES.iter().any(|name| row[*name] == 0);
    assert!(all(&simulator, WEEK).await.iter().any(is_zero));
    simulator.faults("t", |faults| {
        faults.hide_zeros = true;
        faults.unknown_fields = true;
    });
    let rows = all(&simulator, WEEK).await;
    assert!(!rows.iter().any(is_zero));
    assert!(rows.iter().all(|row| row["betaSegment"].is_object()));
    let members = get(&simulator, "/v2/members").await;
    assert!(members.body["meta"].is_object() && members.data()[0]["fields"]["betaLabels"].is_array());
}

#[tokio::test]
async fn the_last_page_can_link_to_itself() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.repeat_last_cursor = true);
    let mut last = get(&simulator, WEEK).await;
    for _ in 0..20 {
        let next = last.next().expect("never ends").to_owned();
        let page = get(&simulator, &next).await;
        if page.next() == Some(&next) {
            assert_eq!(get(&simulator, &next).await.next(), Some(next.as_str()));
            return;
        }
        last = page;
    }
    panic!("a week has no twenty pages");
}

#[tokio::test]
async fn a_token_can_die_after_some_requests() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.revoke_after = Some(2));
    for status in [200, 200, 401, 401] {
        assert_eq!(get(&simulator, "/v2/members").await.status, status);
    }
    assert_eq!(simulator.requests("t"), 4);
}

#[tokio::test]
async fn latency_delays_answers_but_not_the_shutdown() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.latency = Duration::from_millis(80));
    let start = Instant::now();
    get(&simulator, "/v2/members").await;
    assert!(start.elapsed() >= Duration::from_millis(80));

    simulator.faults("t", |faults| faults.latency = Duration::from_secs(3600));
    let asked = tokio::net::TcpStream::connect(simulator.base_url().replace("http://", "")).await.unwrap();
    let request = b"GET /v2/members HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer t\r\n\r\n";
    asked.writable().await.unwrap();
    assert_eq!(asked.try_write(request).unwrap(), request.len());
    while simulator.requests("t") < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(Duration::from_secs(5), simulator.shutdown()).await.expect("stops at once");
}
