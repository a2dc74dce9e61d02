//! Gives events their positions, makes their deliveries, and tells the streams.

use std::time::Duration;

use tidemark_domain::id::WebhookDeliveryId;
use tidemark_runtime::tasks::rounds;
use tidemark_store::{self as store, Endpoint, FeedEvent, NewDelivery};

use super::Shared;
use crate::service::Parts;

/// Events per transaction.
const BATCH: u64 = 200;

/// Runs until the shutdown.
pub(super) async fn feed(shared: &Shared) {
    rounds("feed", &shared.shutdown, || async {
        let numbered = round(shared).await;
        numbered.map(|numbered| if numbered == BATCH { Duration::ZERO } else { shared.settings.poll })
    })
    .await;
}

async fn round(shared: &Shared) -> store::Result<u64> {
    let parts = shared.parts();
    let numbered = if parts.store.feed_waits().await? { number(parts).await? } else { 0 };
    // Another replica may have given the positions.
    let head = parts.store.feed_head().await?.position;
    shared.head.send_if_modified(|known| std::mem::replace(known, head) != head);
    Ok(numbered)
}

async fn number(parts: &Parts) -> store::Result<u64> {
    let tx = parts.store.begin().await?;
    let events = tx.number_feed(BATCH).await?;
    if events.is_empty() {
        return Ok(0);
    }
    let endpoints = tx.receiving_webhook_endpoints().await?;
    tx.insert_deliveries(&deliveries(parts, &events, &endpoints), parts.clock.now()).await?;
    tx.commit().await?;
    Ok(events.len() as u64)
}

fn deliveries(parts: &Parts, events: &[FeedEvent], endpoints: &[Endpoint]) -> Vec<NewDelivery> {
    let pairs = events.iter().flat_map(|event| endpoints.iter().map(move |endpoint| (event, endpoint)));
    pairs
        .filter(|(event, endpoint)| endpoint.wants(&event.organization_id, &event.kind))
        .map(|(event, endpoint)| NewDelivery {
            id: WebhookDeliveryId::generate(&*parts.clock, &*parts.entropy),
            endpoint_id: endpoint.id.clone(),
            event_id: event.event_id.clone(),
            kind: event.kind.clone(),
            body: event.body.clone(),
        })
        .collect()
}
