//! What each operation asks for: method, path, query and body, as the vendor's documents have them.

use futures::TryStreamExt;
use serde_json::{Value, json};
use tidemark_domain::member::Role;
use tidemark_productboard::{
    Client, CustomFilter, EntitiesQuery, EntityRelationshipsQuery, EntitySearch, EntityType, Error,
    FieldSelection, MemberIs, MemberSearch, MembersQuery, Named, NewWebhook, NoteRelationshipsQuery,
    NoteSearch, NoteType, NotesQuery, Pages, Period, RelationshipKind, SourceIs, TeamSearch, TeamsQuery,
};

use crate::vendor::{Asked, Reply, Vendor, id};

/// What an operation sent, when the answer is this.
async fn sent<T>(answer: Value, ask: impl AsyncFn(&Client) -> Result<T, Error>) -> Asked {
    let vendor = Vendor::answering([Reply::json(&answer)]).await;
    let asked = ask(&vendor.client()).await;
    assert!(asked.is_ok(), "{:?}", asked.err());
    vendor.asked().remove(0)
}

/// What a list sent.
async fn listed<T>(list: impl AsyncFn(&Client) -> Pages<T>) -> Asked {
    sent(json!({ "data": [] }), async |client| list(client).await.try_collect::<Vec<_>>().await).await
}

#[track_caller]
fn assert_get(asked: &Asked, path: &str, query: &[(&str, &str)]) {
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", path));
    let pairs: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, query);
    assert_eq!(asked.body, Value::Null);
}

#[track_caller]
fn assert_post(asked: &Asked, path: &str, body: &Value) {
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", path));
    assert_eq!(asked.query, []);
    assert_eq!(&asked.body, body);
}

fn since() -> Period {
    Period::since("2026-05-30T11:58:35.855455Z".parse().unwrap())
}

#[tokio::test]
async fn members() {
    let query = MembersQuery {
        query: Some("ada".to_owned()),
        roles: vec![Role::Admin, Role::Maker],
        ..MembersQuery::everyone()
    };
    let expected = [
        ("query", "ada"),
        ("roles[]", "admin"),
        ("roles[]", "maker"),
        ("includeDisabled", "true"),
        ("includeInvitationPending", "true"),
    ];
    assert_get(&listed(async |client| client.members(&query, None)).await, "/v2/members", &expected);

    let search = MemberSearch {
        ids: vec![id(1)],
        emails: vec!["ada@acme.example".to_owned()],
        roles: vec![Role::Viewer],
        disabled: Some(true),
        pending: Some(false),
        query: Some("ada".to_owned()),
        include_disabled: true,
        include_pending: true,
    };
    let body = json!({ "data": {
        "filter": { "id": [id(1)], "fields": { "email": ["ada@acme.example"], "role": ["viewer"],
                    "disabled": true, "invitationPending": false } },
        "search": { "query": "ada" },
        "return": { "includeDisabled": true, "includeInvitationPending": true },
    } });
    assert_post(
        &listed(async |client| client.search_members(&search, None)).await,
        "/v2/members/search",
        &body,
    );
    let all = listed(async |client| client.search_members(&MemberSearch::default(), None)).await;
    assert_post(&all, "/v2/members/search", &json!({ "data": {} }));

    let member = json!({ "data": crate::vendor::member(1) });
    let path = format!("/v2/members/{}", id(1));
    assert_get(&sent(member, async |client| client.member(id(1)).await).await, &path, &[]);
}

#[tokio::test]
async fn teams() {
    let query = TeamsQuery {
        name: Some("Core".to_owned()),
        handle: Some("core".to_owned()),
        query: Some("co".to_owned()),
    };
    let expected = [("name", "Core"), ("handle", "core"), ("query", "co")];
    assert_get(&listed(async |client| client.teams(&query, None)).await, "/v2/teams", &expected);

    let search = TeamSearch {
        ids: vec![id(1)],
        names: vec!["Core".to_owned()],
        handles: vec!["core".to_owned()],
        query: Some("co".to_owned()),
    };
    let body = json!({ "data": {
        "filter": { "id": [id(1)], "fields": { "name": ["Core"], "handle": ["core"] } },
        "search": { "query": "co" },
    } });
    assert_post(&listed(async |client| client.search_teams(&search, None)).await, "/v2/teams/search", &body);

    let team = json!({ "data": { "id": id(1), "fields": { "name": "Core" } } });
    let path = format!("/v2/teams/{}", id(1));
    assert_get(&sent(team, async |client| client.team(id(1)).await).await, &path, &[]);
}

#[tokio::test]
async fn entities() {
    let query = EntitiesQuery {
        types: vec![EntityType::Feature, EntityType::KeyResult],
        name: Some("Undo".to_owned()),
        owner: Some(MemberIs::Email("ada@acme.example".to_owned())),
        status: Some(Named::Id(id(2))),
        team: Some(Named::Name("Core".to_owned())),
        archived: Some(false),
        parent: Some(id(3)),
        source: SourceIs { system: Some("jira".to_owned()), record_id: Some("PB-1".to_owned()) },
        fields: FieldSelection::All,
    };
    let (status, parent) = (id(2).to_string(), id(3).to_string());
    let expected = [
        ("type[]", "feature"),
        ("type[]", "keyResult"),
        ("name", "Undo"),
        ("owner[email]", "ada@acme.example"),
        ("status[id]", &status),
        ("teams[name]", "Core"),
        ("archived", "false"),
        ("parent[id]", &parent),
        ("metadata[source][system]", "jira"),
        ("metadata[source][recordId]", "PB-1"),
        ("fields[]", "all"),
    ];
    assert_get(&listed(async |client| client.entities(&query, None)).await, "/v2/entities", &expected);
    let plain = listed(async |client| client.entities(&EntitiesQuery::of(EntityType::User), None)).await;
    assert_get(&plain, "/v2/entities", &[("type[]", "user")]);

    let entity = json!({ "data": { "id": id(1), "type": "feature" } });
    let fields = FieldSelection::Only(vec!["name".to_owned(), "status".to_owned()]);
    let path = format!("/v2/entities/{}", id(1));
    let asked = sent(entity, async |client| client.entity(id(1), &fields).await).await;
    assert_get(&asked, &path, &[("fields[]", "name"), ("fields[]", "status")]);

    let query = EntityRelationshipsQuery {
        kind: Some(RelationshipKind::IsBlockedBy),
        target_type: Some(EntityType::Feature),
        target: Some(id(2)),
    };
    let asked = listed(async |client| client.entity_relationships(id(1), &query, None)).await;
    let expected = [("type", "isBlockedBy"), ("target[type]", "feature"), ("target[id]", &status)];
    assert_get(&asked, &format!("{path}/relationships"), &expected);
}

#[tokio::test]
async fn entity_search() {
    let custom = [
        ("a".to_owned(), CustomFilter::Contains("x".to_owned())),
        ("b".to_owned(), CustomFilter::Equals(json!(3))),
        ("c".to_owned(), CustomFilter::Is(Named::Name("Red".to_owned()))),
        ("d".to_owned(), CustomFilter::AnyOf(vec![Named::Id(id(1))])),
        ("e".to_owned(), CustomFilter::AllOf(vec![Named::Name("Red".to_owned())])),
        ("f".to_owned(), CustomFilter::IsSet(false)),
    ];
    let search = EntitySearch {
        types: vec![EntityType::Feature],
        ids: vec![id(1)],
        created: Period { from: None, to: since().from },
        updated: since(),
        name: Some("Undo".to_owned()),
        archived: Some(true),
        owners: vec![MemberIs::Id(id(2))],
        statuses: vec![Named::Name("Planned".to_owned())],
        teams: vec![Named::Id(id(3))],
        custom: custom.into(),
        parents: vec![id(4)],
        source: SourceIs { system: Some("jira".to_owned()), record_id: None },
        fields: FieldSelection::Only(vec!["name".to_owned()]),
    };
    let body = json!({ "data": {
        "filter": {
            "type": ["feature"],
            "id": [id(1)],
            "createdAt": { "to": "2026-05-30T11:58:35.855455Z" },
            "updatedAt": { "from": "2026-05-30T11:58:35.855455Z" },
            "fields": {
                "name": "Undo", "archived": true, "owner": [{ "id": id(2) }], "status": [{ "name": "Planned" }],
                "teams": [{ "id": id(3) }], "a": { "contains": "x" }, "b": { "eq": 3 }, "c": { "name": "Red" },
                "d": { "any": [{ "id": id(1) }] }, "e": { "all": [{ "name": "Red" }] }, "f": { "isSet": false },
            },
            "relationships": { "parent": [{ "id": id(4) }] },
            "metadata": { "source": { "system": "jira" } },
        },
        "return": { "fields": ["name"] },
    } });
    let asked = listed(async |client| client.search_entities(&search, None)).await;
    assert_post(&asked, "/v2/entities/search", &body);
}

#[tokio::test]
async fn entity_configurations() {
    let asked = listed(async |client| client.entity_configurations(&[EntityType::Release], None)).await;
    assert_get(&asked, "/v2/entities/configurations", &[("type[]", "release")]);
    let configuration = json!({ "data": { "type": "releaseGroup" } });
    let asked =
        sent(configuration, async |client| client.entity_configuration(&EntityType::ReleaseGroup).await);
    assert_get(&asked.await, "/v2/entities/configurations/releaseGroup", &[]);
    let asked = listed(async |client| client.field_values("status", &[EntityType::Feature], None)).await;
    assert_get(&asked, "/v2/entities/fields/status/values", &[("assignedEntityType[]", "feature")]);
}

#[tokio::test]
async fn notes() {
    let query = NotesQuery {
        types: vec![NoteType::Conversation],
        archived: Some(true),
        processed: Some(false),
        owner: Some(MemberIs::Id(id(1))),
        creator: Some(MemberIs::Email("ada@acme.example".to_owned())),
        source: SourceIs { system: None, record_id: Some("7".to_owned()) },
        created: Period { from: None, to: since().from },
        updated: since(),
        fields: FieldSelection::Filled,
    };
    let owner = id(1).to_string();
    let expected = [
        ("type[]", "conversationNote"),
        ("archived", "true"),
        ("processed", "false"),
        ("owner[id]", &owner),
        ("creator[email]", "ada@acme.example"),
        ("metadata[source][recordId]", "7"),
        ("createdTo", "2026-05-30T11:58:35.855455Z"),
        ("updatedFrom", "2026-05-30T11:58:35.855455Z"),
    ];
    assert_get(&listed(async |client| client.notes(&query, None)).await, "/v2/notes", &expected);

    let note = json!({ "data": { "id": id(1), "type": "textNote" } });
    let path = format!("/v2/notes/{}", id(1));
    let asked = sent(note.clone(), async |client| client.note(id(1), &FieldSelection::Filled).await).await;
    assert_get(&asked, &path, &[]);
    let owner_only = FieldSelection::Only(vec!["owner".to_owned()]);
    let asked = sent(note, async |client| client.note(id(1), &owner_only).await).await;
    assert_get(&asked, &path, &[("fields", "owner"), ("fields[]", "owner")]);
    let query = NoteRelationshipsQuery {
        kind: Some(RelationshipKind::Customer),
        target_type: Some(EntityType::Company),
        limit: Some(5),
    };
    let asked = listed(async |client| client.note_relationships(id(1), &query, None)).await;
    let expected = [("type", "customer"), ("target[type]", "company"), ("limit", "5")];
    assert_get(&asked, &format!("{path}/relationships"), &expected);

    assert_get(
        &listed(async |client| client.note_configurations(None)).await,
        "/v2/notes/configurations",
        &[],
    );
    let configuration = json!({ "data": { "type": "textNote" } });
    let asked = sent(configuration, async |client| client.note_configuration(&NoteType::Text).await).await;
    assert_get(&asked, "/v2/notes/configurations/textNote", &[]);
}

#[tokio::test]
async fn note_search() {
    let search = NoteSearch {
        query: Some("slow".to_owned()),
        types: vec![NoteType::Text],
        ids: vec![id(1)],
        created: since(),
        updated: since(),
        owners: vec![MemberIs::Id(id(2))],
        creators: vec![MemberIs::Email("ada@acme.example".to_owned())],
        tags: vec!["urgent".to_owned()],
        archived: Some(false),
        processed: Some(true),
        source: SourceIs { system: Some("zendesk".to_owned()), record_id: Some("7".to_owned()) },
        customers: vec![id(3)],
        links: vec![id(4)],
        fields: vec!["name".to_owned()],
    };
    let from = json!({ "from": "2026-05-30T11:58:35.855455Z" });
    let body = json!({ "data": {
        "search": { "query": "slow" },
        "filter": {
            "type": ["textNote"],
            "id": [id(1)],
            "createdAt": from,
            "updatedAt": from,
            "fields": { "owner": [{ "id": id(2) }], "creator": [{ "email": "ada@acme.example" }],
                        "tag": [{ "name": "urgent" }], "archived": false, "processed": true },
            "metadata": { "source": { "system": "zendesk", "recordId": "7" } },
            "relationships": { "customer": [{ "id": id(3) }], "link": [{ "id": id(4) }] },
        },
        "return": { "fields": ["name"] },
    } });
    let asked = listed(async |client| client.search_notes(&search, None)).await;
    assert_post(&asked, "/v2/notes/search", &body);
}

#[tokio::test]
async fn webhooks() {
    let webhook = NewWebhook {
        name: "tidemark".to_owned(),
        events: vec!["note.created".to_owned(), "note.updated".to_owned()],
        url: "https://hooks.example/pb".parse().unwrap(),
        authorization: Some("Basic c2VjcmV0".into()),
    };
    let body = json!({ "data": { "fields": {
        "name": "tidemark",
        "events": [{ "eventType": "note.created" }, { "eventType": "note.updated" }],
        "notification": { "url": "https://hooks.example/pb", "version": 1,
                          "headers": { "authorization": "Basic c2VjcmV0" } },
    } } });
    let made = json!({ "data": { "id": id(1), "type": "webhook", "links": { "self": "x" } } });
    let asked = sent(made, async |client| client.create_webhook(&webhook).await).await;
    assert_post(&asked, "/v2/webhooks", &body);

    assert_get(&listed(async |client| client.webhooks(None)).await, "/v2/webhooks", &[]);
    let path = format!("/v2/webhooks/{}", id(1));
    let kept = json!({ "data": { "id": id(1), "fields": { "name": "tidemark",
        "events": [{ "eventType": "note.created" }], "notification": { "url": "https://x.example", "version": 1 } } } });
    assert_get(&sent(kept, async |client| client.webhook(id(1)).await).await, &path, &[]);
    let vendor = Vendor::answering([Reply { status: 204, ..Reply::bytes("") }]).await;
    vendor.client().delete_webhook(id(1)).await.unwrap();
    let asked = vendor.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("DELETE", path.as_str()));
}

#[tokio::test]
async fn a_search_pages_by_the_query_with_the_same_body() {
    let first = json!({ "data": [], "links": { "next": "/v2/teams/search?pageCursor=two" } });
    let vendor = Vendor::answering([Reply::json(&first), Reply::page(&[], None)]).await;
    let search = TeamSearch { query: Some("co".to_owned()), ..TeamSearch::default() };
    vendor.client().search_teams(&search, None).try_collect::<Vec<_>>().await.unwrap();
    let asked = vendor.asked();
    assert_eq!(asked[0].query, []);
    assert_eq!(asked[1].query, [("pageCursor".to_owned(), "two".to_owned())]);
    assert_eq!((&asked[0].method, &asked[0].body), (&asked[1].method, &asked[1].body));
}
