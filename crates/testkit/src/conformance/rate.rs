//! What every `RateLimits` must do, and the macro that makes the tests of one adapter out of it.

use std::{sync::Arc, time::Duration};

use tidemark_ports::{
    RateLimits,
    rate::{LONGEST_PAUSE, RESERVED_AHEAD, interval},
};
use tokio::{task::JoinSet, time::Instant};

/// For what a busy machine adds to the time between two calls.
const SLOW: Duration = Duration::from_millis(400);

/// Expands to one `#[tokio::test]` per case. The expression is a future of an `Arc<dyn RateLimits>` of its own.
#[macro_export]
macro_rules! rate_conformance {
    ($make:expr) => {
        $crate::rate_conformance! { @cases $make;
            requests_are_spaced_evenly
            many_at_once_share_one_pace
            nobody_reserves_far_ahead
            a_freeze_holds_for_all
            a_thaw_ends_a_freeze_and_no_freeze_is_longer_than_an_hour
            a_lower_limit_counts_and_a_higher_one_does_not
            keys_do_not_touch_each_other
        }
    };
    (@cases $make:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::rate::$case($make.await).await;
            }
        )*
    };
}

/// The next one begins where the one before ended.
pub async fn requests_are_spaced_evenly(limits: Arc<dyn RateLimits>) {
    let started = Instant::now();
    let first = limits.reserve("a", 50, 5).await.expect("the limits answer");
    assert_eq!((first.count, first.starts_in, first.interval), (5, Duration::ZERO, interval(50)));
    let second = limits.reserve("a", 50, 5).await.expect("the limits answer");
    let behind = interval(50) * 5;
    assert!(second.starts_in <= behind, "{second:?}");
    assert!(second.starts_in + started.elapsed() >= behind, "{second:?}");
}

/// Of eight that ask at once, no two get the same moment.
pub async fn many_at_once_share_one_pace(limits: Arc<dyn RateLimits>) {
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let limits = Arc::clone(&limits);
        asking.spawn(async move {
            let asked = Instant::now();
            let grant = limits.reserve("a", 100, 2).await.expect("the limits answer");
            (asked, asked.elapsed(), grant)
        });
    }
    let mut latest = Duration::ZERO;
    let begun = Instant::now();
    for (asked, took, grant) in asking.join_all().await {
        assert_eq!(grant.count, 2);
        latest = latest.max((asked + took).saturating_duration_since(begun) + grant.starts_in);
    }
    assert!(latest + SLOW >= interval(100) * 14, "sixteen requests within {latest:?}");
    let next = limits.reserve("a", 100, 1).await.expect("the limits answer");
    assert!(next.starts_in + begun.elapsed() >= interval(100) * 15, "{next:?}");
}

/// What is too far away is not given, and takes nothing.
pub async fn nobody_reserves_far_ahead(limits: Arc<dyn RateLimits>) {
    assert_eq!(limits.reserve("a", 1, 3).await.expect("the limits answer").count, 3);
    for _ in 0..3 {
        let refused = limits.reserve("a", 1, 1).await.expect("the limits answer");
        assert_eq!(refused.count, 0);
        assert!(refused.starts_in > RESERVED_AHEAD && refused.starts_in <= interval(1) * 3, "{refused:?}");
    }
}

/// Whatever the other side asks for; and only the key's own freeze ends.
pub async fn a_thaw_ends_a_freeze_and_no_freeze_is_longer_than_an_hour(limits: Arc<dyn RateLimits>) {
    for pause in [Duration::from_secs(86_400), Duration::from_secs(1_796_099_990), Duration::MAX] {
        for key in ["a", "b"] {
            limits.freeze(key, pause).await.expect("the limits answer");
            let frozen = limits.reserve(key, 50, 1).await.expect("the limits answer");
            assert_eq!(frozen.count, 0);
            assert!(
                frozen.starts_in <= LONGEST_PAUSE && frozen.starts_in + SLOW > LONGEST_PAUSE,
                "{frozen:?}"
            );
        }
        limits.thaw("a").await.expect("the limits answer");
        let thawed = limits.reserve("a", 50, 1).await.expect("the limits answer");
        assert!(thawed.starts_in <= RESERVED_AHEAD + interval(50), "{thawed:?}");
    }
    assert_eq!(limits.reserve("b", 50, 1).await.expect("the limits answer").count, 0);
}

/// A pause counts for everybody, and a shorter one does not end it.
pub async fn a_freeze_holds_for_all(limits: Arc<dyn RateLimits>) {
    limits.reserve("a", 50, 1).await.expect("the limits answer");
    limits.freeze("a", Duration::from_secs(30)).await.expect("the limits answer");
    limits.freeze("a", Duration::from_secs(1)).await.expect("the limits answer");
    let refused = limits.reserve("a", 50, 1).await.expect("the limits answer");
    assert_eq!(refused.count, 0);
    assert!(refused.starts_in > Duration::from_secs(20), "{refused:?}");
    limits.freeze("fresh", Duration::from_millis(50)).await.expect("the limits answer");
    let thawing = limits.reserve("fresh", 50, 1).await.expect("the limits answer");
    assert!(thawing.count == 1 && thawing.starts_in <= Duration::from_millis(50), "{thawing:?}");
}

/// What the other side says may only slow down.
pub async fn a_lower_limit_counts_and_a_higher_one_does_not(limits: Arc<dyn RateLimits>) {
    limits.lower("a", 10).await.expect("the limits answer");
    assert_eq!(limits.reserve("a", 50, 1).await.expect("the limits answer").interval, interval(10));
    limits.lower("a", 1_000).await.expect("the limits answer");
    assert_eq!(limits.reserve("a", 50, 1).await.expect("the limits answer").interval, interval(50));
}

/// Each key has a pace of its own.
pub async fn keys_do_not_touch_each_other(limits: Arc<dyn RateLimits>) {
    limits.freeze("a", Duration::from_secs(30)).await.expect("the limits answer");
    assert_eq!(limits.reserve("b", 50, 1).await.expect("the limits answer").starts_in, Duration::ZERO);
}
