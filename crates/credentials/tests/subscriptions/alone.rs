//! An endpoint that hangs, or that this version cannot read, keeps no other from its webhooks.

use std::process::Command;

use tidemark_testkit::TestDatabase;

use crate::{
    receiver::{Receiver, Reply},
    world::World,
};

fn sql(url: &str, text: &str) {
    let output = Command::new("psql").args(["--no-psqlrc", "-q", url, "-c", text]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Forty endpoints that never answer, each with a backlog, and all of them before the one that does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_hang_do_not_starve_one_that_takes() {
    let world = World::new().await;
    let (hanging, healthy) = (Receiver::start().await, Receiver::start().await);
    hanging.usually(Reply::Silence);
    for _ in 0..40 {
        world.endpoint(&hanging.url).await;
    }
    let (_, connection) = world.customer().await;
    for number in 0..20 {
        world.happens(&connection, number).await;
    }
    hanging.wait_for(8).await;
    world.endpoint(&healthy.url).await;
    for number in 0..20 {
        world.happens(&connection, 100 + number).await;
    }
    healthy.wait_for(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_a_newer_version_keeps_no_event_from_the_others() {
    let world = World::on(TestDatabase::postgres().await).await;
    let (newer, patterns, usual) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let (first, _) = world.endpoint(&newer.url).await;
    let (second, _) = world.endpoint(&patterns.url).await;
    world.endpoint(&usual.url).await;
    let url = world.database.url();
    sql(&url, &format!("update webhook_endpoints set organization_id = 'team_1' where id = '{first}'"));
    let types = r#"["audit.*", "connection.*"]"#;
    sql(&url, &format!("update webhook_endpoints set event_types = '{types}' where id = '{second}'"));
    let (_, connection) = world.customer().await;
    for number in 0..5 {
        world.happens(&connection, number).await;
    }
    usual.wait_for(5).await;
    patterns.wait_for(5).await;
    assert!(newer.hooks().is_empty(), "it is another version's to send");
}
