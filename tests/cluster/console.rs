//! The console of a cluster, asked as a browser would: who gets in, what whom is shown, and what every answer carries.

mod axe;
mod browser;
pub(crate) mod house;
mod journeys;
mod live;
mod look;
mod usage;
pub(crate) mod web;

use tidemark_rpc::connections::ConsoleRole;

use crate::cluster::{Cluster, Wiring};
use house::House;
use web::{Answer, Web};

pub(crate) async fn a_link_opens_a_session_of_one_organization(wiring: Wiring) {
    let house = House::open(wiring, &[]).await;
    let (ours, theirs) = (house.acme().await, house.globex().await);
    let link = house.link(&ours.organization, ConsoleRole::Admin).await;
    let mut web = Web::new(house.port);
    assert_eq!(web.head(&link).await.status, 404, "a look ahead does not use the link up");
    let entered = web.get(&link).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    let cookie = entered.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");

    let mut stranger = Web::new(house.port);
    let told = |answer: &Answer| (answer.status, answer.text.clone());
    let used = stranger.get(&link).await;
    assert_eq!(used.status, 404);
    for unknown in ["/enter/x", "/enter/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(told(&stranger.get(unknown).await), told(&used), "used and unknown read the same");
    }
    for page in ["/", "/connections", "/usage", "/invites", "/connect"] {
        assert_eq!(stranger.get(page).await.status, 401, "{page}");
        assert_eq!(web.get(page).await.status, 200, "{page}");
    }
    // Each page of somebody else's reads as one that is not there.
    let nowhere = "conn_00000000000000000000000000";
    for (page, text) in [("", "acme"), ("/reconnect", "acme"), ("/disconnect", "acme"), ("/syncs", "acme")] {
        let own = web.get(&format!("/connections/{}{page}", ours.connection)).await;
        assert!(own.status == 200 && own.text.contains(text), "{page}: {}", own.text);
        let other = web.get(&format!("/connections/{}{page}", theirs.connection)).await;
        let none = web.get(&format!("/connections/{nowhere}{page}")).await;
        assert_eq!(other.status, 404, "{page}");
        assert_eq!(told(&other), told(&none), "{page}");
    }
    for (page, of) in [("sync", "StartSync"), ("probe", "ProbeConnection"), ("disconnect", "Disconnect")] {
        let path = format!("/connections/{}/{page}", theirs.connection);
        let refused = web.post("/connections", &path, &[("understood", "yes"), ("facts", "purge")]).await;
        assert_eq!(refused.status, 404, "{of}");
    }
    let path = format!("/connections/{}/reconnect", theirs.connection);
    assert_eq!(web.post("/connections", &path, &[("api_key", house::ACME)]).await.status, 404);
    let listed = web.get("/connections").await.text;
    assert!(listed.contains("acme") && !listed.contains("globex"), "{listed}");
    assert_eq!(house.cluster.connection(&theirs.connection.parse().unwrap()).await.generation, 1);
    house.cluster.stop().await;
}

pub(crate) async fn forms_need_their_token_and_a_role(wiring: Wiring) {
    let house = House::open(wiring, &[]).await;
    let acme = house.acme().await;
    let mut admin = Web::entered(&house, &acme.organization, ConsoleRole::Admin).await;
    let probe = format!("/connections/{}/probe", acme.connection);
    assert_eq!(admin.send(&probe, &[]).await.status, 403, "no token");
    assert_eq!(admin.send(&probe, &[("form_token", "AAAA")]).await.status, 403, "not its token");
    let token = admin.form_token("/connections").await;
    let forged = admin.send_from("https://evil.example", &probe, &[("form_token", token.as_str())]).await;
    assert_eq!(forged.status, 403, "another origin");
    assert_eq!(admin.send(&probe, &[("form_token", token.as_str())]).await.status, 303);

    let mut viewer = Web::entered(&house, &acme.organization, ConsoleRole::Viewer).await;
    assert_ne!(viewer.form_token("/connections").await, token, "each session has its own");
    let shown = viewer.get(&format!("/connections/{}", acme.connection)).await;
    assert!(shown.status == 200 && !shown.text.contains("Disconnect") && !shown.text.contains("Sync now"));
    for page in ["/connect", "/invite", "/oauth/callback?state=a&code=b"] {
        assert_eq!(viewer.get(page).await.status, 403, "{page}");
    }
    for path in [probe.as_str(), "/connect", "/invite", "/consent"] {
        assert_eq!(viewer.post("/connections", path, &[]).await.status, 403, "{path}");
    }
    assert_eq!(viewer.post("/connections", "/leave", &[]).await.status, 303);
    assert_eq!(viewer.get("/connections").await.status, 401);
    assert_eq!(admin.get("/connections").await.status, 200, "other sessions go on");
    let large = "x".repeat(40_000);
    assert_eq!(admin.post("/connections", "/invite", &[("name", large.as_str())]).await.status, 413);
    house.cluster.stop().await;
}

/// Keys are tried a few times, never shown again, and written down nowhere.
pub(crate) async fn keys_are_tried_and_never_shown(wiring: Wiring) {
    let house = House::open(wiring, &[]).await;
    let mut web = Web::entered(&house, &house.organization(), ConsoleRole::Admin).await;
    let mut statuses = Vec::new();
    for number in 0..12 {
        let key = format!("cAnArY-wrong-{number}");
        let refused = web.post("/connect", "/connect", &[("api_key", key.as_str()), ("region", "us")]).await;
        assert!(!refused.text.contains("cAnArY"), "{}", refused.text);
        statuses.push(refused.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 10, "{statuses:?}");
    assert_eq!(&statuses[10..], [429, 429]);
    assert_eq!(house.cluster.simulator.requests("cAnArY-wrong-11"), 0, "Productboard was not asked");
    let page = web.get("/connect").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert!(
        !page.text.contains("<style") && !page.text.contains(" style=") && !page.text.contains(" onclick")
    );
    house.cluster.stop().await;
}

/// Behind https, in frames of the platform, below a path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_and_frames_are_as_the_settings_say() {
    let settings = [
        ("CONSOLE__PUBLIC_URL", "https://app.example.com/tidemark"),
        ("CONSOLE__FRAME_ANCESTORS", "https://platform.example.com/apps"),
    ];
    let house = House::open(Wiring::Embedded, &settings).await;
    let organization = house.organization();
    let link = house.link(&organization, ConsoleRole::Viewer).await;
    assert!(link.starts_with("/tidemark/enter/"), "{link}");
    let mut web = Web::new(house.port);
    let entered = web.get(&link).await;
    assert_eq!(entered.header("location"), Some("/tidemark/"));
    let cookie = entered.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-tidemark=") && cookie.contains("SameSite=None; Partitioned; Secure"),
        "{cookie}"
    );
    let page = web.get("/tidemark/connections").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors https://platform.example.com;"), "{policy}");
    assert_eq!(page.header("x-frame-options"), None);
    assert!(page.header("strict-transport-security").is_some());
    assert!(page.text.contains("href=\"/tidemark/assets/console-"), "{}", page.text);
    assert_eq!(web.get("/connections").await.status, 404);
    house.cluster.stop().await;
}

/// The console alone needs the services' addresses and a token, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_of_its_own_says_what_it_lacks() {
    let cluster = Cluster::start(Wiring::Embedded, &[]).await;
    let output = cluster.command(&["console"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("console.public_url"), "{told}");
    cluster.stop().await;
}
