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
