//! What callers choose about a connection's data and what they see of its quality: the handlers behind the service.

use std::sync::Arc;

use tidemark_domain::{
    id::ConnectionId,
    stream::{self, Options, Stream},
};
use tidemark_rpc::{
    identity::Identity,
    parse,
    status::Refusal,
    syncs::{
        AcceptShrinkRequest, AcceptShrinkResponse, Capture, DataFlag, GetDataQualityRequest,
        GetDataQualityResponse, GetSyncOptionsRequest, GetSyncOptionsResponse, Quarantine,
        SetSyncOptionsRequest, SetSyncOptionsResponse, SyncOptions, UnknownField,
    },
    timestamp,
};
use tonic::Status;

use crate::{
    context::Context,
    service::{check_exists, check_seen, refuse},
};

pub(crate) async fn options(
    cx: Arc<Context>,
    caller: Identity,
    request: GetSyncOptionsRequest,
) -> Result<GetSyncOptionsResponse, Status> {
    let connection = seen(&cx, &caller, &request.connection_id).await?;
    let options = cx.store.sync_options(&connection).await.map_err(refuse)?;
    Ok(GetSyncOptionsResponse { options: Some(message(&options)) })
}

pub(crate) async fn choose(
    cx: Arc<Context>,
    caller: Identity,
    request: SetSyncOptionsRequest,
) -> Result<SetSyncOptionsResponse, Status> {
    let options = read(&request.options.unwrap_or_default())?;
    let connection = seen(&cx, &caller, &request.connection_id).await?;
    check_exists(&cx, &connection).await?;
    let tx = cx.store.begin().await.map_err(refuse)?;
    tx.put_sync_options(&connection, &options, cx.now()).await.map_err(refuse)?;
    tx.commit().await.map_err(refuse)?;
    let streams: Vec<_> = options.optional().map(Stream::as_str).collect();
    tracing::info!(%connection, ?streams, capture = options.capture.as_str(), "sync options chosen");
    Ok(SetSyncOptionsResponse { options: Some(message(&options)) })
}

pub(crate) async fn accept_shrink(
    cx: Arc<Context>,
    caller: Identity,
    request: AcceptShrinkRequest,
) -> Result<AcceptShrinkResponse, Status> {
    let stream = Stream::parse(&request.stream).ok_or_else(|| unknown_stream("stream", &Stream::ALL))?;
    let connection = seen(&cx, &caller, &request.connection_id).await?;
    check_exists(&cx, &connection).await?;
    let tx = cx.store.begin().await.map_err(refuse)?;
    tx.accept_shrink(&connection, stream, cx.now()).await.map_err(refuse)?;
    tx.commit().await.map_err(refuse)?;
    tracing::warn!(%connection, stream = stream.as_str(), "the stream's next list is believed whatever it lost");
    Ok(AcceptShrinkResponse {})
}

pub(crate) async fn quality(
    cx: Arc<Context>,
    caller: Identity,
    request: GetDataQualityRequest,
) -> Result<GetDataQualityResponse, Status> {
    let connection = seen(&cx, &caller, &request.connection_id).await?;
    let flags = cx.store.data_flags(&connection).await.map_err(refuse)?.into_iter();
    let flags =
        flags.map(|it| DataFlag { flag: it.flag, detail: it.detail, since: Some(timestamp(it.since)) });
    let unknown = cx.store.drift(&connection).await.map_err(refuse)?.into_iter().map(|it| UnknownField {
        stream: it.stream.as_str().to_owned(),
        path: it.path,
        rows: it.rows,
        first_seen_at: Some(timestamp(it.first_seen_at)),
        last_seen_at: Some(timestamp(it.last_seen_at)),
    });
    let quarantine =
        cx.store.quarantine(&connection).await.map_err(refuse)?.into_iter().map(|it| Quarantine {
            stream: it.stream.as_str().to_owned(),
            rows: it.rows,
            problem: it.problem,
            first_seen_at: Some(timestamp(it.first_seen_at)),
            last_seen_at: Some(timestamp(it.last_seen_at)),
        });
    let (flags, unknown_fields) = (flags.collect(), unknown.collect());
    Ok(GetDataQualityResponse { flags, unknown_fields, quarantine: quarantine.collect() })
}

async fn seen(cx: &Context, caller: &Identity, connection: &str) -> Result<ConnectionId, Status> {
    let connection = parse("connection_id", connection)?;
    check_seen(cx, caller, &connection, "connection").await?;
    Ok(connection)
}

fn message(options: &Options) -> SyncOptions {
    let capture = match options.capture {
        stream::Capture::Metadata => Capture::Metadata,
        stream::Capture::Full => Capture::Full,
    };
    let optional_streams = options.optional().map(|stream| stream.as_str().to_owned()).collect();
    SyncOptions { optional_streams, capture: capture.into() }
}

fn read(options: &SyncOptions) -> Result<Options, Status> {
    let optional = |name: &String| Stream::parse(name).filter(|stream| stream.is_optional());
    let streams: Option<Vec<_>> = options.optional_streams.iter().map(optional).collect();
    let streams = streams.ok_or_else(|| unknown_stream("options.optional_streams", &Stream::OPTIONAL))?;
    let capture = match options.capture() {
        Capture::Unspecified | Capture::Metadata => stream::Capture::Metadata,
        Capture::Full => stream::Capture::Full,
    };
    Ok(Options::new(streams, capture))
}

fn unknown_stream(field: &'static str, known: &[Stream]) -> Status {
    let names: Vec<_> = known.iter().map(|stream| format!("`{}`", stream.as_str())).collect();
    Refusal::invalid(field, format!("send one of {}", names.join(", "))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_checked() {
        let of = |streams: &[&str], capture: Capture| SyncOptions {
            optional_streams: streams.iter().map(|name| (*name).to_owned()).collect(),
            capture: capture.into(),
        };
        let chosen = read(&of(&["notes", "entities"], Capture::Full)).unwrap();
        assert_eq!(message(&chosen), of(&["entities", "notes"], Capture::Full));
        assert_eq!(read(&SyncOptions::default()).unwrap(), Options::default());
        for streams in [&["members"][..], &["notes", "boards"]] {
            let status = read(&of(streams, Capture::Metadata)).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }
}
