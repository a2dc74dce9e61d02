//! From bytes to a page. A failure names the JSON path and what was expected there, never the value that was found:
//! values may be personal data.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A page as the vendor sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct WirePage<T> {
    pub(crate) data: Vec<T>,
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct Links {
    next: Option<String>,
}

impl<T> WirePage<T> {
    /// The link to the next page, if there is one.
    pub(crate) fn next_link(&self) -> Option<&str> {
        self.links.as_ref()?.next.as_deref()
    }
}

/// A body that is not of the documented shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Undecodable {
    pub(crate) path: String,
    pub(crate) problem: String,
}

pub(crate) fn page<T: DeserializeOwned>(body: &[u8]) -> Result<WirePage<T>, Undecodable> {
    let json = &mut serde_json::Deserializer::from_slice(body);
    let page = serde_path_to_error::deserialize(&mut *json).map_err(|error| {
        let path = error.path().to_string();
        Undecodable { path, problem: problem(error.inner()) }
    })?;
    json.end().map_err(|error| Undecodable { path: ".".to_owned(), problem: problem(&error) })?;
    Ok(page)
}

/// The part of the message that does not repeat the value.
fn problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Activity, Member, Team};

    fn undecodable<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> (String, String) {
        let Undecodable { path, problem } = page::<T>(body.as_bytes()).unwrap_err();
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
        assert_eq!(undecodable::<Member>(&member), pair("data[0].fields.disabled", "expected a boolean"));
        let row = r#"{"data":[{"date":"2026-03-05","noteCreatedCount":-4}]}"#;
        assert_eq!(undecodable::<Activity>(row), pair("data[0].noteCreatedCount", "expected u32"));
        assert_eq!(undecodable::<Team>(r#"{"data":[{}]}"#), pair("data[0]", "missing field `id`"));
        assert_eq!(undecodable::<Team>("{}"), pair(".", "missing field `data`"));
        assert_eq!(undecodable::<Team>("<html>"), pair(".", "expected value"));
        assert_eq!(undecodable::<Team>(r#"{"data":[]} {"#).0, ".");
    }

    #[test]
    fn the_next_link_may_be_null_absent_or_there() {
        for body in [r#"{"data":[]}"#, r#"{"data":[],"links":{}}"#, r#"{"data":[],"links":{"next":null}}"#] {
            assert_eq!(page::<Team>(body.as_bytes()).unwrap().next_link(), None, "{body}");
        }
        let body = r#"{"data":[],"links":{"next":"/x?pageCursor=c","prev":null},"meta":1}"#;
        assert_eq!(page::<Team>(body.as_bytes()).unwrap().next_link(), Some("/x?pageCursor=c"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body: Vec<u8>) {
            let _ = page::<Member>(&body);
            let _ = page::<Activity>(&body);
        }

        #[test]
        fn no_damage_to_a_good_body_panics(at in 0_usize..200, byte: u8) {
            let mut body = br#"{"data":[{"id":"00000000-0000-0000-0000-000000000001","date":"2026-03-05","domain":"d",
                "memberId":"00000000-0000-0000-0000-000000000001","role":"maker","activeFlag":true}],"links":{}}"#.to_vec();
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
            let _ = page::<Activity>(&body);
        }
    }
}
