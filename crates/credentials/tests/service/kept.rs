//! A grant that the vendor has given is stored, whatever the database does meanwhile; a token whose successor could not be
//! stored is not spent.

use std::{process::Command, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::FutureExt as _;
use secrecy::SecretString;
use tidemark_credentials::{Application, Settings};
use tidemark_domain::connection::CredentialKind;
use tidemark_rpc::connections::ConnectionState;
use tidemark_testkit::TestDatabase;

use crate::{
    leases::BrokenLeases,
    world::{CLIENT, World, replica, settings, token_from},
};

fn sql(database: &TestDatabase, text: &str) {
    let output =
        Command::new("psql").args(["--no-psqlrc", "-q", &database.url(), "-c", text]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// New versions of credentials cannot be stored, with that SQLSTATE.
fn refuse_versions(database: &TestDatabase, code: &str) {
    sql(
        database,
        &format!(
            "create or replace function refuse() returns trigger language plpgsql as
                $$ begin raise exception 'refused by a test' using errcode = '{code}'; end $$;
            create trigger refuse before insert on credentials execute function refuse()"
        ),
    );
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn spent(world: &World) -> u64 {
    world.simulator.refresh_uses(CLIENT).iter().map(|token| token.uses).sum()
}

/// Read-only after a failover, a disk that is full, a statement of another version, an answer that cannot be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_token_is_written_when_the_database_takes_it_again_whatever_it_said() {
    for code in ["25006", "53100", "57P01", "42703", "23514", "XX000"] {
        let database = TestDatabase::postgres().await;
        let world = World::on(&database.url()).await;
        let id = world.consented("acme").await.id;
        world.advance(TimeDelta::hours(23));
        refuse_versions(&database, code);
        assert_eq!(
            world.token(&id).await.unwrap().generation,
            1,
            "{code}: the old one still works for an hour"
        );
        until("the token is spent", async || spent(&world) == 1).await;
        let renewals = world.service.renewals();
        assert!(renewals.finished().now_or_never().is_none(), "{code}: the process waits for it");
        sql(&database, "drop trigger refuse on credentials");
        tokio::time::timeout(Duration::from_secs(20), renewals.finished()).await.unwrap();
        let version = world.version(&id, CredentialKind::Oauth).await;
        assert_eq!((version.generation, version.in_doubt), (2, false), "{code}");
        assert_eq!(world.token(&id).await.unwrap().generation, 2, "{code}");
        assert_eq!(spent(&world), 1, "{code}: nothing was asked for twice");
    }
}

/// The database takes no writes: that is found out before the token is spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_spent_while_the_database_is_read_only() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let id = world.consented("acme").await.id;
    world.advance(TimeDelta::hours(23));
    for trouble in [
        "create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'read-only' using errcode = '25006'; end $$;
        create trigger refuse before update on credentials execute function refuse()",
        "create or replace function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'full' using errcode = '53100'; end $$",
    ] {
        sql(&database, trouble);
        for _ in 0..5 {
            assert_eq!(world.token(&id).await.unwrap().generation, 1);
        }
        assert_eq!(spent(&world), 0);
    }
    sql(&database, "drop trigger refuse on credentials");
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    assert_eq!(spent(&world), 1);
}

/// The end of a refresh that gave nothing is written, too: else it would look like a doubt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_vendor_is_written_down_when_the_database_is_back() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let id = world.consented("acme").await.id;
    world.advance(TimeDelta::hours(23));
    world.simulator.app_faults(CLIENT, |faults| {
        faults.token_fail_next = [429].into();
        faults.token_latency = Duration::from_millis(700);
    });
    let call = world.token(&id);
    let trouble = async {
        until("the refresh is begun", async || {
            world.version(&id, CredentialKind::Oauth).await.refresh_started_at.is_some()
        })
        .await;
        sql(
            &database,
            "create function refuse() returns trigger language plpgsql as
                $$ begin raise exception 'read-only' using errcode = '25006'; end $$;
            create trigger refuse before update on credentials execute function refuse()",
        );
    };
    let (token, ()) = tokio::join!(call, trouble);
    assert_eq!(token.unwrap().generation, 1);
    sql(&database, "drop trigger refuse on credentials");
    tokio::time::timeout(Duration::from_secs(20), world.service.renewals().finished()).await.unwrap();
    let version = world.version(&id, CredentialKind::Oauth).await;
    assert_eq!((version.refresh_started_at, version.in_doubt, version.failures), (None, false, 1));
}

/// A configuration that cannot ask leaves no beginning behind, and so no doubt.
#[tokio::test]
async fn a_fault_of_the_configuration_begins_nothing() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    world.advance(TimeDelta::hours(23));
    let url = world.simulator.base_url();
    let good = settings(&world.simulator, &url, &url);
    let application = good.oauth.clone().unwrap();
    let wrong: Vec<Settings> = vec![
        Settings { oauth: None, ..good.clone() },
        Settings {
            oauth: Some(Application {
                us_host: "mailto:nobody@example.com".parse().unwrap(),
                ..application.clone()
            }),
            ..good.clone()
        },
        Settings {
            oauth: Some(Application { client_secret: SecretString::from("another"), ..application.clone() }),
            ..good.clone()
        },
    ];
    for (number, wrong) in (0..).zip(wrong) {
        let process = replica(&world.store, Arc::new(BrokenLeases), wrong, world.clock.clone(), 30 + number);
        assert_eq!(token_from(&process, &id).await.unwrap().generation, 1, "the token still works");
        let version = world.version(&id, CredentialKind::Oauth).await;
        assert_eq!((version.refresh_started_at, version.in_doubt), (None, false), "configuration {number}");
        world.advance(TimeDelta::minutes(6));
    }
    assert_eq!(world.token(&id).await.unwrap().generation, 2, "a process that is set up right renews it");
    assert_eq!(spent(&world), 1);
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
}

/// The caller is long gone when the vendor answers, and the process is asked to stop: the grant is stored first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_waits_for_renewals_under_way() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    world.advance(TimeDelta::hours(23));
    world.simulator.app_faults(CLIENT, |faults| faults.token_latency = Duration::from_millis(1_500));
    assert_eq!(
        world.token(&id).await.unwrap().generation,
        1,
        "who has a token does not wait for the next one"
    );
    let renewals = world.service.renewals();
    assert!(renewals.finished().now_or_never().is_none(), "one is under way");
    tokio::time::timeout(Duration::from_secs(20), renewals.finished()).await.unwrap();
    assert_eq!(world.version(&id, CredentialKind::Oauth).await.generation, 2);
}

/// The code of a consent works once: what it brought is stored when the database takes it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_survives_a_database_that_takes_no_writes_for_a_moment() {
    let database = TestDatabase::postgres().await;
    let world = World::on(&database.url()).await;
    let existing = world.connected().await.id;
    let (first, second) = (world.begin("").await.unwrap(), world.begin(&existing).await.unwrap());
    refuse_versions(&database, "25006");
    let tried =
        async || world.simulator.oauth_secrets().iter().filter(|secret| secret.starts_with("access")).count();
    let again = async {
        until("both codes are spent", async || tried().await == 2).await;
        sql(&database, "drop trigger refuse on credentials");
    };
    let (made, renewed, ()) =
        tokio::join!(world.complete(&first, "acme"), world.complete(&second, "acme"), again);
    let (made, renewed) = (made.unwrap(), renewed.unwrap());
    assert_eq!(renewed.id, existing);
    for id in [&made.id, &existing] {
        assert!(world.version(id, CredentialKind::Oauth).await.proven_at.is_some());
        assert!(world.token(id).await.is_ok());
    }
    assert_eq!(world.events(&made.id).await, ["connection.connected"], "once");
}
