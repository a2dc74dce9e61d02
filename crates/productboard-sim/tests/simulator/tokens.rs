//! What a token may do: scopes, personal data, its end; and what its workspace's plan and data centre say.

use std::time::Duration;

use crate::support::{acme, bearer, call, get, send};
use tidemark_productboard_sim::{Access, Plan, Region};

const ACTIVITIES: &str = "/v2/analytics/member-activities";

#[tokio::test]
async fn a_route_needs_its_scope() {
    let simulator = acme().await;
    assert!(simulator.issue("acme", "o", Access::oauth(["teams:read"])));
    assert!(!simulator.issue("nowhere", "o", Access::oauth(["teams:read"])));
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("o"), "").await.status, 200);
    let refused = send(&simulator, "GET", ACTIVITIES, Some("o"), "").await;
    assert_eq!((refused.status, refused.code()), (403, "auth.accessDenied"));
    assert_eq!(refused.body["errors"][0]["detail"], "Missing required scope analytics:read");

    simulator.faults("o", |faults| faults.access_missing_scope = true);
    assert_eq!(send(&simulator, "GET", ACTIVITIES, Some("o"), "").await.code(), "access.missing_scope");
}

#[tokio::test]
async fn without_the_pii_scope_people_have_no_names() {
    let simulator = acme().await;
    simulator.issue("acme", "o", Access::oauth(["members:read", "teams:read"]));
    let member = send(&simulator, "GET", "/v2/members", Some("o"), "").await.data()[0]["fields"].clone();
    for field in ["name", "username", "email"] {
        assert_eq!(member[field], "[redacted]");
    }
    assert!(member["role"].is_string());
    let filtered = send(&simulator, "GET", "/v2/members?query=a", Some("o"), "").await;
    assert_eq!((filtered.status, filtered.code()), (400, "request.invalid"));

    simulator.faults("o", |faults| faults.obfuscated_word = true);
    let facts = simulator.workspace("acme").unwrap();
    let of_team = format!("/v2/teams/{}/members", facts.memberships[0].team_id);
    let member = send(&simulator, "GET", &of_team, Some("o"), "").await.data()[0]["fields"].clone();
    assert_eq!((&member["name"], &member["email"]), (&"[obfuscated]".into(), &"[obfuscated]".into()));

    for scope in ["members:pii:read", "members_pii:read"] {
        simulator.issue("acme", "o", Access::oauth(["members:read", scope]));
        let members = send(&simulator, "GET", "/v2/members", Some("o"), "").await;
        assert_eq!(members.data()[0]["fields"]["email"], facts.members[0].email);
    }
}

#[tokio::test]
async fn access_tokens_end_by_the_vendors_clock() {
    let simulator = acme().await;
    simulator.issue("acme", "day", Access::oauth(["teams:read"]));
    simulator.issue("acme", "minutes", Access::jwt_bearer(["teams:read"]));
    simulator.issue(
        "acme",
        "year",
        Access::oauth(["teams:read"]).expires_in(Duration::from_secs(31_536_000)),
    );
    let before = simulator.now();
    for (advance, day, minutes) in [(290, 200, 200), (20, 200, 401), (86_400, 401, 401)] {
        simulator.advance(Duration::from_secs(advance));
        for (token, status) in [("day", day), ("minutes", minutes), ("year", 200), ("t", 200)] {
            assert_eq!(send(&simulator, "GET", "/v2/teams", Some(token), "").await.status, status, "{token}");
        }
    }
    assert!((simulator.now() - before).num_seconds() >= 86_710);

    let moved = send(&simulator, "POST", "/admin/clock", None, r#"{"advance_secs":90}"#).await;
    assert_eq!((moved.status, &moved.body["ahead_secs"]), (200, &86_800.into()));
    assert!(send(&simulator, "GET", "/admin/clock", None, "").await.body["now"].is_string());
}

#[tokio::test]
async fn oauth_can_be_refused_where_keys_are_not() {
    let simulator = acme().await;
    let all = ["members:read", "teams:read", "analytics:read"];
    simulator.issue("acme", "o", Access::oauth(all));
    simulator.issue("acme", "j", Access::jwt_bearer(all));
    simulator.workspace_faults("acme", |faults| faults.oauth_forbidden = true);
    for target in ["/v2/members", "/v2/teams", ACTIVITIES] {
        for (token, status) in [("o", 403), ("j", 403), ("t", 200)] {
            assert_eq!(send(&simulator, "GET", target, Some(token), "").await.status, status, "{target}");
        }
    }
}

#[tokio::test]
async fn plans_leave_keys_or_analytics_out() {
    let simulator = acme().await;
    simulator.issue("acme", "o", Access::oauth(["teams:read"]));
    assert!(simulator.set_plan("acme", Plan::Essentials) && !simulator.set_plan("nowhere", Plan::Pro));
    let refused = get(&simulator, "/v2/teams").await;
    assert_eq!((refused.status, refused.code()), (403, "planUpgrade.required"));
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("o"), "").await.status, 200);

    let target = "/admin/workspaces/acme";
    let plan = r#"{"plan":"without_analytics"}"#;
    assert_eq!(send(&simulator, "PATCH", target, None, plan).await.status, 204);
    assert_eq!(get(&simulator, ACTIVITIES).await.code(), "planUpgrade.required");
    assert_eq!(get(&simulator, "/v2/teams").await.status, 200);
}

#[tokio::test]
async fn a_data_centre_knows_its_own_tokens_only() {
    let simulator = acme().await;
    let eu = simulator.eu_base_url();
    assert_ne!(eu, simulator.base_url());
    let hosts = send(&simulator, "GET", "/admin/hosts", None, "").await;
    assert_eq!((&hosts.body["us"], &hosts.body["eu"]), (&simulator.base_url().into(), &eu.clone().into()));
    for region in [Region::Us, Region::Eu] {
        assert!(simulator.set_region("acme", region) && !simulator.set_region("nowhere", region));
        for (host, home) in [(simulator.base_url(), Region::Us), (eu.clone(), Region::Eu)] {
            let answer = call(&host, "GET", "/v2/members", &bearer("t"), "").await;
            if region == home {
                let link = answer.data()[0]["links"]["self"].as_str().unwrap();
                assert!(link.starts_with(&host), "{link}");
            } else {
                assert_eq!((answer.status, answer.code()), (401, "auth.invalid"));
            }
        }
    }
}

#[tokio::test]
async fn a_workspaces_switches_hold_for_its_tokens_that_do_not_set_them() {
    let simulator = acme().await;
    simulator.issue_token("acme", "other");
    let target = "/admin/workspaces/acme/faults";
    let faults = r#"{"analytics_unavailable":501,"revoke_after":3}"#;
    assert_eq!(send(&simulator, "PUT", target, None, faults).await.status, 204);
    simulator.faults("other", |faults| faults.analytics_unavailable = Some(404));
    assert_eq!(get(&simulator, ACTIVITIES).await.status, 501);
    assert_eq!(send(&simulator, "GET", ACTIVITIES, Some("other"), "").await.status, 404);
    assert_eq!(get(&simulator, "/v2/teams").await.status, 200);
    for token in ["t", "other"] {
        assert_eq!(
            send(&simulator, "GET", "/v2/teams", Some(token), "").await.status,
            401,
            "all are revoked"
        );
    }
}

#[tokio::test]
async fn tokens_of_all_kinds_come_over_http() {
    let simulator = acme().await;
    let body = r#"{"domain":"acme","token":"o","kind":"oauth","scopes":["teams:read"],"expires_in_secs":60}"#;
    assert_eq!(send(&simulator, "POST", "/admin/tokens", None, body).await.status, 201);
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("o"), "").await.status, 200);
    assert_eq!(send(&simulator, "GET", "/v2/members", Some("o"), "").await.status, 403);
    simulator.advance(Duration::from_secs(61));
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("o"), "").await.status, 401);
}
