//! The faithful API: shapes, filters, pages, errors, tokens and the rate limit.

use crate::support::{acme, all, get, send, today};
use serde_json::json;
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};

const ACTIVITIES: &str = "/v2/analytics/member-activities";

#[tokio::test]
async fn members_leave_disabled_and_pending_out_unless_asked() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let ids = |disabled: bool, pending: bool| -> Vec<_> {
        let wanted =
            facts.members.iter().filter(|m| (disabled || !m.disabled) && (pending || !m.invitation_pending));
        wanted.map(|m| json!(m.id)).collect()
    };
    for (query, expected) in [
        ("", ids(false, false)),
        ("?includeDisabled=true", ids(true, false)),
        ("?includeInvitationPending=true", ids(false, true)),
        ("?includeInvited=true", ids(false, true)),
        ("?includeDisabled=true&includeInvitationPending=true", ids(true, true)),
    ] {
        let rows = all(&simulator, &format!("/v2/members{query}")).await;
        assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), expected, "{query}");
    }
    assert!(ids(false, false).len() < ids(true, false).len());
    assert!(ids(false, false).len() < ids(false, true).len());
}

#[tokio::test]
async fn members_filter_by_role_and_text() {
    let simulator = acme().await;
    let rows = all(&simulator, "/v2/members?roles%5B%5D=viewer&roles[]=admin").await;
    assert!(rows.iter().any(|row| row["fields"]["role"] == "viewer"));
    assert!(rows.iter().all(|row| row["fields"]["role"] == "viewer" || row["fields"]["role"] == "admin"));

    let facts = simulator.workspace("acme").unwrap();
    let one = facts.members.iter().find(|m| !m.disabled && !m.invitation_pending).unwrap();
    let rows = all(&simulator, &format!("/v2/members?query={}", one.email.to_uppercase())).await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["type"], "member");
    assert_eq!(row["fields"]["name"], one.name);
    assert_eq!(row["links"]["self"], format!("{}/v2/members/{}", simulator.base_url(), one.id));
    assert!(row["links"]["html"].as_str().unwrap().starts_with("https://acme.productboard.com/"));
}

#[tokio::test]
async fn pages_of_members_follow_absolute_links_with_their_filters() {
    let options = Options { requests_per_second: 0, page_size: 7 };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 60, today()).days(10)), "t");
    let first = get(&simulator, "/v2/members?roles[]=maker&includeDisabled=true").await;
    assert_eq!(first.data().len(), 7);
    let next = first.next().unwrap();
    assert!(next.starts_with(&format!(
        "{}/v2/members?includeDisabled=true&roles%5B%5D=maker&",
        simulator.base_url()
    )));
    let rows = all(&simulator, "/v2/members?roles[]=maker&includeDisabled=true").await;
    let facts = simulator.workspace("acme").unwrap();
    assert_eq!(
        rows.len(),
        facts.members.iter().filter(|m| m.role == "maker" && !m.invitation_pending).count()
    );
}

#[tokio::test]
async fn teams_are_newest_first_and_list_their_members() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let teams = all(&simulator, "/v2/teams").await;
    assert_eq!(teams.len(), facts.teams.len());
    assert!(teams.windows(2).all(|pair| pair[0]["createdAt"].as_str() >= pair[1]["createdAt"].as_str()));
    for team in &teams {
        let members = all(&simulator, team["links"]["members"].as_str().unwrap()).await;
        let id = team["id"].as_str().unwrap();
        assert_eq!(members.len(), facts.memberships.iter().filter(|m| m.team_id.to_string() == id).count());
        assert!(members.iter().all(|m| m["fields"]["email"].is_string()));
    }
    let handle = teams[0]["fields"]["handle"].as_str().unwrap();
    assert_eq!(all(&simulator, &format!("/v2/teams?handle={handle}")).await.len(), 1);
}

#[tokio::test]
async fn activities_page_by_a_hundred_and_know_their_window() {
    let simulator = acme().await;
    let first = get(&simulator, &format!("{ACTIVITIES}?dateFrom=2026-06-01&dateTo=2026-06-30")).await;
    assert_eq!(first.data().len(), 100);
    let next = first.next().unwrap();
    assert!(next.starts_with(&format!(
        "{}{ACTIVITIES}?dateFrom=2026-06-01&dateTo=2026-06-30&",
        simulator.base_url()
    )));
    let rows = all(&simulator, &format!("{ACTIVITIES}?dateFrom=2026-06-01&dateTo=2026-06-30")).await;
    assert!(rows.iter().all(|row| row["date"].as_str().unwrap().starts_with("2026-06-")));
    let empty = get(&simulator, &format!("{ACTIVITIES}?dateFrom=2031-01-01")).await;
    assert_eq!((empty.status, empty.data().len(), empty.next()), (200, 0, None));
}

#[tokio::test]
async fn wrong_requests_get_the_envelope() {
    let simulator = acme().await;
    let next = get(&simulator, ACTIVITIES).await.next().unwrap().to_owned();
    let cursor = next.split_once("pageCursor=").unwrap().1;
    for (target, status, code) in [
        (format!("{ACTIVITIES}?dateFrom=12.08.2026"), 400, "request.invalid"),
        (format!("{ACTIVITIES}?dateTo=2026-8-1"), 400, "request.invalid"),
        (format!("{ACTIVITIES}?dateFrom=2026-08-02&dateTo=2026-08-01"), 400, "request.invalid"),
        (format!("{ACTIVITIES}?pageCursor=garbage"), 400, "request.invalid"),
        (format!("{ACTIVITIES}?dateFrom=2026-08-02&pageCursor={cursor}"), 400, "request.invalid"),
        (format!("/v2/members?pageCursor={cursor}"), 400, "request.invalid"),
        ("/v2/members?roles[]=owner".to_owned(), 400, "request.invalid"),
        ("/v2/members?includeDisabled=yes".to_owned(), 400, "request.invalid"),
        ("/v2/members?query=".to_owned(), 400, "request.invalid"),
        ("/v2/teams/nonsense/members".to_owned(), 400, "request.invalid"),
        ("/v2/teams/00000000-0000-4000-8000-000000000000/members".to_owned(), 404, "resource.notFound"),
        ("/v2/nothing".to_owned(), 404, "route.notFound"),
    ] {
        let answer = get(&simulator, &target).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{target}");
    }
    let bad_date = get(&simulator, &format!("{ACTIVITIES}?dateFrom=x")).await;
    assert_eq!(bad_date.body["errors"][0]["source"]["parameter"], "dateFrom");
    assert_eq!(send(&simulator, "DELETE", "/v2/teams", Some("t"), "").await.code(), "route.notFound");
}

#[tokio::test]
async fn tokens_open_their_own_workspace_until_revoked() {
    let simulator = acme().await;
    simulator.add(Workspace::generate(&WorkspaceSpec::new("globex", 5, today()).days(20)), "g");
    assert!(simulator.issue_token("acme", "t2") && !simulator.issue_token("nowhere", "t3"));

    let answer = send(&simulator, "GET", "/v2/members", Some("wrong"), "").await;
    assert_eq!((answer.status, answer.code()), (401, "auth.invalid"));
    let globex = send(&simulator, "GET", ACTIVITIES, Some("g"), "").await;
    assert!(globex.data().iter().all(|row| row["domain"] == "globex"));

    assert!(simulator.revoke("t") && !simulator.revoke("t"));
    let refused = get(&simulator, "/v2/members").await;
    assert_eq!((refused.status, refused.code()), (401, "auth.invalid"));
    assert_eq!(simulator.requests("t"), 1, "the ledger counts refused requests");
    assert_eq!(send(&simulator, "GET", "/v2/members", Some("t2"), "").await.status, 200);
    assert!(!format!("{simulator:?}").contains("t2"));
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_limit_answers_429_with_retry_after() {
    let options = Options { requests_per_second: 3, ..Options::default() };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 5, today()).days(5)), "t");
    simulator.issue_token("acme", "other");
    for remaining in ["2", "1", "0"] {
        let answer = get(&simulator, "/v2/members").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
    }
    let refused = get(&simulator, "/v2/members").await;
    assert_eq!((refused.status, refused.code()), (429, "rate.limitExceeded"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(
        send(&simulator, "GET", "/v2/members", Some("other"), "").await.status,
        200,
        "limits are per token"
    );
}
