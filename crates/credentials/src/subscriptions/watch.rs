//! The events service. `WatchConnections` tells events as they happen, each at least once, from where the caller left off.
//!
//! A stream holds a position and a few messages; whoever reads slowly is waited for. It ends with the shutdown, and the
//! caller goes on at another process with its last token.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use serde_json::Value;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::{
    self as rpc,
    connections::{self as wire, events_service_server::EventsService},
    identity::Identity,
    status::Refusal,
};
use tidemark_store::{FeedEvent, FeedHead};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Shared, SubscriptionService, history};
use crate::{refusal::Fault, service::Parts};

/// Messages that wait for the caller.
const BUFFER: usize = 16;
/// Events read at once.
const PAGE: u64 = 100;
/// How often the caller's token is looked up again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const TOKEN: &str = "v1.";

type Message = Result<wire::WatchConnectionsResponse, Status>;

#[tonic::async_trait]
impl EventsService for SubscriptionService {
    type WatchConnectionsStream = ReceiverStream<Message>;

    async fn watch_connections(
        &self,
        request: Request<wire::WatchConnectionsRequest>,
    ) -> Result<Response<Self::WatchConnectionsStream>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        let organization = organization(&request.organization_id, &caller)?;
        let token = position(&request.resume_token)?;
        let shared = Arc::clone(&self.0);
        let answer = self.0.credentials.answer("WatchConnections", |parts| async move {
            let head = parts.store.feed_head().await?;
            let position = token.unwrap_or(head.position);
            within(position, head)?;
            let (sender, receiver) = mpsc::channel(BUFFER);
            let stream = Stream { shared, caller, organization, position, sender, told_at: Instant::now() };
            tokio::spawn(stream.tell());
            Ok(ReceiverStream::new(receiver))
        });
        answer.await
    }

    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Result<Response<wire::ListEventsResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        let work = |parts: Arc<Parts>| async move { history::list(&parts, &caller, &request).await };
        self.0.credentials.answer("ListEvents", work).await
    }
}

fn organization(asked: &str, caller: &Identity) -> Result<Option<OrganizationId>, Status> {
    if asked.is_empty() {
        return Ok(None);
    }
    let organization = rpc::parse("organization_id", asked)?;
    if caller.check(&organization, "organization").is_ok() {
        Ok(Some(organization))
    } else {
        Err(Refusal::NotFound { what: "organization" }.into())
    }
}

fn token(position: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{TOKEN}{position}"))
}

fn position(token: &str) -> Result<Option<i64>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let position =
        bytes.and_then(|text| text.strip_prefix(TOKEN)?.parse().ok()).filter(|position| *position >= 0);
    let expected =
        "send `resume_token` of the last message unchanged, or nothing to begin with what happens now";
    position.map(Some).ok_or_else(|| Refusal::invalid("resume_token", expected))
}

/// Refuses a position behind which something may be missing.
fn within(position: i64, head: FeedHead) -> Result<(), Refusal> {
    let what = if position < head.forgotten {
        "Events after this resume token are no longer kept."
    } else if position > head.position {
        "This resume token is ahead of every event: the database was restored to an earlier time."
    } else {
        return Ok(());
    };
    let sentence = format!(
        "{what} Watch without a resume token, and then list the connections: their states say what the missed events \
         would have said."
    );
    Err(Refusal::OutOfRange { sentence })
}

/// One caller's stream.
struct Stream {
    shared: Arc<Shared>,
    caller: Identity,
    organization: Option<OrganizationId>,
    /// Everything up to here was told, or is not the caller's to see.
    position: i64,
    sender: mpsc::Sender<Message>,
    /// When something was last sent.
    told_at: Instant,
}

impl Stream {
    async fn tell(mut self) {
        let end = self.until_the_end().await;
        // Whoever does not read learns from the end of the stream.
        if let Err(status) = end {
            let _ = self.sender.try_send(Err(status));
        }
    }

    /// Ends with what the caller is told, or without a word when the caller is gone.
    async fn until_the_end(&mut self) -> Result<(), Status> {
        let mut head = self.shared.head.subscribe();
        let shutdown = self.shared.shutdown.soft().clone();
        let mut look = tokio::time::interval(LOOK_AGAIN);
        self.send(heartbeat(self.position)).await?;
        // What a resume token left out is there to be read although nothing moves.
        let mut is_behind = true;
        loop {
            let reached = *head.borrow_and_update();
            if is_behind || reached > self.position {
                self.catch_up(reached).await?;
                is_behind = false;
            }
            let silent_until = self.told_at + self.shared.settings.heartbeat;
            tokio::select! {
                moved = head.changed() => moved.map_err(|_| stopping())?,
                _ = look.tick() => self.caller.still_stands().await?,
                () = tokio::time::sleep_until(silent_until) => self.send(heartbeat(self.position)).await?,
                () = self.sender.closed() => return Ok(()),
                () = shutdown.cancelled() => return Err(stopping()),
            }
        }
    }

    /// Tells all that can be read; `reached` is a position that could be before.
    async fn catch_up(&mut self, reached: i64) -> Result<(), Status> {
        loop {
            let page = self.page().await.map_err(|fault| fault.into_status("WatchConnections"))?;
            let full = page.len() as u64 == PAGE;
            for event in page {
                let position = event.position;
                if self.caller.may_see(&event.organization_id) {
                    self.send(message(event)).await?;
                }
                self.position = position;
            }
            if !full {
                // Behind the last event of one's own, there were only events of others.
                self.position = self.position.max(reached);
                return Ok(());
            }
        }
    }

    async fn page(&self) -> Result<Vec<FeedEvent>, Fault> {
        let store = &self.shared.parts().store;
        let page = store.feed_after(self.position, self.organization.as_ref(), PAGE).await?;
        // Asked afterwards: what was not forgotten by now was there to be read.
        let head = store.feed_head().await?;
        within(self.position, head)?;
        Ok(page)
    }

    async fn send(&mut self, message: wire::WatchConnectionsResponse) -> Result<(), Status> {
        self.told_at = Instant::now();
        tokio::select! {
            // A caller that is gone needs no word; the next wait notices.
            sent = self.sender.send(Ok(message)) => sent.map_err(|_| stopping()),
            () = self.shared.shutdown.soft().cancelled() => Err(stopping()),
        }
    }
}

fn stopping() -> Status {
    let what = "this process is stopping, and".into();
    Refusal::Unavailable { what, retry_after: Duration::from_millis(200) }.into()
}

fn heartbeat(position: i64) -> wire::WatchConnectionsResponse {
    wire::WatchConnectionsResponse {
        resume_token: token(position),
        event: None,
        organization_id: String::new(),
    }
}

fn message(event: FeedEvent) -> wire::WatchConnectionsResponse {
    wire::WatchConnectionsResponse {
        resume_token: token(event.position),
        organization_id: event.organization_id.to_string(),
        event: Some(cloud_event(event)),
    }
}

/// The event as it was written, of types that this version does not know, too.
pub(super) fn cloud_event(event: FeedEvent) -> wire::CloudEvent {
    let body: Value = serde_json::from_slice(&event.body).unwrap_or_else(|error| {
        tracing::error!(event = %event.event_id, error = &error as &dyn StdError, "a stored event is no JSON");
        Value::Null
    });
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let time = DateTime::parse_from_rfc3339(&text("time")).ok();
    wire::CloudEvent {
        id: event.event_id.to_string(),
        source: text("source"),
        spec_version: text("specversion"),
        r#type: event.kind,
        subject: event.connection_id.to_string(),
        time: time.map(|time| rpc::timestamp(time.to_utc())),
        data_content_type: text("datacontenttype"),
        data_schema: text("dataschema"),
        data: body["data"].to_string(),
    }
}
