//! What every `Leases` must do, and the macro that makes the tests of one adapter out of it.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tidemark_ports::{Held, Lease, Leases, Unavailable};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);

/// Expands to one `#[tokio::test]` per case. The expression is a future of an `Arc<dyn Leases>` of its own.
#[macro_export]
macro_rules! leases_conformance {
    ($make:expr) => {
        $crate::leases_conformance! { @cases $make;
            a_second_holder_is_refused
            a_released_lease_is_free
            an_expired_lease_is_free
            a_renewal_extends
            a_lost_lease_does_not_disturb_the_next_holder
            of_many_at_once_one_wins
            a_held_lease_outlives_its_ttl
            a_held_lease_that_was_taken_is_lost
            a_held_lease_that_cannot_be_renewed_is_lost_before_it_is_free
        }
    };
    (@cases $make:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::leases::$case($make.await).await;
            }
        )*
    };
}

async fn take(leases: &dyn Leases, key: &str, ttl: Duration) -> Lease {
    leases.acquire(key, ttl).await.expect("the service answers").expect("the lease is free")
}

async fn is_free(leases: &dyn Leases, key: &str) -> bool {
    match leases.acquire(key, LONG).await.expect("the service answers") {
        Some(lease) => leases.release(&lease).await.expect("the service answers"),
        None => false,
    }
}

/// Waits for the expiry.
async fn take_when_free(leases: &dyn Leases, key: &str) -> Lease {
    let attempts = async {
        loop {
            if let Some(lease) = leases.acquire(key, LONG).await.expect("the service answers") {
                return lease;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), attempts).await.expect("the lease runs out")
}

/// Another key is another lease.
pub async fn a_second_holder_is_refused(leases: Arc<dyn Leases>) {
    let held = take(&*leases, "a", LONG).await;
    assert_eq!(held.key, "a");
    assert_eq!(leases.acquire("a", LONG).await, Ok(None));
    let other = take(&*leases, "b", LONG).await;
    assert_ne!(held.token, other.token);
}

/// And a second release is told so.
pub async fn a_released_lease_is_free(leases: Arc<dyn Leases>) {
    let held = take(&*leases, "a", LONG).await;
    assert_eq!(leases.release(&held).await, Ok(true));
    assert_eq!(leases.release(&held).await, Ok(false));
    take(&*leases, "a", LONG).await;
}

/// Not before its time, though.
pub async fn an_expired_lease_is_free(leases: Arc<dyn Leases>) {
    let started = Instant::now();
    take(&*leases, "a", Duration::from_millis(300)).await;
    take_when_free(&*leases, "a").await;
    assert!(started.elapsed() >= Duration::from_millis(290), "free after {:?}", started.elapsed());
}

/// To `ttl` from the renewal on.
pub async fn a_renewal_extends(leases: Arc<dyn Leases>) {
    let short = Duration::from_millis(400);
    let held = take(&*leases, "a", short).await;
    assert_eq!(leases.renew(&held, LONG).await, Ok(true));
    sleep(short + Duration::from_millis(100)).await;
    assert!(!is_free(&*leases, "a").await);
    assert_eq!(leases.release(&held).await, Ok(true));
}

/// Whoever was slow finds out and changes nothing.
pub async fn a_lost_lease_does_not_disturb_the_next_holder(leases: Arc<dyn Leases>) {
    let slow = take(&*leases, "a", Duration::from_millis(100)).await;
    let next = take_when_free(&*leases, "a").await;
    assert_eq!(leases.renew(&slow, Duration::from_millis(1)).await, Ok(false));
    assert_eq!(leases.release(&slow).await, Ok(false));
    assert!(!is_free(&*leases, "a").await);
    assert_eq!(leases.renew(&next, LONG).await, Ok(true));
}

/// Fifty at once.
pub async fn of_many_at_once_one_wins(leases: Arc<dyn Leases>) {
    let mut attempts = JoinSet::new();
    for _ in 0..50 {
        let leases = Arc::clone(&leases);
        attempts.spawn(async move { leases.acquire("a", LONG).await.expect("the service answers") });
    }
    let winners = attempts.join_all().await.into_iter().flatten().count();
    assert_eq!(winners, 1);
}

/// The keeper renews it.
pub async fn a_held_lease_outlives_its_ttl(leases: Arc<dyn Leases>) {
    let ttl = Duration::from_secs(1);
    let held =
        Held::acquire(Arc::clone(&leases), "a", ttl).await.expect("the service answers").expect("free");
    sleep(ttl * 2).await;
    assert!(!held.lost().is_cancelled());
    assert!(!is_free(&*leases, "a").await);
    held.release().await;
    assert!(is_free(&*leases, "a").await);
}

/// By an operator, say, or because the service forgot it.
pub async fn a_held_lease_that_was_taken_is_lost(leases: Arc<dyn Leases>) {
    let ttl = Duration::from_secs(2);
    let watched = Watched::over(Arc::clone(&leases));
    let held = Held::acquire(watched.clone(), "a", ttl).await.expect("the service answers").expect("free");
    assert_eq!(leases.release(&watched.taken()).await, Ok(true));
    take(&*leases, "a", LONG).await;
    timeout(ttl, held.lost().cancelled()).await.expect("the holder is told");
    held.release().await;
    assert!(!is_free(&*leases, "a").await, "the late release must not free the next holder's lease");
}

/// The work stops while the lease still keeps others away.
pub async fn a_held_lease_that_cannot_be_renewed_is_lost_before_it_is_free(leases: Arc<dyn Leases>) {
    let ttl = Duration::from_secs(3);
    let watched = Watched::over(Arc::clone(&leases));
    let held = Held::acquire(watched.clone(), "a", ttl).await.expect("the service answers").expect("free");
    watched.down.store(true, Ordering::SeqCst);
    timeout(ttl, held.lost().cancelled()).await.expect("the holder is told");
    assert!(!is_free(&*leases, "a").await);
    take_when_free(&*leases, "a").await;
}

/// Leases that show what was taken through them and that can stop answering renewals.
struct Watched {
    leases: Arc<dyn Leases>,
    taken: Mutex<Option<Lease>>,
    down: AtomicBool,
}

impl Watched {
    fn over(leases: Arc<dyn Leases>) -> Arc<Self> {
        Arc::new(Self { leases, taken: Mutex::new(None), down: AtomicBool::new(false) })
    }

    fn taken(&self) -> Lease {
        self.taken.lock().expect("no holder panics").clone().expect("a lease was taken")
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("leases", &self.leases).finish_non_exhaustive()
    }
}

#[async_trait]
impl Leases for Watched {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, Unavailable> {
        let lease = self.leases.acquire(key, ttl).await?;
        self.taken.lock().expect("no holder panics").clone_from(&lease);
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Unavailable> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Unavailable("switched off by the test".to_owned()));
        }
        self.leases.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, Unavailable> {
        self.leases.release(lease).await
    }
}
