//! The decoder against wrong shapes, wrong bytes and everything proptest comes up with.

mod rows;
mod scans;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::*;
use crate::paging::Trail;
use crate::refusal::Envelope;
use crate::{
    Activity, Configuration, Entity, EntityType, Member, Note, NoteType, Relationship, SelectValue, Team,
    TeamMember, Webhook,
};

fn page<T: DeserializeOwned>(bytes: &[u8]) -> Result<WirePage<T>, Undecodable> {
    super::page(Body::Plain(bytes.to_vec()))
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Undecodable> {
    whole(&Body::Plain(bytes.to_vec()))
}

fn undecodable<T: DeserializeOwned>(body: &str) -> (String, String) {
    let Undecodable { path, problem, .. } = page::<T>(body.as_bytes()).err().unwrap();
    (path, problem)
}

fn pair(path: &str, problem: &str) -> (String, String) {
    (path.to_owned(), problem.to_owned())
}

#[test]
fn the_path_is_named_and_the_value_is_not() {
    let id = "00000000-0000-0000-0000-000000000001";
    let member =
        format!(r#"{{"data":[{{"id":"{id}","fields":{{"role":"maker","disabled":"Ada Secret"}}}}]}}"#);
    assert_eq!(unreadable::<Member>(&member), pair("fields.disabled", "expected a boolean"));
    let row = r#"{"data":[{"date":"2026-03-05","noteCreatedCount":-4}]}"#;
    assert_eq!(unreadable::<Activity>(row), pair("noteCreatedCount", "expected u32"));
    assert_eq!(unreadable::<Team>(r#"{"data":[{}]}"#), pair(".", "missing field `id`"));
    let entity = format!(r#"{{"data":[{{"id":"{id}","type":7}}]}}"#);
    assert_eq!(unreadable::<Entity>(&entity), pair("type", "expected a word"));
    assert_eq!(undecodable::<Team>("{}"), pair(".", "missing field `data`"));
    assert_eq!(undecodable::<Team>("<html>"), pair(".", "expected value"));
    assert_eq!(undecodable::<Team>(r#"{"data":{"id":1}}"#).0, "data");
    assert_eq!(undecodable::<Team>(r#"{"data":[]} {"#).0, ".");
}

fn unreadable<T: DeserializeOwned>(body: &str) -> (String, String) {
    let row = page::<T>(body.as_bytes()).unwrap().unreadable.remove(0);
    (row.path, row.problem)
}

#[test]
fn the_next_link_may_be_null_absent_or_there() {
    for body in [r#"{"data":[]}"#, r#"{"data":[],"links":{}}"#, r#"{"data":[],"links":{"next":null}}"#] {
        assert_eq!(page::<Team>(body.as_bytes()).unwrap().next_link(), None, "{body}");
    }
    let body = r#"{"data":[],"links":{"next":"/x?pageCursor=c","prev":null},"meta":1}"#;
    assert_eq!(page::<Team>(body.as_bytes()).unwrap().next_link(), Some("/x?pageCursor=c"));
}

#[test]
fn a_body_that_ends_too_early_is_a_fault_on_the_way() {
    let whole =
        r#"{"data":[{"id":"00000000-0000-0000-0000-000000000001","fields":{"name":"Core"}}],"links":{}}"#;
    let operation = crate::operation::LIST_TEAMS;
    for end in 0..whole.len() {
        let undecodable = page::<Team>(&whole.as_bytes()[..end]).err().unwrap();
        let error = undecodable.into_error(operation, None);
        assert!(matches!(error, Error::Transient { .. }), "{end}: {error:?}");
    }
    page::<Team>(whole.as_bytes()).unwrap();
}

/// Decodes as everything there is; says whether anything did.
fn decodes(bytes: &[u8]) -> bool {
    let mut good = reads_all::<Member>(bytes) | reads_all::<Activity>(bytes);
    good |= reads_all::<Team>(bytes);
    good |= reads_all::<TeamMember>(bytes);
    good |= reads_all::<Entity>(bytes);
    good |= reads_all::<Note>(bytes)
        && page::<Note>(bytes).is_ok_and(|page| page.data.iter().all(|note| note.content().is_ok()));
    good |= reads_all::<Configuration<EntityType>>(bytes);
    good |= reads_all::<Configuration<NoteType>>(bytes);
    good |= body::<WireOne<Entity>>(bytes).is_ok_and(|answer| reads(&answer.data));
    Envelope::read(bytes, str::to_owned);
    if let Ok(page) = page::<IgnoredAny>(bytes) {
        let _ = Trail::default().advance(page.next_link(), std::iter::empty());
    }
    good |= reads_all::<SelectValue>(bytes);
    good |= reads_all::<Relationship>(bytes);
    good |= reads_all::<Webhook>(bytes);
    good
}

fn reads_all<T: DeserializeOwned>(bytes: &[u8]) -> bool {
    page::<T>(bytes).is_ok_and(|page| page.unreadable.is_empty())
}

/// Reads every field that has a type; says whether all of them were of it.
fn reads(entity: &Entity) -> bool {
    let fields = &entity.fields;
    fields.name().is_ok()
        && fields.archived().is_ok()
        && fields.owner().is_ok()
        && fields.status().is_ok()
        && fields.teams().is_ok()
        && fields.timeframe().is_ok()
        && fields.health().is_ok()
        && fields.progress().is_ok()
        && fields.work_progress().is_ok()
}

/// The names that the decoders look for, and one that they do not.
const NAMES: [&str; 26] = [
    "id",
    "type",
    "fields",
    "links",
    "data",
    "next",
    "name",
    "email",
    "role",
    "disabled",
    "invitationPending",
    "teams",
    "date",
    "memberId",
    "activeFlag",
    "noteCreatedCount",
    "relationships",
    "target",
    "metadata",
    "source",
    "createdAt",
    "values",
    "notification",
    "events",
    "content",
    "surprise",
];

fn word() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("00000000-0000-0000-0000-000000000001")),
        Just(json!("2026-03-05")),
        Just(json!("2026-05-30T11:58:35.855455Z")),
        Just(json!("[redacted]")),
        Just(json!("feature")),
        Just(json!("https://acme.productboard.com/x?pageCursor=c")),
        ".{0,12}".prop_map(Value::from),
    ]
}

/// Any JSON, with names and words that get it past the first checks now and then.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word(),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| {
        let name = prop::sample::select(NAMES.as_slice()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A good row of each kind, to be damaged.
fn good_rows() -> Vec<Value> {
    let id = "00000000-0000-0000-0000-000000000001";
    let time = "2026-05-30T11:58:35.855455Z";
    let links = json!({ "self": "x", "html": "https://acme.productboard.com/m/7" });
    let related = json!({ "data": [{ "type": "parent", "target": { "id": id, "type": "product" } }],
                          "links": { "next": "/x?pageCursor=c" } });
    vec![
        json!({ "id": id, "fields": { "name": "Ada", "email": "[redacted]", "role": "maker", "disabled": false,
                "invitationPending": false, "teams": [{ "id": id }] }, "links": links }),
        json!({ "date": "2026-03-05", "domain": "d", "memberId": id, "role": "maker", "activeFlag": true,
                "noteCreatedCount": 3 }),
        json!({ "id": id, "type": "feature", "fields": { "name": "Undo", "owner": { "id": id } },
                "relationships": related, "metadata": { "source": { "system": "jira" } }, "createdAt": time }),
        json!({ "id": id, "type": "textNote", "fields": { "content": [], "createdAt": time }, "relationships": [] }),
        json!({ "type": "feature", "fields": { "status": { "id": "status", "name": "Status", "values":
                { "data": [{ "id": id, "name": "Planned" }], "links": {} } } }, "filters": [{ "name": "x" }] }),
        json!({ "id": id, "fields": { "name": "w", "events": [{ "eventType": "note.created" }],
                "notification": { "url": "https://x.example", "version": 1 } }, "createdAt": time }),
    ]
}

#[test]
fn the_good_rows_decode() {
    for row in good_rows() {
        assert!(decodes(json!({ "data": [row] }).to_string().as_bytes()), "{row}");
    }
}

/// A JSON text of any code units, unpaired surrogates and NUL among them.
fn any_text() -> impl Strategy<Value = String> {
    let unit = prop_oneof![
        any::<char>().prop_map(|it| {
            let quoted = serde_json::to_string(&it.to_string()).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        }),
        (0_u16..0x20).prop_map(|it| format!("\\u{it:04x}")),
        (0xd800_u16..0xe000).prop_map(|it| format!("\\u{it:04x}")),
        (0x2020_u16..0x2070).prop_map(|it| format!("\\u{it:04x}")),
    ];
    prop::collection::vec(unit, 0..500).prop_map(|units| format!("\"{}\"", units.concat()))
}

fn is_fit(text: &str, longest: usize) -> bool {
    let is_bad =
        |it: char| it.is_control() || matches!(it, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().count() <= longest && !text.chars().any(is_bad)
}

proptest! {
    /// Whatever a vendor writes as a name, a role, a team's name or a status: what is let in is fit to be kept, and is
    /// let in again as it is.
    #[test]
    fn texts_are_fit_to_be_kept_and_stay_as_they_are(name in any_text(), role in any_text()) {
        let id = uuid::Uuid::nil();
        let sent = format!(
            r#"{{"data":[{{"id":"{id}","fields":{{"name":{name},"role":{role},"email":{name}}}}}]}}"#
        );
        let read = page::<Member>(sent.as_bytes()).unwrap();
        for member in &read.data {
            let name = member.name.known().unwrap_or_default();
            prop_assert!(is_fit(name, 320) && is_fit(member.role.as_str(), 100), "{member:?}");
            let again = json!({ "data": [{ "id": id, "fields": { "name": name, "role": member.role.as_str() } }] });
            let again = page::<Member>(again.to_string().as_bytes()).unwrap();
            prop_assert_eq!((&again.data[0].name, &again.data[0].role), (&member.name, &member.role));
        }
        let sent = format!(r#"{{"data":[{{"id":"{id}","fields":{{"name":{name},"handle":{role}}}}}]}}"#);
        for team in page::<Team>(sent.as_bytes()).unwrap().data {
            prop_assert!(is_fit(&team.name, 320) && team.handle.is_none_or(|handle| is_fit(&handle, 320)));
        }
        let status = format!(
            r#"{{"data":[{{"id":"{id}","type":"feature","fields":{{"status":{{"id":"{id}","name":{name}}}}}}}]}}"#
        );
        for entity in page::<Entity>(status.as_bytes()).unwrap().data {
            let status = entity.fields.status().unwrap().unwrap();
            prop_assert!(is_fit(status.name.known().unwrap_or_default(), 320));
        }
    }

    #[test]
    fn no_bytes_panic(body: Vec<u8>) {
        decodes(&body);
    }

    #[test]
    fn no_json_panics(row in any_json(), links in any_json()) {
        decodes(json!({ "data": [row], "links": links }).to_string().as_bytes());
    }

    #[test]
    fn no_damage_to_a_good_body_panics(which in 0_usize..6, at: prop::sample::Index, byte: u8) {
        let mut body = json!({ "data": [good_rows().swap_remove(which)] }).to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        decodes(&body);
    }
}
