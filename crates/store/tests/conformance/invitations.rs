//! Invitations, their hashed links, their mails, and hosted connect links.

use std::time::Duration;

use chrono::TimeDelta;
use tidemark_domain::{
    id::{ConnectLinkId, InvitationId},
    invitation::{APPLICATION, Entry, State, Step},
};
use tidemark_store::{ConnectLink, Invitation, Store};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase, open_store};

use crate::fixture::*;

on_both_databases! {
    an_invitation_reads_back_and_is_listed,
    an_invitation_is_found_by_its_links_until_they_are_deleted,
    of_two_who_take_an_invitation_the_second_sees_what_the_first_did,
    the_links_of_a_day_are_counted,
    overdue_invitations_are_found_and_old_links_forgotten,
    a_mail_is_claimed_by_one_and_a_lost_claim_writes_nothing,
    a_connect_link_is_redeemed_once_and_used_once,
}

fn invitation(seed: u64) -> Invitation {
    Invitation {
        id: InvitationId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(seed)),
        organization_id: organization_id(1),
        organization_name: "Acme".to_owned(),
        application: APPLICATION.to_owned(),
        connection_id: None,
        invitee_email: Some("ada@example.com".to_owned()),
        invitee_name: None,
        invited_by: "Grace".to_owned(),
        state: State::Created,
        ttl_days: 7,
        expires_at: now() + TimeDelta::days(7),
        issues: 1,
        issued_at: now(),
        delivery_note: None,
        made_connection_id: None,
        history: vec![Entry { at: now(), step: Step::Created, by: "Grace".to_owned(), note: None }],
        revision: 0,
        created_at: now(),
        updated_at: now(),
    }
}

async fn invited(store: &Store, seed: u64) -> Invitation {
    let invitation = invitation(seed);
    let tx = store.begin().await.unwrap();
    tx.insert_invitation(&invitation).await.unwrap();
    tx.insert_invitation_token(&invitation.id, &[seed as u8; 32]).await.unwrap();
    tx.commit().await.unwrap();
    invitation
}

async fn an_invitation_reads_back_and_is_listed(database: &TestDatabase) {
    let store = database.store();
    let mut written = invitation(9);
    written.connection_id = Some(connected(&store, 1).await.id);
    written.delivery_note = Some("why".to_owned());
    let tx = store.begin().await.unwrap();
    tx.insert_invitation(&written).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.invitation(&written.id).await.unwrap(), Some(written.clone()));
    let mut ids = vec![written.id];
    for seed in 0..4 {
        ids.push(invited(&store, seed).await.id);
    }
    ids.sort();
    let page = async |after, limit| {
        let page = store.invitations_of(&organization_id(1), after, limit).await.unwrap();
        page.into_iter().map(|invitation| invitation.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, ids[..3]);
    assert_eq!(page(Some(&ids[2]), 3).await, ids[3..]);
    assert!(store.invitations_of(&organization_id(2), None, 3).await.unwrap().is_empty());
}

async fn an_invitation_is_found_by_its_links_until_they_are_deleted(database: &TestDatabase) {
    let store = database.store();
    let written = invited(&store, 1).await;
    let tx = store.begin().await.unwrap();
    tx.insert_invitation_token(&written.id, &[77; 32]).await.unwrap();
    tx.commit().await.unwrap();
    for hash in [[1; 32], [77; 32]] {
        assert_eq!(store.invitation_of_token(&hash).await.unwrap(), Some(written.clone()));
    }
    assert_eq!(store.invitation_of_token(&[2; 32]).await.unwrap(), None);
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.delete_invitation_tokens(&written.id).await.unwrap(), 2);
    assert_eq!(tx.take_invitation_of_token(&[77; 32]).await.unwrap(), None);
    tx.commit().await.unwrap();
    assert_eq!(store.invitation_of_token(&[1; 32]).await.unwrap(), None);
}

async fn of_two_who_take_an_invitation_the_second_sees_what_the_first_did(database: &TestDatabase) {
    let stores = [database.store(), open_store(&database.url()).await];
    let id = invited(&stores[0], 1).await.id;
    let takers = stores.map(|store| {
        tokio::spawn(async move {
            let tx = store.begin().await.unwrap();
            let mut taken = tx.take_invitation_of_token(&[1; 32]).await.unwrap().unwrap();
            let was_open = taken.state.is_open();
            taken.state = State::Accepted;
            assert!(tx.update_invitation(&taken).await.unwrap());
            assert!(!tx.update_invitation(&taken).await.unwrap(), "its revision is past");
            tx.commit().await.unwrap();
            u32::from(was_open)
        })
    });
    let mut winners = 0;
    for taker in takers {
        winners += taker.await.unwrap();
    }
    assert_eq!(winners, 1);
    let store = database.store();
    assert_eq!(store.invitation(&id).await.unwrap().unwrap().state, State::Accepted);
}

async fn the_links_of_a_day_are_counted(database: &TestDatabase) {
    let store = database.store();
    let take = async |organization, on| {
        let tx = store.begin().await.unwrap();
        let taken = tx.take_invitation_quota(&organization_id(organization), day(on), 2).await.unwrap();
        tx.commit().await.unwrap();
        taken
    };
    assert!(take(1, 1).await && take(1, 1).await);
    assert!(!take(1, 1).await, "the third of the day");
    assert!(take(1, 2).await && take(2, 1).await, "another day, another organization");
}

async fn overdue_invitations_are_found_and_old_links_forgotten(database: &TestDatabase) {
    let store = database.store();
    let id = invited(&store, 1).await.id;
    invited(&store, 2).await;
    let end = now() + TimeDelta::days(7);
    assert!(store.overdue_invitations(end - TimeDelta::seconds(1), 0, 9).await.unwrap().is_empty());
    assert_eq!(store.overdue_invitations(end, 0, 9).await.unwrap().len(), 2);
    assert_eq!(store.overdue_invitations(end, 1, 9).await.unwrap().len(), 1, "past one that fails");
    let tx = store.begin().await.unwrap();
    let mut taken = tx.take_invitation(&id).await.unwrap().unwrap();
    (taken.state, taken.updated_at) = (State::Expired, end);
    assert!(tx.update_invitation(&taken).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.overdue_invitations(end, 0, 9).await.unwrap().len(), 1);
    assert_eq!(forget(&store, "invitation_tokens", end, 10).await, 0);
    assert_eq!(forget(&store, "invitation_tokens", end + TimeDelta::seconds(1), 10).await, 1);
    assert_eq!(store.invitation_of_token(&[1; 32]).await.unwrap(), None);
    assert!(store.invitation_of_token(&[2; 32]).await.unwrap().is_some(), "an open one keeps its link");
}

async fn a_mail_is_claimed_by_one_and_a_lost_claim_writes_nothing(database: &TestDatabase) {
    let store = database.store();
    let id = invited(&store, 1).await.id;
    let give_up_at = now() + TimeDelta::days(1);
    let ask = async |issue| {
        let tx = store.begin().await.unwrap();
        tx.ask_for_invitation_mail(&id, issue, now(), give_up_at).await.unwrap();
        tx.commit().await.unwrap();
    };
    let minute = Duration::from_secs(60);
    let claim = async |at| store.claim_invitation_mails(at, 9, minute).await.unwrap();
    ask(1).await;
    let [first] = <[_; 1]>::try_from(claim(now()).await).unwrap();
    assert_eq!((first.issue, first.attempt, first.give_up_at), (1, 1, give_up_at));
    assert!(claim(now()).await.is_empty(), "claimed");
    let [second] = <[_; 1]>::try_from(claim(now() + minute).await).unwrap();
    assert_eq!(second.attempt, 2, "the first said nothing in time");
    let tx = store.begin().await.unwrap();
    assert!(!tx.postpone_invitation_mail(&first, now()).await.unwrap(), "lost");
    assert!(tx.postpone_invitation_mail(&second, now() + minute * 9).await.unwrap());
    tx.commit().await.unwrap();
    assert!(claim(now() + minute * 8).await.is_empty(), "put off");
    let [third] = <[_; 1]>::try_from(claim(now() + minute * 9).await).unwrap();
    ask(2).await;
    let tx = store.begin().await.unwrap();
    assert!(!tx.holds_invitation_mail(&third).await.unwrap(), "resent meanwhile");
    assert!(!tx.finish_invitation_mail(&third).await.unwrap());
    tx.commit().await.unwrap();
    let [anew] = <[_; 1]>::try_from(claim(now()).await).unwrap();
    assert_eq!((anew.issue, anew.attempt), (2, 1));
    let tx = store.begin().await.unwrap();
    assert!(tx.holds_invitation_mail(&anew).await.unwrap());
    assert!(tx.finish_invitation_mail(&anew).await.unwrap());
    tx.commit().await.unwrap();
    ask(3).await;
    let tx = store.begin().await.unwrap();
    tx.drop_invitation_mail(&id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(now() + minute * 99).await.is_empty());
}

async fn a_connect_link_is_redeemed_once_and_used_once(database: &TestDatabase) {
    let store = database.store();
    let made = connected(&store, 1).await.id;
    let link = ConnectLink {
        id: ConnectLinkId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(1)),
        organization_id: organization_id(1),
        organization_name: "Acme".to_owned(),
        application: APPLICATION.to_owned(),
        connection_id: None,
        return_url: "https://platform.example.com/done".to_owned(),
        created_by: "platform".to_owned(),
        created_at: now(),
        expires_at: now() + TimeDelta::minutes(15),
        redeemed_at: None,
        session_expires_at: None,
        used_at: None,
        made_connection_id: None,
    };
    store.insert_connect_link(&link, &[1; 32]).await.unwrap();
    assert_eq!(store.connect_link_of_token(&[1; 32], now()).await.unwrap(), Some(link.clone()));
    assert_eq!(store.connect_link_of_token(&[1; 32], link.expires_at).await.unwrap(), None);
    let end = now() + TimeDelta::minutes(15);
    let redeem = async |at| store.redeem_connect_link(&[1; 32], &[2; 32], at, end).await.unwrap();
    assert_eq!(redeem(link.expires_at).await, None, "too late");
    let redeemed = redeem(now()).await.unwrap();
    assert_eq!((redeemed.redeemed_at, redeemed.session_expires_at), (Some(now()), Some(end)));
    assert_eq!(redeem(now()).await, None, "once");
    assert_eq!(store.connect_link_of_session(&[2; 32], now()).await.unwrap(), Some(redeemed));
    assert_eq!(store.connect_link_of_session(&[2; 32], end).await.unwrap(), None, "over");
    let tx = store.begin().await.unwrap();
    assert!(!tx.use_connect_session(&[2; 32], &made, end).await.unwrap(), "over");
    assert!(tx.use_connect_session(&[2; 32], &made, now()).await.unwrap());
    assert!(!tx.use_connect_session(&[2; 32], &made, now()).await.unwrap(), "once");
    tx.commit().await.unwrap();
    assert_eq!(store.connect_link_of_session(&[2; 32], now()).await.unwrap(), None);
    assert_eq!(forget(&store, "connect_links", end, 10).await, 0);
    assert_eq!(forget(&store, "connect_links", end + TimeDelta::seconds(1), 10).await, 1);
}
