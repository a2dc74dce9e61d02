//! Searches for members and teams, and single ones by their id.

use serde_json::{Value, json};
use tidemark_productboard_sim::{Member, Options, Simulator, Workspace, WorkspaceSpec};
use uuid::Uuid;

use crate::support::{acme, all, found, get, ids, search, send, today};

const MEMBERS: &str = "/v2/members/search";
const TEAMS: &str = "/v2/teams/search";

#[tokio::test]
async fn members_are_found_by_all_filters_together() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let expected = |holds: &dyn Fn(&Member) -> bool| -> Vec<Uuid> {
        facts.members.iter().filter(|member| holds(member)).map(|member| member.id).collect()
    };
    let usual = |it: &Member| !it.disabled && !it.invitation_pending;
    let one = facts.members.iter().find(|it| usual(it)).unwrap();
    for (data, rows) in [
        (json!({}), expected(&usual)),
        (json!({ "filter": { "id": one.id } }), vec![one.id]),
        (json!({ "filter": { "fields": { "email": [one.email.to_uppercase()] } } }), vec![one.id]),
        (
            json!({ "filter": { "fields": { "role": ["admin", "viewer"] } } }),
            expected(&|it| usual(it) && ["admin", "viewer"].contains(&it.role.as_str())),
        ),
        (json!({ "filter": { "fields": { "disabled": true } } }), expected(&|it| it.disabled)),
        (
            json!({ "filter": { "fields": { "disabled": false } }, "return": { "includeDisabled": true } }),
            expected(&usual),
        ),
        (
            json!({ "filter": { "fields": { "invitationPending": true } } }),
            expected(&|it| it.invitation_pending),
        ),
        (json!({ "return": { "includeDisabled": true } }), expected(&|it| !it.invitation_pending)),
        (json!({ "search": { "query": one.email } }), vec![one.id]),
    ] {
        assert!(!rows.is_empty(), "{data}");
        assert_eq!(ids(&found(&simulator, MEMBERS, data.clone()).await), rows, "{data}");
    }
}

#[tokio::test]
async fn teams_are_found_by_name_handle_and_text() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let (one, other) = (&facts.teams[0], &facts.teams[1]);
    for (data, rows) in [
        (json!({}), facts.teams.iter().map(|team| team.id).collect()),
        (json!({ "filter": { "id": [one.id, other.id] } }), vec![one.id, other.id]),
        (json!({ "filter": { "fields": { "name": one.name.to_uppercase() } } }), vec![one.id]),
        (json!({ "filter": { "fields": { "handle": [one.handle, other.handle] } } }), vec![one.id, other.id]),
        (json!({ "search": { "query": one.handle } }), vec![one.id]),
    ] {
        assert_eq!(ids(&found(&simulator, TEAMS, data.clone()).await), rows, "{data}");
    }
}

#[tokio::test]
async fn single_members_and_teams_are_those_of_the_lists() {
    let simulator = acme().await;
    let everyone = "/v2/members?includeDisabled=true&includeInvitationPending=true";
    for (list, single) in [(everyone, "/v2/members"), ("/v2/teams", "/v2/teams")] {
        for row in all(&simulator, list).await.iter().take(7) {
            let one = get(&simulator, &format!("{single}/{}", row["id"].as_str().unwrap())).await;
            assert_eq!(one.body["data"], *row);
        }
    }
    for (target, status) in [
        ("/v2/members/nonsense", 404),
        ("/v2/members/00000000-0000-4000-8000-000000000000", 404),
        ("/v2/teams/nonsense", 400),
        ("/v2/teams/00000000-0000-4000-8000-000000000000", 404),
    ] {
        assert_eq!(get(&simulator, target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_body() {
    let options = Options { requests_per_second: 0, page_size: 7 };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 60, today()).days(10)), "t");
    let makers =
        json!({ "filter": { "fields": { "role": "maker" } }, "return": { "includeDisabled": true } });
    let first = search(&simulator, MEMBERS, makers.clone()).await;
    assert_eq!(first.data().len(), 7);
    let next = first.next().unwrap().to_owned();
    let rows = found(&simulator, MEMBERS, makers).await;
    assert!(rows.len() > 14 && rows.iter().all(|row| row["fields"]["role"] == "maker"));
    for data in [json!({}), json!({ "filter": { "fields": { "role": "viewer" } } })] {
        let answer = search(&simulator, &next, data).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"));
    }
    let reordered = r#"{"data":{"return":{"includeDisabled":true},"filter":{"fields":{"role":"maker"}}}}"#;
    assert_eq!(send(&simulator, "POST", &next, Some("t"), reordered).await.status, 200);
}

#[tokio::test]
async fn bodies_are_checked() {
    let simulator = acme().await;
    for (target, body, code) in [
        (MEMBERS, "", "request.malformed"),
        (MEMBERS, "{", "request.malformed"),
        (MEMBERS, r#"{"data":{"query":"x"}}"#, "request.invalid"),
        (MEMBERS, r#"{"data":{"filter":{"name":"x"}}}"#, "request.invalid"),
        (MEMBERS, r#"{"data":{"filter":{"fields":{"team":"x"}}}}"#, "request.invalid"),
        (MEMBERS, r#"{"data":{"filter":{"fields":{"role":"owner"}}}}"#, "request.invalid"),
        (MEMBERS, r#"{"data":{"filter":{"id":"x"}}}"#, "request.invalid"),
        (MEMBERS, r#"{"data":{"search":{"query":""}}}"#, "request.invalid"),
        (TEAMS, r#"{"data":{"return":{}}}"#, "request.invalid"),
        (TEAMS, r#"{"data":{"filter":{"fields":{"name":""}}}}"#, "request.invalid"),
    ] {
        let answer = send(&simulator, "POST", target, Some("t"), body).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{target} {body}");
    }
    let many: Vec<Value> = vec![json!(Uuid::nil()); 101];
    for target in [MEMBERS, TEAMS] {
        let answer = search(&simulator, target, json!({ "filter": { "id": many } })).await;
        assert_eq!(answer.body["errors"][0]["source"]["pointer"], "/data/filter/id");
        assert_eq!(search(&simulator, target, json!({ "filter": { "id": many[..100] } })).await.status, 200);
    }
    assert_eq!(get(&simulator, MEMBERS).await.code(), "route.notFound", "no search by GET");
}
