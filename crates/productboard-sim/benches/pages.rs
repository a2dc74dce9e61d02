//! Pages a second over one kept-alive connection: the server on a runtime of one thread, the client on another.
//!
//! ```text
//! cargo bench -p tidemark-productboard-sim
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use criterion::{Criterion, Throughput};
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "bench";

fn main() {
    let stop = CancellationToken::new();
    let (tell, told) = mpsc::channel();
    let server = thread::spawn({
        let stop = stop.clone();
        move || serve(&tell, stop)
    });
    let mut client = Client::connect(&told.recv().expect("the server starts"));
    let mut criterion = Criterion::default().configure_from_args();
    pages(&mut criterion, &mut client);
    criterion.final_summary();
    // The server waits for running connections; it must not wait for this one.
    drop(client);
    stop.cancel();
    server.join().expect("the server stops");
}

fn serve(tell: &mpsc::Sender<String>, stop: CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = Options { requests_per_second: 0, ..Options::default() };
        let listen = "127.0.0.1:0".parse().expect("a constant");
        let simulator = Simulator::start(listen, options).await.expect("a free port");
        let today = "2026-08-12".parse().expect("a constant");
        let spec = WorkspaceSpec::new("acme", 500, today).entities(3_000).notes(3_000);
        simulator.add(Workspace::generate(&spec), TOKEN);
        tell.send(simulator.base_url()).expect("the client listens");
        stop.cancelled_owned().await;
        simulator.shutdown().await;
    });
}

fn pages(criterion: &mut Criterion, client: &mut Client) {
    let mut group = criterion.benchmark_group("simulator_pages");
    group.throughput(Throughput::Elements(1));
    for (name, target) in [
        ("activities", "/v2/analytics/member-activities?dateFrom=2026-01-01&dateTo=2026-08-12"),
        ("members", "/v2/members?includeDisabled=true"),
        ("entities", "/v2/entities?type%5B%5D=feature"),
        ("entities_all_fields", "/v2/entities?fields%5B%5D=all"),
        ("notes", "/v2/notes?updatedFrom=2025-10-01T00:00:00Z"),
    ] {
        let request = client.request(target);
        let bytes = client.get(&request);
        assert!(bytes > 10_000, "{name}: a page of {bytes} bytes is none");
        group.bench_function(name, |bencher| bencher.iter(|| client.get(&request)));
    }
    // More ways of asking than are kept: every row is made again.
    let fields = ["description", "owner", "status", "teams", "timeframe", "health"];
    let requests = fields.map(|without| {
        let others = fields.iter().filter(|field| **field != without);
        let query: String = others.map(|field| format!("&fields%5B%5D={field}")).collect();
        client.request(&format!("/v2/entities?fields%5B%5D=name{query}"))
    });
    let mut turn = requests.iter().cycle();
    group.bench_function("entities_made_anew", |bencher| {
        bencher.iter(|| turn.next().map(|request| client.get(request)));
    });
    group.finish();
}

/// One connection, no HTTP library: what is measured is the server.
struct Client {
    host: String,
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(base_url: &str) -> Self {
        let host = base_url.replace("http://", "");
        let stream = TcpStream::connect(&host).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        let stream = BufReader::with_capacity(128 * 1024, stream);
        Self { host, stream, line: String::new(), body: Vec::new() }
    }

    fn request(&self, target: &str) -> Vec<u8> {
        let host = &self.host;
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").into_bytes()
    }

    /// Answers the length of the body.
    fn get(&mut self, request: &[u8]) -> usize {
        self.stream.get_mut().write_all(request).expect("the server reads");
        let mut length = 0;
        loop {
            self.line.clear();
            self.stream.read_line(&mut self.line).expect("the server answers");
            match self.line.split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().expect("a length");
                }
                None if self.line == "\r\n" => break,
                _ => {}
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).expect("a whole body");
        length
    }
}
