//! Pages that keep themselves up to date: what happens is seen as it happens, servers may go and come, and a page that is
//! no longer kept up to date says so.

use std::time::Duration;

use super::{
    browser::{Browser, Taste},
    house::{ACME, House},
    journeys::entered,
};
use crate::cluster::Wiring;

/// The page is the one that was opened: nobody loaded it again.
async fn is_same(browser: &Browser) -> bool {
    browser.run("return window.same").await == true
}

async fn restart(house: &mut House) {
    house.cluster.kill("all");
    house.cluster.spawn("all");
    house.cluster.ready().await;
    house.cluster.listens(house.port).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_kept_and_what_comes_is_awaited() {
    let house = House::open(Wiring::Embedded, &[]).await;
    let globex = house.globex().await;
    let browser = entered(&house, &globex.organization, Taste::default()).await;
    let acme = house.beside(&globex, ACME).await;
    // Longer than it takes to open the page.
    house.slow("acme", Duration::from_secs(15));
    let id = acme.connection.parse().unwrap();
    browser.visit(&format!("/usage/{id}")).await;
    browser.reads("There are no numbers yet").await;
    browser.run("window.same = true").await;
    // A proxy that collects answers lets this one pass as it comes.
    let script = format!(
        "return (async () => {{ const stop = new AbortController();
        const answer = await fetch('/usage/{id}/live', {{ signal: stop.signal }}); stop.abort();
        return answer.headers.get('x-accel-buffering') }})()"
    );
    assert_eq!(browser.run(&script).await, "no");
    house.slow("acme", Duration::ZERO);
    let run = house.cluster.sync(&id).await;
    house.cluster.summary(&id, &run).await;
    browser.reads("paid seats were used").await;
    assert!(is_same(&browser).await, "the numbers came by themselves");
    house.cluster.simulator.revoke(ACME);
    house.cluster.sync(&id).await;
    browser.reads("These numbers are stale").await;
    assert!(is_same(&browser).await);

    browser.visit(&format!("/connections/{id}/events")).await;
    for told in ["It needs a reconnect", "The numbers were updated", "A sync ended", "Connected"] {
        browser.reads(told).await;
    }
    browser.press("The sync").await;
    browser.reads("Daily activity").await;
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_goes_on_after_a_restart_and_tells_when_it_cannot() {
    let mut house = House::open(Wiring::Embedded, &[]).await;
    let acme = house.acme().await;
    let browser = entered(&house, &acme.organization, Taste::default()).await;
    browser.visit(&format!("/connections/{}", acme.connection)).await;
    browser.reads("Sync now").await;
    browser.run("window.same = true").await;
    restart(&mut house).await;
    house.cluster.simulator.revoke(ACME);
    house.cluster.sync(&acme.connection.parse().unwrap()).await;
    browser.reads("Needs a reconnect").await;
    assert!(is_same(&browser).await);

    let leave = "const form = document.querySelector('.who form');
        const body = new URLSearchParams(new FormData(form));
        return fetch(form.action, { method: 'POST', body }).then((answer) => answer.status);";
    assert_eq!(browser.run(leave).await, 200, "it is signed out");
    restart(&mut house).await;
    browser.reads("This page is no longer kept up to date").await;
    browser.press("Load it again").await;
    browser.reads("Your session is over").await;
    browser.close().await;
    house.cluster.stop().await;
}
