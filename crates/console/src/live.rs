//! Server-sent events: parts of a page, rendered here, replaced there. A page works without them.

use std::{convert::Infallible, time::Duration};

use askama::Template;
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::server::Console;

/// Then the browser comes again, and its session is asked for again.
const LONGEST: Duration = Duration::from_secs(300);
/// Until a service that is away is asked again.
const COME_AGAIN: Duration = Duration::from_secs(2);

/// Waits, before a service is asked again that was away or ended its answer.
pub(crate) async fn pause() {
    sleep(COME_AGAIN).await;
}

/// What `ask` gets, once the services are there to answer.
pub(crate) async fn patiently<T, E, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    loop {
        if let Ok(answer) = ask().await {
            return answer;
        }
        pause().await;
    }
}

#[derive(Template)]
#[template(source = "{{ text }}", ext = "html")]
struct Said {
    text: String,
}

/// Sends parts to one page.
#[derive(Debug)]
pub(crate) struct Page(mpsc::Sender<Result<Event, Infallible>>);

/// The page is gone, or a part could not be made.
#[derive(Debug)]
pub(crate) struct Gone;

impl Page {
    /// Replaces the content of the element with that id.
    pub(crate) async fn part(&self, id: &str, template: &impl Template) -> Result<(), Gone> {
        let html = template.render().map_err(|error| {
            tracing::error!(%error, "a part of a page could not be made");
            Gone
        })?;
        self.send(Event::default().event(id).data(html)).await
    }

    /// Says something to those who do not see the page change.
    pub(crate) async fn say(&self, text: String) -> Result<(), Gone> {
        self.part("said", &Said { text }).await
    }

    /// There is nothing more to come: the browser does not come again.
    pub(crate) async fn end(&self) -> Result<(), Gone> {
        self.send(Event::default().event("end").data("")).await
    }

    async fn send(&self, event: Event) -> Result<(), Gone> {
        self.0.send(Ok(event)).await.map_err(|_| Gone)
    }
}

/// Answers with what `work` sends, until it ends, the browser leaves, or the server stops.
pub(crate) fn stream<F>(console: &Console, work: impl FnOnce(Page) -> F) -> Response
where
    F: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(8);
    let left = sender.clone();
    let work = work(Page(sender));
    let stop = console.stop().clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = timeout(LONGEST, work) => {}
            () = stop.cancelled() => {}
            () = left.closed() => {}
        }
    });
    let events = Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default());
    // A proxy that collects an answer before it passes it on would keep the page as it was.
    ([("x-accel-buffering", "no")], events).into_response()
}
