//! Every page, light and dark, before axe-core; and pictures of them, where `TIDEMARK_TEST_SCREENSHOTS` names a folder.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tidemark_rpc::{
    connections::{ConsoleRole, CreateConnectLinkRequest, CreateInvitationRequest},
    utilization::{
        AcceptRecommendationRequest, Contract, ListRecommendationsRequest, Money, SetContractRequest,
        SetExemptionRequest,
    },
};

use super::{
    browser::{Browser, Taste},
    house::{GLOBEX, House},
    usage::sprawling,
};
use crate::cluster::{today, until};

/// Put there by `cargo xtask test`, from a locked list.
const AXE: &str = "tests/browser/node_modules/axe-core/axe.min.js";
/// Where pictures go, if anywhere.
pub(super) const SCREENSHOTS: &str = "TIDEMARK_TEST_SCREENSHOTS";
const LARGEST_PAGE: usize = 200 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_shuts_anybody_out() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..");
    let script = std::fs::read_to_string(root.join(AXE));
    let script = script.expect("`cargo xtask test` puts it there, or `npm ci` in tests/browser");
    let returns = [("CONSOLE__RETURN_URLS", "https://platform.example.com")];
    let (house, acme, _, run) = sprawling(&returns).await;
    let globex = house.globex().await;
    // Of the same people, with its first sync on its way.
    let waiting = house.beside(&acme, GLOBEX).await;
    house.slow("globex", Duration::from_secs(20));
    let member = decided(&house, &acme.connection).await;
    let usage = format!("/usage/{}", acme.connection);
    let [invitation, _] = invitations(&house, &acme.organization).await;
    let pages = [
        ("connections", "/connections".to_owned()),
        ("connection", format!("/connections/{}", acme.connection)),
        ("news", format!("/connections/{}?news=true", acme.connection)),
        ("connect", "/connect".to_owned()),
        ("reconnect", format!("/connections/{}/reconnect", acme.connection)),
        ("disconnect", format!("/connections/{}/disconnect", acme.connection)),
        ("sync", format!("/syncs/{run}")),
        ("syncs", format!("/connections/{}/syncs", acme.connection)),
        ("invites", "/invites".to_owned()),
        ("invite", "/invite".to_owned()),
        ("events", format!("/connections/{}/events", acme.connection)),
        ("usage", "/usage".to_owned()),
        ("dashboard", usage.clone()),
        ("waiting", format!("/usage/{}", waiting.connection)),
        ("seats", format!("{usage}/seats")),
        ("nobody", format!("{usage}/seats?text=nobody-is-called-so")),
        ("seat", format!("{usage}/seats/{member}")),
        ("recommendations", format!("{usage}/recommendations")),
        ("groups", format!("{usage}/groups")),
        ("contract", format!("{usage}/contract?drop=3")),
        ("missing", format!("/connections/{}", globex.connection)),
        ("consent", "/oauth/callback?state=a&code=b".to_owned()),
        ("landing", invitation),
        ("left", "/left".to_owned()),
    ];
    let mut problems = Vec::new();
    for (name, taste) in [
        ("light", Taste::default()),
        ("dark", Taste { is_dark: true, ..Taste::default() }),
        ("phone", Taste { width: 390, ..Taste::default() }),
        ("phone-dark", Taste { width: 390, is_dark: true, ..Taste::default() }),
    ] {
        let browser = Browser::open(&house.url(""), taste).await;
        browser.visit(&house.link(&acme.organization, ConsoleRole::Admin).await).await;
        for (page, path) in &pages {
            browser.visit(path).await;
            look(&browser, &script, &format!("{page}-{name}"), &mut problems).await;
        }
        browser.visit(&hosted(&house, &acme.organization).await).await;
        look(&browser, &script, &format!("hosted-{name}"), &mut problems).await;
        let fresh = house.organization();
        browser.visit(&house.link(&fresh, ConsoleRole::Viewer).await).await;
        look(&browser, &script, &format!("empty-{name}"), &mut problems).await;
        browser.visit("/connect").await;
        look(&browser, &script, &format!("viewer-{name}"), &mut problems).await;
        browser.close().await;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    house.cluster.stop().await;
}

/// A contract, an accepted recommendation and an exempt seat; gives a seat that something is recommended for.
async fn decided(house: &House, connection_id: &str) -> String {
    let (mut client, connection_id) = (house.cluster.caller(2).utilization(), connection_id.to_owned());
    let contract = Contract {
        purchased_seats: Some(40),
        price_per_seat_month: Some(Money { minor: 2_500, currency: "EUR".to_owned() }),
        minimum_seats: Some(10),
        renewal_date: (today() + chrono::Days::new(50)).to_string(),
        target_percent: Some(99),
    };
    let request = SetContractRequest { connection_id: connection_id.clone(), contract: Some(contract) };
    client.set_contract(request).await.unwrap();
    let request = ListRecommendationsRequest { connection_id: connection_id.clone(), ..Default::default() };
    let found = client.list_recommendations(request).await.unwrap().into_inner().recommendations;
    let seat = |at: usize| found[at].seat.clone().unwrap();
    let request = AcceptRecommendationRequest {
        connection_id: connection_id.clone(),
        member_id: seat(1).member_id,
        action: seat(1).action,
        actor: "Grace Hopper".to_owned(),
    };
    client.accept_recommendation(request).await.unwrap();
    let request = SetExemptionRequest {
        connection_id,
        member_id: seat(2).member_id,
        reason: "on parental leave".to_owned(),
        until: (today() + chrono::Days::new(40)).to_string(),
    };
    client.set_exemption(request).await.unwrap();
    seat(0).member_id
}

async fn invitations(house: &House, organization: &str) -> [String; 2] {
    let mut client = house.cluster.caller(0).invitations();
    let mut make = async |name: &str| {
        let request = CreateInvitationRequest {
            organization_id: organization.to_owned(),
            organization_name: "Acme Industries".to_owned(),
            invitee_name: name.to_owned(),
            invited_by: "Grace Hopper".to_owned(),
            ..Default::default()
        };
        client.create_invitation(request).await.unwrap().into_inner().link
    };
    [make("Ada Lovelace").await, make("").await]
}

async fn hosted(house: &House, organization: &str) -> String {
    let request = CreateConnectLinkRequest {
        organization_id: organization.to_owned(),
        organization_name: "Acme Industries".to_owned(),
        return_url: "https://platform.example.com/apps".to_owned(),
        ..Default::default()
    };
    house.cluster.caller(0).connect_links().create_connect_link(request).await.unwrap().into_inner().url
}

/// What axe-core finds, and what is larger or wider than it may be.
async fn look(browser: &Browser, script: &str, name: &str, problems: &mut Vec<String>) {
    browser.run(script).await;
    let run = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then(
            (found) => done(found.violations.map((one) =>
                `${one.id}: ${one.help} (${one.nodes.map((node) => node.target.join(' ')).join(', ')})`)),
            (error) => done([String(error)]));";
    let found =
        until("axe-core has looked", async || browser.client.execute_async(run, Vec::new()).await.ok()).await;
    let found = found.as_array().cloned().unwrap_or_default();
    problems.extend(found.iter().filter_map(Value::as_str).map(|text| format!("{name}: {text}")));
    let source = browser.client.source().await.unwrap().len();
    let files =
        "return performance.getEntriesByType('resource').reduce((sum, one) => sum + one.decodedBodySize, 0)";
    let files = browser.run(files).await.as_u64().unwrap_or(0);
    if source + usize::try_from(files).unwrap() > LARGEST_PAGE {
        problems.push(format!("{name}: {source} bytes and {files} bytes of files"));
    }
    let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    if browser.run(wide).await == true {
        problems.push(format!("{name}: it scrolls sideways"));
    }
    if let Some(folder) = std::env::var_os(SCREENSHOTS).map(PathBuf::from) {
        picture(browser, &folder, name).await;
    }
}

async fn picture(browser: &Browser, folder: &Path, name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let bytes = browser.client.screenshot().await.unwrap();
    std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
}
