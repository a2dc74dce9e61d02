//! Every link, session and key passes through everything, and everything that was written down is searched for them.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use tidemark_rpc::connections::{
    ConnectThroughLinkRequest, CreateConnectLinkRequest, RedeemConnectLinkRequest, Region,
};

use crate::{
    office::{CONSOLE, Office, RETURN, held},
    world::{World, told},
};

const KEY: &str = "pb-canary-77c1b0e2a94d35";
const WRONG: &str = "pb-canary-1d5e88f0c3a742";

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text, and for what links hold the bytes and their hexadecimal digits.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut all = vec![secret.as_bytes().to_vec()];
    if let Ok(bytes) = URL_SAFE_NO_PAD.decode(secret) {
        all.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
        all.push(bytes);
    }
    all
}

fn assert_clean(place: &str, bytes: &[u8], secrets: &[String]) {
    for (number, secret) in secrets.iter().enumerate() {
        for spelling in spellings(secret) {
            let found = bytes.windows(spelling.len()).position(|window| window == spelling);
            let Some(at) = found else { continue };
            let around = &bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())];
            panic!("secret {number} is in {place}: {}", String::from_utf8_lossy(around));
        }
    }
}

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
    assert_clean("what was shown", shown.join("\n").as_bytes(), &secrets);
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        files += 1;
        assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap(), &secrets);
    }
    assert!(files > 0, "the database is in the folder");
    let log = sink.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&log);
    for line in
        ["invitation created", "mail not taken yet", "invitation accepted", "connect link used", "TRACE"]
    {
        assert!(text.contains(line), "the log was captured: {line}");
    }
    assert!(!text.contains("I do not like this link"), "a server's words stay out");
    assert_clean("the log", &log, &secrets);
}
