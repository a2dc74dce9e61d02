//! Rows that cannot be read beside rows that can.

use serde_json::{Value, json};
use uuid::Uuid;

use super::page;
use crate::decode::WirePage;
use crate::{Activity, Document, Entity, Member, Note};

fn day(number: u128) -> Value {
    json!({ "date": "2026-08-01", "domain": "acme", "memberId": Uuid::from_u128(number), "role": "maker",
            "activeFlag": true, "noteCreatedCount": 3 })
}

fn with(number: u128, field: &str, value: Value) -> Value {
    let mut row = day(number);
    row[field] = value;
    row
}

fn without(number: u128, field: &str) -> Value {
    let mut row = day(number);
    row.as_object_mut().unwrap().remove(field);
    row
}

fn among_others(odd: &Value) -> WirePage<Activity> {
    let body = json!({ "data": [day(1), odd, day(3)], "links": { "next": "?pageCursor=c" } }).to_string();
    page(body.as_bytes()).unwrap()
}

#[test]
fn an_odd_row_costs_nobody_but_itself() {
    let cases = [
        (with(2, "noteCreatedCount", json!(-1)), "noteCreatedCount", "expected u32"),
        (with(2, "boardOpenedCount", json!(1_u64 << 40)), "boardOpenedCount", "expected u32"),
        (with(2, "noteCreatedCount", json!("3")), "noteCreatedCount", "expected u32"),
        (with(2, "noteCreatedCount", json!(1.5)), "noteCreatedCount", "expected u32"),
        (with(2, "noteCreatedCount", json!([3])), "noteCreatedCount", "expected u32"),
        (with(2, "role", Value::Null), "role", "expected a word"),
        (with(2, "role", json!(" ")), "role", "expected a word"),
        (with(2, "role", json!({ "name": "maker" })), "role", "expected a word"),
        (with(2, "activeFlag", json!("yes")), "activeFlag", "expected a boolean"),
        (without(2, "role"), ".", "missing field `role`"),
    ];
    for (odd, path, problem) in cases {
        let page = among_others(&odd);
        let read: Vec<_> = page.data.iter().map(|row| row.row.member_id.as_u128()).collect();
        assert_eq!(read, [1, 3], "{odd}");
        assert_eq!(page.next_link(), Some("?pageCursor=c"));
        let row = &page.unreadable[0];
        assert_eq!((row.position, row.path.as_str(), row.problem.as_str()), (1, path, problem), "{odd}");
        assert_eq!(row.key.id, Some(Uuid::from_u128(2)), "whose day it is can still be read");
        assert_eq!(row.key.day, "2026-08-01".parse().ok());
        assert_eq!(serde_json::from_str::<Value>(&row.raw).unwrap(), odd, "kept as it came");
    }
}

#[test]
fn a_row_without_a_legible_key_says_so() {
    for (odd, has_member, has_day) in [
        (without(2, "memberId"), false, true),
        (with(2, "memberId", json!("nobody")), false, true),
        (with(2, "date", json!("2026-08-01T00:00:00Z")), true, true),
        (with(2, "date", json!("01.08.2026")), true, false),
        (with(2, "date", json!(1_785_542_400)), true, false),
        (with(2, "date", json!("2026-08-älter")), true, false),
        (json!("a row"), false, false),
        (json!([]), false, false),
        (Value::Null, false, false),
        (json!(7), false, false),
    ] {
        let page = among_others(&odd);
        assert_eq!((page.data.len(), page.unreadable.len()), (2, 1), "{odd}");
        let key = page.unreadable[0].key;
        assert_eq!((key.id.is_some(), key.day.is_some()), (has_member, has_day), "{odd}");
    }
}

#[test]
fn any_list_has_unreadable_rows() {
    let (good, odd) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let fields = json!({ "name": "Ada", "role": "maker", "disabled": false, "invitationPending": false });
    let member = json!({ "id": good, "fields": fields });
    let body =
        json!({ "data": [member, { "id": odd, "fields": { "role": null } }, { "id": 7 }] }).to_string();
    let page = page::<Document<Member>>(body.as_bytes()).unwrap();
    assert_eq!(page.data[0].row.id, good);
    let keys: Vec<_> = page.unreadable.iter().map(|row| row.key.id).collect();
    assert_eq!(keys, [Some(odd), None]);
}

#[test]
fn a_field_that_only_its_reader_knows_makes_its_row_unreadable_too() {
    let row = json!({ "id": Uuid::from_u128(4), "type": "feature", "fields": { "archived": "Ada Secret" } });
    let body = json!({ "data": [row] }).to_string();
    let document = page::<Document<Entity>>(body.as_bytes()).unwrap().data.remove(0);
    let error = document.row.fields.archived().unwrap_err();
    let row = crate::UnreadableRow::of_document(&document, &error);
    assert_eq!((row.path.as_str(), row.key.id), ("fields.archived", Some(Uuid::from_u128(4))));
    assert_eq!(row.to_string(), "expected a boolean at fields.archived");
    assert!(row.raw.contains("Ada Secret") && !format!("{row:?} {row}").contains("Secret"));
}

#[test]
fn what_is_kept_of_a_row_is_bounded_and_clean() {
    let long = json!({ "id": Uuid::from_u128(5), "name": "é\u{0}\u{202e}".repeat(100_000), "type": 7 });
    let body = json!({ "data": [long] }).to_string();
    let row = page::<Note>(body.as_bytes()).unwrap().unreadable.remove(0);
    assert!(row.raw.len() <= 8192, "{}", row.raw.len());
    assert!(!row.raw.chars().any(|character| character.is_control() || character == '\u{202e}'));
    assert!(!row.raw.contains("u0000") && row.raw.contains('é'));
}

#[test]
fn the_id_of_a_row_that_is_no_json_is_legible_where_it_stands_first() {
    let id = Uuid::from_u128(6);
    let body = format!(r#"{{"data":[{{"id":"{id}","type":textNote}},{{"type":x,"id":"{id}"}}]}}"#);
    let page = page::<Note>(body.as_bytes()).unwrap();
    let keys: Vec<_> = page.unreadable.iter().map(|row| row.key.id).collect();
    assert_eq!(keys, [Some(id), None]);
}
