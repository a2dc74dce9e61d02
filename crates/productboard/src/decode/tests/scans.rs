//! The scan: what it repairs, what it bounds, and that the size of its pieces does not matter.

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{any_json, page};
use crate::decode::{Body, Scanner};
use crate::{Document, Entity, Member};

/// The envelope and the rows, as texts; fed in pieces of that size.
fn scanned(body: &[u8], piece: usize) -> (String, Vec<String>) {
    let mut scanner = Scanner::default();
    for piece in body.chunks(piece) {
        scanner.feed(piece).unwrap();
    }
    let scanned = scanner.finish();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("always UTF-8");
    (text(&scanned.envelope), scanned.rows().map(|row| text(row.json).trim().to_owned()).collect())
}

fn named(name: &[u8]) -> Vec<u8> {
    let id = Uuid::from_u128(1);
    let mut body = format!(r#"{{"data":[{{"id":"{id}","fields":{{"name":""#).into_bytes();
    body.extend(name);
    body.extend(br#"","role":"maker","disabled":false,"invitationPending":false}}],"links":{"next":null}}"#);
    body
}

#[test]
fn what_no_decoder_takes_is_repaired() {
    for (sent, expected) in [
        (r"Anna \ud83d".as_bytes(), "Anna \u{FFFD}"),
        (br"Anna \uDE00 B", "Anna \u{FFFD} B"),
        (br"\ud83d\ud83d\ude00", "\u{FFFD}\u{1F600}"),
        (br"\ud83d\n", "\u{FFFD} "),
        (br"\ud83dx\ude00", "\u{FFFD}x\u{FFFD}"),
        (br"\ud83d\u0041", "\u{FFFD}A"),
        (br"\ud83d\u12", "\u{FFFD}\u{FFFD}"),
        (b"Ann\xe9", "Ann\u{FFFD}"),
        (b"\xc3\xa9\xff\xf0\x9f\x98\x80", "é\u{FFFD}\u{1F600}"),
        (b"\xe2\x82", "\u{FFFD}"),
        (b"\xed\xa0\xbd", "\u{FFFD}"),
        (b"tab\tand\0nul", "tab and nul"),
    ] {
        let body = named(sent);
        let page = page::<Document<Member>>(&body).unwrap();
        assert_eq!(page.unreadable, []);
        assert_eq!(page.data[0].row.name.known(), Some(expected), "{}", String::from_utf8_lossy(sent));
        assert!(page.data[0].json["fields"]["name"].is_string());
    }
}

#[test]
fn a_mark_before_the_body_does_not_matter() {
    let body = [b"\xef\xbb\xbf".as_slice(), &named(b"Ada")].concat();
    assert_eq!(page::<Member>(&body).unwrap().data[0].name.known(), Some("Ada"));
}

#[test]
fn what_is_nested_too_deep_is_left_out() {
    for depth in [120, 300, 100_000] {
        for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let id = Uuid::from_u128(1);
            let body = format!(r#"{{"meta":{deep},"data":[{{"id":"{id}","type":"feature","odd":{deep}}}]}}"#);
            let page = page::<Document<Entity>>(body.as_bytes()).unwrap();
            assert_eq!((page.data.len(), page.unreadable.len()), (1, 0), "{depth} {open}");
            let row = &page.data[0];
            assert_eq!((row.row.id, row.unknown().collect::<Vec<_>>()), (id, vec!["odd".to_owned()]));
        }
    }
    let unclosed = format!(r#"{{"data":[{}"#, "[".repeat(100_000));
    assert!(page::<Entity>(unclosed.as_bytes()).is_err());
}

#[test]
fn a_long_text_is_cut_and_a_large_row_is_left_out() {
    let id = Uuid::from_u128(1);
    let row = |text: &str| format!(r#"{{"id":"{id}","type":"feature","fields":{{"name":"{text}"}}}}"#);
    let body = format!(r#"{{"data":[{},{}]}}"#, row(&"é".repeat(5 << 20)), row("short"));
    let (_, rows) = scanned(body.as_bytes(), 7_777);
    assert!(rows[0].len() < (1 << 20) + 200 && rows[0].ends_with(r#"é…"}}"#), "{}", rows[0].len());
    assert_eq!(rows[1], row("short"));

    let numbers = "1,".repeat(5 << 20);
    let body = format!(r#"{{"data":[{{"id":"{id}","x":[{numbers}1]}},{}]}}"#, row("next"));
    let mut scanner = Scanner::default();
    scanner.feed(body.as_bytes()).unwrap();
    let page = crate::decode::page::<Document<Entity>>(Body::Scanned(scanner.finish())).unwrap();
    assert_eq!((page.data.len(), page.unreadable.len()), (1, 1));
    assert_eq!(page.unreadable[0].problem, "the row is too large");
    assert_eq!(page.unreadable[0].key.id, Some(id));
}

#[test]
fn rows_are_told_from_what_looks_like_them() {
    for (body, envelope, rows) in [
        (
            r#"{"data":[1 , {"data":[2]},"],["],"links":{}}"#,
            r#"{"data":[],"links":{}}"#,
            vec!["1", r#"{"data":[2]}"#, r#""],[""#],
        ),
        (r#"{"x":"data","y":["data",[1]],"data":[]}"#, r#"{"x":"data","y":["data",[1]],"data":[]}"#, vec![]),
        (r#"{"x":{"data":[1]},"data":[2]}"#, r#"{"x":{"data":[1]},"data":[]}"#, vec!["2"]),
        (r#"["data",[1]]"#, r#"["data",[1]]"#, vec![]),
        (r#"{"data":{"rows":[1]}}"#, r#"{"data":{"rows":[1]}}"#, vec![]),
        (r#"{"data":[[1,2],[]]}"#, r#"{"data":[]}"#, vec!["[1,2]", "[]"]),
        (r#"{"data":[1"#, r#"{"data":["#, vec![]),
    ] {
        for piece in [1, 2, 1000] {
            let (its_envelope, its_rows) = scanned(body.as_bytes(), piece);
            assert_eq!(
                (its_envelope.as_str(), its_rows),
                (envelope, rows.iter().map(ToString::to_string).collect())
            );
        }
    }
}

proptest! {
    #[test]
    fn good_json_comes_out_as_it_went_in(rows in prop::collection::vec(any_json(), 0..4), around in any_json()) {
        let body = json!({ "data": rows, "zlinks": around }).to_string();
        let (envelope, its) = scanned(body.as_bytes(), 5);
        let mut sent: Value = serde_json::from_str(&body).unwrap();
        let parsed: Vec<Value> = its.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        prop_assert_eq!(Value::Array(parsed), sent["data"].take());
        sent["data"] = json!([]);
        prop_assert_eq!(serde_json::from_str::<Value>(&envelope).unwrap(), sent);
    }

    #[test]
    fn any_bytes_come_out_as_utf8_whatever_their_pieces(body: Vec<u8>, piece in 1_usize..9) {
        let body = [br#"{"data":["#.as_slice(), &body, br#""],"links":{}}"#].concat();
        prop_assert_eq!(scanned(&body, piece), scanned(&body, 1 << 20));
    }
}
