//! What the simulator writes down about a token.

use std::time::Duration;

use crate::support::{acme, get, send};
use tidemark_productboard_sim::{Access, Route, TokenKind, fingerprint};

#[tokio::test]
async fn a_ledger_tells_what_came_and_how_fast() {
    let simulator = acme().await;
    assert_eq!(simulator.ledger("nobody"), None);
    let before = simulator.ledger("t").unwrap();
    assert_eq!((before.requests, before.first_used_at), (0, None));

    simulator.faults("t", |faults| faults.fail_next.extend([503]));
    for target in ["/v2/teams", "/v2/teams", "/v2/members"] {
        get(&simulator, target).await;
    }
    simulator.advance(Duration::from_secs(3600));
    get(&simulator, "/v2/members").await;
    let told = simulator.ledger("t").unwrap();
    assert_eq!((told.requests, told.refused), (4, 1));
    assert_eq!(told.routes.into_iter().collect::<Vec<_>>(), [(Route::Members, 2), (Route::Teams, 2)]);
    assert!((1..=4).contains(&told.peak_per_second));
    let used = told.last_used_at.unwrap() - told.first_used_at.unwrap();
    assert!((3600..3660).contains(&used.num_seconds()));
}

#[tokio::test]
async fn what_comes_after_the_end_is_counted_apart() {
    let simulator = acme().await;
    simulator.issue("acme", "o", Access::oauth(["teams:read"]));
    let asks = async |token: &str| send(&simulator, "GET", "/v2/teams", Some(token), "").await.status;
    simulator.faults("t", |faults| faults.expire_after = Some(1));
    assert_eq!([asks("t").await, asks("t").await, asks("t").await], [200, 401, 401]);
    simulator.revoke("o");
    assert_eq!(asks("o").await, 401);

    let expired = simulator.ledger("t").unwrap();
    assert_eq!((expired.refused, expired.after_expiry, expired.after_revocation), (2, 2, 0));
    let revoked = send(&simulator, "GET", "/admin/tokens/o/ledger", None, "").await.body;
    assert_eq!((&revoked["after_expiry"], &revoked["after_revocation"]), (&0.into(), &1.into()));
    assert_eq!(revoked["routes"]["teams"], 1);
    assert_eq!(send(&simulator, "GET", "/admin/tokens/x/ledger", None, "").await.status, 404);
}

#[tokio::test]
async fn every_token_that_came_is_listed_known_or_not() {
    let simulator = acme().await;
    simulator.issue("acme", "o", Access::oauth(["teams:read"]));
    simulator.issue_token("acme", "never used");
    for token in ["o", "guessed", "o", "guessed", "guessed"] {
        send(&simulator, "GET", "/v2/teams", Some(token), "").await;
    }
    send(&simulator, "GET", "/v2/teams", None, "").await;
    let uses = simulator.ledgers();
    let told: Vec<_> = uses
        .iter()
        .map(|token| (token.fingerprint.clone(), token.domain.as_deref(), token.kind, token.ledger.requests))
        .collect();
    let expected = [
        (fingerprint("o"), Some("acme"), Some(TokenKind::Oauth), 2),
        (fingerprint("guessed"), None, None, 3),
    ];
    assert_eq!(told, expected);
    assert_eq!((uses[1].ledger.refused, uses[1].ledger.routes[&Route::Teams]), (3, 3));
    assert!((1..=3).contains(&uses[1].ledger.peak_per_second));

    let listed = send(&simulator, "GET", "/admin/ledgers", None, "").await;
    assert_eq!(listed.body, serde_json::to_value(simulator.ledgers()).unwrap());
    assert_eq!((&listed.body[1]["requests"], &listed.body[1]["domain"]), (&3.into(), &().into()));
    assert!(!listed.text().contains("guessed"));
}
