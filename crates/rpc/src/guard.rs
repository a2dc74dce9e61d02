//! Knows callers by what they show: the token of the internal services, or a service token out of the directory.
//!
//! What the directory said is believed for a short time, so that a revocation takes effect within it. Secrets are
//! compared by their hashes, in constant time.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tidemark_domain::id::{OrganizationId, TokenId};
use tokio::{sync::Semaphore, time::Instant};
use tonic::codegen::http::HeaderMap;

use crate::{
    identity::{Caller, Identity},
    internal::InternalToken,
    limit::Limits,
    metrics,
    scope::Scope,
    status::Refusal,
    token::{self, Hash},
};

/// How long what the directory said is believed.
const BELIEVED: Duration = Duration::from_secs(4);
const MOST_KEPT: usize = 10_000;
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// Questions at once about tokens that were not known here before: who makes them up does not keep the directory from
/// answering for those that are known.
const STRANGERS: usize = 16;

/// Where service tokens are looked up, and who is told what became of them.
#[tonic::async_trait]
pub trait Directory: fmt::Debug + Send + Sync {
    /// The token of that id.
    async fn find(&self, id: &TokenId) -> Result<Option<Registered>, Unanswered>;
    /// A caller showed this token, and it was right. Told a few times a minute at most.
    fn used(&self, id: &TokenId);
    /// Somebody was refused.
    fn denied(&self, denial: Denial);
}

/// The directory cannot be asked just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered;

/// What the directory knows of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Of its secret.
    pub hash: Hash,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Whom it may see; everybody, where there is no list.
    pub organizations: Option<BTreeSet<OrganizationId>>,
    /// Whether it still counts.
    pub standing: Standing,
}

/// Whether a token still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// The actor of a call whose caller is not known.
pub const UNKNOWN: &str = "unknown";

/// A call that was refused because of who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who called: a token's id, `internal`, or [`UNKNOWN`].
    pub actor: String,
    /// The method, `package.Service/Method`.
    pub method: String,
    /// The organization that it was about, where that is known.
    pub organization: Option<OrganizationId>,
    /// A stable code, as in the status.
    pub reason: &'static str,
    /// The call's id.
    pub request_id: String,
    /// Where the call came from, where that is known.
    pub address: Option<IpAddr>,
}

/// The header of a call that is about one organization: whoever makes it sees no other by it.
pub const ORGANIZATION: &str = "tidemark-organization";

/// Reason code of a denial: the caller asked for what belongs to an organization it may not see.
pub const WRONG_ORGANIZATION: &str = "WRONG_ORGANIZATION";

/// Lets known callers pass.
#[derive(Clone)]
pub struct Guard(Arc<Parts>);

struct Parts {
    internal: InternalToken,
    internal_caller: Arc<Caller>,
    directory: Option<Arc<dyn Directory>>,
    limits: Option<Arc<Limits>>,
    kept: Mutex<HashMap<TokenId, Kept>>,
    strangers: Semaphore,
}

/// A service token as it was shown, to be looked up again by calls that last.
#[derive(Clone)]
pub(crate) struct Shown {
    guard: Guard,
    id: TokenId,
    hash: Hash,
}

impl Shown {
    /// Refuses a token that expired or was revoked meanwhile.
    pub(crate) async fn still_stands(&self) -> Result<(), Refusal> {
        self.guard.registered(self).await.map(drop)
    }
}

#[derive(Clone)]
struct Kept {
    known: Option<Known>,
    at: Instant,
}

#[derive(Clone)]
struct Known {
    hash: Hash,
    standing: Standing,
    caller: Arc<Caller>,
}

impl Guard {
    /// A guard that knows the internal services by this token, or by one of two separated by a comma.
    pub fn new(token: impl Into<InternalToken>) -> Self {
        Self(Arc::new(Parts {
            internal: token.into(),
            internal_caller: Arc::new(Caller::internal()),
            directory: None,
            limits: None,
            kept: Mutex::default(),
            strangers: Semaphore::new(STRANGERS),
        }))
    }

    /// And others by the service tokens of a directory, all within limits.
    pub fn with(token: impl Into<InternalToken>, directory: Arc<dyn Directory>, limits: Limits) -> Self {
        Self(Arc::new(Parts {
            internal: token.into(),
            internal_caller: Arc::new(Caller::internal()),
            directory: Some(directory),
            limits: Some(Arc::new(limits)),
            kept: Mutex::default(),
            strangers: Semaphore::new(STRANGERS),
        }))
    }

    pub(crate) fn limits(&self) -> Option<&Arc<Limits>> {
        self.0.limits.as_ref()
    }

    pub(crate) fn denied(&self, denial: Denial) {
        metrics::denied(denial.reason);
        if let Some(directory) = &self.0.directory {
            directory.denied(denial);
        }
    }

    /// Who sent these headers.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' ')).unwrap_or_default();
        // The name of the scheme is the same in any case.
        let shown = if shown.0.eq_ignore_ascii_case("bearer") { shown.1.trim_start() } else { "" };
        let (limits, only) = (self.0.limits.clone(), narrowed(headers)?);
        if self.is_internal(shown) {
            return Ok(Identity::on_call(Arc::clone(&self.0.internal_caller), limits).narrowed(only));
        }
        let (id, hash) = token::read(shown).ok_or(Refusal::Unauthenticated)?;
        let shown = Shown { guard: self.clone(), id, hash };
        let caller = self.registered(&shown).await?;
        Ok(Identity::on_call(caller, limits).with_token(shown).narrowed(only))
    }

    fn is_internal(&self, shown: &str) -> bool {
        // Each is compared, whichever is right.
        let equal = |token: &SecretString| shown.as_bytes().ct_eq(token.expose_secret().as_bytes());
        let values = self.0.internal.values();
        let any = values.accepted.iter().map(equal).fold(subtle::Choice::from(0), |any, equal| any | equal);
        any.into()
    }

    async fn registered(&self, Shown { id, hash, .. }: &Shown) -> Result<Arc<Caller>, Refusal> {
        let Some(directory) = &self.0.directory else { return Err(Refusal::Unauthenticated) };
        let (known, fresh) = match self.kept(id) {
            Some(known) => (known, false),
            None => (self.ask(directory.as_ref(), id).await?, true),
        };
        let known = known.filter(|known| bool::from(known.hash.ct_eq(hash)));
        let known = known.ok_or(Refusal::Unauthenticated)?;
        match known.standing {
            Standing::Valid => {}
            Standing::Expired => return Err(Refusal::TokenExpired),
            Standing::Revoked => return Err(Refusal::TokenRevoked),
        }
        if fresh {
            directory.used(id);
        }
        Ok(known.caller)
    }

    fn kept(&self, id: &TokenId) -> Option<Option<Known>> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(id).filter(|kept| kept.at.elapsed() < BELIEVED).map(|kept| kept.known.clone())
    }

    /// Whether the directory knew it when it was asked last, however long ago.
    fn was_known(&self, id: &TokenId) -> bool {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(id).is_some_and(|kept| kept.known.is_some())
    }

    async fn ask(&self, directory: &dyn Directory, id: &TokenId) -> Result<Option<Known>, Refusal> {
        // The time counts from the question: the answer may be as old.
        let at = Instant::now();
        let away =
            || Refusal::Unavailable { what: "the directory of callers".into(), retry_after: TRY_AGAIN };
        let _place = match self.was_known(id) {
            true => None,
            false => Some(self.0.strangers.try_acquire().map_err(|_| away())?),
        };
        let found = directory.find(id).await.map_err(|Unanswered| away())?;
        let known = found.map(|found| Known {
            hash: found.hash,
            standing: found.standing,
            caller: Arc::new(Caller {
                actor: id.to_string(),
                name: found.name,
                scopes: found.scopes,
                organizations: found.organizations,
            }),
        });
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, kept| kept.at.elapsed() < BELIEVED);
        }
        // Ids that are made up do not push out real ones.
        let most = if known.is_some() { MOST_KEPT } else { MOST_KEPT / 4 };
        if kept.len() < most || kept.contains_key(id) {
            kept.insert(id.clone(), Kept { known: known.clone(), at });
        }
        Ok(known)
    }
}

/// The one organization that the call is about. What cannot be read must not count as nothing said.
fn narrowed(headers: &HeaderMap) -> Result<Option<OrganizationId>, Refusal> {
    let mut said = headers.get_all(ORGANIZATION).iter();
    let Some(value) = said.next() else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|_| said.next().is_none());
    id.map(Some).ok_or_else(|| Refusal::invalid(ORGANIZATION, "expected one organization, `org_…`"))
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("directory", &self.0.directory)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
