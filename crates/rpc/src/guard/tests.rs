//! The guard with a directory in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use tidemark_domain::{Clock, Entropy};
use tonic::codegen::http::HeaderValue;

use super::*;
use crate::token::mint;

/// A time and a randomness that stand still.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) u8);
impl Clock for Fixed {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::UNIX_EPOCH
    }
}
impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

#[derive(Debug, Default)]
struct Book {
    tokens: Mutex<HashMap<TokenId, Registered>>,
    questions: AtomicU32,
    uses: AtomicU32,
    is_away: std::sync::atomic::AtomicBool,
}

#[tonic::async_trait]
impl Directory for Book {
    async fn find(&self, id: &TokenId) -> Result<Option<Registered>, Unanswered> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Unanswered);
        }
        Ok(self.tokens.lock().unwrap().get(id).cloned())
    }

    fn used(&self, _: &TokenId) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    fn denied(&self, _: Denial) {}
}

impl Book {
    /// A new token's text.
    fn issue(&self, seed: u8) -> (TokenId, String) {
        let minted = mint(&Fixed(seed), &Fixed(seed));
        let registered = Registered {
            hash: minted.hash,
            name: "reporting".to_owned(),
            scopes: BTreeSet::from([Scope::SyncsRead]),
            organizations: None,
            standing: Standing::Valid,
        };
        self.tokens.lock().unwrap().insert(minted.id.clone(), registered);
        (minted.id, minted.text.expose_secret().to_owned())
    }

    fn set(&self, id: &TokenId, standing: Standing) {
        self.tokens.lock().unwrap().get_mut(id).unwrap().standing = standing;
    }
}

fn guard() -> (Arc<Book>, Guard) {
    use crate::limit::Rate;
    let (book, rate) = (Arc::new(Book::default()), Rate { per_second: 0, burst: 0 });
    let token = "new-internal-token, old-internal-token".into();
    let guard = Guard::with(&token, Arc::clone(&book) as _, Limits::new(10, rate, rate));
    (book, guard)
}

async fn show(guard: &Guard, token: &str) -> Result<Identity, Refusal> {
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    guard.identify(&HeaderMap::from_iter([("authorization".parse().unwrap(), value)])).await
}

#[tokio::test]
async fn a_call_about_one_organization_sees_no_other() {
    let (book, guard) = guard();
    let [one, two, three] = [1, 2, 3].map(|seed| OrganizationId::generate(&Fixed(seed), &Fixed(seed)));
    let (id, limited) = book.issue(1);
    book.tokens.lock().unwrap().get_mut(&id).unwrap().organizations = Some([one.clone(), two.clone()].into());
    let ask = async |token: &str, said: &[&str]| {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        headers.insert("authorization", value);
        for text in said {
            headers.append(ORGANIZATION, HeaderValue::from_str(text).unwrap());
        }
        guard.identify(&headers).await
    };
    for token in [limited.as_str(), "new-internal-token"] {
        let identity = ask(token, &[one.as_str()]).await.unwrap();
        assert!(identity.is_limited() && identity.may_see(&one));
        assert!(!identity.may_see(&two) && !identity.may_see(&three));
        assert!(identity.check(&two, "connection").is_err());
        assert_eq!(identity.denied(), Some(&two));
    }
    let widened = ask(&limited, &[three.as_str()]).await.unwrap();
    assert!(![&one, &two, &three].into_iter().any(|each| widened.may_see(each)), "the list still holds");
    for said in [vec![""], vec!["org_1"], vec!["*"], vec![one.as_str(), one.as_str()]] {
        assert!(matches!(ask(&limited, &said).await, Err(Refusal::Invalid { .. })), "{said:?}");
    }
}

#[tokio::test]
async fn the_internal_token_may_have_a_successor() {
    let (_, guard) = guard();
    for token in ["new-internal-token", "old-internal-token"] {
        assert_eq!(show(&guard, token).await.unwrap().actor(), "internal");
    }
    for token in ["", "new-internal-token, old-internal-token", "new-internal-toke", ","] {
        assert_eq!(show(&guard, token).await.unwrap_err(), Refusal::Unauthenticated, "{token}");
    }
    assert_eq!(guard.identify(&HeaderMap::new()).await.unwrap_err(), Refusal::Unauthenticated);
    let nobody = Guard::new(&SecretString::from(""));
    // A service token is shown to others: here, too, it may do what the record says, and no more.
    let shown = crate::token::mint(&Fixed(1), &Fixed(1)).text;
    assert_eq!(show(&Guard::new(&shown), shown.expose_secret()).await.unwrap_err(), Refusal::Unauthenticated);
    assert_eq!(show(&nobody, "").await.unwrap_err(), Refusal::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_takes_effect_within_five_seconds() {
    let (book, guard) = guard();
    let (id, token) = book.issue(1);
    let identity = show(&guard, &token).await.unwrap();
    assert_eq!((identity.actor(), identity.name()), (id.as_str(), "reporting"));
    assert!(identity.has(Scope::SyncsRead) && !identity.has(Scope::SyncsWrite));
    for _ in 0..100 {
        show(&guard, &token).await.unwrap();
    }
    assert_eq!(book.questions.load(Ordering::Relaxed), 1, "the answer is kept");
    book.set(&id, Standing::Revoked);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(show(&guard, &token).await.unwrap_err(), Refusal::TokenRevoked);
    assert_eq!(book.uses.load(Ordering::Relaxed), 1, "a use is told once per answer of the directory");
}

#[tokio::test(start_paused = true)]
async fn only_the_right_secret_learns_how_a_token_stands() {
    let (book, guard) = guard();
    let (id, token) = book.issue(1);
    book.set(&id, Standing::Expired);
    assert_eq!(show(&guard, &token).await.unwrap_err(), Refusal::TokenExpired);
    let wrong = format!("{}x", &token[..token.len() - 1]);
    assert_eq!(show(&guard, &wrong).await.unwrap_err(), Refusal::Unauthenticated);
    let (_, unknown) = Book::default().issue(2);
    assert_eq!(show(&guard, &unknown).await.unwrap_err(), Refusal::Unauthenticated);
    assert_eq!(book.uses.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_directory_nobody_new_is_believed() {
    let (book, guard) = guard();
    let (_, token) = book.issue(1);
    show(&guard, &token).await.unwrap();
    book.is_away.store(true, Ordering::Relaxed);
    show(&guard, &token).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(matches!(show(&guard, &token).await.unwrap_err(), Refusal::Unavailable { .. }));
    show(&guard, "new-internal-token").await.unwrap();
}
