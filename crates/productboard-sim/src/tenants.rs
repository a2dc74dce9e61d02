//! Workspaces and the tokens that open them, with each token's ledger, rate window and fault switches.
//!
//! A revoked token keeps its ledger, so that a test can see who still uses it. Tokens are never printed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::index::Served;
use crate::limit::{Quota, Recent};
use crate::{Changes, Faults, Route, Workspace};

pub(crate) struct Tenants {
    requests_per_second: u32,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    workspaces: HashMap<String, Arc<Served>>,
    tokens: HashMap<String, Token>,
}

struct Token {
    domain: String,
    revoked: bool,
    requests: u64,
    recent: Recent,
    faults: Faults,
}

/// What one request of a live token gets.
pub(crate) struct Admission {
    pub(crate) workspace: Arc<Served>,
    pub(crate) faults: Faults,
    pub(crate) quota: Option<Quota>,
    pub(crate) refusal: Option<ApiError>,
}

impl Tenants {
    pub(crate) fn new(requests_per_second: u32) -> Self {
        Self { requests_per_second, book: Mutex::default() }
    }

    /// Adds a workspace, or replaces the data of the one with the same domain.
    pub(crate) fn put(&self, workspace: Workspace) {
        let domain = workspace.domain.clone();
        // Made before the lock is taken: no request waits for it.
        let served = Arc::new(Served::new(workspace));
        self.book().workspaces.insert(domain, served);
    }

    pub(crate) fn workspace(&self, domain: &str) -> Option<Arc<Workspace>> {
        self.book().workspaces.get(domain).map(|served| served.facts())
    }

    /// Lets a workspace live on; requests see it as it was until all of it is done. `None` without workspace.
    pub(crate) fn evolve(&self, domain: &str, to: NaiveDate, seed: u64) -> Option<Changes> {
        let mut workspace = Workspace::clone(&*self.workspace(domain)?);
        let changes = workspace.evolve(to, seed);
        self.put(workspace);
        Some(changes)
    }

    /// Makes a token live for a workspace; its ledger and switches survive when it was known. False without workspace.
    pub(crate) fn issue(&self, domain: &str, token: String) -> bool {
        let mut book = self.book();
        if !book.workspaces.contains_key(domain) {
            return false;
        }
        let domain = domain.to_owned();
        match book.tokens.entry(token) {
            Entry::Occupied(mut known) => {
                known.get_mut().domain = domain;
                known.get_mut().revoked = false;
            }
            Entry::Vacant(free) => {
                let (recent, faults) = (Recent::default(), Faults::default());
                free.insert(Token { domain, revoked: false, requests: 0, recent, faults });
            }
        }
        true
    }

    /// False when the token is unknown or was revoked before.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        self.book().tokens.get_mut(token).is_some_and(|token| !std::mem::replace(&mut token.revoked, true))
    }

    pub(crate) fn requests(&self, token: &str) -> Option<u64> {
        self.book().tokens.get(token).map(|token| token.requests)
    }

    /// False when the token is unknown.
    pub(crate) fn change_faults(&self, token: &str, change: impl FnOnce(&mut Faults)) -> bool {
        self.book().tokens.get_mut(token).map(|token| change(&mut token.faults)).is_some()
    }

    /// Counts a request and decides about it. `None`: the token is unknown or revoked.
    pub(crate) fn admit(&self, token: &str, route: Route, now: Instant) -> Option<Admission> {
        let mut book = self.book();
        let Book { workspaces, tokens } = &mut *book;
        let token = tokens.get_mut(token)?;
        token.requests += 1;
        token.count_down();
        if token.revoked {
            return None;
        }
        let workspace = Arc::clone(workspaces.get(&token.domain)?);
        let (quota, admitted) = match self.requests_per_second {
            0 => (None, Ok(())),
            limit => {
                let (quota, admitted) = token.recent.admit(limit, now);
                (Some(quota), admitted)
            }
        };
        let refusal = match admitted {
            Err(seconds) => Some(ApiError::too_many(seconds)),
            Ok(()) => token.refusal(route),
        };
        Some(Admission { workspace, faults: token.faults.clone(), quota, refusal })
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        let book = self.book();
        (book.workspaces.len(), book.tokens.len())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Token {
    fn count_down(&mut self) {
        match &mut self.faults.revoke_after {
            Some(0) => {
                self.faults.revoke_after = None;
                self.revoked = true;
            }
            Some(left) => *left -= 1,
            None => {}
        }
    }

    fn refusal(&mut self, route: Route) -> Option<ApiError> {
        if let Some(status) = self.faults.fail_next.pop_front() {
            return Some(ApiError::forced(status));
        }
        if self.faults.forbidden.contains(&route) {
            return Some(ApiError::missing_scope(route.scope()));
        }
        self.faults.analytics_unavailable.filter(|_| route == Route::MemberActivities).map(ApiError::forced)
    }
}
