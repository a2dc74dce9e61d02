//! Chains that are written, and what a check finds when somebody has been at them.

use tidemark_domain::id::OrganizationId;
use tidemark_store::AuditEntry;
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};

use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

fn key(text: &str) -> AuditKey {
    AuditKey::parse(&text.to_owned().into()).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::noon("2026-08-12".parse().unwrap()))
}

fn organization(seed: u64) -> OrganizationId {
    OrganizationId::generate(&*clock(), &SeededEntropy::new(seed))
}

fn entry(seed: u64, subject: u64) -> Entry {
    Entry::new(Some(&organization(seed)), "internal", Action::Release, subject).with("generation", 1)
}

/// Ten entries in the chain of organization 1, and one in the platform's.
async fn written(store: &Store) {
    let (audit, writer) = Audit::start(store.clone(), key(KEY), clock());
    for number in 0..10 {
        audit.record(entry(1, number)).await.unwrap();
    }
    audit.note(Entry::new(None, "unknown", Action::Deny, "x").outcome("TOKEN_UNKNOWN"));
    drop(audit);
    writer.drained().await;
}

async fn check(store: &Store, anchors: &[Anchor]) -> Checked {
    verify(store, &key(KEY), None, anchors).await.unwrap()
}

/// Replaces an entry by what `change` makes of it, as somebody with access to the database could.
async fn forge(store: &Store, sequence: i64, change: impl FnOnce(&mut AuditEntry)) {
    let chain = organization(1).to_string();
    let entries = store.audit_entries(&chain, sequence - 1, 1).await.unwrap();
    let mut entry = entries.into_iter().next().unwrap();
    let tx = store.begin().await.unwrap();
    tx.delete_audit(&chain, sequence).await.unwrap();
    change(&mut entry);
    tx.append_audit(&[entry], &[]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn drop_entry(store: &Store, sequence: i64) {
    let tx = store.begin().await.unwrap();
    tx.delete_audit(organization(1).as_str(), sequence).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_chain_is_confirmed_as_written() {
    for database in [TestDatabase::sqlite_memory().await, TestDatabase::postgres().await] {
        let store = database.store();
        written(&store).await;
        let checked = check(&store, &anchors(&store).await.unwrap()).await;
        assert_eq!(checked, Checked { chains: 2, entries: 11, broken: Vec::new() });
        let wrong = verify(&store, &key(OTHER), None, &[]).await.unwrap();
        assert_eq!(wrong.broken.len(), 2, "another key confirms nothing");
        let both = verify(&store, &key(&format!("{OTHER},{KEY}")), None, &[]).await.unwrap();
        assert_eq!(both.broken, [], "an old key still confirms");
    }
}

#[tokio::test]
async fn whatever_is_done_to_an_entry_shows() {
    type Change = fn(&mut AuditEntry);
    let changes: [Change; 7] = [
        |entry| entry.actor = "somebody".to_owned(),
        |entry| entry.action = Action::Deny.as_str().to_owned(),
        |entry| entry.subject.push('0'),
        |entry| entry.outcome = "refused".to_owned(),
        |entry| entry.details = "{}".to_owned(),
        |entry| entry.at += chrono::TimeDelta::microseconds(1),
        |entry| entry.hash[31] ^= 1,
    ];
    for change in changes {
        let database = TestDatabase::sqlite_memory().await;
        written(&database.store()).await;
        forge(&database.store(), 4, change).await;
        let broken = check(&database.store(), &[]).await.broken;
        assert_eq!((broken.len(), broken[0].sequence), (1, 4), "{broken:?}");
    }
}

#[tokio::test]
async fn what_is_missing_shows() {
    let database = TestDatabase::sqlite_memory().await;
    let store = database.store();
    written(&store).await;
    let kept = anchors(&store).await.unwrap();
    drop_entry(&store, 10).await;
    assert_eq!(check(&store, &[]).await.broken[0].sequence, 10, "the head knows of it");

    // The head is shortened with it: now only the anchor knows.
    let ninth = store.audit_entries(organization(1).as_str(), 8, 1).await.unwrap().remove(0);
    let tx = store.begin().await.unwrap();
    let head = tidemark_store::AuditHead { chain: ninth.chain, sequence: 9, hash: ninth.hash };
    tx.append_audit(&[], &[head]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(check(&store, &[]).await.broken, []);
    let broken = check(&store, &kept).await.broken;
    assert_eq!(broken[0].sequence, 10);
    assert!(broken[0].problem.contains("anchor"), "{broken:?}");

    drop_entry(&store, 3).await;
    assert_eq!(check(&store, &[]).await.broken[0].sequence, 3);
}

async fn pruned(store: &Store, anchors: &[Anchor], days: i64) -> Result<Vec<Pruned>, NotPruned> {
    let (audit, writer) = Audit::start(store.clone(), key(KEY), clock());
    let before = clock().now() + chrono::TimeDelta::days(days);
    let outcome = prune(store, &audit, &key(KEY), anchors, before, "operator").await;
    drop(audit);
    writer.drained().await;
    outcome
}

async fn old_entries_go_before_an_anchor_and_the_chain_is_still_whole(database: TestDatabase) {
    let store = database.store();
    written(&store).await;
    let early = anchors(&store).await.unwrap();
    assert!(pruned(&store, &early, 0).await.unwrap().is_empty(), "nothing is old");
    let outcome = pruned(&store, &early, 1).await.unwrap();
    let of = organization(1).to_string();
    assert_eq!(outcome, [Pruned { organization: of.clone(), kept_from: 10, entries: 9 }], "up to the anchor");
    let checked = check(&store, &early).await;
    assert_eq!(checked.broken, [], "the anchor, what came after it, and the record of it");
    assert_eq!(store.audit_entries(&of, 0, 9).await.unwrap()[1].action, "audit.prune");
    assert!(pruned(&store, &early, 1).await.unwrap().is_empty(), "there is nothing left before the anchor");
    // Once more, up to a newer end: the record of the first pruning goes as well.
    written(&store).await;
    let later = anchors(&store).await.unwrap();
    assert_eq!(pruned(&store, &later, 1).await.unwrap().len(), 2);
    assert_eq!(check(&store, &later).await.broken, []);
    assert_eq!(check(&store, &early).await.broken, [], "an older anchor is before what is kept");
    // More than was recorded: it shows.
    let entries = store.audit_entries(&of, 0, 1).await.unwrap();
    drop_entry(&store, entries[0].sequence).await;
    let broken = check(&store, &[]).await.broken;
    assert_eq!((broken.len(), broken[0].sequence, broken[0].problem), (1, 1, "is missing"));
}

#[tokio::test]
async fn pruning_on_sqlite() {
    old_entries_go_before_an_anchor_and_the_chain_is_still_whole(TestDatabase::sqlite_memory().await).await;
}

#[tokio::test]
async fn pruning_on_postgres() {
    old_entries_go_before_an_anchor_and_the_chain_is_still_whole(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn nothing_is_pruned_of_a_chain_that_is_not_as_its_anchor_says() {
    let store = TestDatabase::sqlite_memory().await.store();
    written(&store).await;
    let mut wrong = anchors(&store).await.unwrap();
    wrong.iter_mut().for_each(|anchor| anchor.hash = "00".repeat(32));
    assert!(matches!(pruned(&store, &wrong, 1).await, Err(NotPruned::Broken(_))));
    let right = anchors(&store).await.unwrap();
    forge(&store, 5, |entry| entry.actor = "nobody".to_owned()).await;
    assert!(matches!(pruned(&store, &right, 1).await, Err(NotPruned::Broken(_))));
    assert_eq!(store.audit_entries(organization(1).as_str(), 0, 20).await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_beginning_that_went_without_a_record_shows() {
    let store = TestDatabase::sqlite_memory().await.store();
    written(&store).await;
    store.prune_audit(organization(1).as_str(), 4, 100).await.unwrap();
    let broken = check(&store, &[]).await.broken;
    assert_eq!((broken[0].sequence, broken[0].problem), (1, "is missing"));
}

#[tokio::test]
async fn many_writers_make_one_chain() {
    for database in [TestDatabase::sqlite_file().await, TestDatabase::postgres().await] {
        let stores = [database.store(), tidemark_testkit::open_store(&database.url()).await];
        let mut tasks = tokio::task::JoinSet::new();
        for store in stores {
            let (audit, _) = Audit::start(store, key(KEY), clock());
            for number in 0..50 {
                let audit = audit.clone();
                tasks.spawn(async move { audit.record(entry(number % 3, number)).await.unwrap() });
            }
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
        let checked = check(&database.store(), &[]).await;
        assert_eq!((checked.entries, checked.broken.len()), (100, 0));
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let database = TestDatabase::sqlite_memory().await;
    let (audit, _writer) = Audit::start(database.store(), key(KEY), clock());
    audit.record(entry(1, 1)).await.unwrap();
    database.store().close().await.unwrap();
    assert_eq!(audit.record(entry(1, 2)).await, Err(Unwritten));
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_taken_over_until_all_is_written() {
    let database = TestDatabase::sqlite_file().await;
    let (audit, writer) = Audit::start(database.store(), key(KEY), clock());
    // Somebody else holds the database, for longer than a release may wait to be written down.
    let other = tidemark_testkit::open_store(&database.url()).await;
    let blocking = other.begin().await.unwrap();
    audit.entrust(entry(1, 0)).await.unwrap();
    let refused = async {
        let mut taken = 1;
        while audit.entrust(entry(1, taken)).await.is_ok() {
            taken += 1;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        taken
    };
    let limit = std::time::Duration::from_secs(5);
    let mut taken = tokio::time::timeout(limit, refused).await.expect("after 1 s nothing is released");
    drop(blocking);
    let again = async {
        while audit.entrust(entry(1, taken)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(limit, again).await.expect("it recovers by itself");
    taken += 1;
    drop(audit);
    writer.drained().await;
    let checked = check(&database.store(), &[]).await;
    assert_eq!(checked, Checked { chains: 1, entries: taken, broken: Vec::new() }, "nothing is lost");
}

#[tokio::test]
async fn what_one_caller_gets_again_within_a_moment_is_one_entry_that_counts() {
    for database in [TestDatabase::sqlite_file().await, TestDatabase::postgres().await] {
        let store = database.store();
        let (audit, writer) = Audit::start(store.clone(), key(KEY), clock());
        for (organization, subject) in [(1, 7), (1, 8), (1, 7), (2, 7), (1, 7)] {
            audit.entrust(entry(organization, subject)).await.unwrap();
        }
        // Somebody waits for this one, so that it stands alone.
        audit.record(entry(1, 7)).await.unwrap();
        drop(audit);
        writer.drained().await;
        let checked = check(&store, &anchors(&store).await.unwrap()).await;
        assert_eq!(checked, Checked { chains: 2, entries: 4, broken: Vec::new() });
        let mut told: Vec<_> = store
            .audit_entries(organization(1).as_str(), 0, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| (entry.subject, entry.details))
            .collect();
        told.sort();
        let once = r#"{"generation":"1"}"#.to_owned();
        let thrice = r#"{"generation":"1","times":3,"until":"2026-08-12T12:00:00.000000Z"}"#.to_owned();
        assert_eq!(told, [("7".to_owned(), thrice), ("7".to_owned(), once.clone()), ("8".to_owned(), once)]);
    }
}

#[test]
fn the_requests_of_repeated_releases_are_named() {
    let moment = |seconds: u32, request: &str| Moment {
        at: clock().now() + chrono::TimeDelta::seconds(seconds.into()),
        request: (!request.is_empty()).then(|| request.to_owned()),
    };
    let mut timed = Timed { entry: entry(1, 1), times: vec![moment(0, "a")] };
    assert_eq!(repeats::details(&timed), r#"{"generation":"1","request":"a"}"#);
    timed.times.extend([moment(2, "b"), moment(1, "")]);
    let told = r#"{"generation":"1","request":"a","times":3,"until":"2026-08-12T12:00:02.000000Z","requests":["b"]}"#;
    assert_eq!(repeats::details(&timed), told);
}

#[test]
fn a_key_is_named_by_what_is_wrong_with_it() {
    for (text, problem) in [("", "not set"), ("****", "base64"), ("c2hvcnQ=", "short")] {
        let error = AuditKey::parse(&text.to_owned().into()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

/// What is wrong with one organization's chain is that organization's.
#[tokio::test]
async fn a_chain_that_cannot_be_written_holds_up_no_other() {
    for database in [TestDatabase::sqlite_memory().await, TestDatabase::postgres().await] {
        let store = database.store();
        written(&store).await;
        let chain = organization(1).to_string();
        let head = store.audit_heads().await.unwrap().into_iter().find(|head| head.chain == chain).unwrap();
        let put = async |sequence| {
            let tx = store.begin().await.unwrap();
            let head = tidemark_store::AuditHead { sequence, ..head.clone() };
            tx.append_audit(&[], &[head]).await.unwrap();
            tx.commit().await.unwrap();
        };
        // No number is left; and numbers that are taken.
        for (round, wrong) in [(1, i64::MAX), (2, 3)] {
            let right = store.newest_audit_entries(&chain, 1).await.unwrap().remove(0).sequence;
            put(wrong).await;
            let (audit, writer) = Audit::start(store.clone(), key(KEY), clock());
            audit.entrust(entry(1, 100 * round)).await.unwrap();
            assert_eq!(audit.record(entry(1, 0)).await, Err(Unwritten));
            assert_eq!(audit.entrust(entry(1, 0)).await, Err(Unwritten), "nothing more of it is released");
            for number in 0..10 {
                audit.entrust(entry(2, number)).await.unwrap();
                audit.record(entry(3, number)).await.unwrap();
            }
            put(right).await;
            while audit.record(entry(1, 100 * round + 1)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            audit.entrust(entry(1, 100 * round + 2)).await.unwrap();
            drop(audit);
            writer.drained().await;
            let newest = store.newest_audit_entries(&chain, 3).await.unwrap();
            // Nobody says in which order what came at the same moment is written.
            let subjects: std::collections::BTreeSet<_> =
                newest.iter().map(|entry| entry.subject.clone()).collect();
            let expected = [100 * round, 100 * round + 1, 100 * round + 2].map(|it| it.to_string());
            assert_eq!(subjects, expected.into());
            // The hash of the head is that of the entry before.
            put(right + 3).await;
            let hash = newest[0].hash.clone();
            let tx = store.begin().await.unwrap();
            let head = tidemark_store::AuditHead { chain: chain.clone(), sequence: right + 3, hash };
            tx.append_audit(&[], &[head]).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}
