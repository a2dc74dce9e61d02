//! How long the pages of a large workspace take, and how large they are. Says something about a release build only.

use std::time::{Duration, Instant};

use tidemark_productboard_sim::{Health, Workspace, WorkspaceSpec};
use tidemark_rpc::{connections::ConsoleRole, utilization::ListRecommendationsRequest};

use super::{house::House, web::Web};
use crate::cluster::{Wiring, today};

const KEY: &str = "cAnArY-large-key";
const MEMBERS: usize = 10_000;
const VISITS: usize = 20;
const SLOWEST: Duration = Duration::from_millis(100);
const LARGEST_PAGE: usize = 200 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; alone, with a release build of the binary in TIDEMARK_TEST_BINARY"]
async fn every_page_is_quick_at_ten_thousand_seats() {
    let quiet = [("LOG__FILTER", "warn"), ("WORKER__HISTORY_DAYS", "95"), ("LEASES__TTL_MS", "30000")];
    let house = House::open(Wiring::Embedded, &quiet).await;
    let spec = WorkspaceSpec::new("large", MEMBERS, today()).days(30).health(Health::Sprawling);
    house.cluster.simulator.add(Workspace::generate(&spec), KEY);
    let tenant = house.tenant(KEY).await;
    let id = tenant.connection.parse().unwrap();
    let begun = Instant::now();
    let run = house.cluster.sync(&id).await;
    house.cluster.summary_within(&id, &run, Duration::from_secs(600)).await;
    println!("{MEMBERS} members, synced and rolled up in {:.0?}", begun.elapsed());
    let request = ListRecommendationsRequest { connection_id: id.to_string(), ..Default::default() };
    let found = house.cluster.caller(2).utilization().list_recommendations(request).await.unwrap();
    let member = found.into_inner().recommendations.remove(0).seat.unwrap().member_id;

    let mut web = Web::entered(&house, &tenant.organization, ConsoleRole::Admin).await;
    let usage = format!("/usage/{id}");
    let pages = [
        "/connections".to_owned(),
        format!("/connections/{id}"),
        format!("/connections/{id}/events"),
        format!("/connections/{id}/syncs"),
        format!("/syncs/{run}"),
        "/invites".to_owned(),
        "/connect".to_owned(),
        "/usage".to_owned(),
        usage.clone(),
        format!("{usage}/seats"),
        format!("{usage}/seats?text=an&sort=-days&paid=yes"),
        format!("{usage}/seats/{member}"),
        format!("{usage}/recommendations"),
        format!("{usage}/groups"),
        format!("{usage}/contract"),
    ];
    let mut slow = Vec::new();
    for page in &pages {
        let (mut times, mut size) = (Vec::new(), 0);
        for _ in 0..VISITS {
            let begun = Instant::now();
            let answer = web.get(page).await;
            times.push(begun.elapsed());
            assert_eq!(answer.status, 200, "{page}");
            size = answer.text.len();
        }
        times.sort();
        let (median, slowest) = (times[VISITS / 2], times[VISITS - 1]);
        let name = page.replace(&id.to_string(), "…").replace(&member, "…").replace(&run, "…");
        println!("{name}: median {median:.1?}, slowest {slowest:.1?}, {size} bytes");
        if median > SLOWEST || size > LARGEST_PAGE {
            slow.push(name);
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
    house.cluster.stop().await;
}
