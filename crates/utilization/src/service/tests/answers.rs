//! Each answer over gRPC: what it says, what it refuses by which field, and what it hides from whom.

mod basis;
mod contract;
mod export;
mod seats;
mod trend;

use std::collections::BTreeSet;

use tidemark_domain::id::OrganizationId;
use tidemark_rpc::utilization as wire;
use tonic_types::StatusExt as _;

use super::*;

/// A process whose sample has been rolled up.
async fn ready() -> (Sample, Process) {
    ready_with(0..DAYS).await
}

/// The same, with those days covered.
async fn ready_with(covered: impl IntoIterator<Item = u64>) -> (Sample, Process) {
    let sample = Sample::new(covered).await;
    let process = Process::start(sample.store(), InprocBus::new());
    process.announce(&sample.completed()).await;
    process.summary(&sample.connection).await;
    (sample, process)
}

fn id(sample: &Sample) -> String {
    sample.connection.to_string()
}

fn field(status: &Status) -> String {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    status.get_details_bad_request().unwrap().field_violations[0].field.clone()
}

#[tokio::test]
async fn old_numbers_say_so() {
    let (sample, process) = ready().await;
    let basis = async |today: u64| {
        let desk = Desk { clock: Arc::new(ManualClock::noon(at(today))), ..Desk::of(&sample) };
        desk.ground().await.unwrap().wire()
    };
    assert!(!basis(DAYS + 2).await.stale);
    let old = basis(DAYS + 3).await;
    assert!(old.stale && old.stale_reason.contains("no newer day"), "{old:?}");
    sample.lose_key().await;
    let lost = basis(DAYS).await;
    assert!(lost.stale && lost.stale_reason.contains("reconnected"), "{lost:?}");
    process.stop().await;
}

/// What a limited caller may not see is not there, whatever is asked.
#[tokio::test]
async fn another_organizations_numbers_are_not_there() {
    let sample = Sample::new(0..DAYS).await;
    let other = OrganizationId::generate(&sample.clock, &SeededEntropy::new(99));
    let caller = Identity::new("limited", Some(BTreeSet::from([other])));
    let refused = Desk::of(&sample).check_seen(&caller).await.unwrap_err();
    assert_eq!(refused.into_status(sample.connection.as_str()).code(), Code::NotFound);
    let own = sample.store().organization_of(&sample.connection).await.unwrap().unwrap();
    let caller = Identity::new("limited", Some(BTreeSet::from([own])));
    Desk::of(&sample).check_seen(&caller).await.unwrap();
}
