//! The Redis adapter on a bad network.

mod server;

use std::time::Duration;

use tidemark_leases_redis::RedisLeases;
use tidemark_ports::{Leases, Unavailable};
use tidemark_testkit::Proxy;
use tokio::time::{Instant, timeout};

const TTL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_silent_server_is_unavailable_and_its_connection_is_left() {
    let proxy = Proxy::start(&server::url()).await;
    let leases = server::leases_at(&proxy.url(&server::url()));
    let held = leases.acquire("a", TTL).await.expect("the server answers").expect("the lease is free");

    proxy.go_silent();
    // Enough to run out of patience with the first connection and to try others.
    for _ in 0..5 {
        let started = Instant::now();
        let outcome = leases.acquire("b", TTL).await;
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_millis(2_200), "took {:?}", started.elapsed());
    }
    let started = Instant::now();
    leases.renew(&held, TTL).await.expect_err("a renewal is not to be had either");
    assert!(started.elapsed() < Duration::from_millis(2_200), "took {:?}", started.elapsed());

    // The old connections stay silent: only a new one works.
    proxy.answer_new_connections();
    let renewed = timeout(Duration::from_secs(10), async {
        loop {
            if let Ok(renewed) = leases.renew(&held, TTL).await {
                return renewed;
            }
        }
    });
    assert!(renewed.await.expect("it works again"), "the lease was still ours");
}

#[tokio::test]
async fn many_callers_of_a_silent_server_do_not_wait_for_each_other() {
    let proxy = Proxy::start(&server::url()).await;
    proxy.go_silent();
    let leases = server::leases_at(&proxy.url(&server::url()));
    let started = Instant::now();
    let (one, two, three, four) = tokio::join!(
        leases.acquire("a", TTL),
        leases.acquire("b", TTL),
        leases.acquire("c", TTL),
        leases.acquire("d", TTL)
    );
    assert!([one, two, three, four].iter().all(Result::is_err));
    assert!(started.elapsed() < Duration::from_millis(2_200), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn an_acquire_that_timed_out_but_took_effect_is_ours() {
    let proxy = Proxy::start(&server::url()).await;
    let leases = server::leases_at(&proxy.url(&server::url()));
    leases.check().await.expect("the server answers");
    proxy.hold_the_next_answer(Duration::from_millis(800));
    let lease = leases.acquire("a", TTL).await.expect("the token is read back").expect("the lease is free");
    assert_eq!(leases.renew(&lease, TTL).await, Ok(true));
}

#[tokio::test]
async fn check_tells_the_version_or_what_is_wrong() {
    let version = server::leases_at(&server::url()).check().await.expect("the server answers");
    assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");

    let closed = RedisLeases::new("redis://:hunter2@127.0.0.1:1", "t").expect("the URL is fine");
    let Unavailable(text) = closed.check().await.expect_err("nobody listens on port 1");
    assert!(text.contains("127.0.0.1:1") && text.contains("refused"), "{text}");
    assert!(!text.contains("hunter2") && !format!("{closed:?}").contains("hunter2"), "{text} {closed:?}");

    for url in ["http://:hunter2@127.0.0.1", "redis://:hunter2@127.0.0.1/not-a-number", "::hunter2"] {
        let error = RedisLeases::new(url, "t").expect_err("not a Redis URL");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error} {error:?}");
    }
}
