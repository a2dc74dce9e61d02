//! Notes: lists, searches, fields and relationships.

use serde_json::{Value, json};
use tidemark_productboard_sim::{Note, NoteKind, Simulator};
use uuid::Uuid;

use crate::support::{acme, all, found, get, ids, search};

const LIST: &str = "/v2/notes";
const SEARCH: &str = "/v2/notes/search";

/// The ids of the facts that hold, in the order of lists.
fn expected(simulator: &Simulator, holds: impl Fn(&Note) -> bool) -> Vec<Uuid> {
    let facts = simulator.workspace("acme").unwrap();
    facts.notes.iter().filter(|note| holds(note)).map(|note| note.id).collect()
}

fn first(simulator: &Simulator, holds: impl Fn(&Note) -> bool) -> Note {
    simulator.workspace("acme").unwrap().notes.iter().find(|note| holds(note)).unwrap().clone()
}

#[tokio::test]
async fn archived_and_processed_exclude_each_other() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    for (query, holds) in [
        ("", (|_| true) as fn(&Note) -> bool),
        ("archived=true&processed=true", |_| false),
        ("archived=true&processed=false", |it| it.archived),
        ("archived=false&processed=true", |it| it.processed),
        ("archived=false&processed=false", |it| !it.archived && !it.processed),
        ("archived=true", |it| it.archived),
        ("archived=false", |it| !it.archived),
        ("processed=true", |it| it.processed),
        ("processed=false", |it| !it.processed),
    ] {
        let rows = all(&simulator, &format!("{LIST}?{query}")).await;
        assert_eq!(ids(&rows), expected(&simulator, holds), "{query}");
    }
    assert!(facts.notes.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at), "newest first");
}

#[tokio::test]
async fn lists_filter_by_type_people_source_and_time() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let note = first(&simulator, |it| it.owner.is_some() && it.creator.is_some());
    let owner = facts.members.iter().find(|member| Some(member.id) == note.owner).unwrap();
    let at = facts.notes[20].updated_at;
    let moment = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    for (query, rows) in [
        ("type[]=conversation".to_owned(), expected(&simulator, |it| it.kind == NoteKind::ConversationNote)),
        (
            "type[]=textNote&type[]=opportunityNote".to_owned(),
            expected(&simulator, |it| it.kind != NoteKind::ConversationNote),
        ),
        (format!("owner[email]={}", owner.email), expected(&simulator, |it| it.owner == note.owner)),
        (
            format!("creator[id]={}", note.creator.unwrap()),
            expected(&simulator, |it| it.creator == note.creator),
        ),
        (
            "metadata[source][system]=intercom".to_owned(),
            expected(&simulator, |it| it.kind == NoteKind::ConversationNote),
        ),
        (format!("updatedFrom={moment}"), expected(&simulator, |it| it.updated_at >= at)),
        (format!("updatedTo={moment}"), expected(&simulator, |it| it.updated_at <= at)),
        (format!("createdFrom={moment}"), expected(&simulator, |it| it.created_at >= at)),
    ] {
        assert!(!rows.is_empty(), "{query}");
        assert_eq!(ids(&all(&simulator, &format!("{LIST}?{query}")).await), rows, "{query}");
    }
}

#[tokio::test]
async fn every_kind_has_its_content() {
    let simulator = acme().await;
    for kind in NoteKind::ALL {
        let fact = first(&simulator, |it| it.kind == kind && !it.tags.is_empty());
        let target = format!("{LIST}/{}", fact.id);
        let one = get(&simulator, &target).await.body["data"].clone();
        let fields = &one["fields"];
        match kind {
            NoteKind::TextNote => assert!(fields["content"].as_str().unwrap().starts_with("<p>")),
            NoteKind::ConversationNote => assert_eq!(fields["content"][0]["authorType"], "customer"),
            NoteKind::OpportunityNote => assert_eq!(fields["content"][0]["fieldType"], "number"),
        }
        assert!(fields["tags"][0]["name"].is_string() && fields["source"]["origin"].is_string());
        assert!(one["createdAt"].as_str().unwrap().len() == "2026-05-30T11:58:35.855455Z".len());
        assert!(one["links"]["html"].as_str().unwrap().starts_with("https://acme.productboard.com/"));
        let named = get(&simulator, &format!("{target}?fields[]=owner&fields[]=name")).await;
        assert_eq!(named.body["data"]["fields"].as_object().unwrap().len(), 2, "a named field may be null");
        assert!(
            get(&simulator, &format!("{target}?fields=all")).await.body["data"]["fields"]["creator"]
                .is_object()
                || fact.creator.is_none()
        );
    }
}

#[tokio::test]
async fn relationships_are_one_customer_and_links() {
    let simulator = acme().await;
    let crowded = first(&simulator, |it| it.links.len() > 20 && it.customer.is_some());
    let target = format!("{LIST}/{}", crowded.id);
    let inline = get(&simulator, &target).await.body["data"]["relationships"].clone();
    let mut rows = inline["data"].as_array().unwrap().clone();
    assert_eq!((rows.len(), &rows[0]["type"]), (20, &json!("customer")));
    rows.extend(all(&simulator, inline["links"]["next"].as_str().unwrap()).await);
    assert_eq!(rows.len(), crowded.links.len() + 1);

    let of = async |query: &str| all(&simulator, &format!("{target}/relationships?{query}")).await;
    assert_eq!(of("").await, rows);
    assert_eq!(of("limit=3").await, rows, "pages of three");
    assert_eq!(get(&simulator, &format!("{target}/relationships?limit=3")).await.data().len(), 3);
    assert_eq!(of("type=customer").await.len(), 1);
    assert_eq!(of("type=link").await.len(), crowded.links.len());
    assert!(of("target[type]=feature").await.iter().all(|row| row["target"]["type"] == "feature"));
    for query in ["limit=0", "limit=many", "type=parent", "target[type]=objective"] {
        let answer = get(&simulator, &format!("{target}/relationships?{query}")).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{query}");
    }
}

#[tokio::test]
async fn searches_take_one_value_or_several() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    let note = first(&simulator, |it| it.customer.is_some() && !it.links.is_empty() && it.owner.is_some());
    let (customer, link) = (note.customer.unwrap().id, note.links[0].id);
    let at = facts.notes[20].updated_at;
    let tagged = |it: &Note, names: &[usize]| names.iter().any(|tag| it.tags.contains(&facts.tags[*tag].id));
    let tag = |index: usize| json!({ "name": facts.tags[index].name });
    for (filter, rows) in [
        (json!({ "type": "textNote" }), expected(&simulator, |it| it.kind == NoteKind::TextNote)),
        (json!({ "id": [note.id] }), vec![note.id]),
        (json!({ "updatedAt": { "from": at } }), expected(&simulator, |it| it.updated_at >= at)),
        (json!({ "fields": { "tag": tag(0) } }), expected(&simulator, |it| tagged(it, &[0]))),
        (json!({ "fields": { "tag": [tag(1), tag(2)] } }), expected(&simulator, |it| tagged(it, &[1, 2]))),
        (
            json!({ "fields": { "owner": { "id": note.owner }, "archived": false } }),
            expected(&simulator, |it| it.owner == note.owner && !it.archived),
        ),
        (
            json!({ "relationships": { "customer": { "id": customer }, "link": [{ "id": link }] } }),
            expected(&simulator, |it| {
                it.customer.map(|it| it.id) == Some(customer) && it.links.iter().any(|it| it.id == link)
            }),
        ),
        (
            json!({ "metadata": { "source": [{ "system": "slack" }, { "system": "salesforce" }] } }),
            expected(&simulator, |it| {
                it.source.as_ref().is_some_and(|it| it.system.as_deref() != Some("intercom"))
            }),
        ),
    ] {
        assert!(!rows.is_empty(), "{filter}");
        assert_eq!(ids(&found(&simulator, SEARCH, json!({ "filter": filter })).await), rows, "{filter}");
    }
    let word = json!({ "search": { "query": note.name.to_uppercase() }, "return": { "fields": ["name"] } });
    let rows = found(&simulator, SEARCH, word).await;
    assert!(ids(&rows).contains(&note.id));
    assert!(rows.iter().all(|row| row["fields"].as_object().unwrap().len() == 1));
}

#[tokio::test]
async fn wrong_requests_say_what_is_wrong() {
    let simulator = acme().await;
    for target in [
        "/v2/notes?type=textNote",
        "/v2/notes?type[]=feature",
        "/v2/notes?processed=1",
        "/v2/notes?updatedFrom=2026-08-01",
        "/v2/notes?updatedFrom=2026-08-01T00:00:00Z&updatedTo=2026-07-01T00:00:00Z",
        "/v2/notes?fields[]=effort",
        "/v2/notes?fields[]=all&fields[]=name",
        "/v2/notes/nonsense",
    ] {
        let answer = get(&simulator, target).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{target}");
    }
    let nowhere = get(&simulator, "/v2/notes/00000000-0000-4000-8000-000000000000").await;
    assert_eq!((nowhere.status, nowhere.code()), (404, "resource.notFound"));
    let many: Vec<Value> = vec![json!(Uuid::nil()); 101];
    for data in [
        json!({ "query": "x" }),
        json!({ "search": { "text": "x" } }),
        json!({ "search": { "query": "x".repeat(256) } }),
        json!({ "filter": { "id": many } }),
        json!({ "filter": { "type": "feature" } }),
        json!({ "filter": { "fields": { "owner": {} } } }),
        json!({ "filter": { "createdAt": { "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" } } }),
        json!({ "return": { "fields": ["nonsense"] } }),
    ] {
        let answer = search(&simulator, SEARCH, data.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, "request.invalid"), "{data}");
    }
}
