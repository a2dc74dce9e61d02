//! Pages a second through the whole client: one request after the other on a runtime of one thread, the simulator on
//! another thread. Beside it the same pages fetched by a bare HTTP client that decodes nothing.
//!
//! ```text
//! cargo bench -p tidemark-productboard
//! ```

use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{Criterion, Throughput};
use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_productboard::{Client, EntitiesQuery, MembersQuery, NotesQuery, Options, Pages, RateBudget};
use tidemark_productboard_sim::{Options as SimulatorOptions, Simulator, Workspace, WorkspaceSpec};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use url::Url;

const TOKEN: &str = "bench";

fn main() {
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let server = thread::spawn(move || serve(&tell, stopped));
    let base_url: Url = told.recv().expect("the server starts").parse().expect("a URL");
    let mut criterion = Criterion::default().configure_from_args();
    pages(&mut criterion, &base_url);
    criterion.final_summary();
    drop(stop);
    server.join().expect("the server stops");
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn serve(tell: &mpsc::Sender<String>, stopped: oneshot::Receiver<()>) {
    runtime().block_on(async {
        let options = SimulatorOptions { requests_per_second: 0, ..SimulatorOptions::default() };
        let listen = "127.0.0.1:0".parse().expect("a constant");
        let simulator = Simulator::start(listen, options).await.expect("a free port");
        let today = "2026-08-12".parse().expect("a constant");
        let spec = WorkspaceSpec::new("acme", 500, today).entities(3_000).notes(3_000);
        simulator.add(Workspace::generate(&spec), TOKEN);
        tell.send(simulator.base_url()).expect("the client listens");
        // The end of the sender is the end of the bench; open connections end with the process.
        let _ = stopped.await;
    });
}

/// No pace: what is measured is the client.
#[derive(Debug)]
struct Unpaced;

#[async_trait]
impl RateBudget for Unpaced {
    async fn acquire(&self, _patience: Duration) -> Result<(), Duration> {
        Ok(())
    }

    fn freeze(&self, _pause: Duration) {}

    fn observe(&self, _limit: Option<u32>, _remaining: Option<u32>) {}
}

fn pages(criterion: &mut Criterion, base_url: &Url) {
    let runtime = runtime();
    let options = Options { budget: Arc::new(Unpaced), ..Options::default() }.trust(base_url);
    let client = Client::new(base_url, SecretString::from(TOKEN), options).expect("a client");
    let (from, to) = ("2026-01-01".parse().expect("a day"), "2026-08-12".parse().expect("a day"));
    let mut group = criterion.benchmark_group("client_pages");
    group.throughput(Throughput::Elements(1));
    group.bench_function("activities", |bencher| {
        bencher.iter(|| first(&runtime, client.member_activities(from, to, None)));
    });
    group.bench_function("members", |bencher| {
        bencher.iter(|| first(&runtime, client.members(&MembersQuery::everyone(), None)));
    });
    group.bench_function("entities", |bencher| {
        bencher.iter(|| first(&runtime, client.entities(&EntitiesQuery::default(), None)));
    });
    group.bench_function("notes", |bencher| {
        bencher.iter(|| first(&runtime, client.notes(&NotesQuery::default(), None)));
    });
    let bare = reqwest::Client::builder().no_proxy().gzip(false).build().expect("a client");
    let target = "v2/analytics/member-activities?dateFrom=2026-01-01&dateTo=2026-08-12";
    let target = base_url.join(target).expect("a URL");
    group.bench_function("activities_bare", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let request = bare.get(target.clone()).bearer_auth(TOKEN);
                request.send().await.expect("an answer").bytes().await.expect("a body").len()
            })
        });
    });
    group.finish();
}

/// Fetches the first page of a list.
fn first<T>(runtime: &Runtime, mut pages: Pages<T>) {
    let page = runtime.block_on(pages.try_next()).expect("an answer").expect("a page");
    assert_eq!(black_box(page).items.len(), 100);
}
