//! Workspaces and the tokens that open them, with each token's ledger, rate window and fault switches.
//!
//! A revoked token keeps its ledger, so that a test can see who still uses it. Tokens are never printed.

mod admission;
mod seen;
mod switches;
mod token;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::Instant;

use self::switches::Switches;
use self::token::Token;
use crate::index::Served;
use crate::ledger::Entries;
use crate::{Access, Changes, Faults, Ledger, Plan, Region, WebhookEvent, Workspace, evolve};

pub(crate) use self::admission::{Admission, Knock, Mishap};

pub(crate) struct Tenants {
    requests_per_second: u32,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    workspaces: HashMap<String, Tenant>,
    tokens: HashMap<String, Token>,
    /// What came with tokens that were never issued, by fingerprint.
    strangers: BTreeMap<String, Entries>,
}

struct Tenant {
    data: Arc<Served>,
    region: Region,
    plan: Plan,
    switches: Switches,
}

impl Tenants {
    pub(crate) fn new(requests_per_second: u32) -> Self {
        Self { requests_per_second, book: Mutex::default() }
    }

    /// Adds a workspace, or replaces the data of the one with the same domain.
    pub(crate) fn put(&self, workspace: Workspace) {
        let domain = workspace.domain.clone();
        // Made before the lock is taken: no request waits for it.
        let data = Arc::new(Served::new(workspace));
        match self.book().workspaces.entry(domain) {
            Entry::Occupied(mut known) => known.get_mut().data = data,
            Entry::Vacant(free) => {
                let (region, plan, switches) = (Region::Us, Plan::Pro, Switches::default());
                free.insert(Tenant { data, region, plan, switches });
            }
        }
    }

    pub(crate) fn workspace(&self, domain: &str) -> Option<Arc<Workspace>> {
        self.book().workspaces.get(domain).map(|tenant| tenant.data.facts())
    }

    /// Lets a workspace live on; requests see it as it was until all of it is done. With the changes come the events
    /// that announce them, none where this is switched off. `None` without workspace.
    pub(crate) fn evolve(
        &self,
        domain: &str,
        to: NaiveDate,
        seed: u64,
    ) -> Option<(Changes, Vec<WebhookEvent>)> {
        let before = self.workspace(domain)?;
        let mut workspace = Workspace::clone(&before);
        let changes = workspace.evolve(to, seed);
        let announced = self.book().workspaces.get(domain)?.switches.set().announce_evolution;
        let news = if announced { evolve::news(&before, &workspace) } else { Vec::new() };
        self.put(workspace);
        Some((changes, news))
    }

    /// The workspaces of one data centre, by domain.
    pub(crate) fn of_region(&self, region: Region) -> Vec<Arc<Workspace>> {
        let book = self.book();
        let here = book.workspaces.values().filter(|tenant| tenant.region == region);
        let mut workspaces: Vec<_> = here.map(|tenant| tenant.data.facts()).collect();
        workspaces.sort_by(|left, right| left.domain.cmp(&right.domain));
        workspaces
    }

    pub(crate) fn region(&self, domain: &str) -> Option<Region> {
        self.book().workspaces.get(domain).map(|tenant| tenant.region)
    }

    /// False when there is no such workspace.
    pub(crate) fn set_region(&self, domain: &str, region: Region) -> bool {
        self.book().workspaces.get_mut(domain).map(|tenant| tenant.region = region).is_some()
    }

    /// False when there is no such workspace.
    pub(crate) fn set_plan(&self, domain: &str, plan: Plan) -> bool {
        self.book().workspaces.get_mut(domain).map(|tenant| tenant.plan = plan).is_some()
    }

    /// Makes a token live for a workspace; its ledger and switches survive when it was known. False without workspace.
    pub(crate) fn issue(&self, domain: &str, token: String, access: Access, now: DateTime<Utc>) -> bool {
        let mut book = self.book();
        if !book.workspaces.contains_key(domain) {
            return false;
        }
        match book.tokens.entry(token) {
            Entry::Occupied(mut known) => known.get_mut().renew(domain, access, now),
            Entry::Vacant(free) => {
                free.insert(Token::new(domain, access, now));
            }
        }
        true
    }

    /// False when the token is unknown or was revoked before.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        self.book().tokens.get_mut(token).is_some_and(Token::revoke)
    }

    pub(crate) fn is_live(&self, token: &str, now: DateTime<Utc>) -> bool {
        self.book().tokens.get(token).is_some_and(|token| token.dead(now).is_none())
    }

    /// What holds for requests of a token; nothing where it is unknown.
    pub(crate) fn faults_of(&self, token: &str) -> Option<Arc<Faults>> {
        let Book { workspaces, tokens, .. } = &mut *self.book();
        let token = tokens.get_mut(token)?;
        let tenant = workspaces.get(&token.domain)?;
        Some(token.switches.over(&tenant.switches))
    }

    /// Whether the first version is alive for a token.
    pub(crate) fn has_v1(&self, token: &str) -> bool {
        let book = self.book();
        let Some(token) = book.tokens.get(token) else { return false };
        let of_workspace = book.workspaces.get(&token.domain).map(|tenant| tenant.switches.set().v1_alive);
        token.switches.set().v1_alive || of_workspace == Some(true)
    }

    pub(crate) fn requests(&self, token: &str) -> Option<u64> {
        self.book().tokens.get(token).map(|token| token.entries.requests())
    }

    pub(crate) fn ledger(&self, token: &str) -> Option<Ledger> {
        self.book().tokens.get(token).map(|token| token.entries.told(Instant::now()))
    }

    /// False when the token is unknown.
    pub(crate) fn change_faults(&self, token: &str, change: impl FnOnce(&mut Faults)) -> bool {
        self.book().tokens.get_mut(token).map(|token| token.switches.change(change)).is_some()
    }

    /// Changes what holds for all tokens of a workspace. False when there is no such workspace.
    pub(crate) fn change_workspace_faults(&self, domain: &str, change: impl FnOnce(&mut Faults)) -> bool {
        let mut book = self.book();
        book.workspaces.get_mut(domain).map(|tenant| tenant.switches.change(change)).is_some()
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        let book = self.book();
        (book.workspaces.len(), book.tokens.len())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
