//! The life of an invitation: made, mailed, opened, accepted; and every way in which it can end before.

use chrono::TimeDelta;
use tidemark_domain::{Clock as _, id::OrganizationId};
use tidemark_rpc::{
    connections::{
        CreateInvitationRequest, GetInvitationRequest, InvitationState as State, InvitationStep as Step,
        ListInvitationsRequest,
    },
    status,
};
use tidemark_testkit::{SeededEntropy, TestDatabase};
use tonic::{Code, Status};

use crate::{
    office::{Office, is, steps},
    post::Post,
    world::{ACME, GLOBEX, World, told},
};

const MINUTE: TimeDelta = TimeDelta::minutes(1);
const DAY: TimeDelta = TimeDelta::days(1);

fn reason(status: &Status) -> String {
    status::reason(status).unwrap_or_else(|| panic!("{status:?}"))
}

#[tokio::test]
async fn an_invitation_is_made_opened_and_accepted_once() {
    let office = Office::new().await;
    let (invitation, token) = office.invited().await;
    is(&invitation, State::Created);
    assert_eq!((invitation.application.as_str(), invitation.resends_left), ("productboard", 5));
    let week = office.world.clock.now() + DAY * 7;
    assert_eq!(invitation.expires_at.unwrap().seconds, week.timestamp());
    assert_eq!(office.deliver().await, 1);
    is(&office.get(&invitation.id).await, State::Sent);

    let page = office.open(&token).await.unwrap();
    assert!(page.usable && !page.reconnect && page.sentence.is_empty());
    let shown = [&page.organization_name, &page.invited_by, &page.invitee_name, &page.application];
    assert_eq!(shown, ["Acme", "Grace", "Ada", "productboard"]);
    assert_eq!(page, office.open(&token).await.unwrap(), "opened twice is opened once");

    let connection = office.accept(&token, ACME).await.unwrap();
    assert_eq!(connection.organization_id, office.world.organization.to_string());
    assert_eq!(office.world.events(&connection.id).await, ["connection.connected"]);
    let ended = office.get(&invitation.id).await;
    is(&ended, State::Accepted);
    assert_eq!((&ended.made_connection_id, ended.resends_left), (&connection.id, 0));
    let holder = "the holder of the link";
    let expected = [
        (Step::Created, "Grace"),
        (Step::Sent, "the mail service"),
        (Step::Opened, holder),
        (Step::Accepted, holder),
    ];
    assert_eq!(steps(&ended), expected);

    let again = office.accept(&token, ACME).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::FailedPrecondition, "INVITATION_ACCEPTED"));
    let page = office.open(&token).await.unwrap();
    assert_eq!((page.state(), page.usable), (State::Accepted, false));
    assert!(page.sentence.contains("was used") && page.organization_name.is_empty(), "{page:?}");
    assert_eq!(office.world.stored().await, 1);
}

#[tokio::test]
async fn a_refused_key_leaves_the_invitation_as_it_was() {
    let office = Office::new().await;
    let (invitation, token) = office.invited().await;
    let refused = office.accept(&token, "nobodys-key").await.unwrap_err();
    assert_eq!(reason(&refused), "KEY_REJECTED");
    assert_eq!(office.accept(&token, "two words").await.unwrap_err().code(), Code::InvalidArgument);
    is(&office.get(&invitation.id).await, State::Created);
    assert_eq!(office.world.stored().await, 0);
    office.accept(&token, ACME).await.unwrap();
}

#[tokio::test]
async fn an_invitation_to_reconnect_keeps_the_connection_and_its_workspace() {
    let office = Office::new().await;
    let lost = office.world.lost().await;
    let request = CreateInvitationRequest { connection_id: lost.id.clone(), ..office.request() };
    let (invitation, token) = office.create(request).await.unwrap();
    assert_eq!(invitation.connection_id, lost.id);
    let page = office.open(&token).await.unwrap();
    assert_eq!((page.reconnect, page.workspace.as_str()), (true, "acme"));
    let refused = office.accept(&token, GLOBEX).await.unwrap_err();
    assert_eq!(reason(&refused), "WRONG_WORKSPACE");
    is(&office.get(&invitation.id).await, State::Opened);

    office.world.simulator.issue_token("acme", "acme-key-2");
    let renewed = office.accept(&token, "acme-key-2").await.unwrap();
    assert_eq!((&renewed.id, renewed.generation), (&lost.id, 2));
    is(&office.get(&invitation.id).await, State::Accepted);
    assert_eq!(office.world.stored().await, 1);
}

async fn two_people_with_one_link(office: Office) {
    let (invitation, token) = office.invited().await;
    let accepts = (0..6).map(|_| office.accept(&token, ACME));
    let results = futures::future::join_all(accepts).await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    for refused in refused {
        assert_eq!(reason(&refused.unwrap_err()), "INVITATION_ACCEPTED");
    }
    assert_eq!(office.world.stored().await, 1);
    let made = made.into_iter().next().unwrap().unwrap();
    assert_eq!(office.get(&invitation.id).await.made_connection_id, made.id);
    assert_eq!(office.world.events(&made.id).await.len(), 1);
}

#[tokio::test]
async fn two_people_with_one_link_make_one_connection() {
    two_people_with_one_link(Office::new().await).await;
}

#[tokio::test]
async fn two_people_with_one_link_make_one_connection_on_postgres() {
    let database = TestDatabase::postgres().await;
    two_people_with_one_link(Office::in_world(World::on(&database.url()).await).await).await;
}

/// Nobody waits for somebody who waits for them, and nobody is told of a fault that is not theirs.
#[tokio::test]
async fn everything_at_once_on_postgres_ends_well() {
    let database = TestDatabase::postgres().await;
    let office = Office::in_world(World::on(&database.url()).await).await;
    for round in 1..=5 {
        let (invitation, token) = office.invited().await;
        office.advance(MINUTE);
        let accept = || async { office.accept(&token, ACME).await.map(drop) };
        let open = || async { office.open(&token).await.map(drop) };
        let resend = async { office.resend(&invitation.id).await.map(drop) };
        let deliver = async { office.service.deliver_next().await.map(drop) };
        let house = async { office.service.keep_house().await };
        let (a, b, c, d, e, sent, kept) =
            tokio::join!(accept(), open(), accept(), open(), resend, deliver, house);
        sent.unwrap();
        kept.unwrap();
        for refused in [a, b, c, d, e].into_iter().filter_map(Result::err) {
            let expected = [Code::NotFound, Code::FailedPrecondition];
            assert!(expected.contains(&refused.code()), "{refused:?}");
        }
        assert!(office.world.stored().await <= round, "one connection per link");
    }
}

#[tokio::test]
async fn a_resent_invitation_has_a_new_link_and_its_old_one_is_dead() {
    let office = Office::new().await;
    let (invitation, old) = office.invited().await;
    let soon = office.resend(&invitation.id).await.unwrap_err();
    assert_eq!(soon.code(), Code::ResourceExhausted);
    assert!(soon.message().contains("Wait a minute"), "{soon}");
    office.advance(MINUTE);
    let (resent, token) = office.resend(&invitation.id).await.unwrap();
    assert_ne!(old, token);
    is(&resent, State::Created);
    assert_eq!((resent.resends_left, steps(&resent)[1]), (4, (Step::Resent, "Linus")));
    assert_eq!(resent.expires_at.unwrap().seconds, invitation.expires_at.unwrap().seconds + 60);
    assert_eq!(office.open(&old).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(office.accept(&old, ACME).await.unwrap_err().code(), Code::NotFound);

    for _ in 0..4 {
        office.advance(MINUTE);
        office.resend(&invitation.id).await.unwrap();
    }
    office.advance(MINUTE);
    assert_eq!(reason(&office.resend(&invitation.id).await.unwrap_err()), "RESEND_LIMIT");
    assert_eq!(office.get(&invitation.id).await.resends_left, 0);
}

#[tokio::test]
async fn a_revoked_invitation_opens_nothing_and_says_so_to_its_holder() {
    let office = Office::new().await;
    let (invitation, token) = office.invited().await;
    let revoked = office.revoke(&invitation.id).await.unwrap();
    is(&revoked, State::Revoked);
    assert_eq!(
        steps(&revoked)[1],
        (Step::Revoked, "platform"),
        "the calling service, where no person is named"
    );
    assert_eq!(office.revoke(&invitation.id).await.unwrap().history.len(), 2, "once");
    assert_eq!(office.open(&token).await.unwrap().state(), State::Revoked);
    assert_eq!(reason(&office.accept(&token, ACME).await.unwrap_err()), "INVITATION_REVOKED");
    office.advance(MINUTE);
    assert_eq!(reason(&office.resend(&invitation.id).await.unwrap_err()), "INVITATION_REVOKED");
    assert_eq!(office.deliver().await, 0, "its mail is not sent any more");
    assert_eq!(office.world.simulator.requests(ACME), 0, "the vendor is not asked through a dead link");
}

#[tokio::test]
async fn an_invitation_expires_can_be_resent_and_is_forgotten_later() {
    let office = Office::new().await;
    let request = CreateInvitationRequest { ttl_days: 1, ..office.request() };
    let (invitation, token) = office.create(request).await.unwrap();
    office.open(&token).await.unwrap();
    office.advance(DAY);
    is(&office.get(&invitation.id).await, State::Expired);
    assert_eq!(reason(&office.accept(&token, ACME).await.unwrap_err()), "INVITATION_EXPIRED");
    assert_eq!(office.open(&token).await.unwrap().state(), State::Expired);
    office.service.keep_house().await.unwrap();
    let marked = office.get(&invitation.id).await;
    assert_eq!(steps(&marked).last(), Some(&(Step::Expired, "the clock")));
    assert_eq!(reason(&office.revoke(&invitation.id).await.unwrap_err()), "INVITATION_EXPIRED");

    let (_, token) = office.resend(&invitation.id).await.unwrap();
    assert!(office.open(&token).await.unwrap().usable);
    office.advance(DAY);
    office.service.keep_house().await.unwrap();
    office.advance(TimeDelta::days(29));
    office.forget().await;
    assert_eq!(office.open(&token).await.unwrap().state(), State::Expired, "its holder may still learn it");
    office.advance(DAY * 2);
    office.forget().await;
    assert_eq!(office.open(&token).await.unwrap_err().code(), Code::NotFound);
    is(&office.get(&invitation.id).await, State::Expired);
}

#[tokio::test]
async fn every_token_that_opens_nothing_gets_the_same_answer() {
    let office = Office::new().await;
    let (invitation, superseded) = office.invited().await;
    office.advance(MINUTE);
    let (_, token) = office.resend(&invitation.id).await.unwrap();
    let stranger = OrganizationId::generate(&*office.world.clock, &SeededEntropy::new(9));
    let mut answers = Vec::new();
    let guessed = "A".repeat(43);
    for wrong in ["", "x", &guessed, &superseded, &token[1..], &format!("{token} "), "'; drop table"] {
        answers.push(told(&office.open(wrong).await.unwrap_err()));
        answers.push(told(&office.accept(wrong, ACME).await.unwrap_err()));
    }
    let (limited, _stop) = office.limited(&[&stranger]);
    let request = tidemark_rpc::connections::OpenInvitationRequest { token };
    answers.push(told(&limited.invitations().open_invitation(request).await.unwrap_err()));
    // What the transport adds, such as the date, is not the answer's.
    answers.iter_mut().for_each(|answer| *answer = answer.split("metadata").next().unwrap().to_owned());
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers[0].contains("no such invitation"), "{answers:?}");
}

#[tokio::test]
async fn what_is_not_the_callers_to_see_does_not_exist() {
    let office = Office::new().await;
    let (invitation, _) = office.invited().await;
    let stranger = OrganizationId::generate(&*office.world.clock, &SeededEntropy::new(9));
    let (limited, _stop) = office.limited(&[&stranger]);
    let mut client = limited.invitations();
    let codes = [
        client.create_invitation(office.request()).await.unwrap_err().code(),
        client
            .get_invitation(GetInvitationRequest { invitation_id: invitation.id.clone() })
            .await
            .unwrap_err()
            .code(),
        client
            .resend_invitation(tidemark_rpc::connections::ResendInvitationRequest {
                invitation_id: invitation.id.clone(),
                actor: String::new(),
            })
            .await
            .unwrap_err()
            .code(),
        client
            .revoke_invitation(tidemark_rpc::connections::RevokeInvitationRequest {
                invitation_id: invitation.id.clone(),
                actor: String::new(),
            })
            .await
            .unwrap_err()
            .code(),
        client
            .list_invitations(ListInvitationsRequest {
                organization_id: office.world.organization.to_string(),
                ..Default::default()
            })
            .await
            .unwrap_err()
            .code(),
    ];
    assert_eq!(codes, [Code::NotFound; 5]);
    is(&office.get(&invitation.id).await, State::Created);

    // A connection of another organization cannot be bound.
    let connection = office.world.connected().await;
    let request = CreateInvitationRequest {
        organization_id: stranger.to_string(),
        connection_id: connection.id,
        ..office.request()
    };
    let refused = client.create_invitation(request).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "no such connection"));
}

#[tokio::test]
async fn an_organization_has_so_many_links_a_day() {
    let post = Post::open().await;
    let office = Office::with(World::new().await, post, |settings| settings.per_day = 2).await;
    let (invitation, _) = office.invited().await;
    office.advance(MINUTE);
    office.resend(&invitation.id).await.unwrap();
    let refused = office.create(office.request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("2 invitation links today"), "{refused}");
    office.advance(MINUTE);
    assert_eq!(office.resend(&invitation.id).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(office.get(&invitation.id).await.history.len(), 2, "what was refused did not happen");
    office.advance(DAY);
    office.invited().await;
}

#[tokio::test]
async fn without_a_mail_server_there_is_a_link_and_a_word_about_it() {
    let post = Post::open().await;
    let office = Office::with(World::new().await, post, |_| {}).await;
    let (invitation, token) = office.invited().await;
    is(&invitation, State::Created);
    assert!(invitation.delivery_note.contains("no mail server"), "{invitation:?}");
    assert_eq!(office.deliver().await, 0);
    office.accept(&token, ACME).await.unwrap();
    let request = CreateInvitationRequest { invitee_email: String::new(), ..office.request() };
    let (quiet, _) = office.create(request).await.unwrap();
    assert_eq!(quiet.delivery_note, "", "nobody asked for a mail");
}

#[tokio::test]
async fn without_a_console_no_link_is_made() {
    let post = Post::open().await;
    let office = Office::with(World::new().await, post, |settings| settings.console_url = None).await;
    let refused = office.create(office.request()).await.unwrap_err();
    assert_eq!(reason(&refused), "NO_CONSOLE");
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let office = Office::new().await;
    let good = office.request();
    let bad = "Ada\r\nBcc: everybody@example.com".to_owned();
    let cases = [
        ("organization_id", CreateInvitationRequest { organization_id: "acme".into(), ..good.clone() }),
        ("organization_name", CreateInvitationRequest { organization_name: bad.clone(), ..good.clone() }),
        ("organization_name", CreateInvitationRequest { organization_name: String::new(), ..good.clone() }),
        ("application", CreateInvitationRequest { application: "jira".into(), ..good.clone() }),
        ("connection_id", CreateInvitationRequest { connection_id: "conn_1".into(), ..good.clone() }),
        ("invitee_email", CreateInvitationRequest { invitee_email: bad.clone(), ..good.clone() }),
        ("invitee_name", CreateInvitationRequest { invitee_name: bad.clone(), ..good.clone() }),
        ("invited_by", CreateInvitationRequest { invited_by: bad, ..good.clone() }),
        ("ttl_days", CreateInvitationRequest { ttl_days: 31, ..good }),
    ];
    for (field, request) in cases {
        let refused = office.create(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().starts_with(&format!("field `{field}`")), "{refused}");
    }
}

#[tokio::test]
async fn invitations_are_listed_page_by_page() {
    let office = Office::new().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        office.advance(MINUTE);
        made.push(office.invited().await.0.id);
    }
    let list = async |page_size, page_token: &str| {
        let request = ListInvitationsRequest {
            organization_id: office.world.organization.to_string(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let page = office.caller.invitations().list_invitations(request).await?.into_inner();
        let ids: Vec<_> = page.invitations.into_iter().map(|invitation| invitation.id).collect();
        Ok::<_, Status>((ids, page.next_page_token))
    };
    let (ids, next) = list(2, "").await.unwrap();
    assert_eq!(ids, made[..2]);
    assert_eq!(list(2, &next).await.unwrap(), (made[2..].to_vec(), String::new()));
    assert_eq!(list(0, "!").await.unwrap_err().code(), Code::InvalidArgument);
}
