//! What goes wrong between the vendor and its client: bodies, headers, proxies, and time.

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::support::{acme, all, bearer, call, get, raw, send, today};
use flate2::read::GzDecoder;
use serde_json::Value;
use tidemark_productboard_sim::{
    Burst, Options, RateHeaders, RetryAfter, Route, Simulator, Storm, Workspace, WorkspaceSpec,
};

#[tokio::test]
async fn a_body_can_end_with_the_connection() {
    let simulator = acme().await;
    let whole = get(&simulator, "/v2/members").await;
    simulator.faults("t", |faults| faults.reset_mid_body = 1);
    let cut = get(&simulator, "/v2/members").await;
    assert_eq!(cut.status, 200);
    assert_eq!(cut.header("content-length").unwrap(), whole.bytes.len().to_string());
    assert_eq!(cut.bytes, whole.bytes[..whole.bytes.len() / 2]);
    assert_eq!(get(&simulator, "/v2/members").await.bytes, whole.bytes);
}

#[tokio::test]
async fn a_connection_can_drop_before_the_head() {
    let simulator = acme().await;
    simulator.workspace_faults("acme", |faults| faults.reset_before_head = 2);
    for _ in 0..2 {
        assert!(raw(&simulator.base_url(), "GET", "/v2/members", &bearer("t"), "").await.is_empty());
    }
    assert_eq!(get(&simulator, "/v2/members").await.status, 200);
    assert_eq!(simulator.ledger("t").unwrap().requests, 3);
}

#[tokio::test]
async fn a_body_can_be_half_a_json_or_none() {
    let simulator = acme().await;
    simulator.faults("t", |faults| (faults.truncated_json, faults.malformed_json) = (1, 1));
    for _ in 0..2 {
        let broken = get(&simulator, "/v2/members").await;
        assert_eq!((broken.status, &broken.body), (200, &Value::Null), "{}", broken.text());
        assert_eq!(broken.header("content-length").unwrap(), broken.bytes.len().to_string());
    }
    assert!(get(&simulator, "/v2/members").await.body.is_object());
}

#[tokio::test]
async fn a_body_can_be_slow_or_huge() {
    let simulator = acme().await;
    let whole = get(&simulator, "/v2/members").await;
    simulator.faults("t", |faults| faults.slow_body = Duration::from_millis(100));
    let start = Instant::now();
    assert_eq!(get(&simulator, "/v2/members").await.bytes, whole.bytes);
    assert!(start.elapsed() >= Duration::from_millis(100));

    simulator.faults("t", |faults| {
        faults.slow_body = Duration::ZERO;
        faults.huge_body_bytes = 3_000_000;
    });
    let huge = raw(&simulator.base_url(), "GET", "/v2/members", &bearer("t"), "").await;
    assert!(huge.len() > 3_000_000);
    assert!(!String::from_utf8_lossy(&huge[..500]).to_lowercase().contains("content-length"));
}

#[tokio::test]
async fn bodies_are_zipped_for_those_who_ask() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.gzip = true);
    let plain = get(&simulator, "/v2/members").await;
    for (accepts, zipped) in [("br, gzip;q=0.5", true), ("gzip;q=0", false), ("identity", false)] {
        let headers = format!("{}Accept-Encoding: {accepts}\r\n", bearer("t"));
        let answer = call(&simulator.base_url(), "GET", "/v2/members", &headers, "").await;
        assert_eq!(answer.header("content-encoding"), zipped.then_some("gzip"), "{accepts}");
        if zipped {
            let mut text = Vec::new();
            GzDecoder::new(&*answer.bytes).read_to_end(&mut text).unwrap();
            assert_eq!(text, plain.bytes);
        }
    }
}

#[tokio::test]
async fn proxies_answer_in_html_and_redirects_lead_away() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.html_error = 1);
    let proxy = get(&simulator, "/v2/members").await;
    assert_eq!((proxy.status, &proxy.body), (502, &Value::Null));
    assert!(proxy.header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(get(&simulator, "/v2/members").await.status, 200);

    simulator.faults("t", |faults| faults.redirect = Some("https://elsewhere.example/v2/members".to_owned()));
    let away = get(&simulator, "/v2/members").await;
    assert_eq!((away.status, away.header("location")), (302, Some("https://elsewhere.example/v2/members")));

    simulator.faults("t", |faults| {
        faults.redirect = None;
        faults.foreign_next_host = Some("https://elsewhere.example".to_owned());
    });
    let page = get(&simulator, "/v2/analytics/member-activities").await;
    let start = "https://elsewhere.example/v2/analytics/member-activities?pageCursor=";
    assert!(page.next().unwrap().starts_with(start));
}

#[tokio::test]
async fn failures_come_in_bursts_and_storms() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.burst_5xx = Some(Burst { every: 3, length: 1 }));
    for status in [200, 200, 503, 200, 200, 503] {
        assert_eq!(get(&simulator, "/v2/teams").await.status, status);
    }
    let faults = r#"{"storm_429":{"requests":2,"retry_after_secs":30}}"#;
    assert_eq!(send(&simulator, "PUT", "/admin/tokens/t/faults", None, faults).await.status, 204);
    for _ in 0..2 {
        let refused = get(&simulator, "/v2/teams").await;
        assert_eq!((refused.code(), refused.header("retry-after")), ("rate.limitExceeded", Some("30")));
    }
    assert_eq!(get(&simulator, "/v2/teams").await.status, 200);
}

#[tokio::test]
async fn one_route_can_be_unauthorized() {
    let simulator = acme().await;
    simulator.faults("t", |faults| faults.unauthorized_on.extend([Route::Teams]));
    let refused = get(&simulator, "/v2/teams").await;
    assert_eq!((refused.status, refused.code()), (401, "auth.invalid"));
    assert_eq!(get(&simulator, "/v2/members").await.status, 200);
}

#[tokio::test]
async fn retry_after_can_be_a_date_or_absent() {
    let simulator = acme().await;
    let storm = Some(Storm { requests: 2, retry_after_secs: 3600 });
    simulator.faults("t", |faults| (faults.storm_429, faults.retry_after) = (storm, RetryAfter::HttpDate));
    let refused = get(&simulator, "/v2/teams").await;
    let date = refused.header("retry-after").unwrap();
    let date = chrono::DateTime::parse_from_rfc2822(date).unwrap();
    let from_now = (date.to_utc() - simulator.now()).num_seconds();
    assert!((3595..=3601).contains(&from_now), "{from_now}");
    simulator.faults("t", |faults| faults.retry_after = RetryAfter::Absent);
    let refused = get(&simulator, "/v2/teams").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
}

#[tokio::test]
async fn the_rates_headers_have_three_families() {
    let options = Options { requests_per_second: 9, ..Options::default() };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 5, today()).days(5)), "t");
    for (family, names) in [
        (RateHeaders::XRatelimit, Some(["x-ratelimit-limit", "x-ratelimit-remaining"])),
        (RateHeaders::Ratelimit, Some(["ratelimit-limit", "ratelimit-remaining"])),
        (RateHeaders::PerSecond, Some(["x-ratelimit-limit-second", "x-ratelimit-remaining-second"])),
        (RateHeaders::Absent, None),
    ] {
        simulator.faults("t", |faults| faults.rate_headers = family);
        let answer = get(&simulator, "/v2/teams").await;
        for name in ["x-ratelimit-limit", "ratelimit-limit", "x-ratelimit-limit-second"] {
            let expected = names.is_some_and(|[limit, _]| limit == name).then_some("9");
            assert_eq!(answer.header(name), expected, "{name} of {family:?}");
        }
        assert!(names.is_none_or(|[_, remaining]| answer.header(remaining).is_some()));
    }
}

#[tokio::test]
async fn the_end_of_a_route_is_announced() {
    let simulator = acme().await;
    let faults = r#"{"deprecation":"@1775692800","sunset":"Wed, 08 Jul 2026 00:00:00 GMT"}"#;
    let target = "/admin/workspaces/acme/faults";
    assert_eq!(send(&simulator, "PUT", target, None, faults).await.status, 204);
    let answer = get(&simulator, "/v2/teams").await;
    assert_eq!(answer.header("deprecation"), Some("@1775692800"));
    assert_eq!(answer.header("sunset"), Some("Wed, 08 Jul 2026 00:00:00 GMT"));
    for (faults, why) in [
        (r#"{"sunset":"a\nb"}"#, "header"),
        (r#"{"burst_5xx":{"every":0,"length":0}}"#, "burst"),
        (r#"{"burst_5xx":{"every":2,"length":3}}"#, "burst"),
    ] {
        let refused = send(&simulator, "PUT", target, None, faults).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body["errors"][0]["detail"].as_str().unwrap().contains(why));
    }
}

#[tokio::test]
async fn latency_can_jitter() {
    let simulator = acme().await;
    let faults = r#"{"latency_ms":20,"latency_jitter_ms":20,"latency_p99_ms":40,"latency_seed":3}"#;
    assert_eq!(send(&simulator, "PUT", "/admin/tokens/t/faults", None, faults).await.status, 204);
    let start = Instant::now();
    for _ in 0..5 {
        get(&simulator, "/v2/teams").await;
    }
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn the_first_version_is_gone() {
    let simulator = acme().await;
    for headers in ["", "X-Version: 1\r\n"] {
        let gone = call(&simulator.base_url(), "GET", "/features?pageLimit=5", headers, "").await;
        assert_eq!((gone.status, gone.code()), (410, "system.apiNotEnabled"));
        assert_eq!(gone.body["errors"][0]["title"], "v1 switched off");
    }
    assert_eq!(get(&simulator, "/v2/features").await.code(), "route.notFound");
}

#[tokio::test]
async fn what_is_switched_on_for_a_workspace_is_used_up_together() {
    let simulator = acme().await;
    simulator.issue_token("acme", "other");
    simulator.workspace_faults("acme", |faults| faults.truncated_json = 2);
    assert_eq!(get(&simulator, "/v2/teams").await.body, Value::Null);
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("other"), "").await.body, Value::Null);
    assert!(!all(&simulator, "/v2/teams").await.is_empty());
}
