//! What the caller cannot mend: it is logged and not told, and it harms nothing else.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use tidemark_credentials::{CredentialService, Vault};
use tidemark_inproc::InprocLeases;
use tidemark_rpc::{
    connections::{CreateConnectionRequest, Region, connections_service_server::ConnectionsService as _},
    credentials::{GetAccessTokenRequest, credentials_service_server::CredentialsService as _},
};
use tidemark_runtime::config::Database;
use tidemark_store::{Connection, SealedCredential, Store};
use tidemark_testkit::SeededEntropy;
use tonic::{Code, Status};

use crate::world::{ACME, GLOBEX, World, from_inside, settings, told};

/// Another process on that record, with other key-encryption keys.
fn with_keys(world: &World, store: &Store, keys: &str) -> CredentialService {
    let entropy = Arc::new(SeededEntropy::new(2));
    let vault = Vault::from_keys(&SecretString::from(keys), entropy.clone()).unwrap();
    let url = world.simulator.base_url();
    let (settings, leases) = (settings(&world.simulator, &url, &url), Arc::new(InprocLeases::new()));
    let audit = world.audit.clone();
    CredentialService::new(store.clone(), vault, audit, leases, settings, world.clock.clone(), entropy)
}

async fn refusal(service: &CredentialService, id: &str) -> Status {
    let request = GetAccessTokenRequest { connection_id: id.to_owned(), ..Default::default() };
    service.get_access_token(from_inside(request)).await.unwrap_err()
}

fn assert_internal(status: &Status) {
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "the service failed on this request; it was logged", "{}", told(status));
}

#[tokio::test]
async fn a_process_without_the_sealing_key_says_that_it_may_pass() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let other = with_keys(&world, &world.store, &format!("k2:{}", STANDARD.encode([42; 32])));
    let refused = refusal(&other, &id).await;
    assert_eq!(refused.code(), Code::Unavailable, "heals once the operator adds the key");
    assert!(refused.message().starts_with("the vault does not answer"), "{refused}");

    let wrong = with_keys(&world, &world.store, &format!("k1:{}", STANDARD.encode([43; 32])));
    assert_internal(&refusal(&wrong, &id).await);
}

#[tokio::test]
async fn a_credential_moved_to_another_connection_does_not_open() {
    let world = World::new().await;
    let (mine, theirs) = (world.connected().await, world.create(GLOBEX).await.unwrap());
    let row = world.store.connection(&mine.id.parse().unwrap()).await.unwrap().unwrap();
    let sealed = world.store.credential(&theirs.id.parse().unwrap(), 1).await.unwrap().unwrap();
    let moved = Connection { generation: 2, ..row.clone() };
    let tx = world.store.begin().await.unwrap();
    assert!(tx.update_connection(&moved, &row).await.unwrap());
    tx.insert_credential(&SealedCredential { connection_id: row.id.clone(), generation: 2, ..sealed })
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_internal(&world.token(&mine.id).await.unwrap_err());
    assert_eq!(world.token(&theirs.id).await.unwrap().access_token, GLOBEX);

    // The person's way out stays open.
    assert_eq!(world.reconnect(&mine.id, ACME).await.unwrap().generation, 3);
    assert_eq!(world.token(&mine.id).await.unwrap().access_token, ACME);
}

#[tokio::test]
async fn a_connection_without_its_credential_is_a_fault_and_not_a_verdict() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let tx = world.store.begin().await.unwrap();
    assert_eq!(tx.delete_credentials(&id.parse().unwrap()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_internal(&world.token(&id).await.unwrap_err());
    assert_internal(&world.report(&id, 1).await.unwrap_err());
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn a_fault_of_the_database_shows_nothing_of_it() {
    let world = World::new().await;
    let id = world.connected().await.id;
    let database =
        Database { url: SecretString::from("sqlite::memory:"), max_connections: 1, ..Database::default() };
    let empty = Store::connect(&database).await.unwrap();
    // A schema that is not there yet is a deploy under way.
    let status = refusal(&with_keys(&world, &empty, &crate::world::keys()), &id).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the database does not answer just now; try again", "{}", told(&status));
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_cut_the_work() {
    let world = World::new().await;
    world.simulator.faults(ACME, |faults| faults.latency = Duration::from_millis(200));
    let request = CreateConnectionRequest {
        organization_id: world.organization.to_string(),
        region: Region::Us.into(),
        api_key: ACME.to_owned(),
        ..CreateConnectionRequest::default()
    };
    let call = world.service.create_connection(from_inside(request));
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "the caller gave up");
    let stored = async {
        while world.stored().await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stored).await.expect("the work went on to its end");
}
