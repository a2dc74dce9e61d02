//! Entities: lists, searches, fields and relationships.

use serde_json::{Value, json};
use tidemark_productboard_sim::{
    Access, CustomKind, CustomValue, Entity, EntityKind, RelationshipKind, Simulator,
};
use uuid::Uuid;

use crate::support::{acme, all, found, get, ids, search, send};

const LIST: &str = "/v2/entities";
const SEARCH: &str = "/v2/entities/search";

/// The ids of the facts that hold, in the order of lists.
fn expected(simulator: &Simulator, holds: impl Fn(&Entity) -> bool) -> Vec<Uuid> {
    let facts = simulator.workspace("acme").unwrap();
    facts.entities.iter().filter(|entity| holds(entity)).map(|entity| entity.id).collect()
}

fn first(simulator: &Simulator, holds: impl Fn(&Entity) -> bool) -> Entity {
    simulator.workspace("acme").unwrap().entities.iter().find(|entity| holds(entity)).unwrap().clone()
}

#[tokio::test]
async fn lists_are_oldest_first_and_filter() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let parent = first(&simulator, |it| it.kind == EntityKind::Component && it.relationships.len() > 2);
    let owned = first(&simulator, |it| it.owner.is_some());
    let owner = facts.members.iter().find(|member| Some(member.id) == owned.owner).unwrap();
    let status = &facts.statuses[3];
    let team = first(&simulator, |it| !it.teams.is_empty()).teams[0];
    let sourced = first(&simulator, |it| it.source.is_some()).source.unwrap();
    let named = &facts.entities[7].name;
    for (query, rows) in [
        (String::new(), expected(&simulator, |_| true)),
        ("type[]=feature".to_owned(), expected(&simulator, |it| it.kind == EntityKind::Feature)),
        (
            "type%5B%5D=objective&type[]=keyResult&archived=false".to_owned(),
            expected(&simulator, |it| {
                matches!(it.kind, EntityKind::Objective | EntityKind::KeyResult) && !it.archived
            }),
        ),
        (format!("name={}", named.replace(' ', "%20")), { expected(&simulator, |it| it.name == *named) }),
        (format!("parent[id]={}", parent.id), expected(&simulator, |it| it.parent() == Some(parent.id))),
        (format!("owner[id]={}", owner.id), expected(&simulator, |it| it.owner == owned.owner)),
        (format!("owner[email]={}", owner.email), expected(&simulator, |it| it.owner == owned.owner)),
        (format!("status[id]={}", status.id), expected(&simulator, |it| it.status == Some(status.id))),
        (
            format!("status[name]={}", status.name.replace(' ', "+")),
            expected(&simulator, |it| it.status == Some(status.id)),
        ),
        (format!("teams[id]={team}"), expected(&simulator, |it| it.teams.contains(&team))),
        (
            format!("metadata[source][recordId]={}", sourced.record_id.clone().unwrap()),
            expected(&simulator, |it| it.source.as_ref() == Some(&sourced)),
        ),
    ] {
        assert!(!rows.is_empty(), "{query}");
        assert_eq!(ids(&all(&simulator, &format!("{LIST}?{query}")).await), rows, "{query}");
    }
}

#[tokio::test]
async fn an_entity_has_its_envelope() {
    let simulator = acme().await;
    let fact = first(&simulator, |it| it.kind == EntityKind::Feature && it.source.is_some());
    let one = get(&simulator, &format!("{LIST}/{}", fact.id)).await.body["data"].clone();
    assert_eq!(one["type"], "feature");
    assert_eq!(one["links"]["self"], format!("{}/v2/entities/{}", simulator.base_url(), fact.id));
    assert_eq!(one["metadata"]["source"]["recordId"], json!(fact.source.unwrap().record_id));
    let created = one["createdAt"].as_str().unwrap();
    assert_eq!((created.len(), &created[created.len() - 1..]), ("2026-05-30T11:58:35.855455Z".len(), "Z"));
    let parent = fact.relationships.iter().find(|it| it.kind == RelationshipKind::Parent).unwrap();
    let inline = one["relationships"]["data"].as_array().unwrap();
    assert!(inline.iter().any(|it| it["type"] == "parent" && it["target"]["id"] == json!(parent.target)));
    let user = first(&simulator, |it| it.kind == EntityKind::User);
    let user = get(&simulator, &format!("{LIST}/{}", user.id)).await.body["data"].clone();
    assert_eq!(user["links"]["html"], Value::Null);
}

#[tokio::test]
async fn fields_are_those_asked_for() {
    let simulator = acme().await;
    let bare =
        first(&simulator, |it| it.kind == EntityKind::Feature && it.owner.is_none() && it.tags.is_empty());
    let target = format!("{LIST}/{}", bare.id);
    let fields = async |query: &str| {
        get(&simulator, &format!("{target}?{query}")).await.body["data"]["fields"].clone()
    };

    let some = fields("").await;
    assert!(some["name"].is_string() && some["archived"].is_boolean());
    assert!(some.as_object().unwrap().values().all(|value| !value.is_null()));
    let every = fields("fields[]=all").await;
    assert!(every["owner"].is_null() && every["tags"].is_null());
    assert!(every.as_object().unwrap().len() > some.as_object().unwrap().len());
    assert_eq!(
        fields("fields[]=owner&fields[]=archived").await,
        json!({ "owner": null, "archived": bare.archived })
    );

    for query in ["fields[]=nonsense", "fields[]=all&fields[]=name", "fields=name"] {
        for target in [&target, LIST] {
            let answer = get(&simulator, &format!("{target}?{query}")).await;
            assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{target}?{query}");
        }
    }
}

#[tokio::test]
async fn many_relationships_are_inline_as_far_as_twenty() {
    let simulator = acme().await;
    let crowded = first(&simulator, |it| it.relationships.len() > 25);
    let target = format!("{LIST}/{}", crowded.id);
    let inline = get(&simulator, &target).await.body["data"]["relationships"].clone();
    let mut rows = inline["data"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 20);
    rows.extend(all(&simulator, inline["links"]["next"].as_str().unwrap()).await);
    let targets: Vec<_> = rows.iter().map(|row| row["target"]["id"].clone()).collect();
    let facts: Vec<_> = crowded.relationships.iter().map(|it| json!(it.target)).collect();
    assert_eq!(targets, facts, "the rest follows without gap");

    let of = async |query: &str| all(&simulator, &format!("{target}/relationships?{query}")).await;
    let children = crowded.relationships.iter().filter(|it| it.kind == RelationshipKind::Child);
    let child = children.clone().next().unwrap();
    assert_eq!(of("type=child").await.len(), children.count());
    assert!(of("").await.iter().all(|row| row["type"] == "link"), "links unless asked otherwise");
    assert_eq!(of(&format!("type=child&target[id]={}", child.target)).await.len(), 1);
    assert!(of("type=child&target[type]=company").await.is_empty());
    for query in ["type=sibling", "target[type]=planet", "target[id]=7"] {
        let answer = get(&simulator, &format!("{target}/relationships?{query}")).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{query}");
    }
}

#[tokio::test]
async fn searches_filter_by_time_ids_and_fields() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let middle = facts.entities[facts.entities.len() / 2].updated_at;
    let owned = first(&simulator, |it| it.owner.is_some());
    let some: Vec<_> = facts.entities.iter().take(3).map(|it| it.id).collect();
    for (filter, rows) in [
        (json!({}), expected(&simulator, |_| true)),
        (json!({ "updatedAt": { "from": middle } }), expected(&simulator, |it| it.updated_at >= middle)),
        (
            json!({ "type": ["feature", "release"], "createdAt": { "to": middle } }),
            expected(&simulator, |it| {
                matches!(it.kind, EntityKind::Feature | EntityKind::Release) && it.created_at <= middle
            }),
        ),
        (json!({ "id": some }), expected(&simulator, |it| some.contains(&it.id))),
        (
            json!({ "fields": { "owner": [{ "id": owned.owner }], "archived": false } }),
            expected(&simulator, |it| it.owner == owned.owner && !it.archived),
        ),
        (
            json!({ "fields": { "status": [{ "name": "Planned" }, { "name": "Released" }] } }),
            expected(&simulator, |it| {
                [facts.statuses[2].id, facts.statuses[4].id].map(Some).contains(&it.status)
            }),
        ),
    ] {
        let page = found(&simulator, SEARCH, json!({ "filter": filter })).await;
        assert!(!rows.is_empty(), "{filter}");
        assert_eq!(ids(&page), rows, "{filter}");
    }
    let named = json!({ "return": { "fields": ["name"] }, "filter": { "id": [owned.id] } });
    assert_eq!(found(&simulator, SEARCH, named).await[0]["fields"], json!({ "name": owned.name }));
    let every = json!({ "return": { "fields": "all" }, "filter": { "id": [owned.id] } });
    assert!(found(&simulator, SEARCH, every).await[0]["fields"]["owner"]["email"].is_string());
}

#[tokio::test]
async fn custom_fields_are_asked_for_in_their_own_way() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    for field in &facts.custom_fields {
        let kind = field.kinds[0];
        let value = |it: &Entity| it.custom.get(&field.id).cloned();
        let sample = facts.entities.iter().find(|it| it.kind == kind && value(it).is_some()).unwrap();
        let condition = match value(sample).unwrap() {
            CustomValue::Text(text) => json!({ "contains": text[..4].to_uppercase() }),
            CustomValue::Number(number) => json!({ "eq": number }),
            CustomValue::Date(date) => json!({ "eq": date }),
            CustomValue::Choice(id) => json!({ "id": id }),
            CustomValue::Choices(ids) => json!({ "all": [{ "id": ids[0] }] }),
        };
        for (condition, least) in
            [(condition, 1), (json!({ "isSet": true }), 1), (json!({ "isSet": false }), 0)]
        {
            let filter = json!({ "type": [kind], "fields": { field.id.to_string(): condition } });
            let rows = ids(&found(&simulator, SEARCH, json!({ "filter": filter })).await);
            assert!(rows.len() >= least, "{}", field.name);
            assert_eq!(
                rows.contains(&sample.id),
                condition["isSet"] != json!(false),
                "{} {condition}",
                field.name
            );
        }
        let wrong =
            if field.kind == CustomKind::Text { json!({ "eq": 1 }) } else { json!({ "contains": "x" }) };
        for (filter, status) in [
            (json!({ "type": [kind], "fields": { field.id.to_string(): wrong } }), 422),
            (json!({ "fields": { field.id.to_string(): { "isSet": true } } }), 422),
            (json!({ "type": [kind], "fields": { field.id.to_string(): { "like": "x" } } }), 400),
        ] {
            let answer = search(&simulator, SEARCH, json!({ "filter": filter })).await;
            assert_eq!(answer.status, status, "{filter}");
        }
    }
}

#[tokio::test]
async fn wrong_requests_say_what_is_wrong() {
    let simulator = acme().await;
    let many: Vec<Uuid> = vec![Uuid::nil(); 101];
    for target in [
        "/v2/entities?type=feature",
        "/v2/entities?type[]=planet",
        "/v2/entities?owner[id]=x",
        "/v2/entities?archived=maybe",
        "/v2/entities?teams[id]=00000000-0000-4000-8000-000000000000&teams[name]=Growth",
        "/v2/entities/nonsense",
    ] {
        let answer = get(&simulator, target).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{target}");
    }
    let nowhere = "/v2/entities/00000000-0000-4000-8000-000000000000";
    for target in [nowhere.to_owned(), format!("{nowhere}/relationships")] {
        let answer = get(&simulator, &target).await;
        assert_eq!((answer.status, answer.code()), (404, "resource.notFound"), "{target}");
    }
    for data in [
        json!({ "type": "feature" }),
        json!({ "filter": { "type": "feature" } }),
        json!({ "filter": { "type": ["planet"] } }),
        json!({ "filter": { "colour": "red" } }),
        json!({ "filter": { "id": many } }),
        json!({ "filter": { "updatedAt": { "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" } } }),
        json!({ "filter": { "updatedAt": { "from": "yesterday" } } }),
        json!({ "filter": { "fields": { "nonsense": true } } }),
        json!({ "filter": { "fields": { "owner": [{}] } } }),
        json!({ "filter": { "fields": { "status": [{ "id": Uuid::nil(), "name": "Planned" }] } } }),
        json!({ "return": { "fields": "some" } }),
        json!({ "return": { "fields": ["all", "name"] } }),
        json!({ "return": { "fields": ["nonsense"] } }),
    ] {
        let answer = search(&simulator, SEARCH, data.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{data}");
    }
}

#[tokio::test]
async fn rows_rendered_before_are_nobody_elses() {
    let simulator = acme().await;
    simulator.issue("acme", "o", Access::oauth(["entities:read", "notes:read"]));
    for target in ["/v2/entities?fields[]=all", "/v2/notes"] {
        let first = get(&simulator, target).await;
        assert_eq!(get(&simulator, target).await.bytes, first.bytes);
        let masked = send(&simulator, "GET", target, Some("o"), "").await;
        assert!(masked.text().contains("[redacted]") && !first.text().contains("[redacted]"));
        simulator.faults("t", |faults| faults.relationships_as_array = true);
        assert!(get(&simulator, target).await.data().iter().all(|row| row["relationships"].is_array()));
        simulator.faults("t", |faults| faults.relationships_as_array = false);
        assert_eq!(get(&simulator, target).await.bytes, first.bytes);
    }
    let mut changed = simulator.workspace("acme").unwrap().as_ref().clone();
    changed.entities[0].name = "Something else".to_owned();
    simulator.add(changed, "t");
    assert_eq!(get(&simulator, "/v2/entities").await.data()[0]["fields"]["name"], "Something else");
}
