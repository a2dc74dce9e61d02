//! Logs and traces. Logs go to standard error, so that standard output carries results only. Traces go to a collector over
//! OTLP, where one is configured; without, no span is made for them and nothing is carried along.
//!
//! A trace goes on across processes as a W3C `traceparent`: in the metadata of calls, in the outbox, in the headers of
//! messages.

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    propagation::TextMapPropagator,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer, filter::Targets, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat, Traces};

/// The name under which a trace is carried along.
pub const TRACEPARENT: &str = "traceparent";
const EXPORT: Duration = Duration::from_secs(5);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Installs the subscriber for this process. A second call changes nothing.
pub fn init(log: &Log, traces: Option<&Traces>, service: &'static str) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let installed = match traces.map(|traces| provider(traces, service)) {
        None => tracing_subscriber::registry().with(filter).with(lines(log)).try_init(),
        Some(Ok(provider)) => {
            let layer = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("tidemark"))
                .with_location(false)
                .with_threads(false)
                // What libraries note of themselves is not this system's.
                .with_filter(Targets::new().with_target("tidemark", LevelFilter::DEBUG));
            let lines = lines(log).with_filter(filter);
            let installed = tracing_subscriber::registry().with(layer).with(lines).try_init();
            if installed.is_ok() {
                let _ = PROVIDER.set(provider);
            }
            installed
        }
        Some(Err(error)) => {
            let installed = tracing_subscriber::registry().with(filter).with(lines(log)).try_init();
            tracing::error!(%error, "traces are not sent: the setting traces.otlp_url cannot be used");
            installed
        }
    };
    if installed.is_err() {
        tracing::debug!("a subscriber was installed already");
    }
}

/// Sends what is left of the traces. Blocks for some seconds at most.
pub fn finish() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown()
    {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

/// Whether traces are made.
pub fn is_on() -> bool {
    PROVIDER.get().is_some()
}

/// The present span, as it is carried along; nothing where traces are off.
pub fn current() -> Option<String> {
    if !is_on() {
        return None;
    }
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes a span, which nobody has entered yet, part of a trace that was carried along. What is no `traceparent` is
/// ignored.
pub fn follow(span: &Span, traceparent: &str) {
    if !is_on() {
        return;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    if context.span().span_context().is_valid() {
        // Entered already: it stays where it is.
        let _ = span.set_parent(context);
    }
}

/// The same, for a span that a message begins.
pub fn follow_message(span: &Span, headers: &BTreeMap<String, String>) {
    if let Some(traceparent) = headers.get(TRACEPARENT) {
        follow(span, traceparent);
    }
}

fn lines<S>(log: &Log) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(false).boxed(),
    }
}

fn provider(
    traces: &Traces,
    service: &'static str,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(traces.otlp_url.as_str())
        .with_timeout(EXPORT)
        .build()?;
    let part = f64::from(traces.sampled_percent) / 100.0;
    let resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", service),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ]);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        // Who began a trace has decided for all of it.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(part))))
        .with_resource(resource.build())
        .build())
}
