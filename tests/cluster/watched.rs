//! What somebody sees who watches: the port of metrics and health of each process, and one trace from the click to the
//! rollup.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{connections::ConsoleRole, syncs::RunState};
use tidemark_testkit::{assert_absent, servers::Authority};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::{
    cluster::{AUDIT_KEY, Cluster, KEYS, SERVICE_TOKEN, Wiring, today, until},
    console::{
        house::{ACME, House},
        web::{Answer, Web},
    },
};

const KEY: &str = "cAnArY-key-31aa09c7be52f6";

async fn page(port: u16, path: &str) -> Answer {
    Web::new(port).get(path).await
}

/// The value of a series, summed over all that begin so.
fn sum(text: &str, series: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(series));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

pub(crate) async fn every_process_tells_how_it_is(wiring: Wiring) {
    // Shown to no broker here, and watched all the same.
    let authority = Authority::new();
    let (certificate, key) = authority.issue("client");
    let own = [
        ("BUS__CLIENT_CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("BUS__CLIENT_KEY_FILE", key.to_str().unwrap()),
    ];
    let cluster = Cluster::start(wiring, &own).await;
    let ports: Vec<_> = cluster.watched().values().copied().collect();
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
    let id = cluster.connect(KEY).await;
    let run = cluster.sync(&id).await;
    cluster.run_in(&run, RunState::Succeeded).await;
    cluster.summary(&id, &run).await;

    for port in &ports {
        assert_eq!(page(*port, "/livez").await.status, 200);
        let ready = async || Some(page(*port, "/readyz").await).filter(|answer| answer.status == 200);
        let report = until("the process is ready", ready).await.text;
        assert!(report.contains("\"status\":\"ok\"") && report.contains("\"database\""), "{report}");
    }
    let mut all = String::new();
    for port in &ports {
        let shown = page(*port, "/metrics").await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.ends_with("# EOF\n"));
        all.push_str(&shown.text);
    }
    for (series, least) in [
        (
            "tidemark_rpc_calls_total{method=\"tidemark.connections.v1.ConnectionsService/CreateConnection\",code=\"OK\"}",
            1.0,
        ),
        (
            "tidemark_rpc_call_duration_seconds_count{method=\"tidemark.credentials.v1.CredentialsService/GetAccessToken\"}",
            1.0,
        ),
        ("tidemark_vendor_requests_total{operation=\"list member activities\",outcome=\"ok\"}", 1.0),
        ("tidemark_vendor_budget_wait_seconds_count", 5.0),
        ("tidemark_sync_runs_total{outcome=\"succeeded\"}", 1.0),
        ("tidemark_sync_rows_total{stream=\"members\"}", 8.0),
        ("tidemark_outbox_published_total{receipt=\"accepted\"}", 3.0),
        ("tidemark_rollup_computations_total{outcome=\"written\"}", 1.0),
        ("tidemark_database_pool_connections{state=\"most\"}", 1.0),
        // After 2026.
        ("tidemark_certificate_expiry_timestamp_seconds{shown_to=\"broker\"}", 1.8e9),
    ] {
        assert!(sum(&all, series) >= least, "{series} is {}", sum(&all, series));
    }
    if wiring == Wiring::Real {
        alarms_charts_and_runbook_use_what_is_there(&all);
    }
    assert_absent(&[KEY, SERVICE_TOKEN, KEYS, AUDIT_KEY], "the metrics", all.as_bytes());
    let organization = cluster.connection(&id).await.organization_id;
    for name in [id.as_str(), run.as_str(), &organization] {
        assert!(!all.contains(name), "{name} is in a label");
    }
    cluster.stop().await;
}

/// An alarm or a chart on a name that nobody counts would be silent for ever, and a page about it of no help.
fn alarms_charts_and_runbook_use_what_is_there(text: &str) {
    let types: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let exists = |name: &str| {
        types.iter().any(|(known, kind)| match *kind {
            "counter" => name.strip_suffix("_total") == Some(known),
            "histogram" => {
                ["_bucket", "_count", "_sum"].iter().any(|end| name.strip_suffix(end) == Some(known))
            }
            _ => name == *known,
        })
    };
    let used = [
        include_str!("../../deploy/prometheus/alerts.yml"),
        include_str!("../../deploy/grafana/dashboards/overview.json"),
        include_str!("../../deploy/grafana/dashboards/work.json"),
    ];
    let names = |text: &'static str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("tidemark_"))
    };
    let asked: BTreeSet<_> = used.into_iter().flat_map(names).collect();
    assert!(asked.len() > 40, "{asked:?}");
    let missing: Vec<_> = asked.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {types:?}");
    // A person may name a histogram without the end of one of its series.
    let is_known = |name: &&str| exists(name) || types.iter().any(|(known, _)| name == known);
    let missing: Vec<_> = names(include_str!("../../deploy/runbook.md")).filter(|it| !is_known(it)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {types:?}");
}

/// Takes spans.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, url)
    }

    /// Of each trace: the spans, as process and name.
    fn traces(&self) -> BTreeMap<Vec<u8>, BTreeSet<(String, String)>> {
        let mut traces: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for of_process in self.0.lock().unwrap().iter().flat_map(|request| &request.resource_spans) {
            let attributes = &of_process.resource.as_ref().unwrap().attributes;
            let name = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let Some(Value::StringValue(process)) = name.value.clone().unwrap().value else {
                panic!("no name")
            };
            for span in of_process.scope_spans.iter().flat_map(|scope| &scope.spans) {
                traces.entry(span.trace_id.clone()).or_default().insert((process.clone(), span.name.clone()));
            }
        }
        traces
    }
}

pub(crate) async fn one_trace_goes_from_the_click_to_the_rollup(wiring: Wiring) {
    let (collector, url) = Collector::start().await;
    let house = House::open(wiring, &[("TRACES__OTLP_URL", &url)]).await;
    let mut web = Web::entered(&house, &house.organization(), ConsoleRole::Admin).await;
    let clicked = web.post("/connect", "/connect", &[("api_key", ACME), ("region", "us")]).await;
    assert_eq!(clicked.status, 303, "{}", clicked.text);
    let wanted: &[(&str, &str)] = match wiring {
        Wiring::Embedded => &[
            ("tidemark", "page"),
            ("tidemark", "rpc"),
            ("tidemark", "connection event"),
            ("tidemark", "sync"),
            ("tidemark", "vendor"),
            ("tidemark", "rollup"),
        ],
        Wiring::Real => &[
            ("tidemark-console", "page"),
            ("tidemark-credentials", "rpc"),
            ("tidemark-worker", "connection event"),
            ("tidemark-worker", "sync"),
            ("tidemark-worker", "vendor"),
            ("tidemark-aggregator", "rollup"),
        ],
    };
    let whole = async || {
        let has = |spans: &BTreeSet<(String, String)>| {
            wanted.iter().all(|(process, name)| spans.contains(&((*process).to_owned(), (*name).to_owned())))
        };
        collector.traces().into_values().find(has)
    };
    let trace = until("one trace holds all of it", whole).await;
    assert!(trace.len() >= wanted.len());
    if wiring == Wiring::Real {
        // It has no database, and must not tell that one is down.
        let shown = page(house.cluster.watched()["console"], "/metrics").await.text;
        assert!(!shown.contains("\ntidemark_database_up "), "{shown}");
        // The form, and what came of it.
        for status in ["2xx", "3xx"] {
            assert!(
                sum(&shown, &format!("tidemark_console_answers_total{{status=\"{status}\"}}")) >= 1.0,
                "{shown}"
            );
        }
        let timed = sum(&shown, "tidemark_console_answer_duration_seconds_count{status=\"3xx\"}");
        assert!(timed >= 1.0, "{shown}");
    }
    let told = format!("{:?}", collector.0.lock().unwrap());
    assert_absent(&[ACME, SERVICE_TOKEN, KEYS, AUDIT_KEY], "the spans", told.as_bytes());
    house.cluster.stop().await;
}
