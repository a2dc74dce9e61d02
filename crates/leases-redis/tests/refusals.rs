//! A Redis that answers and takes no writes is not up, and says why.

use tidemark_leases_redis::RedisLeases;
use tidemark_ports::Unavailable;
use tidemark_runtime::server::{Server, Value};
use tidemark_testkit::servers::{Authority, PASSWORD, RedisServer};

#[tokio::test]
async fn a_server_that_refuses_writes_is_not_up_and_says_why() {
    let authority = Authority::new();
    let redis = RedisServer::start(&authority, false).await;
    let mut server = Server::from(redis.url("localhost").as_str());
    (server.tls.ca, server.password) = (Some(authority.ca()), Value::Text(PASSWORD.into()));
    let leases = RedisLeases::new(server, "t").unwrap();
    leases.check().await.expect("it is up");
    let refusals: [(&[&str], &[&str], &str); 2] = [
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "OOM"),
    ];
    for (refuse, allow, word) in refusals {
        redis.command(refuse).await;
        let Unavailable(why) = leases.check().await.expect_err(word);
        assert!(why.to_uppercase().contains(word), "{why}");
        redis.command(allow).await;
        leases.check().await.expect("it is up again, without a restart");
    }
}
