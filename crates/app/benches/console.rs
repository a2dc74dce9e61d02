//! How long each page of the console takes of a large workspace, and how large it is: the binary with everything in one
//! process, its first sync, and then every page as a browser asks for it.
//!
//! `cargo bench -p tidemark-app --bench console -- 10000` (seats). The sizes are held; the times are for who reads them.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

#[path = "../../../tests/cluster/cluster.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod cluster;
#[path = "../../../tests/cluster/console/house.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod house;
#[path = "../../../tests/cluster/console/web.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod web;

use std::time::{Duration, Instant};

use cluster::{Wiring, today};
use house::{House, Tenant};
use tidemark_domain::id::ConnectionId;
use tidemark_productboard_sim::{Health, Workspace, WorkspaceSpec};
use tidemark_rpc::{connections::ConsoleRole, utilization::ListRecommendationsRequest};
use web::Web;

const KEY: &str = "cAnArY-large-key";
const SEATS: usize = 10_000;
const VISITS: usize = 20;
const LARGEST_PAGE: usize = 200 * 1024;
/// Of the first sync and the numbers after it.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() {
    let seats = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(SEATS);
    let quiet = [("LOG__FILTER", "warn"), ("WORKER__HISTORY_DAYS", "95"), ("LEASES__TTL_MS", "30000")];
    let house = House::open(Wiring::Embedded, &quiet).await;
    let spec = WorkspaceSpec::new("large", seats, today()).days(30).health(Health::Sprawling);
    house.cluster.simulator.add(Workspace::generate(&spec), KEY);
    let tenant = house.tenant(KEY).await;
    let id: ConnectionId = tenant.connection.parse().unwrap();
    let begun = Instant::now();
    let run = house.cluster.sync(&id).await;
    house.cluster.summary_within(&id, &run, PATIENCE).await;
    println!("{seats} seats, synced and rolled up in {:.0?}", begun.elapsed());
    let mut large = Vec::new();
    let mut web = Web::entered(&house, &tenant.organization, ConsoleRole::Admin).await;
    for (name, path) in pages(&house, &tenant, &run).await {
        if visit(&mut web, &name, &path).await > LARGEST_PAGE {
            large.push(name);
        }
    }
    house.cluster.stop().await;
    assert!(large.is_empty(), "larger than {LARGEST_PAGE} bytes: {large:?}");
}

/// Each page: what it is called here, and its path.
async fn pages(house: &House, tenant: &Tenant, run: &str) -> Vec<(String, String)> {
    let connection_id = tenant.connection.clone();
    let request = ListRecommendationsRequest { connection_id, ..Default::default() };
    let found = house.cluster.caller(2).utilization().list_recommendations(request).await.unwrap();
    let member = found.into_inner().recommendations.remove(0).seat.unwrap().member_id;
    let path = |name: &str| {
        let path = name.replace("{connection}", &tenant.connection).replace("{run}", run);
        (name.to_owned(), path.replace("{member}", &member))
    };
    [
        "/connections",
        "/connections/{connection}",
        "/connections/{connection}/events",
        "/connections/{connection}/syncs",
        "/syncs/{run}",
        "/invites",
        "/connect",
        "/usage",
        "/usage/{connection}",
        "/usage/{connection}/seats",
        "/usage/{connection}/seats?text=an&sort=-days&paid=yes",
        "/usage/{connection}/seats/{member}",
        "/usage/{connection}/recommendations",
        "/usage/{connection}/groups",
        "/usage/{connection}/contract",
    ]
    .map(path)
    .into()
}

/// Visits a page again and again; gives its size.
async fn visit(web: &mut Web, name: &str, path: &str) -> usize {
    let (mut times, mut size) = (Vec::new(), 0);
    for _ in 0..VISITS {
        let begun = Instant::now();
        let answer = web.get(path).await;
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{name}");
        size = answer.text.len();
    }
    times.sort();
    println!("{name}: median {:.1?}, slowest {:.1?}, {size} bytes", times[VISITS / 2], times[VISITS - 1]);
    size
}
