//! The gate around a server: what strangers do costs only strangers, and nobody takes everything.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tidemark_domain::id::{OrganizationId, TokenId};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codegen::{Bytes, http},
    transport::Channel,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Service as _, ServiceExt as _};

use crate::{
    client::Caller,
    connections::{
        ListEventsRequest, ListEventsResponse, WatchConnectionsRequest, WatchConnectionsResponse,
        events_service_server::{EventsService, EventsServiceServer},
    },
    guard::{Denial, Directory, Guard, Registered, Unanswered, tests::Fixed},
    inproc,
    limit::{Limits, Rate},
    server::{Listen, Server},
};

const TOKEN: &str = "the-token-of-our-services";
const UNLIMITED: Rate = Rate { per_second: 0, burst: 0 };

#[derive(Debug)]
struct Nobody;

#[tonic::async_trait]
impl Directory for Nobody {
    async fn find(&self, _: &TokenId) -> Result<Option<Registered>, Unanswered> {
        Ok(None)
    }

    fn used(&self, _: &TokenId) {}

    fn denied(&self, _: Denial) {}
}

/// Streams that say nothing, and calls that are answered at once.
struct Quiet;

#[tonic::async_trait]
impl EventsService for Quiet {
    type WatchConnectionsStream = ReceiverStream<Result<WatchConnectionsResponse, Status>>;

    async fn watch_connections(
        &self,
        _: Request<WatchConnectionsRequest>,
    ) -> Result<Response<Self::WatchConnectionsStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move { sender.closed().await });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_events(
        &self,
        _: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Ok(Response::new(ListEventsResponse::default()))
    }
}

fn served(calls: Rate) -> (Channel, CancellationToken) {
    let limits = Limits::new(4, calls, UNLIMITED);
    let guard = Guard::with(&SecretString::from(TOKEN), Arc::new(Nobody), limits);
    let (channel, incoming) = inproc::pair();
    let stop = CancellationToken::new();
    let server = Server::new(guard).with(EventsServiceServer::new(Quiet));
    tokio::spawn(server.serve(Listen::Inproc(incoming), stop.clone()));
    (channel, stop)
}

fn caller(channel: &Channel) -> Caller {
    Caller::over(channel.clone(), &SecretString::from(TOKEN)).unwrap()
}

/// A request whose message never comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        std::task::Poll::Pending
    }
}

/// Begins a call that says nothing, and waits for the code of its answer.
async fn idle(mut channel: Channel, path: &'static str) -> Code {
    let request = http::Request::post(format!("http://inproc{path}"))
        .header("content-type", "application/grpc")
        .body(Body::new(Never))
        .unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

async fn health(channel: &Channel) -> Code {
    let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(start_paused = true)]
async fn strangers_who_say_nothing_refuse_nobody_who_is_known() {
    let (channel, _stop) = served(UNLIMITED);
    let mut idle_calls = tokio::task::JoinSet::new();
    let (other, mut events) = (channel.clone(), caller(&channel).events());
    for path in ["/grpc.health.v1.Health/Check", "/tidemark.connections.v1.EventsService/ListEvents"] {
        for _ in 0..400 {
            idle_calls.spawn(idle(other.clone(), path));
        }
    }
    // Those that are over are refused at once; 64 wait for nothing.
    let mut codes = std::collections::BTreeMap::<i32, u32>::new();
    for _ in 0..800 - 64 {
        *codes.entry(idle_calls.join_next().await.unwrap().unwrap() as i32).or_default() += 1;
    }
    let expected = [(Code::ResourceExhausted as i32, 336), (Code::Unauthenticated as i32, 400)];
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(health(&channel).await, Code::ResourceExhausted);
    for _ in 0..20 {
        events.list_events(ListEventsRequest::default()).await.unwrap();
    }
    // And these end within seconds.
    let began = tokio::time::Instant::now();
    while let Some(code) = idle_calls.join_next().await {
        assert_eq!(code.unwrap(), Code::DeadlineExceeded);
    }
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(health(&channel).await, Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_open_to_everybody_ends_after_a_minute() {
    let (channel, _stop) = served(UNLIMITED);
    let request = HealthCheckRequest::default();
    let mut watched = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    watched.message().await.unwrap().unwrap();
    let began = tokio::time::Instant::now();
    let ended = watched.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
    assert!(began.elapsed() <= Duration::from_secs(61), "{:?}", began.elapsed());
}

#[tokio::test]
async fn one_organization_has_not_all_the_streams() {
    let (channel, _stop) = served(UNLIMITED);
    let [one, two] = [1, 2].map(|seed| OrganizationId::generate(&Fixed(seed), &Fixed(seed)));
    let watch = async |organization: &OrganizationId| {
        let mut events = caller(&channel).within(organization).events();
        events.watch_connections(WatchConnectionsRequest::default()).await.map(Response::into_inner)
    };
    let mut streams = Vec::new();
    for _ in 0..125 {
        streams.push(watch(&one).await.unwrap());
    }
    let refused = watch(&one).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("for this organization"), "{refused:?}");
    watch(&two).await.unwrap();
    drop(streams);
    // The places come back as the server hears of it.
    let again = tokio::time::timeout(Duration::from_secs(10), async {
        while watch(&one).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_one_organization_do_not_use_up_the_pace_of_another() {
    let (channel, _stop) = served(Rate { per_second: 1, burst: 3 });
    let [one, two] = [1, 2].map(|seed| OrganizationId::generate(&Fixed(seed), &Fixed(seed)));
    let list = async |caller: Caller| {
        let answer = caller.events().list_events(ListEventsRequest::default()).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    let many = async |caller: &Caller| {
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(list(caller.clone()).await);
        }
        codes
    };
    let expected = [Code::Ok, Code::Ok, Code::Ok, Code::ResourceExhausted];
    assert_eq!(many(&caller(&channel).within(&one)).await, expected);
    assert_eq!(many(&caller(&channel).within(&two)).await, expected);
    assert_eq!(many(&caller(&channel)).await, expected, "calls for no organization have their own");
}
