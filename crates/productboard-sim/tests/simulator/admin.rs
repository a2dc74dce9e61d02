//! The routes for tests in other processes.

use crate::support::{Answer, acme, get, send, today};
use serde_json::Value;
use tidemark_productboard_sim::{Faults, Health, OAuthFaults, Simulator, Workspace, WorkspaceSpec};

async fn admin(simulator: &Simulator, method: &str, target: &str, body: &str) -> Answer {
    send(simulator, method, target, None, body).await
}

#[tokio::test]
async fn a_workspace_made_over_http_is_the_one_of_its_spec() {
    let simulator = acme().await;
    let body = r#"{"domain":"globex","members":25,"seed":7,"days":60,"health":"shrinking",
                   "today":"2026-08-12","token":"g"}"#;
    let made = admin(&simulator, "POST", "/admin/workspaces", body).await;
    assert_eq!((made.status, &made.body["members"]), (201, &Value::from(25)));
    let facts = admin(&simulator, "GET", "/admin/workspaces/globex/facts", "").await;
    assert_eq!(facts.body["counter_names"].as_array().unwrap().len(), 19);
    let read: Workspace = serde_json::from_value(facts.body).unwrap();
    let spec = WorkspaceSpec::new("globex", 25, today()).seed(7).days(60).health(Health::Shrinking);
    assert_eq!(read, Workspace::generate(&spec));
    assert_eq!(send(&simulator, "GET", "/v2/members", Some("g"), "").await.status, 200);
}

#[tokio::test]
async fn tokens_live_die_and_are_counted() {
    let simulator = acme().await;
    assert_eq!(
        admin(&simulator, "POST", "/admin/tokens", r#"{"domain":"acme","token":"t2"}"#).await.status,
        201
    );
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("t2"), "").await.status, 200);
    assert_eq!(admin(&simulator, "POST", "/admin/tokens/revoke", r#"{"token":"t2"}"#).await.status, 204);
    assert_eq!(send(&simulator, "GET", "/v2/teams", Some("t2"), "").await.status, 401);
    let ledger = admin(&simulator, "GET", "/admin/tokens/t2/requests", "").await;
    assert_eq!(ledger.body["requests"], 2);
    for (method, target, body) in [
        ("POST", "/admin/tokens", r#"{"domain":"nowhere","token":"x"}"#),
        ("POST", "/admin/tokens/revoke", r#"{"token":"t2"}"#),
        ("GET", "/admin/tokens/nobody/requests", ""),
        ("PUT", "/admin/tokens/nobody/faults", "{}"),
        ("GET", "/admin/workspaces/nowhere/facts", ""),
    ] {
        assert_eq!(admin(&simulator, method, target, body).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn faults_are_put_as_a_whole() {
    let simulator = acme().await;
    let target = "/admin/tokens/t/faults";
    let all = r#"{"latency_ms":5,"analytics_unavailable":501,"fail_next":[503],"next_link":"without_dates",
                  "forbidden":["team_members"],"revoke_after":9}"#;
    assert_eq!(admin(&simulator, "PUT", target, all).await.status, 204);
    assert_eq!(get(&simulator, "/v2/members").await.status, 503);
    assert_eq!(get(&simulator, "/v2/analytics/member-activities").await.status, 501);
    assert_eq!(admin(&simulator, "PUT", target, "{}").await.status, 204);
    assert_eq!(get(&simulator, "/v2/analytics/member-activities").await.status, 200);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_say_why() {
    let simulator = acme().await;
    for (method, target, body, why) in [
        ("POST", "/admin/tokens", "", "EOF"),
        ("POST", "/admin/tokens", r#"{"domain":"acme"}"#, "missing field `token`"),
        ("POST", "/admin/workspaces", r#"{"size":3}"#, "unknown field `size`"),
        ("PUT", "/admin/tokens/t/faults", r#"{"latency":3}"#, "unknown field `latency`"),
        ("PUT", "/admin/tokens/t/faults", r#"{"fail_next":[200]}"#, "400 to 599"),
    ] {
        let answer = admin(&simulator, method, target, body).await;
        assert_eq!(answer.status, 400, "{target}");
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{detail}");
    }
}

#[test]
fn every_switch_is_in_the_manual() {
    let text = concat!(include_str!("../../docs/switches.md"), include_str!("../../docs/oauth.md"));
    let faults = serde_json::to_value(Faults::default()).unwrap();
    let of_apps = serde_json::to_value(OAuthFaults::default()).unwrap();
    for switch in faults.as_object().unwrap().keys().chain(of_apps.as_object().unwrap().keys()) {
        let name = switch.trim_end_matches("_ms");
        assert!(text.contains(&format!("`{name}`")) || text.contains(&format!("`{switch}`")), "{switch}");
    }
}
