//! What goes wrong on the way: statuses, retries, broken answers, broken networks. And that nothing tells the token.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::vendor::{Ledger, Reply, TOKEN, Vendor, id, member, options};
use futures::TryStreamExt;
use secrecy::SecretString;
use serde_json::json;
use tidemark_productboard::{Cause, Client, Cursor, Error, MembersQuery, NewWebhook, Options, TeamsQuery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

const CURSOR: &str = "cursor-that-stays-private";

/// Lists members from a cursor; gives how many came.
async fn list(client: &Client) -> Result<usize, Error> {
    let pages = client.members(&MembersQuery::everyone(), Some(Cursor::new(CURSOR)));
    let pages: Vec<_> = pages.try_collect().await?;
    Ok(pages.iter().map(|page| page.items.len()).sum())
}

/// Everything an error says, its sources included.
fn told(error: &Error) -> String {
    let mut all = format!("{error:?} {error:#?}");
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        all += &format!(" {error}");
        next = error.source();
    }
    all
}

fn assert_discreet(error: &Error) {
    let told = told(error);
    for secret in [TOKEN, CURSOR, "pageCursor", "includeDisabled", "Bearer"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

async fn error_of(reply: Reply) -> (Error, usize) {
    let vendor = Vendor::answering([reply.clone(), reply]).await;
    let error = list(&vendor.client()).await.unwrap_err();
    assert_discreet(&error);
    (error, vendor.asked().len())
}

#[tokio::test]
async fn refusals_are_final_and_keep_the_vendors_id() {
    let (error, asked) = error_of(Reply::error(401, "auth.invalid", "revoked")).await;
    assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
    assert_eq!((error.vendor_id(), asked), (Some("req-42"), 1));

    let (error, asked) =
        error_of(Reply::error(403, "auth.accessDenied", "Missing required scope members:read")).await;
    assert!(
        matches!(error, Error::Forbidden { missing_scope: Some(ref scope), .. } if scope == "members:read"),
        "{error:?}"
    );
    assert_eq!((error.vendor_id(), asked), (Some("req-42"), 1));

    let (error, asked) = error_of(Reply::error(400, "request.invalid", "pick another page")).await;
    assert!(matches!(error, Error::Invalid { status: 400, .. }), "{error:?}");
    assert!(error.to_string().ends_with("(status 400): pick another page"), "{error}");
    assert_eq!(asked, 1);

    let (error, asked) = error_of(Reply::error(402, "planUpgrade.required", "upgrade")).await;
    assert!(matches!(error, Error::NotAvailable { status: 402, .. }), "{error:?}");
    assert_eq!(asked, 1);

    let (error, asked) = error_of(Reply::error(404, "route.notFound", "gone")).await;
    assert!(matches!(error, Error::VendorChanged { .. }), "{error:?}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn analytics_that_the_plan_lacks_and_a_team_that_is_gone() {
    for (status, code) in [(404, "feature.notFound"), (501, ""), (402, "")] {
        let vendor = Vendor::answering([Reply::error(status, code, "no")]).await;
        let day = "2026-03-01".parse().unwrap();
        let pages = vendor.client().member_activities(day, day, None);
        let error = pages.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(matches!(error, Error::NotAvailable { status: its, .. } if its == status), "{error:?}");
        assert_eq!(vendor.asked().len(), 1);
    }
    let vendor = Vendor::answering([Reply::error(404, "resource.notFound", "no such team")]).await;
    let error = vendor.client().team_members(id(1), None).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn bad_moments_are_tried_again_and_then_told() {
    for status in [408, 425, 500, 502, 503, 504] {
        let (error, asked) = error_of(Reply::error(status, "internal.serverError", "oops")).await;
        assert!(matches!(error, Error::Transient { status: Some(its), .. } if its == status), "{error:?}");
        assert_eq!((error.vendor_id(), asked), (Some("req-42"), 2));
    }
    let proxy = Reply { status: 503, ..Reply::bytes("<html>down</html>") }.header("x-request-id", "edge-7");
    assert_eq!(error_of(proxy).await.0.vendor_id(), Some("edge-7"), "the header stands in for the body");
}

#[tokio::test]
async fn an_answer_cut_short_is_tried_again() {
    let whole = Reply::page(&[member(1)], None).body;
    for cut in [Vec::new(), whole[..whole.len() / 2].to_vec()] {
        let vendor = Vendor::answering([Reply::bytes(cut), Reply::bytes(whole.clone())]).await;
        assert_eq!(list(&vendor.client()).await.unwrap(), 1);
        assert_eq!(vendor.asked().len(), 2);
    }
    let (error, asked) = error_of(Reply::bytes("{\"data\":[")).await;
    assert!(matches!(error, Error::Transient { status: None, source: Some(_), .. }), "{error:?}");
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn a_call_has_a_deadline_over_all_its_attempts() {
    let slow = Reply::error(503, "internal.serverError", "oops").delay(Duration::from_millis(40));
    let vendor = Vendor::answering(vec![slow; 50]).await;
    let deadline = Duration::from_millis(300);
    let client = vendor.client_with(Options { deadline, max_attempts: 50, ..options() });
    let begun = std::time::Instant::now();
    let error = list(&client).await.unwrap_err();
    assert!(matches!(error, Error::Transient { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!((1..=4).contains(&vendor.asked().len()), "{}", vendor.asked().len());
}

#[tokio::test]
async fn a_wait_given_up_loses_nothing_and_asks_nothing_twice() {
    let slow = |rows: &[_], next| Reply::page(rows, next).delay(Duration::from_millis(120));
    let script = [slow(&[member(1)], Some("/members?pageCursor=two")), slow(&[member(2)], None)];
    let vendor = Vendor::answering(script).await;
    let mut pages = vendor.client().members(&MembersQuery::everyone(), None);
    let (mut rows, mut given_up) = (Vec::new(), 0);
    loop {
        match tokio::time::timeout(Duration::from_millis(10), pages.try_next()).await {
            Ok(Ok(Some(page))) => rows.extend(page.items),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error:?}"),
            Err(_) => given_up += 1,
        }
    }
    assert_eq!(rows.iter().map(|member| member.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(given_up > 4, "{given_up}");
    assert_eq!(vendor.asked().len(), 2);
}

#[tokio::test]
async fn a_crowd_does_not_hammer_a_vendor_that_is_down() {
    let down = Reply::error(503, "internal.serverError", "down").header("retry-after", "0");
    let vendor = Vendor::answering(vec![down; 400]).await;
    let client = vendor.client_with(Options { max_attempts: 3, ..options() });
    let lists = (0..60).map(|_| list(&client));
    for outcome in futures::future::join_all(lists).await {
        assert!(matches!(outcome, Err(Error::Transient { .. })), "{outcome:?}");
    }
    let asked = vendor.asked().len();
    assert!((60..=60 + 24).contains(&asked), "{asked}: twenty retries for all of them, not two for each");
}

#[tokio::test]
async fn the_vendors_own_pause_is_kept_after_a_503() {
    let busy = Reply::error(503, "internal.serverError", "busy").header("retry-after", "1");
    let vendor = Vendor::answering([busy.clone(), Reply::page(&[member(1)], None)]).await;
    let begun = std::time::Instant::now();
    assert_eq!(list(&vendor.client()).await.unwrap(), 1);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    let later = Reply::error(503, "internal.serverError", "busy").header("retry-after", "600");
    let (error, asked) = error_of(later).await;
    let expected = Some(Duration::from_secs(600));
    assert!(matches!(error, Error::Transient { retry_after, .. } if retry_after == expected), "{error:?}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn an_echoed_webhook_secret_is_blotted_out() {
    let echo = Reply::error(422, "validation.failed", "authorization `hush` is no header");
    let vendor = Vendor::answering([echo]).await;
    let webhook = NewWebhook {
        name: "tidemark".to_owned(),
        events: vec!["note.created".to_owned()],
        url: "https://hooks.example/pb".parse().unwrap(),
        authorization: Some(SecretString::from("hush")),
    };
    let error = vendor.client().create_webhook(&webhook).await.unwrap_err();
    assert!(error.to_string().ends_with("authorization `[secret]` is no header"), "{error}");
}

#[tokio::test]
async fn an_announced_end_is_kept_for_whoever_asks() {
    let announced = Reply::page(&[member(1)], None)
        .header("deprecation", "@1775692800")
        .header("sunset", "Wed, 08 Jul 2026 00:00:00 GMT");
    let gone = Reply::error(410, "route.notFound", "gone").header("sunset", "Wed, 08 Jul 2026 00:00:00 GMT");
    let vendor = Vendor::answering([announced, gone]).await;
    let client = vendor.client();
    list(&client).await.unwrap();
    let deprecations = client.clone().deprecations();
    assert_eq!((deprecations.len(), deprecations[0].operation), (1, "list members"));
    assert_eq!(deprecations[0].deprecated.as_deref(), Some("@1775692800"));
    let error = list(&client).await.unwrap_err();
    assert!(matches!(error, Error::VendorChanged { .. }), "{error:?}");
    assert!(error.to_string().contains("ends Wed, 08 Jul 2026"), "{error}");
}

#[tokio::test]
async fn a_webhook_is_created_once_and_deleted_for_sure() {
    let webhook = NewWebhook {
        name: "tidemark".to_owned(),
        events: vec!["note.created".to_owned()],
        url: "https://hooks.example/pb".parse().unwrap(),
        authorization: Some(SecretString::from("hush")),
    };
    let vendor = Vendor::answering([Reply::error(503, "internal.serverError", "oops")]).await;
    let error = vendor.client().create_webhook(&webhook).await.unwrap_err();
    assert!(matches!(error, Error::Transient { .. }), "{error:?}");
    assert_eq!(vendor.asked().len(), 1, "a second one could make a second subscription");
    assert!(!format!("{webhook:?}").contains("hush"));

    let script = [Reply::error(502, "", ""), Reply::error(404, "resource.notFound", "no such webhook")];
    let vendor = Vendor::answering(script).await;
    vendor.client().delete_webhook(id(1)).await.expect("the first attempt did it");
    assert_eq!(vendor.asked().iter().filter(|asked| asked.method == "DELETE").count(), 2);
    let vendor = Vendor::answering([Reply::error(404, "resource.notFound", "no such webhook")]).await;
    let error = vendor.client().delete_webhook(id(1)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn a_503_then_success() {
    let script = [Reply::error(503, "internal.serverError", "oops"), Reply::page(&[member(1)], None)];
    let vendor = Vendor::answering(script).await;
    assert_eq!(list(&vendor.client()).await.unwrap(), 1);
    let asked = vendor.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].query, asked[1].query);
}

#[tokio::test]
async fn a_429_freezes_the_budget_and_then_success() {
    let limited = Reply::error(429, "rate.limitExceeded", "slow down")
        .header("retry-after", "1")
        .header("x-ratelimit-limit", "50")
        .header("x-ratelimit-remaining", "0");
    let success = Reply::page(&[member(1)], None).header("ratelimit-limit", "40");
    let vendor = Vendor::answering([limited, success]).await;
    let ledger = Arc::new(Ledger::default());
    let client = vendor.client_with(Options { budget: ledger.clone(), ..options() });
    assert_eq!(list(&client).await.unwrap(), 1);
    assert_eq!(*ledger.freezes.lock().unwrap(), [Duration::from_secs(1)]);
    assert_eq!(*ledger.observed.lock().unwrap(), [(Some(50), Some(0)), (Some(40), None)]);
    assert_eq!(*ledger.acquired.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_429_that_stays_or_asks_for_too_long() {
    let limited =
        |after: &str| Reply::error(429, "rate.limitExceeded", "slow down").header("retry-after", after);
    let (error, asked) = error_of(limited("0")).await;
    assert!(matches!(error, Error::RateLimited { retry_after: Duration::ZERO, .. }), "{error:?}");
    assert_eq!(asked, 2);

    let vendor = Vendor::answering([limited("3600")]).await;
    let ledger = Arc::new(Ledger::default());
    let client = vendor.client_with(Options { budget: ledger.clone(), ..options() });
    let error = list(&client).await.unwrap_err();
    assert!(
        matches!(error, Error::RateLimited { retry_after, .. } if retry_after.as_secs() == 3600),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "could not list members: too many requests, wait 3600 s");
    assert_eq!(vendor.asked().len(), 1);
    assert_eq!(
        *ledger.freezes.lock().unwrap(),
        [Duration::from_secs(3600)],
        "all who share the budget are told"
    );
}

#[tokio::test]
async fn a_shape_that_does_not_parse_names_its_path() {
    let cases = [
        (Reply::bytes("welcome"), "."),
        (Reply::json(&json!({ "data": { "rows": [] } })), "data"),
        (Reply::json(&json!({ "data": [], "links": { "next": 7 } })), "links.next"),
    ];
    for (reply, expected) in cases {
        let (error, asked) = error_of(reply.header("x-request-id", "req-9")).await;
        assert!(matches!(error, Error::VendorChanged { ref path, .. } if path == expected), "{error:?}");
        assert_eq!((error.vendor_id(), asked), (Some("req-9"), 1));
    }
}

#[tokio::test]
async fn a_web_page_is_somebody_elses_answer() {
    for status in [200, 401, 403, 404] {
        let page = Reply { status, ..Reply::bytes("\n<!DOCTYPE html><title>Sign in</title>") };
        let (error, _) = error_of(page).await;
        assert!(matches!(error, Error::Unreachable { cause: Cause::WebPage, .. }), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_and_a_host_without_tls_have_their_own_causes() {
    let plain = Vendor::answering([]).await;
    let no_tls = format!("https://{}", plain.url.authority());
    for (url, expected) in [("https://no-such-host.invalid", Cause::UnknownHost), (&no_tls, Cause::NoTls)] {
        let url: Url = url.parse().unwrap();
        let client = Client::new(&url, SecretString::from(TOKEN), options().trust(&url)).unwrap();
        let error = list(&client).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { cause, .. } if cause == expected), "{error:?}");
        assert_discreet(&error);
    }
}

#[tokio::test]
async fn a_pause_beyond_reason_is_an_hour() {
    for (status, text) in [(429, "1796099990"), (429, "18446744073709551615"), (503, "10000000000000")] {
        let (error, _) = error_of(Reply::error(status, "", "wait").header("retry-after", text)).await;
        let pause = match error {
            Error::RateLimited { retry_after, .. } => Some(retry_after),
            Error::Transient { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert!(pause.is_some_and(|pause| pause <= Duration::from_secs(3600)), "{text}: {pause:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let reply = Reply { status, ..Reply::bytes("") }.header("location", "/v2/elsewhere");
        let (error, asked) = error_of(reply).await;
        assert!(matches!(error, Error::VendorChanged { .. }), "{error:?}");
        assert_eq!(asked, 1, "{status}");
    }
}

#[tokio::test]
async fn a_large_answer_is_read_packed_or_not() {
    let mut large = vec![b' '; 40 << 20];
    large.extend(Reply::page(&[member(1), member(2)], None).body);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&large).unwrap();
    let packed = Reply::bytes(gzip.finish().unwrap()).header("content-encoding", "gzip");
    for reply in [Reply::bytes(large), packed] {
        let vendor = Vendor::answering([reply]).await;
        assert_eq!(list(&vendor.client()).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_packed_answer_is_unpacked() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&Reply::page(&[member(1), member(2)], None).body).unwrap();
    let reply = Reply::bytes(gzip.finish().unwrap()).header("content-encoding", "gzip");
    let vendor = Vendor::answering([reply]).await;
    assert_eq!(list(&vendor.client()).await.unwrap(), 2);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url: Url = format!("http://{address}").parse().unwrap();
    let client = Client::new(&url, SecretString::from(TOKEN), options()).unwrap();
    let error = list(&client).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { ref host, .. } if *host == address.to_string()),
        "{error:?}"
    );
    assert!(matches!(error, Error::Unreachable { cause: Cause::Refused, .. }), "{error:?}");
    assert!(
        error.to_string().starts_with(&format!("cannot reach {address}: nothing listens there")),
        "{error}"
    );
    assert!(told(&error).to_lowercase().contains("refused"), "the source says why: {}", told(&error));
    assert_discreet(&error);
}

#[tokio::test]
async fn no_tls_on_the_other_side() {
    let mut vendor = Vendor::answering([]).await;
    vendor.url.set_scheme("https").unwrap();
    let error = list(&vendor.client()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(vendor.asked().len(), 0);
    assert_discreet(&error);
}

#[tokio::test]
async fn no_answer_in_time() {
    let slow = Reply::page(&[], None).delay(Duration::from_secs(60));
    let vendor = Vendor::answering([slow.clone(), slow]).await;
    let client = vendor.client_with(Options { request_timeout: Duration::from_millis(100), ..options() });
    let error = list(&client).await.unwrap_err();
    assert!(matches!(error, Error::Transient { status: None, source: Some(_), .. }), "{error:?}");
    assert_eq!(vendor.asked().len(), 2);
    assert_discreet(&error);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"data\":[").await.unwrap();
        }
    });
    let client = Client::new(&url, SecretString::from(TOKEN), options()).unwrap();
    let error = list(&client).await.unwrap_err();
    server.await.unwrap();
    assert!(matches!(error, Error::Transient { status: None, source: Some(_), .. }), "{error:?}");
    assert_eq!(error.to_string(), "could not list members: no complete answer came");
    assert_discreet(&error);
}

#[tokio::test]
async fn an_echoed_token_is_blotted_out() {
    for status in [400, 401, 403, 429, 500] {
        let detail = format!("Missing required scope {TOKEN}");
        let errors = json!([{ "code": TOKEN, "detail": detail }]);
        let reply = Reply { status, ..Reply::json(&json!({ "id": TOKEN, "errors": errors })) };
        let (error, _) = error_of(reply.header("x-request-id", TOKEN).header("retry-after", "0")).await;
        assert_eq!(error.vendor_id(), Some("[token]"));
    }
}

#[tokio::test]
async fn the_client_keeps_its_token_to_itself() {
    let vendor = Vendor::answering([]).await;
    let client = vendor.client();
    for debug in [format!("{client:?}"), format!("{client:#?}")] {
        assert!(!debug.contains(TOKEN), "{debug}");
        assert!(debug.contains("127.0.0.1"), "{debug}");
    }
}

#[tokio::test]
async fn a_token_is_trimmed_and_a_bad_one_is_not_shown() {
    let vendor = Vendor::answering([Reply::page(&[], None)]).await;
    let token = SecretString::from(format!("  {TOKEN}\r\n"));
    list(&Client::new(&vendor.url, token, options()).unwrap()).await.unwrap();
    assert_eq!(vendor.asked()[0].authorization, format!("Bearer {TOKEN}"));

    let bad = SecretString::from(format!("{TOKEN}\n{TOKEN}"));
    let error = Client::new(&vendor.url, bad, options()).unwrap_err();
    assert!(matches!(error, Error::Configuration(_)), "{error:?}");
    assert!(error.to_string().contains("white space at position 21"), "{error}");
    assert_discreet(&error);
}

#[test]
fn a_base_url_must_be_plain() {
    let cases =
        ["ftp://example.com", "data:text/plain,x", "https://user:hunter2@example.com", "https://e.com/?k=v"];
    for base in cases {
        let error = Client::new(&base.parse().unwrap(), SecretString::from(TOKEN), options()).unwrap_err();
        assert!(matches!(error, Error::Configuration(_)), "{base}: {error:?}");
        assert!(!told(&error).contains("hunter2"), "{error}");
    }
}

#[test]
fn a_client_and_its_lists_can_be_sent_to_tasks() {
    fn sendable<T: Send + 'static>(_: T) {}
    let url = "https://api.productboard.com".parse().unwrap();
    let client = Client::new(&url, SecretString::from(TOKEN), Options::default()).unwrap();
    sendable(client.teams(&TeamsQuery::default(), None));
    sendable(client);
}
