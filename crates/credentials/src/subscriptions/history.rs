//! `ListEvents`: what happened to one connection, newest first, from the feed that watchers read.

use tidemark_rpc::{self as rpc, connections as wire, identity::Identity};

use super::watch::cloud_event;
use crate::{page, refusal::Fault, service::Parts};

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
    let next_page_token = page::cut(&mut events, size, |event| event.position.to_string());
    Ok(wire::ListEventsResponse { next_page_token, events: events.into_iter().map(cloud_event).collect() })
}
