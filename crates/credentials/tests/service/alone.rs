//! One bad thing stops only itself: rows that another version wrote, secrets that do not open, work that fails. The others
//! have their turn, and what was passed by is left as it is.

use std::process::Command;

use chrono::TimeDelta;
use tidemark_domain::connection::CredentialKind;
use tidemark_rpc::connections::{
    DisconnectConnectionRequest, Facts, InvitationState as State, ListConnectionsRequest,
};
use tidemark_runtime::metrics;
use tidemark_store::Purge;
use tidemark_testkit::TestDatabase;

use crate::{
    office::Office,
    world::{ACME, CLIENT, GLOBEX, World},
};

/// What the database says to a statement.
fn sql(database: &TestDatabase, text: &str) -> String {
    let output =
        Command::new("psql").args(["--no-psqlrc", "-qtA", &database.url(), "-c", text]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn counted(metric: &str) -> f64 {
    let text = metrics::text(&metrics::registry());
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map_or(0.0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn a_connection_of_a_newer_version_is_left_alone_and_stops_no_other() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let (newer, usual) = (world.connected().await.id, world.create(GLOBEX).await.unwrap().id);
    let third = world.consented("acme").await.id;
    sql(
        &database,
        &format!("update connections set state = 'hibernating', revision = 77 where id = '{newer}'"),
    );
    world.advance(TimeDelta::hours(23));
    let asked = world.simulator.requests(GLOBEX);
    let round = world.service.detect().await.unwrap();
    assert_eq!((round.probes, round.renewals), (2, 1));
    assert!(world.simulator.requests(GLOBEX) > asked);
    assert_eq!(world.token(&third).await.unwrap().generation, 2);

    // A page is as long as was asked for, and goes on behind what was passed by.
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListConnectionsRequest {
            organization_id: world.organization.to_string(),
            page_size: 1,
            page_token: page_token.clone(),
        };
        let page = world.caller.connections().list_connections(request).await.unwrap().into_inner();
        listed.extend(page.connections.into_iter().map(|connection| connection.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, [usual, third]);
    assert!(world.token(&newer).await.is_err(), "only this one is not served here");
    let row = sql(&database, &format!("select state, revision from connections where id = '{newer}'"));
    assert_eq!(row, "hibernating|77", "it is as the other version left it");
    assert!(counted("tidemark_database_unreadable_rows_total{table=\"connections\"}") >= 1.0);
}

#[tokio::test]
async fn a_credential_of_a_kind_to_come_stands_beside_those_that_are_known() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let id = world.connected().await.id;
    sql(
        &database,
        &format!(
            "create temporary table copy as select * from credentials where connection_id = '{id}';
            update copy set generation = 9, kind = 'scim', refresh_due_at = '2026-08-01';
            insert into credentials select * from copy;
            update credentials set capabilities = '[{{\"capability\":\"groups\",\"availability\":\"available\"}}, \
                {{\"capability\":\"members\",\"availability\":\"available\"}}]' where generation = 1;
            update connections set lost = '[\"groups\"]', generation = 9 where id = '{id}'"
        ),
    );
    assert_eq!(world.token(&id).await.unwrap().access_token, ACME);
    let round = world.service.detect().await.unwrap();
    assert_eq!(round.renewals, 0, "it is another version's to renew");
    let due = "select refresh_due_at = '2026-08-01' from credentials where kind = 'scim'";
    assert_eq!(sql(&database, due), "t");
    assert_eq!(world.probe(&id).await.unwrap().credentials.len(), 1);
    assert_eq!(sql(&database, "select count(*) from credentials where kind = 'scim'"), "1");
}

#[tokio::test]
async fn probes_and_renewals_go_on_past_what_does_not_open() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let broken = [world.connected().await.id, world.consented("acme").await.id];
    let (key, grant) = (world.create(GLOBEX).await.unwrap().id, world.consented("globex").await.id);
    for id in &broken {
        sql(&database, &format!("update credentials set ciphertext = '\\x00' where connection_id = '{id}'"));
    }
    world.advance(TimeDelta::hours(23));
    let before = counted("tidemark_task_failures_total{task=\"probes\"}");
    let round = world.service.detect().await.unwrap();
    assert_eq!((round.probes, round.renewals), (4, 2));
    assert!(counted("tidemark_task_failures_total{task=\"probes\"}") >= before + 2.0);
    assert_eq!(world.version(&grant, CredentialKind::Oauth).await.generation, 2);
    let next =
        async |id: &str| world.store.connection(&id.parse().unwrap()).await.unwrap().unwrap().next_probe_at;
    assert!(
        next(&key).await > next(&broken[0]).await,
        "the one is due in hours, the other when its claim is over"
    );
    // What failed waits until its claim has run out, and is not looked at all the time.
    let round = world.service.detect().await.unwrap();
    assert_eq!((round.probes, round.renewals), (0, 0));
    assert_eq!(world.version(&broken[1], CredentialKind::Oauth).await.refresh_started_at, None);
    let uses: u64 = world.simulator.refresh_uses(CLIENT).iter().map(|token| token.uses).sum();
    assert_eq!(uses, 1, "what does not open is not sent");
}

#[tokio::test]
async fn a_purge_that_fails_keeps_no_other_from_its_end() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let (stuck, other) = (world.connected().await.id, world.create(GLOBEX).await.unwrap().id);
    for id in [&stuck, &other] {
        let request = DisconnectConnectionRequest { connection_id: id.clone(), facts: Facts::Purge.into() };
        world.caller.connections().disconnect_connection(request).await.unwrap();
    }
    sql(
        &database,
        &format!(
            "create function refuse() returns trigger language plpgsql as
                $$ begin raise exception 'refused by a test' using errcode = '23503'; end $$;
            create trigger refuse before delete on feed for each row
                when (old.connection_id = '{stuck}') execute function refuse()"
        ),
    );
    let purge = async |id: &str| world.store.connection(&id.parse().unwrap()).await.unwrap().unwrap().purge;
    while world.service.detect().await.unwrap().purged > 0 {}
    assert_eq!((purge(&stuck).await, purge(&other).await), (Some(Purge::Asked), Some(Purge::Done)));
    sql(&database, "drop trigger refuse on feed");
    world.advance(TimeDelta::minutes(6));
    while world.service.detect().await.unwrap().purged > 0 {}
    assert_eq!(purge(&stuck).await, Some(Purge::Done));
}

/// More than a batch of invitations that cannot be read stand in front.
#[tokio::test]
async fn invitations_expire_past_those_of_a_newer_version() {
    let database = TestDatabase::postgres().await;
    let office = Office::in_world(World::on(&database.url()).await).await;
    let (newer, _) = office.invited().await;
    let (usual, _) = office.invited().await;
    sql(
        &database,
        &format!(
            "create temporary table copy as select * from invitations where id = '{}';
            update copy set history = '[{{\"step\":\"forwarded\"}}]', expires_at = '2026-08-01';
            insert into invitations select ('inv_' || lpad(n::text, 26, '0'))::text, organization_id,
                organization_name, application, connection_id, invitee_email, invitee_name, invited_by, state,
                ttl_days, expires_at, issues, issued_at, delivery_note, made_connection_id, history, revision,
                created_at, updated_at
            from copy, generate_series(1, 205) as n",
            newer.id
        ),
    );
    office.world.clock.advance(TimeDelta::days(40));
    office.service.keep_house().await.unwrap();
    assert_eq!(office.get(&usual.id).await.state(), State::Expired);
    assert_eq!(office.get(&newer.id).await.state(), State::Expired);
    let left = "select count(*) from invitations where expires_at = '2026-08-01' and state = 'created' and revision = 0";
    assert!(sql(&database, left).parse::<u32>().unwrap() >= 200, "{}", sql(&database, left));
}

#[tokio::test]
async fn a_mail_that_cannot_be_written_waits_behind_the_others() {
    let database = TestDatabase::postgres().await;
    let office = Office::in_world(World::on(&database.url()).await).await;
    let (newer, _) = office.invited().await;
    office.world.clock.advance(TimeDelta::seconds(1));
    let (usual, _) = office.invited().await;
    sql(&database, &format!("update invitations set state = 'snoozed' where id = '{}'", newer.id));
    assert!(office.service.deliver_next().await.unwrap(), "the first is put off");
    assert!(office.service.deliver_next().await.unwrap(), "and the next one is sent");
    assert_eq!(office.get(&usual.id).await.state(), State::Sent);
    assert!(!office.service.deliver_next().await.unwrap());
    sql(&database, &format!("update invitations set state = 'created' where id = '{}'", newer.id));
    office.world.clock.advance(TimeDelta::minutes(2));
    assert!(office.service.deliver_next().await.unwrap());
    assert_eq!(office.get(&newer.id).await.state(), State::Sent, "a process that knows it sends it");
}
