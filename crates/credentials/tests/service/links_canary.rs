//! Every link, session and key passes through everything, and everything that was written down is searched for them.

use chrono::TimeDelta;
use tidemark_rpc::connections::{
    ConnectThroughLinkRequest, CreateConnectLinkRequest, RedeemConnectLinkRequest, Region,
};
use tidemark_testkit::{Sink, assert_absent};

use crate::{
    office::{CONSOLE, Office, RETURN, held},
    world::{World, told},
};

const KEY: &str = "pb-canary-77c1b0e2a94d35";
const WRONG: &str = "pb-canary-1d5e88f0c3a742";

// One thread, so that the subscriber of the test hears all of it.
#[tokio::test(flavor = "current_thread")]
async fn no_link_session_or_key_is_in_any_log_status_debug_output_or_file() {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _heard = tracing::subscriber::set_default(subscriber);
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/canary.sqlite", folder.path().display());
    let office = Office::in_world(World::on(&database).await).await;
    office.world.simulator.issue_token("acme", KEY);
    let (mut secrets, mut shown, mut statuses) =
        (vec![KEY.to_owned(), WRONG.to_owned()], Vec::new(), Vec::new());

    let (invitation, first) = office.invited().await;
    office.post.answer_mail("451 I do not like this link");
    office.deliver().await;
    office.advance(TimeDelta::minutes(1));
    let (resent, second) = office.resend(&invitation.id).await.unwrap();
    office.deliver().await;
    let [mail] = <[_; 1]>::try_from(office.post.taken()).unwrap();
    let message = mail_parser::MessageParser::default().parse(mail.data.as_bytes()).unwrap();
    let text = message.body_text(0).unwrap().into_owned();
    let mailed = held(text.split_whitespace().find(|word| word.starts_with(CONSOLE)).unwrap());
    shown.push(format!("{invitation:?} {resent:?} {:?}", office.open(&mailed).await.unwrap()));
    statuses.push(office.open(&first).await.unwrap_err());
    statuses.push(office.accept(&mailed, WRONG).await.unwrap_err());
    shown.push(format!("{:?}", office.accept(&mailed, KEY).await.unwrap()));
    statuses.push(office.accept(&second, KEY).await.unwrap_err());
    secrets.extend([first, second, mailed]);

    let mut client = office.caller.connect_links();
    let request = CreateConnectLinkRequest {
        organization_id: office.world.organization.to_string(),
        organization_name: "Acme".to_owned(),
        return_url: RETURN.to_owned(),
        ..Default::default()
    };
    let link = client.create_connect_link(request).await.unwrap().into_inner();
    let token = held(&link.url);
    let request = RedeemConnectLinkRequest { token: token.clone() };
    shown.push(format!("{link:?} {request:?}"));
    let page = client.redeem_connect_link(request.clone()).await.unwrap().into_inner();
    statuses.push(client.redeem_connect_link(request).await.unwrap_err());
    let session = page.session.clone();
    let through = |api_key: &str| ConnectThroughLinkRequest {
        session: session.clone(),
        api_key: api_key.to_owned(),
        region: Region::Us.into(),
    };
    shown.push(format!("{page:?} {:?}", through(KEY)));
    statuses.push(client.connect_through_link(through(WRONG)).await.unwrap_err());
    client.connect_through_link(through(KEY)).await.unwrap();
    statuses.push(client.connect_through_link(through(KEY)).await.unwrap_err());
    secrets.extend([token, session]);
    office.service.keep_house().await.unwrap();

    shown.push(format!("{:?} {:?}", office.service, office.get(&invitation.id).await));
    shown.extend(statuses.iter().map(told));
    assert_absent(&secrets, "what was shown", shown.join("\n").as_bytes());
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        files += 1;
        assert_absent(&secrets, &path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    assert!(files > 0, "the database is in the folder");
    let log = sink.bytes();
    let text = String::from_utf8_lossy(&log);
    for line in
        ["invitation created", "mail not taken yet", "invitation accepted", "connect link used", "TRACE"]
    {
        assert!(text.contains(line), "the log was captured: {line}");
    }
    assert!(!text.contains("I do not like this link"), "a server's words stay out");
    assert_absent(&secrets, "the log", &log);
}
