//! The vendor's OAuth server: applications, consents, codes, rotation. The access tokens it issues are tokens of the
//! tenants like any other; here stands only what they came from.
//!
//! Lock order: this book, then the tenants'.

mod app;
mod assertion;
mod consent;
mod error;
mod grants;
mod issue;
mod refresh;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::app::Registered;
use self::grants::{Code, Grant, Issued};
use self::refresh::Refresh;
use crate::Region;
use crate::tenants::Tenants;

pub use self::app::{App, OAuthFaults};
pub use self::consent::Consent;
pub use self::refresh::{RefreshUse, fingerprint};

pub(crate) use self::app::Credentials;
pub(crate) use self::assertion::Audience;
pub(crate) use self::consent::{Ask, Unasked};
pub(crate) use self::error::OAuthError;
pub(crate) use self::grants::Token;

pub(crate) struct OAuth {
    tenants: Arc<Tenants>,
    book: Mutex<Book>,
}

struct Book {
    apps: HashMap<String, Registered>,
    codes: HashMap<String, Code>,
    refreshes: HashMap<String, Refresh>,
    issued: HashMap<String, Issued>,
    verifiers: BTreeSet<String>,
    /// Seeded: a simulator's tokens need not be hard to guess, only different.
    rng: ChaCha8Rng,
}

/// What `GET /oauth2/token/info` tells.
pub(crate) struct Info {
    pub(crate) grant: Arc<Grant>,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_in: i64,
}

impl OAuth {
    pub(crate) fn new(tenants: Arc<Tenants>) -> Self {
        let book = Book {
            apps: HashMap::new(),
            codes: HashMap::new(),
            refreshes: HashMap::new(),
            issued: HashMap::new(),
            verifiers: BTreeSet::new(),
            rng: ChaCha8Rng::seed_from_u64(0x0A07_4A07),
        };
        Self { tenants, book: Mutex::new(book) }
    }

    pub(crate) fn register(&self, app: App) {
        let mut book = self.book();
        let faults = book.apps.remove(&app.client_id).map(|known| known.faults).unwrap_or_default();
        book.apps.insert(app.client_id.clone(), Registered { app, faults });
    }

    /// False when the application is unknown.
    pub(crate) fn change_faults(&self, client_id: &str, change: impl FnOnce(&mut OAuthFaults)) -> bool {
        self.book().apps.get_mut(client_id).map(|app| change(&mut app.faults)).is_some()
    }

    /// The application of a client that proved who it is.
    pub(crate) fn authenticate(&self, credentials: &Credentials) -> Result<App, OAuthError> {
        let book = self.book();
        let known = book.apps.get(&credentials.client_id);
        let heard = known.filter(|known| !(credentials.basic && known.faults.refuse_basic));
        let proven = heard.filter(|known| known.app.client_secret == credentials.client_secret);
        proven.map(|known| known.app.clone()).ok_or_else(OAuthError::invalid_client)
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let book = self.book();
        let tokens = book.codes.keys().chain(book.refreshes.keys()).chain(book.issued.keys());
        tokens.chain(&book.verifiers).cloned().collect()
    }

    /// What becomes of the next answer to this application.
    pub(crate) fn mishap(&self, client_id: &str) -> app::Mishap {
        self.book().apps.get_mut(client_id).map(|app| app.faults.next()).unwrap_or_default()
    }

    /// How an application used its refresh tokens. `None` when it is unknown.
    pub(crate) fn refresh_uses(&self, client_id: &str) -> Option<Vec<RefreshUse>> {
        let book = self.book();
        book.apps.get(client_id)?;
        let own = book.refreshes.iter().filter(|(_, refresh)| refresh.grant.client_id == client_id);
        let mut uses: Vec<_> = own.map(|(token, refresh)| refresh.told(token)).collect();
        uses.sort_by(|left, right| {
            (left.issued_at, &left.fingerprint).cmp(&(right.issued_at, &right.fingerprint))
        });
        Some(uses)
    }

    fn at_home(&self, grant: &Grant, region: Region) -> bool {
        self.tenants.region(&grant.domain) == Some(region)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn secret(&mut self, prefix: &str) -> String {
        format!("{prefix}_{:032x}", self.rng.random::<u128>())
    }
}
