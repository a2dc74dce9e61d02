//! Every page and each of its states, light and dark, wide and on a phone: nobody is shut out.

use std::time::Duration;

use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    connections::{ConsoleRole, CreateConnectLinkRequest, CreateInvitationRequest},
    syncs::RunState,
    utilization::{
        AcceptRecommendationRequest, Contract, ListRecommendationsRequest, Money, SetContractRequest,
        SetExemptionRequest,
    },
};

use super::{
    browser::{Browser, Taste},
    house::{ACME, GLOBEX, House, Tenant},
    journeys::paste,
    look::Looks,
    usage::sprawling,
};
use crate::cluster::today;

const SMALL: &str = "cAnArY-small-key";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_shuts_anybody_out() {
    let scene = Scene::set().await;
    let pages = scene.pages().await;
    let mut looks = Looks::new();
    for (name, taste) in [
        ("light", Taste::default()),
        ("dark", Taste { is_dark: true, ..Taste::default() }),
        ("phone", Taste { width: 390, ..Taste::default() }),
        ("phone-dark", Taste { width: 390, is_dark: true, ..Taste::default() }),
    ] {
        let browser = Browser::open(&scene.house.url(""), taste).await;
        let link = scene.house.link(&scene.tenant.organization, ConsoleRole::Admin).await;
        browser.visit(&link).await;
        for (page, path) in &pages {
            browser.visit(path).await;
            looks.at(&browser, &format!("{page}-{name}")).await;
        }
        scene.answers(&browser, &mut looks, name).await;
        scene.outside(&browser, &mut looks, name).await;
        browser.close().await;
    }
    looks.done();
    scene.house.cluster.stop().await;
}

/// One organization with a workspace in each state.
struct Scene {
    house: House,
    /// With numbers, a contract and decisions.
    tenant: Tenant,
    run: String,
    /// Something is recommended for the first; the second is on somebody's list, the third is exempt.
    seats: [String; 3],
    /// Its first sync is on its way.
    waiting: Tenant,
    /// Its key was revoked after its numbers were there.
    stopped: Tenant,
    stopped_run: String,
}

impl Scene {
    async fn set() -> Self {
        let returns = [("CONSOLE__RETURN_URLS", "https://platform.example.com")];
        let (house, tenant, _, run) = sprawling(&returns).await;
        let seats = decided(&house, &tenant.connection).await;
        let stopped = house.beside(&tenant, ACME).await;
        let id = stopped.connection.parse().unwrap();
        let first = house.cluster.sync(&id).await;
        house.cluster.summary(&id, &first).await;
        house.cluster.simulator.revoke(ACME);
        let stopped_run = house.cluster.sync(&id).await;
        house.cluster.run_in(&stopped_run, RunState::ReconnectRequired).await;
        let waiting = house.beside(&tenant, GLOBEX).await;
        house.slow("globex", Duration::from_secs(20));
        let small = WorkspaceSpec::new("small", 5, today()).days(5);
        house.cluster.simulator.add(Workspace::generate(&small), SMALL);
        Self { house, tenant, run, seats, waiting, stopped, stopped_run }
    }

    /// The pages that are there to be looked at.
    async fn pages(&self) -> Vec<(&'static str, String)> {
        let nobodys = "conn_00000000000000000000000000";
        let connection = format!("/connections/{}", self.tenant.connection);
        let usage = format!("/usage/{}", self.tenant.connection);
        let stopped = &self.stopped.connection;
        let [advised, accepted, exempt] = self.seats.each_ref().map(|seat| format!("{usage}/seats/{seat}"));
        vec![
            ("connections", "/connections".to_owned()),
            ("connection", connection.clone()),
            ("news", format!("{connection}?news=true")),
            ("stopped", format!("/connections/{stopped}")),
            ("connect", "/connect".to_owned()),
            ("reconnect", format!("{connection}/reconnect")),
            ("disconnect", format!("{connection}/disconnect")),
            ("sync", format!("/syncs/{}", self.run)),
            ("stopped-sync", format!("/syncs/{}", self.stopped_run)),
            ("syncs", format!("{connection}/syncs")),
            ("invites", "/invites".to_owned()),
            ("invite", "/invite".to_owned()),
            ("events", format!("{connection}/events")),
            ("usage", "/usage".to_owned()),
            ("dashboard", usage.clone()),
            ("stale", format!("/usage/{stopped}?window=90")),
            ("waiting", format!("/usage/{}", self.waiting.connection)),
            ("seats", format!("{usage}/seats")),
            ("nobody", format!("{usage}/seats?text=nobody-is-called-so")),
            ("seat", advised),
            ("accepted", format!("{accepted}?done=accepted")),
            ("exempt", exempt),
            ("recommendations", format!("{usage}/recommendations")),
            ("groups", format!("{usage}/groups")),
            ("contract", format!("{usage}/contract?drop=3")),
            ("terms", format!("/usage/{stopped}/contract?drop=3")),
            ("missing", format!("/connections/{nobodys}")),
            ("consent", "/oauth/callback?state=a&code=b".to_owned()),
            ("landing", invitation(&self.house, &self.tenant.organization).await),
        ]
    }

    /// What is answered to forms.
    async fn answers(&self, browser: &Browser, looks: &mut Looks, name: &str) {
        browser.visit("/connect").await;
        paste(browser, "cAnArY-no-such-key").await;
        browser.reads("Productboard does not accept this key").await;
        looks.at(browser, &format!("refused-{name}")).await;
        browser.visit(&format!("/usage/{}/contract", self.tenant.connection)).await;
        browser.write("#purchased", "many").await;
        browser.click("#save").await;
        browser.reads("This cannot be used").await;
        looks.at(browser, &format!("unreadable-{name}")).await;
        browser.visit("/invite").await;
        browser.write("#name", "Ada Lovelace").await;
        browser.click("form button.primary").await;
        browser.reads("shown only now").await;
        looks.at(browser, &format!("invited-{name}")).await;
        let small = self.house.beside(&self.tenant, SMALL).await;
        browser.visit(&format!("/connections/{}/disconnect", small.connection)).await;
        browser.click("input[name=understood]").await;
        browser.click("form button.danger").await;
        browser.reads("is disconnected").await;
        looks.at(browser, &format!("disconnected-{name}")).await;
        browser.visit("/connect").await;
        browser.click("#begin-consent").await;
        browser.click("button[value=deny]").await;
        browser.reads("The consent was refused").await;
        looks.at(browser, &format!("denied-{name}")).await;
    }

    /// What is seen by those who come by a link, by viewers, and by those who left.
    async fn outside(&self, browser: &Browser, looks: &mut Looks, name: &str) {
        let fresh = self.house.organization();
        let link = invitation(&self.house, &fresh).await;
        browser.visit(&link).await;
        paste(browser, SMALL).await;
        browser.reads("small is connected").await;
        looks.at(browser, &format!("thanks-{name}")).await;
        browser.visit(&link).await;
        looks.at(browser, &format!("ended-{name}")).await;
        browser.visit(&hosted(&self.house, &self.tenant.organization).await).await;
        looks.at(browser, &format!("hosted-{name}")).await;
        let fresh = self.house.organization();
        browser.visit(&self.house.link(&fresh, ConsoleRole::Admin).await).await;
        looks.at(browser, &format!("first-{name}")).await;
        browser.visit(&self.house.link(&fresh, ConsoleRole::Viewer).await).await;
        for (page, path) in [("empty", "/connections"), ("empty-usage", "/usage"), ("viewer", "/connect")] {
            browser.visit(path).await;
            looks.at(browser, &format!("{page}-{name}")).await;
        }
        browser.visit("/connections").await;
        browser.click(".who button").await;
        browser.reads("You are signed out").await;
        looks.at(browser, &format!("left-{name}")).await;
        browser.visit("/connections").await;
        looks.at(browser, &format!("over-{name}")).await;
    }
}

/// A contract, an accepted recommendation and an exempt seat; gives the seats.
async fn decided(house: &House, connection_id: &str) -> [String; 3] {
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
    [0, 1, 2].map(|at| seat(at).member_id)
}

async fn invitation(house: &House, organization: &str) -> String {
    let request = CreateInvitationRequest {
        organization_id: organization.to_owned(),
        organization_name: "Acme Industries".to_owned(),
        invitee_name: "Ada Lovelace".to_owned(),
        invited_by: "Grace Hopper".to_owned(),
        ..Default::default()
    };
    house.cluster.caller(0).invitations().create_invitation(request).await.unwrap().into_inner().link
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
