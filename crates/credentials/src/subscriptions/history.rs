//! `ListEvents`: what happened to one connection, newest first, from the feed that watchers read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity};

use super::{page, watch::cloud_event};
use crate::{refusal::Fault, service::Parts};

const USUAL: u32 = 50;
const MOST: u32 = 200;

pub(super) async fn list(
    parts: &Parts,
    caller: &Identity,
    request: &wire::ListEventsRequest,
) -> Result<wire::ListEventsResponse, Fault> {
    let id = rpc::parse("connection_id", &request.connection_id)?;
    let before: Option<i64> = page::start(&request.page_token)?;
    let size = page::size(request.page_size, USUAL, MOST);
    parts.visible(caller, &id).await?;
    let mut events = parts.store.feed_of(&id, before, size as u64 + 1).await?;
    let more = events.len() > size;
    events.truncate(size);
    let last = events.last().filter(|_| more).map(|event| event.position.to_string());
    Ok(wire::ListEventsResponse {
        next_page_token: last.map(|position| URL_SAFE_NO_PAD.encode(position)).unwrap_or_default(),
        events: events.into_iter().map(cloud_event).collect(),
    })
}
