//! What was told of an organization's connections, as a list.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidemark_domain::{alert::KINDS, id::OrganizationId};
use tidemark_rpc::{identity::Identity, parse, status::Refusal, timestamp, utilization as wire};
use tidemark_store::{AlertFilter, AlertPlace, Store, ToldAlert};

use crate::{service::Fault, wire::share};

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

pub(crate) async fn list(
    store: &Store,
    caller: &Identity,
    asked: wire::ListAlertsRequest,
) -> Result<wire::ListAlertsResponse, Fault> {
    let organization: OrganizationId = parse("organization_id", &asked.organization_id)?;
    caller.check(&organization, "organization")?;
    let filter = filter(&asked)?;
    let after = (!asked.page_token.is_empty()).then(|| place(&asked.page_token)).transpose()?;
    let size = if asked.page_size == 0 { DEFAULT_PAGE } else { asked.page_size.min(LARGEST_PAGE) };
    // One more than shown tells whether there is a next page.
    let mut page = store.alerts_of(&organization, &filter, after.as_ref(), u64::from(size) + 1).await?;
    let more = page.len() > size as usize;
    page.truncate(size as usize);
    let next = page.last().filter(|_| more).map(|last| token(&last.place()));
    let open = store.open_alerts(&organization, &filter).await?;
    Ok(wire::ListAlertsResponse {
        alerts: page.iter().map(message).collect(),
        next_page_token: next.unwrap_or_default(),
        open: u32::try_from(open).unwrap_or(u32::MAX),
    })
}

fn filter(asked: &wire::ListAlertsRequest) -> Result<AlertFilter, Fault> {
    let connection = match &asked.connection_id[..] {
        "" => None,
        id => Some(parse("connection_id", id)?),
    };
    if asked.kinds.iter().any(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Refusal::invalid("kinds", format!("one of {}", KINDS.join(", "))).into());
    }
    Ok(AlertFilter { connection, kinds: asked.kinds.iter().cloned().collect(), open_only: asked.open_only })
}

fn token(place: &AlertPlace) -> String {
    let AlertPlace { told_at, connection_id, kind, subject } = place;
    URL_SAFE_NO_PAD.encode(format!("{} {connection_id} {kind} {subject}", told_at.to_rfc3339()))
}

fn place(token: &str) -> Result<AlertPlace, Refusal> {
    let parsed = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(4, ' ');
        Some(AlertPlace {
            told_at: parts.next()?.parse().ok()?,
            connection_id: parts.next()?.parse().ok()?,
            kind: parts.next()?.to_owned(),
            subject: parts.next()?.to_owned(),
        })
    };
    parsed().ok_or_else(|| Refusal::invalid("page_token", "the `next_page_token` of the page before"))
}

fn message(told: &ToldAlert) -> wire::Alert {
    let alert = &told.alert;
    wire::Alert {
        connection_id: told.connection_id.to_string(),
        kind: alert.kind().to_owned(),
        sentence: alert.sentence(),
        as_of: alert.as_of().map(|day| day.to_string()).unwrap_or_default(),
        member_id: alert.member_id().map(|id| id.to_string()).unwrap_or_default(),
        member_name: told.member_name.clone().unwrap_or_default(),
        told_at: Some(timestamp(told.told_at)),
        ended_at: told.ended_at.map(timestamp),
        definition_version: told.definition_version,
        share: alert.share().map(share),
    }
}
