//! What people do in the console, in a real browser.

use tidemark_productboard_sim::{Plan, Region, Workspace, WorkspaceSpec};
use tidemark_rpc::connections::{ConnectionState, ConsoleRole};

use super::{
    browser::{Browser, Taste},
    house::{ACME, GLOBEX, House},
};
use crate::cluster::{Wiring, today, until};

pub(super) async fn entered(house: &House, organization: &str, taste: Taste) -> Browser {
    let browser = Browser::open(&house.url(""), taste).await;
    browser.visit(&house.link(organization, ConsoleRole::Admin).await).await;
    browser
}

pub(super) async fn paste(browser: &Browser, key: &str) {
    browser.write("#api_key", key).await;
    browser.click("form button.primary").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_sync_lose_the_key_and_reconnect() {
    let house = House::open(Wiring::Embedded, &[]).await;
    let simulator = &house.cluster.simulator;
    let add = |domain: &str, key: &str| {
        simulator.add(Workspace::generate(&WorkspaceSpec::new(domain, 5, today()).days(10)), key);
    };
    add("europe", "cAnArY-europe-key");
    simulator.set_region("europe", Region::Eu);
    add("small", "cAnArY-small-key");
    simulator.set_plan("small", Plan::Essentials);
    let browser = entered(&house, &house.organization(), Taste::default()).await;
    browser.reads("No workspace is connected yet").await;
    browser.press("Connect").await;

    paste(&browser, "cAnArY-no-such-key").await;
    browser.reads("Productboard does not accept this key").await;
    paste(&browser, "cAnArY-europe-key").await;
    browser.reads("The key is of the other region").await;
    browser.find("input[value=eu]:checked").await;
    paste(&browser, "cAnArY-europe-key").await;
    browser.reads("Productboard accepted it").await;
    browser.reads("Region EU").await;
    browser.visit("/connect").await;
    paste(&browser, "cAnArY-small-key").await;
    browser.reads("The plan has no API access").await;
    paste(&browser, ACME).await;
    browser.reads("Productboard accepted it").await;
    for capability in ["Members", "Teams", "Daily activity", "Names and e-mail addresses"] {
        browser.reads(capability).await;
    }
    let page = browser.path().await;

    browser.click("#sync").await;
    let opened = async || browser.path().await.starts_with("/syncs/").then_some(());
    until("the page of the sync is open", opened).await;
    // Without a reload: the page is the one that was opened while the sync ran.
    browser.run("window.same = true").await;
    browser.find("#usage").await;
    browser.reads("Complete").await;
    assert_eq!(browser.run("return window.same").await, true, "it was kept up to date in place");

    browser.visit(&page).await;
    browser.run("window.same = true").await;
    simulator.revoke(ACME);
    let id = page.rsplit('/').next().unwrap().parse().unwrap();
    house.cluster.sync(&id).await;
    browser.reads("Needs a reconnect").await;
    assert_eq!(browser.run("return window.same").await, true);
    browser.click("#reconnect").await;
    paste(&browser, GLOBEX).await;
    browser.reads("The key is of another workspace").await;
    simulator.issue_token("acme", "cAnArY-acme-key-2");
    paste(&browser, "cAnArY-acme-key-2").await;
    browser.reads("Productboard accepted it").await;
    assert_eq!(browser.path().await, page, "the same connection, its history kept");

    browser.click("#disconnect").await;
    browser.reads("This is for good").await;
    browser.click("input[name=understood]").await;
    browser.click("form button.danger").await;
    browser.reads("acme is disconnected").await;
    assert_eq!(house.cluster.connection(&id).await.state(), ConnectionState::Disconnected);
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_is_refused_and_then_given() {
    let house = House::open(Wiring::Embedded, &[]).await;
    let browser = entered(&house, &house.organization(), Taste::default()).await;
    browser.press("Connect").await;
    browser.click("#begin-consent").await;
    browser.find("form[action='/oauth2/authorize']").await;
    browser.click("button[value=deny]").await;
    browser.reads("The consent was refused").await;
    browser.reads("Nothing was changed here").await;
    browser.press("Try again").await;
    browser.click("#begin-consent").await;
    browser.find("form[action='/oauth2/authorize']").await;
    browser.click("button[value=allow]").await;
    browser.reads("Productboard accepted it").await;
    browser.reads("Consent (OAuth)").await;
    // The same answer a second time opens nothing.
    browser.visit("/oauth/callback?state=AAAA&code=BBBB").await;
    browser.reads("This consent is not known here").await;
    browser.close().await;
    house.cluster.stop().await;
}

/// The link that is shown once.
async fn link(browser: &Browser) -> String {
    browser.find("#link").await.prop("value").await.unwrap().unwrap()
}

/// Clicks the button whose text begins so; the rest of it is for those who do not see where it stands.
async fn press_beginning(browser: &Browser, text: &str) {
    let path = format!("//main//button[starts-with(normalize-space(.), '{text}')]");
    let found = browser.client.wait().for_element(fantoccini::Locator::XPath(&path)).await;
    found.unwrap().click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invited_admin_connects_without_an_account() {
    let house = House::open(Wiring::Embedded, &[]).await;
    let organization = house.organization();
    let browser = entered(&house, &organization, Taste::default()).await;
    browser.press("Invite an admin").await;
    browser.write("#name", "Ada Lovelace").await;
    browser.click("form button.primary").await;
    let first = link(&browser).await;
    browser.press("Done").await;
    browser.reads("Ada Lovelace").await;
    press_beginning(&browser, "New link").await;
    browser.reads("This invitation was sent less than a minute ago").await;
    press_beginning(&browser, "Revoke").await;
    browser.reads("Revoked").await;
    browser.press("Invite an admin").await;
    browser.click("form button.primary").await;
    let second = link(&browser).await;
    assert_ne!(second, first);

    let invited = Browser::open(&house.url(""), Taste::default()).await;
    invited.visit(&first).await;
    invited.reads("This invitation has ended").await;
    invited.visit(&second).await;
    invited.reads("Grace Hopper of Acme Industries").await;
    paste(&invited, "cAnArY-no-such-key").await;
    invited.reads("Productboard does not accept this key").await;
    paste(&invited, ACME).await;
    invited.reads("acme is connected").await;
    invited.visit("/connections").await;
    invited.reads("Your session is over").await;
    invited.visit(&second).await;
    invited.reads("This invitation has ended").await;
    invited.close().await;

    browser.visit("/invites").await;
    browser.reads("Accepted").await;
    browser.visit("/connections").await;
    browser.reads("acme").await;
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosted_link_connects_and_leads_back() {
    use tidemark_rpc::connections::CreateConnectLinkRequest;
    let returns = [("CONSOLE__RETURN_URLS", "https://platform.example.com")];
    let house = House::open(Wiring::Embedded, &returns).await;
    let request = CreateConnectLinkRequest {
        organization_id: house.organization(),
        organization_name: "Acme Industries".to_owned(),
        return_url: "https://platform.example.com/apps".to_owned(),
        ..Default::default()
    };
    let made = house.cluster.caller(0).connect_links().create_connect_link(request).await.unwrap();
    let link = made.into_inner().url;
    let browser = Browser::open(&house.url(""), Taste::default()).await;
    browser.visit(&link).await;
    browser.reads("for Acme Industries").await;
    paste(&browser, "cAnArY-no-such-key").await;
    browser.reads("Productboard does not accept this key").await;
    paste(&browser, ACME).await;
    browser.reads("acme is connected").await;
    let back = browser.find("a.button.primary").await.attr("href").await.unwrap();
    assert_eq!(back.as_deref(), Some("https://platform.example.com/apps"));
    let stranger = Browser::open(&house.url(""), Taste::default()).await;
    stranger.visit(&link).await;
    stranger.reads("This link does not open anything").await;
    stranger.close().await;
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_is_enough() {
    use fantoccini::key::Key;
    let house = House::open(Wiring::Embedded, &[]).await;
    let browser = entered(&house, &house.organization(), Taste::default()).await;
    browser.reads("No workspace is connected yet").await;
    let press = async |key: Key| {
        let focused = browser.client.active_element().await.unwrap();
        focused.send_keys(&char::from(key).to_string()).await.unwrap();
    };
    let label =
        async || browser.client.active_element().await.unwrap().text().await.unwrap().trim().to_owned();
    press(Key::Tab).await;
    assert_eq!(label().await, "Skip to the content");
    press(Key::Enter).await;
    // Within the content, the first thing is what one came for.
    press(Key::Tab).await;
    assert_eq!(label().await, "Connect");
    let ring = browser.client.active_element().await.unwrap().css_value("outline-style").await.unwrap();
    assert_eq!(ring, "solid", "the focus is seen");
    press(Key::Enter).await;
    browser.find("#api_key").await;
    for _ in 0..40 {
        press(Key::Tab).await;
        if browser.client.active_element().await.unwrap().attr("id").await.unwrap().as_deref()
            == Some("api_key")
        {
            break;
        }
    }
    browser.client.active_element().await.unwrap().send_keys(ACME).await.unwrap();
    press(Key::Enter).await;
    browser.reads("Productboard accepted it").await;
    browser.close().await;
    house.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_everything_works() {
    let house = House::open(Wiring::Embedded, &[]).await;
    let taste = Taste { without_scripts: true, ..Taste::default() };
    let browser = entered(&house, &house.organization(), taste).await;
    browser.press("Connect").await;
    paste(&browser, "cAnArY-no-such-key").await;
    browser.reads("Productboard does not accept this key").await;
    paste(&browser, ACME).await;
    browser.reads("Productboard accepted it").await;
    browser.click("#sync").await;
    // The page loads itself again until the end.
    browser.find("#usage").await;
    browser.click("#usage").await;
    // So does the dashboard, until there are numbers.
    browser.reads("paid seats were used").await;
    browser.press("What to do").await;
    browser.reads("Certain").await;
    browser.press("Contract").await;
    browser.write("#purchased", "40").await;
    browser.click("#save").await;
    browser.reads("It is saved").await;
    browser.close().await;
    house.cluster.stop().await;
}
