//! A secret that the same caller gets again and again: what waits at the same moment, and differs in its time and request
//! only, becomes one entry that counts and names the requests. A busy caller then costs one row for some milliseconds.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Entry, Moment, Timed, Told, Waiting};

/// Joins the releases, which nobody waits for any more.
pub(super) fn joined(batch: Vec<Waiting>) -> Vec<Waiting> {
    let mut all = Vec::with_capacity(batch.len());
    let mut releases: HashMap<Entry, Vec<Moment>> = HashMap::new();
    for Waiting { timed, told } in batch {
        match told {
            Told::Later => releases.entry(timed.entry).or_default().extend(timed.times),
            _ => all.push(Waiting { timed, told }),
        }
    }
    let releases = releases.into_iter().map(|(entry, times)| Timed { entry, times });
    all.extend(releases.map(|timed| Waiting { timed, told: Told::Later }));
    all.sort_by_key(|waiting| waiting.timed.at());
    all
}

/// The details of an entry as they are written down. One that counts has `times`, the time of the last as `until`, and the
/// requests after the first as `requests`.
pub(super) fn details(timed: &Timed) -> String {
    #[derive(Serialize)]
    struct Details<'a> {
        #[serde(flatten)]
        told: BTreeMap<&'static str, &'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        times: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        requests: Vec<&'a str>,
    }
    let mut requests = timed.times.iter().map(|moment| moment.request.as_deref());
    let request = requests.next().flatten();
    let last = timed.times[1..].iter().map(|moment| moment.at).max();
    let details = Details {
        told: timed.entry.details.iter().map(|(key, value)| (*key, &value[..])).collect(),
        request,
        times: last.map(|_| timed.times.len()),
        until: last.map(|last| last.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        requests: requests.flatten().collect(),
    };
    serde_json::to_string(&details).expect("texts and a number")
}
