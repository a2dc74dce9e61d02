//! What a spend manager does on the dashboard, in a real browser: the numbers are those of the services, decisions can be
//! undone, and a file says what the screen says.

use std::collections::BTreeMap;

use fantoccini::Locator;
use tidemark_domain::id::ConnectionId;
use tidemark_productboard_sim::{Health, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    connections::ConsoleRole,
    utilization::{GetSummaryRequest, ListRecommendationsRequest, Summary, WindowUse},
};

use super::{
    browser::{Browser, Taste},
    house::{House, Tenant},
    journeys::entered,
    web::Web,
};
use crate::cluster::{Wiring, today, until};

const KEY: &str = "cAnArY-sprawl-key";
/// Enough for what is recommended after 60 idle days.
const HISTORY: (&str, &str) = ("WORKER__HISTORY_DAYS", "95");
const MEMBERS: usize = 70;

/// A house with a workspace in which many seats are idle, its numbers, and the sync that they come from.
pub(super) async fn sprawling(extra: &[(&str, &str)]) -> (House, Tenant, ConnectionId, String) {
    let house = House::open(Wiring::Embedded, &[&[HISTORY], extra].concat()).await;
    let spec = WorkspaceSpec::new("sprawl", MEMBERS, today()).days(130).health(Health::Sprawling);
    house.cluster.simulator.add(Workspace::generate(&spec), KEY);
    let tenant = house.tenant(KEY).await;
    let id = tenant.connection.parse().unwrap();
    let run = house.cluster.sync(&id).await;
    house.cluster.summary(&id, &run).await;
    (house, tenant, id, run)
}

async fn summary(house: &House, id: &ConnectionId) -> Summary {
    let request = GetSummaryRequest { connection_id: id.to_string() };
    let found = house.cluster.caller(2).utilization().get_summary(request).await.unwrap();
    found.into_inner().summary.unwrap()
}

fn over(summary: &Summary, days: u32) -> &WindowUse {
    summary.windows.iter().find(|window| window.days == days).unwrap()
}

/// Whether something is recommended of that member.
async fn recommended(house: &House, id: &ConnectionId, member: &str) -> bool {
    let request = ListRecommendationsRequest { connection_id: id.to_string(), ..Default::default() };
    let found = house.cluster.caller(2).utilization().list_recommendations(request).await.unwrap();
    let mut seats = found.into_inner().recommendations.into_iter().filter_map(|it| it.seat);
    seats.any(|seat| seat.member_id == member)
}

async fn number(browser: &Browser, css: &str) -> u32 {
    browser.find(css).await.text().await.unwrap().replace(',', "").parse().unwrap()
}

async fn rows(browser: &Browser, css: &str) -> usize {
    browser.client.find_all(Locator::Css(css)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_says_what_the_services_say() {
    let (house, tenant, id, _) = sprawling(&[]).await;
    let browser = entered(&house, &tenant.organization, Taste::default()).await;
    browser.visit("/usage").await;
    browser.press("Open the dashboard").await;
    let before = summary(&house, &id).await;
    for days in [28, 7, 90] {
        if days != 28 {
            browser.press(&format!("{days} days")).await;
            let address = async || browser.client.current_url().await.unwrap().query().map(str::to_owned);
            until("the window is shown", async || {
                address().await.filter(|it| *it == format!("window={days}"))
            })
            .await;
        }
        let window = over(&before, days);
        assert_eq!(number(&browser, "#paid").await, window.assigned_seats);
        assert_eq!(number(&browser, "#used").await, window.active_seats);
        assert_eq!(number(&browser, "#idle").await, window.idle_seats);
        for (area, shown) in window.areas.iter().zip(1..) {
            let meter = browser.find(&format!(".areas li:nth-child({shown}) meter")).await;
            assert_eq!(
                meter.attr("value").await.unwrap().unwrap(),
                area.members.to_string(),
                "{}",
                area.area
            );
        }
    }
    browser.find("a[href$='/usage']").await;
    assert!(rows(&browser, ".chart .wide .band title").await >= 60, "the trend tells each day's numbers");
    browser.reads("Not known").await;

    // What a seat costs is not known until somebody enters it.
    browser.press("Enter the price").await;
    for (field, text) in [("#purchased", "80"), ("#price", "25.50"), ("#currency", "eur"), ("#minimum", "10")]
    {
        browser.write(field, text).await;
    }
    browser.click("#save").await;
    browser.reads("It is saved").await;
    browser.reads("25.50 EUR").await;
    browser.write("#drop", "5").await;
    browser.press("Preview").await;
    browser.reads("With 5 seats fewer, 75 are left").await;
    browser.reads("1,530.00 EUR").await;
    browser.write("#price", "2a").await;
    browser.click("#save").await;
    browser.reads("an amount with at most 2 digits").await;

    browser.visit(&format!("/usage/{id}")).await;
    let now = summary(&house, &id).await;
    let idle = now.idle.iter().find(|idle| idle.days == 28).unwrap().cost_per_month.clone().unwrap();
    assert_eq!(idle.minor, u64::from(over(&now, 28).idle_seats) * 2_550);
    let shown = browser.find("#idle-cost").await.text().await.unwrap().replace([',', '.'], "");
    assert_eq!(shown, format!("{} EUR", idle.minor));
    browser.visit(&format!("/usage/{id}/groups")).await;
    browser.reads("Maker").await;
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_can_be_undone() {
    let (house, tenant, id, _) = sprawling(&[]).await;
    let browser = entered(&house, &tenant.organization, Taste::default()).await;
    browser.visit(&format!("/usage/{id}/recommendations")).await;
    let card = browser.find(".card[data-member]").await;
    let member = card.attr("data-member").await.unwrap().unwrap();
    let of_member = |css: &str| format!("[data-member='{member}'] {css}");
    browser.click(&of_member("form[action$='/accept'] button")).await;
    browser.reads("It is on your list").await;
    browser.reads("Accepted by Grace Hopper").await;
    browser.click(&of_member("form[action$='/withdraw'] button")).await;
    browser.reads("Nobody is on it any more").await;

    browser.click(&of_member("a[href$='#keep']")).await;
    browser.find("#until").await;
    let until_day = today() + chrono::Days::new(60);
    browser.run(&format!("document.getElementById('until').value = '{until_day}'")).await;
    browser.write("#reason", "on parental leave").await;
    browser.click("#keep-it").await;
    browser.reads("The seat is kept").await;
    browser.reads("on parental leave").await;
    until("nothing is recommended", async || (!recommended(&house, &id, &member).await).then_some(())).await;
    browser.visit(&format!("/usage/{id}/recommendations")).await;
    browser.reads("Kept for now").await;
    assert_eq!(rows(&browser, &format!(".card[data-member='{member}']")).await, 0);
    browser.click(&of_member("form[action$='/unexempt'] button")).await;
    browser.reads("The seat is looked at as any other again").await;
    until("it is recommended again", async || recommended(&house, &id, &member).await.then_some(())).await;
    browser.visit(&format!("/usage/{id}/recommendations")).await;
    browser.find(&format!(".card[data-member='{member}']")).await;

    // Whoever only looks is offered none of it, and is refused all of it.
    let mut viewer = Web::entered(&house, &tenant.organization, ConsoleRole::Viewer).await;
    let seat = format!("/usage/{id}/seats/{member}");
    let page = viewer.get(&seat).await;
    assert!(page.status == 200 && page.text.contains("Evidence"), "{}", page.text);
    for offered in ["Accept", "Exempt</button>", "/exempt"] {
        assert!(!page.text.contains(offered), "{offered}");
    }
    for path in ["accept", "withdraw", "exempt", "unexempt"] {
        assert_eq!(viewer.post(&seat, &format!("{seat}/{path}"), &[]).await.status, 403, "{path}");
    }
    let contract = format!("/usage/{id}/contract");
    assert_eq!(viewer.post(&contract, &contract, &[("purchased", "1")]).await.status, 403);
    // And whoever is of elsewhere finds nothing.
    let mut stranger = Web::entered(&house, &house.organization(), ConsoleRole::Admin).await;
    for page in ["", "/seats", "/recommendations", "/groups", "/contract", "/export/seats.csv"] {
        assert_eq!(stranger.get(&format!("/usage/{id}{page}")).await.status, 404, "{page}");
    }
    assert_eq!(stranger.get(&seat).await.status, 404);
    assert_eq!(stranger.get(&format!("/connections/{id}/events")).await.status, 404);
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_says_what_the_screen_says() {
    let (house, tenant, id, _) = sprawling(&[]).await;
    let browser = entered(&house, &tenant.organization, Taste::default()).await;
    browser.visit(&format!("/usage/{id}/seats?sort=-days")).await;
    let mut shown = BTreeMap::new();
    loop {
        let page = "return [...document.querySelectorAll('#seats tbody tr')].map((row) => [
            row.dataset.member, row.querySelector('[data-label=State]').textContent,
            row.querySelector('[data-label=\"Active days in 28\"]').textContent])";
        for row in browser.run(page).await.as_array().unwrap() {
            let text = |at: usize| row[at].as_str().unwrap().to_lowercase().replace(' ', "_");
            assert!(shown.insert(text(0), (text(1), text(2))).is_none(), "each once");
        }
        if rows(&browser, "#next").await == 0 {
            break;
        }
        browser.click("#next").await;
        until("the next page", async || browser.text().await.contains("Seats 51 to").then_some(())).await;
    }
    assert_eq!(shown.len(), MEMBERS);

    let fetch = |file: &str| {
        format!(
            "const done = arguments[arguments.length - 1];
            fetch('/usage/{id}/export/{file}').then((answer) => answer.arrayBuffer()).then(
                (bytes) => done(new TextDecoder().decode(bytes)), (error) => done(String(error)));"
        )
    };
    let file = browser.client.execute_async(&fetch("seats.csv"), Vec::new()).await.unwrap();
    let mut reader = csv::Reader::from_reader(file.as_str().unwrap().as_bytes());
    let columns = reader.headers().unwrap().clone();
    let at = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let written: BTreeMap<_, _> = reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            (
                row[at("member_id")].to_owned(),
                (row[at("state")].to_owned(), row[at("active_days_28")].to_owned()),
            )
        })
        .collect();
    assert_eq!(written, shown);
    let parquet = browser.client.execute_async(&fetch("seats.parquet"), Vec::new()).await.unwrap();
    assert!(parquet.as_str().unwrap().starts_with("PAR1"));

    // By the keyboard alone: to the search, and to the evidence of whom it finds.
    let (name, press) = ("input[name=text]", async |browser: &Browser, key: fantoccini::key::Key| {
        let focused = browser.client.active_element().await.unwrap();
        focused.send_keys(&char::from(key).to_string()).await.unwrap();
    });
    browser.visit(&format!("/usage/{id}/seats")).await;
    let first = browser.run("return document.querySelector('#seats tbody a').textContent").await;
    let first = first.as_str().unwrap().to_owned();
    browser.run("document.getElementById('main').focus()").await;
    let tab_to = async |css: &str| {
        for _ in 0..60 {
            press(&browser, fantoccini::key::Key::Tab).await;
            let here = format!("return document.activeElement.matches(\"{css}\")");
            if browser.run(&here).await == true {
                return;
            }
        }
        panic!("the keyboard does not reach {css}");
    };
    tab_to(name).await;
    browser.client.active_element().await.unwrap().send_keys(&first).await.unwrap();
    press(&browser, fantoccini::key::Key::Enter).await;
    until("it is found", async || browser.text().await.contains("Seats 1 to 1 of 1").then_some(())).await;
    tab_to("#seats tbody a").await;
    press(&browser, fantoccini::key::Key::Enter).await;
    browser.reads("Evidence").await;
    browser.reads(&first).await;
    browser.close().await;
    house.cluster.stop().await;
}
