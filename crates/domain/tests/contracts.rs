//! The contracts in `proto/events` say what the code does: each event has its schema, each golden file fits it, each word
//! that the code knows is in it, and the AsyncAPI document names all of them.

#![cfg(test)]

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use tidemark_domain::{
    capability::Capability,
    connection::{CredentialKind, Reason, State},
    event::Event,
};

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn names(folder: &str, end: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    files.filter_map(|name| name.to_str()?.strip_suffix(end).map(str::to_owned)).collect()
}

/// What of the value the schema does not describe. Knows the words that these schemas use, and refuses others.
fn faults(at: &str, value: &Value, schema: &Value, found: &mut Vec<String>) {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&is) {
        found.push(format!("{at} is {is}, not {types:?}"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at} is {value}"));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        found.push(format!("{at} has no word {value}"));
    }
    for key in schema.as_object().unwrap().keys() {
        let known = [
            "$schema",
            "$id",
            "title",
            "description",
            "type",
            "const",
            "enum",
            "required",
            "properties",
            "items",
            "pattern",
            "format",
            "minimum",
        ];
        assert!(known.contains(&key.as_str()), "this test does not know `{key}`");
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            found.push(format!("{at} lacks {required}"));
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(described) => faults(&format!("{at}.{key}"), inner, described, found),
            None => found.push(format!("{at}.{key} is not described")),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        faults(&format!("{at}[]"), item, &schema["items"], found);
    }
}

#[test]
fn each_golden_event_fits_its_schema() {
    for name in names("tests/fixtures/events", ".json") {
        let golden = read(&format!("tests/fixtures/events/{name}.json"));
        let kind = golden["type"].as_str().unwrap();
        let (_, version) = golden["dataschema"].as_str().unwrap().rsplit_once(':').unwrap();
        let schema = read(&format!("proto/events/{kind}.{version}.schema.json"));
        let mut found = Vec::new();
        faults(kind, &golden, &schema, &mut found);
        assert!(found.is_empty(), "{found:#?}");
        // What the code writes now, and not only what it wrote once.
        let event = Event::decode(&serde_json::to_vec(&golden).unwrap()).unwrap();
        faults(kind, &serde_json::from_slice(&event.encode()).unwrap(), &schema, &mut found);
        assert!(found.is_empty(), "{found:#?}");
        assert_eq!(schema["$id"], golden["dataschema"]);
    }
}

#[test]
fn a_field_that_is_missing_unknown_or_of_another_type_is_found() {
    let schema = read("proto/events/sync.failed.v1.schema.json");
    let mut event = read("tests/fixtures/events/sync.failed.v1.json");
    event["data"]["reason"] = Value::from(7);
    event["data"]["more"] = Value::Null;
    event.as_object_mut().unwrap().remove("subject");
    let mut found = Vec::new();
    faults("sync.failed", &event, &schema, &mut found);
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn the_schemas_know_every_word_of_the_code() {
    let words = |schema: &str, field: &str| -> BTreeSet<String> {
        let schema = read(&format!("proto/events/{schema}.v1.schema.json"));
        let field = &schema["properties"]["data"]["properties"][field];
        let list = field["enum"].as_array().or(field["items"]["enum"].as_array()).unwrap();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let set = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let reasons = set(Reason::ALL.iter().map(|reason| reason.as_str()).collect());
    assert_eq!(words("connection.reconnect_required", "reason"), reasons);
    assert_eq!(words("connection.disconnected", "reason"), reasons);
    let capabilities = set(Capability::ALL.iter().map(|capability| capability.as_str()).collect());
    for (schema, field) in [("degraded", "capability"), ("degraded", "lost"), ("recovered", "lost")] {
        assert_eq!(words(&format!("connection.{schema}"), field), capabilities, "{schema} {field}");
    }
    let kinds = set(CredentialKind::ALL.iter().map(|kind| kind.as_str()).collect());
    assert_eq!(words("connection.expiring", "credential"), kinds);
    assert_eq!(words("connection.disconnected", "not_revoked"), kinds);
    let states = set(State::ALL.iter().map(|state| state.as_str()).collect());
    assert_eq!(words("connection.recovered", "state"), states);
}

#[test]
fn the_asyncapi_document_names_every_event() {
    let document = read("proto/events/asyncapi.json");
    let schemas = names("proto/events", ".v1.schema.json");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&document["channels"]["events"]["messages"]), schemas);
    assert_eq!(keys(&document["components"]["messages"]), schemas);
    for kind in &schemas {
        // Of two versions, the one that is sent.
        let newest = if names("proto/events", ".v2.schema.json").contains(kind) { 2 } else { 1 };
        let reference = &document["components"]["messages"][kind]["payload"]["schema"]["$ref"];
        assert_eq!(reference, &Value::from(format!("./{kind}.v{newest}.schema.json")));
    }
    let golden: BTreeSet<_> = names("tests/fixtures/events", ".json")
        .iter()
        .map(|name| name.split(".v").next().unwrap().to_owned())
        .collect();
    assert_eq!(golden, schemas, "each event has a schema and a golden file");
}
