//! What happens in an organization, as it happens: what keeps open pages up to date.

use std::time::Duration;

use tidemark_rpc::{
    client::Signed,
    connections::{
        CloudEvent, WatchConnectionsRequest, WatchConnectionsResponse,
        events_service_client::EventsServiceClient,
    },
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Streaming};

use crate::{live, visitor::Visitor};

/// A rollup may tell of a thousand seats at once: the page is made once for all of them.
const TOGETHER: Duration = Duration::from_millis(250);

/// What happens in an organization.
pub(super) struct Watch {
    events: EventsServiceClient<Signed>,
    organization_id: String,
    resume_token: String,
    stream: Option<Streaming<WatchConnectionsResponse>>,
}

impl Watch {
    pub(super) fn of(visitor: &Visitor) -> Self {
        Self {
            events: visitor.services.credentials.events(),
            organization_id: visitor.organization.to_string(),
            resume_token: String::new(),
            stream: None,
        }
    }

    /// What happened next, to one connection or to any; what comes together is told together. Nothing is the beginning:
    /// from now on nothing is missed.
    pub(super) async fn news(&mut self, connection: Option<&str>) -> Vec<CloudEvent> {
        let is_asked_for = |event: &CloudEvent| connection.is_none_or(|id| event.subject == id);
        let first = loop {
            match self.next().await {
                None => return Vec::new(),
                Some(event) if is_asked_for(&event) => break event,
                Some(_) => {}
            }
        };
        let mut news = vec![first];
        let end = Instant::now() + TOGETHER;
        while let Ok(Some(event)) = timeout_at(end, self.next()).await {
            if is_asked_for(&event) {
                news.push(event);
            }
        }
        news
    }

    /// The next event; none at the beginning.
    async fn next(&mut self) -> Option<CloudEvent> {
        loop {
            let Some(stream) = &mut self.stream else {
                if self.begin().await {
                    return None;
                }
                continue;
            };
            match stream.message().await {
                Ok(Some(message)) => {
                    self.resume_token = message.resume_token;
                    if message.event.is_some() {
                        return message.event;
                    }
                }
                Ok(None) | Err(_) => self.stream = None,
            }
        }
    }

    /// Begins, or goes on where it was; tells whether something may have been missed.
    async fn begin(&mut self) -> bool {
        let request = WatchConnectionsRequest {
            organization_id: self.organization_id.clone(),
            resume_token: self.resume_token.clone(),
        };
        match self.events.watch_connections(request).await {
            Ok(stream) => {
                self.stream = Some(stream.into_inner());
                return self.resume_token.is_empty();
            }
            Err(status) if status.code() == Code::OutOfRange => self.resume_token.clear(),
            Err(_) => {}
        }
        live::pause().await;
        false
    }
}
