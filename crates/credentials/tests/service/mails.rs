//! The mails of invitations, as a mail server gets them, and what becomes of those that it does not take.

use chrono::TimeDelta;
use mail_parser::{MessageParser, MimeHeaders as _};
use tidemark_domain::Clock as _;
use tidemark_rpc::connections::{CreateInvitationRequest, InvitationState as State, InvitationStep as Step};
use tidemark_runtime::Shutdown;
use tidemark_testkit::reserve_port;
use tonic::Code;

use crate::{
    office::{ADA, CONSOLE, Office, held, is, mailer, steps},
    post::{Post, Taken},
    world::{ACME, World},
};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// The text part, the HTML part, and what the link holds.
fn read(mail: &Taken) -> (String, String, String) {
    let message = MessageParser::default().parse(mail.data.as_bytes()).unwrap();
    assert!(message.content_type().unwrap().subtype() == Some("alternative"), "{}", mail.data);
    let (text, html) =
        (message.body_text(0).unwrap().into_owned(), message.body_html(0).unwrap().into_owned());
    let link = text.split_whitespace().find(|word| word.starts_with(CONSOLE)).unwrap().to_owned();
    assert!(html.contains(&format!("href=\"{link}\"")), "{html}");
    (text, html, held(&link))
}

#[tokio::test]
async fn a_mail_has_two_parts_that_say_the_same_and_a_link_that_works() {
    let office = Office::new().await;
    let (invitation, copied) = office.invited().await;
    assert_eq!((office.deliver().await, office.deliver().await), (1, 0));
    let [mail] = <[_; 1]>::try_from(office.post.taken()).unwrap();
    assert!(mail.from.contains("<no-reply@tidemark.example>") && mail.to == [format!("<{ADA}>")], "{mail:?}");
    let message = MessageParser::default().parse(mail.data.as_bytes()).unwrap();
    assert_eq!(message.subject(), Some("Grace asks you to connect Productboard for Acme"));
    let reply_to = message.reply_to().unwrap().first().unwrap();
    assert_eq!(reply_to.address(), Some("help@tidemark.example"));
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    let id = format!("{}.1@tidemark.example", invitation.id);
    assert_eq!(message.message_id(), Some(id.as_str()));
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-08-12T12:00:00Z");
    let (text, html, mailed) = read(&mail);
    for words in ["Hello Ada,", "Grace asks you", "for Acme", "only read", "19 August 2026", "did not expect"]
    {
        assert!(text.contains(words) && html.contains(words), "{words}: {text}");
    }
    assert!(mail.data.is_ascii() && mail.data.lines().all(|line| line.len() <= 998));

    assert_ne!(mailed, copied, "the record keeps no link, so each mail has one of its own");
    assert!(office.open(&copied).await.unwrap().usable);
    office.accept(&mailed, ACME).await.unwrap();
    assert_eq!(office.open(&copied).await.unwrap().state(), State::Accepted);
}

#[tokio::test]
async fn names_are_encoded_and_stay_names() {
    let office = Office::new().await;
    let names = ["Zoë \"Z\" O'Brien, <x@evil.example>", "Søren & <b>Söhne</b>", "李雷 <li@evil.example>,"];
    let request = CreateInvitationRequest {
        invitee_name: names[0].to_owned(),
        organization_name: names[1].to_owned(),
        invited_by: names[2].to_owned(),
        ..office.request()
    };
    office.create(request).await.unwrap();
    office.deliver().await;
    let [mail] = <[_; 1]>::try_from(office.post.taken()).unwrap();
    assert_eq!(mail.to, [format!("<{ADA}>")]);
    assert!(mail.data.is_ascii(), "{}", mail.data);
    let message = MessageParser::default().parse(mail.data.as_bytes()).unwrap();
    let to: Vec<_> = message.to().unwrap().iter().map(|to| (to.name(), to.address())).collect();
    assert_eq!(to, [(Some(names[0]), Some(ADA))]);
    let subject = format!("{} asks you to connect Productboard for {}", names[2], names[1]);
    assert_eq!(message.subject(), Some(subject.as_str()));
    let (text, html, _) = read(&mail);
    assert!(text.contains("Søren & <b>Söhne</b>") && html.contains("Søren &amp; &lt;b&gt;Söhne&lt;/b&gt;"));
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    let office = Office::new().await;
    let (invitation, _) = office.invited().await;
    office.post.answer_recipient("451 4.7.1 greylisted, come back");
    assert_eq!((office.deliver().await, office.deliver().await), (1, 0));
    let waiting = office.get(&invitation.id).await;
    is(&waiting, State::Created);
    assert!(waiting.delivery_note.contains("an error of its own (451)"), "{waiting:?}");
    assert!(waiting.delivery_note.contains("tried again until 13 August 2026, 12:00 UTC"), "{waiting:?}");
    office.post.answer_mail("421 shutting down");
    office.advance(MINUTE);
    assert_eq!(office.deliver().await, 1);
    office.advance(MINUTE);
    assert_eq!(office.deliver().await, 0, "the second pause is longer");
    office.advance(MINUTE);
    assert_eq!(office.deliver().await, 1);
    let sent = office.get(&invitation.id).await;
    is(&sent, State::Sent);
    assert_eq!((sent.delivery_note.as_str(), sent.history.len()), ("", 2));
    assert_eq!(office.post.taken().len(), 1);
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_said_at_once_and_the_link_works() {
    let office = Office::new().await;
    let (invitation, token) = office.invited().await;
    office.post.answer_recipient("550 5.1.1 who is that? see https://canary.example");
    office.deliver().await;
    let failed = office.get(&invitation.id).await;
    is(&failed, State::DeliveryFailed);
    let note = &failed.delivery_note;
    assert!(
        note.contains("no such mailbox") && note.contains("(550)") && note.contains("copy a link"),
        "{note}"
    );
    assert!(!format!("{failed:?}").contains("canary"), "the server's own words stay out");
    assert_eq!(steps(&failed)[1], (Step::DeliveryFailed, "the mail service"));
    office.advance(MINUTE * 600);
    assert_eq!(office.deliver().await, 0, "it is not tried again");
    office.accept(&token, ACME).await.unwrap();
}

#[tokio::test]
async fn a_mail_that_no_server_takes_is_given_up_after_a_day() {
    let nobody = reserve_port();
    let mailer = mailer(&format!("smtp://127.0.0.1:{nobody}"));
    let office =
        Office::with(World::new().await, Post::open().await, |settings| settings.mailer = Some(mailer)).await;
    let (invitation, _) = office.invited().await;
    let mut attempts = 0;
    for _ in 0..26 * 60 {
        attempts += office.deliver().await;
        office.advance(MINUTE);
    }
    assert_eq!(attempts, 29, "six times within the first hour, then every hour");
    let failed = office.get(&invitation.id).await;
    is(&failed, State::DeliveryFailed);
    assert!(failed.delivery_note.contains("could not be reached"), "{failed:?}");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_mail_where_tls_is_asked_for() {
    let post = Post::open().await;
    let mailer = mailer(&post.url("starttls"));
    let office = Office::with(World::new().await, post, |settings| settings.mailer = Some(mailer)).await;
    let (invitation, _) = office.invited().await;
    office.deliver().await;
    assert!(office.post.taken().is_empty());
    let commands = office.post.commands();
    assert!(
        commands.iter().all(|line| line.starts_with("EHLO tidemark.example") || line == "QUIT"),
        "{commands:?}"
    );
    is(&office.get(&invitation.id).await, State::Created);
}

#[tokio::test]
async fn a_resent_mail_takes_the_place_of_one_that_waits() {
    let office = Office::new().await;
    let (invitation, _) = office.invited().await;
    office.post.answer_recipient("450 busy");
    office.deliver().await;
    office.advance(MINUTE);
    office.resend(&invitation.id).await.unwrap();
    assert_eq!(office.deliver().await, 1);
    let [mail] = <[_; 1]>::try_from(office.post.taken()).unwrap();
    assert!(mail.data.contains(&format!("<{}.2@", invitation.id)), "{}", mail.data);
    let (_, _, mailed) = read(&mail);
    assert!(office.open(&mailed).await.unwrap().usable);
    office.advance(MINUTE);
    office.resend(&invitation.id).await.unwrap();
    assert_eq!(office.open(&mailed).await.unwrap_err().code(), Code::NotFound, "dead with the resend");
}

#[tokio::test]
async fn a_mail_whose_sender_died_is_sent_by_another() {
    let office = Office::new().await;
    let (invitation, _) = office.invited().await;
    let (store, now) = (&office.world.store, office.world.clock.now());
    let claimed = store.claim_invitation_mails(now, 9, std::time::Duration::from_secs(120)).await.unwrap();
    assert_eq!((claimed.len(), office.deliver().await), (1, 0), "somebody has it");
    office.advance(MINUTE * 2);
    assert_eq!(office.deliver().await, 1);
    is(&office.get(&invitation.id).await, State::Sent);
}

#[tokio::test]
async fn a_mail_of_an_invitation_that_has_ended_is_not_sent() {
    let office = Office::new().await;
    let (_, token) = office.invited().await;
    office.accept(&token, ACME).await.unwrap();
    office.invited().await;
    office.advance(TimeDelta::days(8));
    office.deliver().await;
    assert!(office.post.taken().is_empty());
}

#[tokio::test]
async fn an_opened_invitation_stays_opened_when_its_mail_leaves() {
    let office = Office::new().await;
    let (invitation, token) = office.invited().await;
    office.open(&token).await.unwrap();
    office.deliver().await;
    is(&office.get(&invitation.id).await, State::Opened);
}

#[tokio::test]
async fn the_task_sends_by_itself_and_stops_when_asked() {
    let office = Office::new().await;
    let (invitation, _) = office.invited().await;
    let shutdown = Shutdown::new();
    let (service, told) = (office.service.clone(), shutdown.clone());
    let task = tokio::spawn(async move { service.run(told).await });
    let sent = async {
        while office.get(&invitation.id).await.state() != State::Sent {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), sent).await.unwrap();
    shutdown.stop();
    task.await.unwrap();
}
