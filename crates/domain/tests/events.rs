//! Golden files: every event version that was ever published decodes, and the present code still writes the same.

use std::path::Path;

use tidemark_domain::event::{DecodeError, Event};

#[test]
fn every_golden_event_decodes_and_is_written_the_same_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/events");
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let event = Event::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let golden: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&event.encode()).unwrap();
        assert_eq!(golden, written, "{}", path.display());
        kinds.push(event.data.kind());
    }
    kinds.sort_unstable();
    // An event that has grown has a golden file of each size.
    kinds.dedup();
    let expected = [
        "connection.connected",
        "connection.degraded",
        "connection.disconnected",
        "connection.expiring",
        "connection.reconnect_required",
        "connection.reconnected",
        "connection.recovered",
        "sync.completed",
        "sync.failed",
        "utilization.below_target",
        "utilization.data_stale",
        "utilization.over_allocated",
        "utilization.renewal_near",
        "utilization.seat_idle",
        "utilization.updated",
    ];
    assert_eq!(kinds, expected, "each event has its golden file");
}

#[test]
fn an_unknown_type_is_told_from_a_malformed_event() {
    let golden = include_bytes!("../../../tests/fixtures/events/sync.failed.v1.json");
    let unknown = String::from_utf8_lossy(golden).replace("\"sync.failed\"", "\"sync.imagined\"");
    assert!(
        matches!(Event::decode(unknown.as_bytes()), Err(DecodeError::UnknownType(kind)) if kind == "sync.imagined")
    );
    assert!(matches!(Event::decode(b"{}"), Err(DecodeError::Malformed(_))));
}

/// What a later version of the program sends is an event all the same, and no broken message.
#[test]
fn what_a_later_version_sends_is_unknown_and_not_malformed() {
    let golden = include_str!("../../../tests/fixtures/events/sync.completed.v1.json");
    let decoded = |from: &str, to: &str| {
        assert!(golden.contains(from), "{from}");
        Event::decode(golden.replace(from, to).as_bytes()).unwrap_err()
    };
    assert!(matches!(
        decoded(":v1", ":v2"),
        DecodeError::UnknownVersion { kind, version: 2 } if kind == "sync.completed"
    ));
    assert!(matches!(decoded("\"succeeded\"", "\"paused\""), DecodeError::UnknownData(_)));
    for error in [
        decoded(":v1", ":v4294967295"),
        decoded("\"succeeded\"", "7"),
        decoded("\"sync.completed\"", "\"sync.imagined\""),
    ] {
        assert!(error.is_unknown(), "{error}");
    }
    for nothing in [&b"{}"[..], b"", b"[1]", b"\xff", b"{\"type\":\"sync.completed\"}"] {
        assert!(!Event::decode(nothing).unwrap_err().is_unknown());
    }
    let burst = include_str!("../../../tests/fixtures/events/utilization.seat_idle.v2.json");
    assert!(matches!(
        Event::decode(burst.replace(":v2", ":v3").as_bytes()),
        Err(DecodeError::UnknownVersion { version: 3, .. })
    ));
}
