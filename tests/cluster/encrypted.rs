//! The main job and the doctor where all three servers speak nothing but TLS.

use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::RunState;
use tidemark_store::{Settings, Store};
use tidemark_testkit::servers::{Authority, PASSWORD, PostgresServer, RabbitServer, RedisServer};

use crate::cluster::{Cluster, Wiring, today, until};

const KEY: &str = "cAnArY-all-encrypted-51c9";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_ends_in_numbers_and_the_doctor_is_content_where_every_server_speaks_tls() {
    let authority = Authority::new();
    let (postgres, rabbit, redis) = tokio::join!(
        PostgresServer::start(&authority),
        RabbitServer::start(&authority, true),
        RedisServer::start(&authority, true)
    );
    let (certificate, key) = authority.issue("client");
    let files = tempfile::tempdir().unwrap();
    let password = files.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let database = postgres.url(&authority);
    let store =
        Store::connect(&Settings { url: database.clone().into(), ..Settings::default() }).await.unwrap();
    store.migrate().await.unwrap();
    let mut settings = vec![
        ("DATABASE__URL", database),
        ("BUS__URL", rabbit.url("localhost")),
        ("LEASES__URL", redis.url("localhost")),
    ];
    for (ca, own, key_file, secret) in [
        ("BUS__CA_FILE", "BUS__CLIENT_CERTIFICATE_FILE", "BUS__CLIENT_KEY_FILE", "BUS__PASSWORD_FILE"),
        (
            "LEASES__CA_FILE",
            "LEASES__CLIENT_CERTIFICATE_FILE",
            "LEASES__CLIENT_KEY_FILE",
            "LEASES__PASSWORD_FILE",
        ),
    ] {
        settings.extend([
            (ca, text(&authority.ca())),
            (own, text(&certificate)),
            (key_file, text(&key)),
            (secret, text(&password)),
        ]);
    }
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let cluster = Cluster::start(Wiring::Real, &settings).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
    let connection = cluster.connect(KEY).await;
    let run = cluster.sync(&connection).await;
    cluster.run_in(&run, RunState::Succeeded).await;
    cluster.summary(&connection, &run).await;
    let doctor = until("the doctor is content", async || {
        let output = cluster.command(&["doctor"]).await;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    })
    .await;
    for line in ["ok   database: PostgreSQL", "ok   message broker: RabbitMQ", "ok   lease service: Redis"] {
        assert!(doctor.contains(line), "{doctor}");
    }
    // A stranger is named as one, each with its remedy.
    let stranger = Authority::new();
    let (foreign, url) = (text(&stranger.ca()), postgres.url(&stranger));
    let output = cluster
        .command_with(
            &["doctor"],
            &[
                ("TIDEMARK_DATABASE__URL", &url),
                ("TIDEMARK_BUS__CA_FILE", &foreign),
                ("TIDEMARK_LEASES__CA_FILE", &foreign),
            ],
        )
        .await;
    let doctor = String::from_utf8(output.stdout).unwrap();
    let strangers = doctor.matches("its certificate is not of an authority that this process trusts").count();
    assert_eq!((output.status.success(), strangers), (false, 3), "{doctor}");
    for remedy in ["sslrootcert in database.url", "bus.ca_file", "leases.ca_file"] {
        assert!(doctor.contains(remedy), "{remedy}: {doctor}");
    }
    cluster.never_wrote(PASSWORD);
    assert!(!doctor.contains(PASSWORD));
}
