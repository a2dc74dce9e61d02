//! What a purge leaves of a connection: nothing but that it was there, and that it was ended.

use std::process::Command;

use tidemark_domain::id::ConnectionId;
use tidemark_rpc::connections::{
    CreateConnectLinkRequest, CreateInvitationRequest, DisconnectConnectionRequest, Facts,
};
use tidemark_store::Purge;
use tidemark_testkit::TestDatabase;

use crate::{
    office::{ADA, Office, RETURN},
    world::{ACME, GLOBEX, World},
};

fn sql(database: &TestDatabase, text: &str) -> String {
    let output =
        Command::new("psql").args(["--no-psqlrc", "-qtA", &database.url(), "-c", text]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// How many rows of each table name the connection, by every column that can.
fn rows_of(database: &TestDatabase, id: &str) -> Vec<(String, u64)> {
    let columns = "select c.table_name || ' ' || c.column_name from information_schema.columns c
        join information_schema.tables t using (table_schema, table_name)
        where t.table_type = 'BASE TABLE' and c.table_schema = 'public' and c.column_name like '%connection_id'
        order by 1";
    let columns = sql(database, columns);
    let counts: Vec<_> = columns
        .lines()
        .map(|line| {
            let (table, column) = line.split_once(' ').unwrap();
            format!("select '{line}', count(*) from {table} where {column} = '{id}'")
        })
        .collect();
    let counted = sql(database, &format!("{} order by 1", counts.join(" union all ")));
    let read = |line: &str| {
        let (column, number) = line.split_once('|').unwrap();
        (column.to_owned(), number.parse().unwrap())
    };
    counted.lines().map(read).filter(|(_, number)| *number > 0).collect()
}

async fn fill(office: &Office, id: &str) {
    let world = &office.world;
    let begun = world.begin(id).await.unwrap();
    world.complete(&begun, "acme").await.unwrap();
    world.begin(id).await.unwrap();
    let request = CreateInvitationRequest { connection_id: id.to_owned(), ..office.request() };
    office.create(request).await.unwrap();
    let request = CreateConnectLinkRequest {
        organization_id: world.organization.to_string(),
        organization_name: "Acme".to_owned(),
        connection_id: id.to_owned(),
        return_url: RETURN.to_owned(),
        ..Default::default()
    };
    office.caller.connect_links().create_connect_link(request).await.unwrap();
    let connection: ConnectionId = id.parse().unwrap();
    let tx = world.store.begin().await.unwrap();
    let reason = tidemark_domain::connection::Reason::KeyRejected;
    assert!(tx.open_episode(&connection, reason, 1, world.now()).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_purge_leaves_nothing_that_names_the_connection_or_who_was_invited() {
    let database = TestDatabase::postgres().await;
    let office = Office::in_world(World::on(&database.url()).await).await;
    // It was made by an invitation, which knows the address of whoever made it.
    let (_, link) = office.invited().await;
    let id = office.accept(&link, ACME).await.unwrap().id;
    fill(&office, &id).await;
    let other = office.world.create(GLOBEX).await.unwrap().id;
    let before = rows_of(&database, &id);
    let tables = ["consents", "credentials", "connect_links", "invitations", "reconnect_episodes", "feed"];
    for table in tables {
        assert!(
            before.iter().any(|(column, _)| column.starts_with(&format!("{table} "))),
            "{table}: {before:?}"
        );
    }

    assert_eq!(sql(&database, "select count(*) from invitation_mails"), "1");

    let request = DisconnectConnectionRequest { connection_id: id.clone(), facts: Facts::Keep.into() };
    office.world.caller.connections().disconnect_connection(request).await.unwrap();
    let kept = rows_of(&database, &id);
    let names = |table: &str| kept.iter().any(|(column, _)| column == &format!("{table} connection_id"));
    assert!(!names("credentials") && !names("consents") && !names("connect_links"), "{kept:?}");
    assert_eq!(
        sql(&database, "select count(*) from invitation_mails"),
        "0",
        "nobody is invited to it any more"
    );
    assert!(names("invitations"), "who keeps the facts keeps the history, too");

    let request = DisconnectConnectionRequest { connection_id: id.clone(), facts: Facts::Purge.into() };
    office.world.caller.connections().disconnect_connection(request).await.unwrap();
    while office.world.service.detect().await.unwrap().purged > 0 {}
    let connection = office.world.store.connection(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((connection.purge, connection.anchors.len()), (Some(Purge::Done), 0));
    let left: Vec<_> = rows_of(&database, &id).into_iter().map(|(column, _)| column).collect();
    // The news of its end, for those who wait for it; and what keeps out a worker that still syncs it.
    assert_eq!(left, ["feed connection_id", "fences connection_id"]);
    assert_eq!(
        sql(&database, &format!("select count(*) from invitations where invitee_email = '{ADA}'")),
        "0"
    );
    assert_eq!(sql(&database, "select count(*) from invitation_tokens"), "0");
    assert!(office.world.token(&other).await.is_ok());
    assert_eq!(
        rows_of(&database, &other).len(),
        3,
        "the other one has its credential, its news and what was found of the vendor"
    );
}
