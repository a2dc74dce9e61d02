//! Everything moves under the new key while the services read and write; nobody notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use tidemark_domain::{
    Clock,
    connection::{CredentialKind, Region, Standing},
    id::{ConnectionId, OrganizationId},
};
use tidemark_inproc::InprocLeases;
use tidemark_rpc::{
    credentials::{GetAccessTokenRequest, credentials_service_server::CredentialsService},
    identity::Identity,
};
use tidemark_store::{Connection, SealedCredential};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};
use tokio::task::JoinSet;
use tonic::Request;

use super::*;
use crate::{
    CredentialService, Settings,
    audit::{Audit, AuditKey},
};

const READERS: u64 = 6;

fn kek(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

fn vault(keys: &str, seed: u64) -> Vault {
    Vault::from_keys(&SecretString::from(keys), Arc::new(SeededEntropy::new(seed))).unwrap()
}

fn old_ring() -> String {
    format!("k1:{}", kek(1))
}

fn both() -> String {
    format!("k2:{},k1:{}", kek(2), kek(1))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::noon("2026-08-12".parse().unwrap()))
}

fn connection(entropy: &SeededEntropy, organization_id: &OrganizationId) -> Connection {
    let clock = clock();
    let id = ConnectionId::generate(&*clock, entropy);
    Connection {
        generation: 1,
        ..Connection::begun(id, organization_id.clone(), Region::Us, clock.now())
            .standing_as(Standing::connected())
    }
}

fn key_of(id: &ConnectionId, generation: i64) -> String {
    format!("key-{generation}-of-{id}")
}

fn sealed(vault: &Vault, connection: &Connection) -> SealedCredential {
    let key = SecretString::from(key_of(&connection.id, connection.generation));
    let Connection { id, generation, created_at, .. } = connection;
    let place = Place::of(connection, CredentialKind::ApiKey, *generation);
    SealedCredential::new(
        id.clone(),
        *generation,
        CredentialKind::ApiKey,
        vault.seal(place, &key),
        *created_at,
    )
}

/// That many connections, their keys sealed by that vault.
async fn connections(store: &Store, vault: &Vault, count: usize, seed: u64) -> Vec<Connection> {
    let entropy = SeededEntropy::new(seed);
    let organization = OrganizationId::generate(&*clock(), &entropy);
    let connections: Vec<_> = (0..count).map(|_| connection(&entropy, &organization)).collect();
    for connections in connections.chunks(1000) {
        let tx = store.begin().await.unwrap();
        for connection in connections {
            tx.insert_connection(connection).await.unwrap();
            tx.insert_credential(&sealed(vault, connection)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    connections
}

fn service(store: Store, keys: &str) -> CredentialService {
    let nowhere = "http://127.0.0.1:9/";
    let settings = Settings {
        us_url: nowhere.parse().unwrap(),
        eu_url: nowhere.parse().unwrap(),
        requests_per_second: 1,
        probe_interval: Duration::from_secs(3600),
        oauth: None,
    };
    let leases = Arc::new(InprocLeases::new());
    let key = AuditKey::parse(&SecretString::from(STANDARD.encode([43; 32]))).unwrap();
    let (audit, _) = Audit::start(store.clone(), key, clock());
    let entropy = Arc::new(SeededEntropy::new(9));
    CredentialService::new(store, vault(keys, 9), audit, leases, settings, clock(), entropy)
}

async fn token(service: &CredentialService, id: &ConnectionId) -> Result<String, tonic::Status> {
    let mut request = Request::new(GetAccessTokenRequest { connection_id: id.to_string(), capability: 0 });
    request.extensions_mut().insert(Identity::new("a-reader", None));
    Ok(service.get_access_token(request).await?.into_inner().access_token)
}

/// Keys are asked for until the end, and each answer is looked at.
async fn read(
    service: CredentialService,
    all: Arc<Vec<Connection>>,
    first: usize,
    end: Arc<AtomicBool>,
) -> u64 {
    let mut reads = 0;
    let mut at = first;
    while !end.load(Ordering::Relaxed) || reads == 0 {
        let id = &all[at % all.len()].id;
        let key =
            token(&service, id).await.unwrap_or_else(|status| panic!("a read of {id} failed: {status}"));
        assert!(key == key_of(id, 1) || key == key_of(id, 2), "{key}");
        reads += 1;
        at += 7919;
    }
    reads
}

/// A service that was not restarted yet: it replaces credentials, and seals them with the old key.
async fn replace(store: Store, some: Vec<Connection>) {
    let vault = vault(&old_ring(), 77);
    for old in some {
        let new = Connection { generation: 2, ..old.clone() };
        let tx = store.begin().await.unwrap();
        assert!(tx.update_connection(&new, &old).await.unwrap());
        tx.insert_credential(&sealed(&vault, &new)).await.unwrap();
        tx.delete_credentials_before(&new.id, CredentialKind::ApiKey, 2).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn rotates_under_load(database: &TestDatabase, count: usize) {
    let store = database.store();
    let all = Arc::new(connections(&store, &vault(&old_ring(), 1), count, 2).await);
    let ring = Arc::new(vault(&both(), 3));
    assert_eq!(on_key(&ring, &store, "k1").await, count as u64);

    let end = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let first = all.len() / READERS as usize * reader as usize;
        readers.spawn(read(service(store.clone(), &both()), Arc::clone(&all), first, Arc::clone(&end)));
    }
    let some: Vec<_> = all.iter().rev().step_by(29).take(100).cloned().collect();
    let replaced = tokio::spawn(replace(store.clone(), some));
    let moved = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    // Two at once, as when an operator loses patience.
    let rotations: Vec<_> = (0..2)
        .map(|_| {
            let (ring, store, moved) = (Arc::clone(&ring), store.clone(), Arc::clone(&moved));
            tokio::spawn(async move {
                ring.rotate(&store, |secrets| {
                    moved.fetch_add(secrets, Ordering::Relaxed);
                })
                .await
                .unwrap()
            })
        })
        .collect();
    let mut resealed = 0;
    for rotation in rotations {
        let rotated = rotation.await.unwrap();
        assert_eq!(rotated.stuck, []);
        resealed += rotated.resealed;
    }
    let took = began.elapsed();
    replaced.await.unwrap();
    // What the old service sealed behind the rotation's back is found by the next one.
    resealed += ring.rotate(&store, |_| ()).await.unwrap().resealed;
    end.store(true, Ordering::Relaxed);
    let mut reads = 0;
    while let Some(reader) = readers.join_next().await {
        reads += reader.unwrap();
    }

    let uses = ring.key_uses(&store).await.unwrap();
    assert_eq!((uses[0].key_id.as_str(), uses[0].total(), uses[0].can_retire()), ("k2", count as u64, false));
    assert_eq!((uses[1].key_id.as_str(), uses[1].total(), uses[1].can_retire()), ("k1", 0, true));
    assert!(resealed >= count as u64 - 100, "{resealed}");
    assert!(moved.load(Ordering::Relaxed) > 0);
    // The new key alone is enough now.
    let alone = service(store, &format!("k2:{}", kek(2)));
    for connection in all.iter().step_by(all.len() / 50) {
        token(&alone, &connection.id).await.unwrap();
    }
    let rate = count as f64 / took.as_secs_f64();
    println!("{count} secrets moved in {took:.2?}: {rate:.0}/s, beside {reads} reads, none of which failed");
}

async fn on_key(vault: &Vault, store: &Store, key_id: &str) -> u64 {
    let uses = vault.key_uses(store).await.unwrap();
    uses.iter().find(|key| key.key_id == key_id).map_or(0, KeyUse::total)
}

fn count() -> usize {
    if std::env::var_os("TIDEMARK_STRESS").is_some() { 100_000 } else { 2_000 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_fails_no_read_on_postgres() {
    rotates_under_load(&TestDatabase::postgres().await, count()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_fails_no_read_on_sqlite() {
    rotates_under_load(&TestDatabase::sqlite_memory().await, 2_000).await;
}

#[tokio::test]
async fn a_rotation_that_was_stopped_goes_on_where_it_was() {
    let database = TestDatabase::sqlite_memory().await;
    let store = database.store();
    connections(&store, &vault(&old_ring(), 1), 500, 2).await;
    let ring = vault(&both(), 3);
    // Stopped after the first batch, as by a signal.
    let (batch, mut batches) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        _ = ring.rotate(&store, move |_| { let _ = batch.send(()); }) => panic!("it ended"),
        _ = batches.recv() => {}
    }
    assert_eq!(on_key(&ring, &store, "k2").await, BATCH);
    let rotated = ring.rotate(&store, |_| ()).await.unwrap();
    assert_eq!(rotated, Rotated { resealed: 500 - BATCH, ..Rotated::default() });
    assert_eq!(ring.rotate(&store, |_| ()).await.unwrap(), Rotated::default(), "nothing is left to do");
}

#[tokio::test]
async fn what_does_not_open_is_told_and_left_as_it_is() {
    let database = TestDatabase::sqlite_memory().await;
    let store = database.store();
    let lost = connections(&store, &vault(&format!("k0:{}", kek(9)), 1), 1, 2).await;
    connections(&store, &vault(&old_ring(), 3), 3, 4).await;
    let ring = vault(&both(), 5);
    let missing = ring.key_uses(&store).await.unwrap().pop().unwrap();
    assert_eq!((missing.key_id.as_str(), missing.present, missing.total()), ("k0", false, 1));
    assert!(!missing.can_retire());

    let before = store.credential(&lost[0].id, 1).await.unwrap();
    let rotated = ring.rotate(&store, |_| ()).await.unwrap();
    assert_eq!(rotated.resealed, 3, "the others are moved all the same");
    let error = OpenError::UnknownKey { key_id: "k0".to_owned() };
    assert_eq!(rotated.stuck, [Stuck { table: "credentials", record: lost[0].id.to_string(), error }]);
    assert_eq!(store.credential(&lost[0].id, 1).await.unwrap(), before);
}
