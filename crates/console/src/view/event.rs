//! What happened, in words.

use serde::Deserialize;
use tidemark_rpc::connections::CloudEvent;

use super::{Moment, Tone, moment, sentence};

/// One event of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) at: Option<Moment>,
    pub(crate) what: String,
    pub(crate) tone: Tone,
    /// Why, or as of when; empty where there is nothing to add.
    pub(crate) detail: String,
    /// The sync that it is about; empty where it is about none.
    pub(crate) run: String,
}

/// What is said of the data of all kinds of events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    reason: String,
    run_id: String,
    as_of: Option<String>,
    /// Of seats that went idle, since these are announced together.
    total: Option<u64>,
}

impl From<&CloudEvent> for Happened {
    fn from(event: &CloudEvent) -> Self {
        let data: Data = serde_json::from_str(&event.data).unwrap_or_default();
        let (what, tone) = words(&event.r#type);
        let as_of = data.as_of.as_deref().and_then(Moment::day);
        let detail = match as_of {
            Some(day) if data.reason.is_empty() => format!("as of {}", day.person),
            // Codes are for programs: the connection's page has the sentence.
            _ if data.reason.contains(' ') => data.reason,
            _ => data.reason.replace('_', " "),
        };
        let what = match data.total.filter(|_| event.r#type == "utilization.seat_idle") {
            Some(total) if total > 1 => format!("{total} paid seats went idle"),
            _ => what.map_or_else(|| sentence(&event.r#type.replace('.', " ")), str::to_owned),
        };
        Self { at: moment!(event.time), what, tone, detail, run: data.run_id }
    }
}

/// None for kinds that are newer than this console.
fn words(kind: &str) -> (Option<&'static str>, Tone) {
    let (what, tone) = match kind {
        "connection.connected" => ("Connected", Tone::Good),
        "connection.expiring" => ("Its access ends soon", Tone::Warn),
        "connection.degraded" => ("It can read less than before", Tone::Warn),
        "connection.recovered" => ("It can read everything again", Tone::Good),
        "connection.reconnect_required" => ("It needs a reconnect", Tone::Bad),
        "connection.reconnected" => ("Reconnected", Tone::Good),
        "connection.disconnected" => ("Disconnected", Tone::Quiet),
        "sync.completed" => ("A sync ended", Tone::Good),
        "sync.failed" => ("A sync failed", Tone::Bad),
        "utilization.updated" => ("The numbers were updated", Tone::Quiet),
        "utilization.below_target" => ("Fewer seats are used than the target", Tone::Warn),
        "utilization.seat_idle" => ("A paid seat went idle", Tone::Warn),
        "utilization.over_allocated" => ("More seats are assigned than were bought", Tone::Warn),
        "utilization.renewal_near" => ("The contract renews soon", Tone::Warn),
        "utilization.data_stale" => ("The numbers are getting old", Tone::Warn),
        _ => return (None, Tone::Quiet),
    };
    (Some(what), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_happened_and_why() {
        let event = |kind: &str, data: &str| {
            let event = CloudEvent { r#type: kind.to_owned(), data: data.to_owned(), ..Default::default() };
            let happened = Happened::from(&event);
            (happened.what, happened.detail, happened.run)
        };
        let told = |what: &str, detail: &str, run: &str| (what.to_owned(), detail.to_owned(), run.to_owned());
        let failed = event("sync.failed", r#"{"run_id":"run_1","reason":"No list came."}"#);
        assert_eq!(failed, told("A sync failed", "No list came.", "run_1"));
        let lost = event("connection.reconnect_required", r#"{"reason":"key_rejected","generation":1}"#);
        assert_eq!(lost, told("It needs a reconnect", "key rejected", ""));
        let updated = event("utilization.updated", r#"{"as_of":"2026-03-03"}"#);
        assert_eq!(updated, told("The numbers were updated", "as of 3 Mar 2026", ""));
        let idle = |data: &str| event("utilization.seat_idle", data).0;
        assert_eq!(idle(r#"{"as_of":"2026-03-03","total":3001,"seats":[]}"#), "3001 paid seats went idle");
        assert_eq!(idle(r#"{"as_of":"2026-03-03","total":1,"seats":[]}"#), "A paid seat went idle");
        assert_eq!(idle(r#"{"as_of":"2026-03-03","state":"dormant"}"#), "A paid seat went idle", "version 1");
        assert_eq!(event("seat.dusted", "nonsense"), told("Seat dusted", "", ""), "newer than this console");
    }
}
