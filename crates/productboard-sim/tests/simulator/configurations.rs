//! Configurations and field values: what a client learns before it reads entities and notes.

use serde_json::json;
use tidemark_productboard_sim::EntityKind;

use crate::support::{acme, all, get};

const ENTITIES: &str = "/v2/entities/configurations";
const NOTES: &str = "/v2/notes/configurations";

#[tokio::test]
async fn every_type_has_its_configuration() {
    let simulator = acme().await;
    let rows = all(&simulator, ENTITIES).await;
    assert_eq!(rows.len(), 11);
    for (row, kind) in rows.iter().zip(EntityKind::ALL) {
        assert_eq!(row["type"], kind.as_str());
        let one = get(&simulator, &format!("{ENTITIES}/{}", kind.as_str())).await;
        assert_eq!(one.body["data"], *row);
        for id in ["name", "description", "owner", "archived"] {
            assert_eq!(row["fields"][id]["path"], format!("/fields/{id}"));
        }
    }
    let some = all(&simulator, &format!("{ENTITIES}?type[]=keyResult&type[]=user")).await;
    assert_eq!(some.len(), 2);
    assert!(some[0]["fields"]["progress"].is_object() && some[1]["fields"]["email"].is_object());
    assert_eq!(some[0]["relationships"]["parent"]["targetType"], json!(["objective"]));
    for target in [format!("{ENTITIES}?type[]=x"), format!("{ENTITIES}/x")] {
        assert_eq!(get(&simulator, &target).await.code(), "request.invalid", "{target}");
    }
}

#[tokio::test]
async fn the_fields_of_entities_are_those_of_their_configuration() {
    let simulator = acme().await;
    let configurations = all(&simulator, ENTITIES).await;
    for row in all(&simulator, "/v2/entities?fields[]=all").await {
        let configuration = configurations.iter().find(|it| it["type"] == row["type"]).unwrap();
        let known = configuration["fields"].as_object().unwrap();
        let known: Vec<_> = known.keys().filter(|id| !id.contains('.')).collect();
        let mut sent: Vec<_> = row["fields"].as_object().unwrap().keys().collect();
        sent.sort();
        assert_eq!(sent, known);
    }
}

#[tokio::test]
async fn values_of_fields_can_be_listed() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let values = async |query: &str| all(&simulator, &format!("/v2/entities/fields/{query}")).await;
    assert_eq!(values("status/values").await.len(), facts.statuses.len());
    let of_releases = values("status/values?assignedEntityType[]=release").await;
    assert!(of_releases.len() < facts.statuses.len());
    assert!(
        of_releases.iter().all(|it| {
            it["fields"]["assignedEntityTypes"].as_array().unwrap().contains(&json!("release"))
        })
    );
    let field = facts.custom_fields.iter().find(|field| !field.options.is_empty()).unwrap();
    let options = values(&format!("{}/values", field.id)).await;
    assert_eq!(options[0]["fields"], json!({ "name": field.options[0].name, "color": "red" }));
    assert_eq!(values("tags/values").await.len(), facts.tags.len());
    for id in ["name", "00000000-0000-4000-8000-000000000000"] {
        let answer = get(&simulator, &format!("/v2/entities/fields/{id}/values")).await;
        assert_eq!((answer.status, answer.code()), (404, "resource.notFound"), "{id}");
    }
}

#[tokio::test]
async fn notes_have_three_configurations_without_links() {
    let simulator = acme().await;
    let every = get(&simulator, NOTES).await;
    assert_eq!((every.data().len(), &every.body["links"]), (3, &json!(null)));
    assert_eq!(get(&simulator, &format!("{NOTES}?type=simple")).await.data()[0]["type"], "textNote");
    assert_eq!(get(&simulator, &format!("{NOTES}?type[]=conversationNote")).await.data().len(), 1);
    let one = get(&simulator, &format!("{NOTES}/opportunity")).await;
    assert_eq!(one.body["data"]["fields"]["name"]["lifecycle"]["update"]["set"], false, "read-only");
    assert_eq!(get(&simulator, &format!("{NOTES}/letter")).await.code(), "request.invalid");
}
