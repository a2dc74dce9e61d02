//! Tokens for codes, refresh tokens and assertions; and their end.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::assertion::{self, Audience};
use super::consent::granted;
use super::grants::{Grant, Issued, Token};
use super::refresh::{LIFE, Refresh};
use super::{App, Book, Info, OAuth, OAuthError};
use crate::{Access, Region, TokenKind};

impl OAuth {
    /// A code for its first pair of tokens. The second time it revokes all that came of the first.
    pub(crate) fn redeem(
        &self,
        app: &App,
        region: Region,
        code: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Token, OAuthError> {
        let mut book = self.book();
        book.verifiers.extend(verifier.map(str::to_owned));
        let known = book.codes.get_mut(code).filter(|code| self.at_home(&code.grant, region));
        let known = known.ok_or(OAuthError::invalid_grant("The code is unknown"))?;
        known.fits(&app.client_id, redirect_uri, verifier, now)?;
        let grant = Arc::clone(&known.grant);
        if std::mem::replace(&mut known.used, true) {
            self.end(&mut book, &grant);
            return Err(OAuthError::invalid_grant("The code was used before"));
        }
        let scopes = grant.scopes.clone();
        Ok(self.pair(&mut book, &grant, scopes, now))
    }

    pub(crate) fn refresh(
        &self,
        app: &App,
        region: Region,
        token: &str,
        scope: &str,
        now: DateTime<Utc>,
    ) -> Result<Token, OAuthError> {
        let mut book = self.book();
        let known = book.refreshes.get_mut(token);
        let known = known
            .filter(|known| known.grant.client_id == app.client_id && self.at_home(&known.grant, region));
        let known = known.ok_or(OAuthError::invalid_grant("The refresh token is unknown"))?;
        let grant = Arc::clone(&known.grant);
        let scopes = granted(&grant.scopes, scope).ok_or_else(OAuthError::invalid_scope)?;
        known.spend(now)?;
        let rotates = book.apps.get(&grant.client_id).is_none_or(|app| !app.faults.no_rotation);
        if !rotates {
            book.refreshes.entry(token.to_owned()).and_modify(Refresh::stays);
        }
        let pair = self.pair(&mut book, &grant, scopes, now);
        Ok(Token { refresh: pair.refresh.filter(|_| rotates), ..pair })
    }

    /// An assertion for an access token of five minutes.
    pub(crate) fn assert(
        &self,
        app: &App,
        assertion: &str,
        audience: &Audience<'_>,
        now: DateTime<Utc>,
    ) -> Result<Token, OAuthError> {
        let claims = assertion::verify(app, assertion, audience, now)?;
        let scopes = granted(&app.scopes, claims.scope()).ok_or_else(OAuthError::invalid_scope)?;
        let (domain, email) = self
            .tenants
            .of_region(audience.region)
            .iter()
            .find_map(|workspace| Some((workspace.domain.clone(), claims.acts_for(workspace)?)))
            .ok_or(OAuthError::invalid_grant("The subject is nobody here"))?;
        let client_id = app.client_id.clone();
        let grant = Arc::new(Grant { client_id, domain, email, scopes: scopes.clone() });
        Ok(self.access(&mut self.book(), &grant, Access::jwt_bearer(scopes), now))
    }

    fn pair(
        &self,
        book: &mut Book,
        grant: &Arc<Grant>,
        scopes: BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Token {
        let life = book.apps.get(&grant.client_id).map(|app| app.faults.access_life);
        let access = Access::oauth(scopes);
        let access = match life.filter(|life| !life.is_zero()) {
            Some(life) => access.expires_in(life),
            None => access,
        };
        let token = self.access(book, grant, access, now);
        let secret = book.secret("refresh");
        book.refreshes.insert(secret.clone(), Refresh::new(Arc::clone(grant), now));
        Token { refresh: Some((secret, seconds(LIFE))), ..token }
    }

    fn access(&self, book: &mut Book, grant: &Arc<Grant>, access: Access, now: DateTime<Utc>) -> Token {
        let prefix = if access.kind == TokenKind::JwtBearer { "assert" } else { "access" };
        let access_token = book.secret(prefix);
        let expires_in = access.expires_in.map_or(0, |life| life.as_secs());
        let expires_at = now + TimeDelta::seconds(i64::try_from(expires_in).unwrap_or(0));
        let scopes = access.scopes.clone();
        self.tenants.issue(&grant.domain, access_token.clone(), access.app(&grant.client_id), now);
        let issued = Issued { grant: Arc::clone(grant), scopes: scopes.clone(), expires_at };
        book.issued.insert(access_token.clone(), issued);
        Token { access_token, expires_in, refresh: None, created_at: now, scopes }
    }

    /// Revokes a token of the application: a refresh token takes all of its grant with it, an access token goes alone.
    /// An unknown one is fine, says RFC 7009.
    pub(crate) fn revoke(&self, app: &App, token: &str) {
        let mut book = self.book();
        let of_app = |grant: &Arc<Grant>| grant.client_id == app.client_id;
        if let Some(grant) =
            book.refreshes.get(token).map(|refresh| Arc::clone(&refresh.grant)).filter(of_app)
        {
            self.end(&mut book, &grant);
        } else if book.issued.get(token).is_some_and(|issued| of_app(&issued.grant)) {
            self.tenants.revoke(token);
        }
    }

    fn end(&self, book: &mut Book, grant: &Arc<Grant>) {
        for refresh in book.refreshes.values_mut().filter(|refresh| Arc::ptr_eq(&refresh.grant, grant)) {
            refresh.revoked = true;
        }
        for (token, _) in book.issued.iter().filter(|(_, issued)| Arc::ptr_eq(&issued.grant, grant)) {
            self.tenants.revoke(token);
        }
    }

    /// What a live access token is. API keys are none of the OAuth server's.
    pub(crate) fn info(&self, token: &str, region: Region, now: DateTime<Utc>) -> Option<Info> {
        let book = self.book();
        let issued = book.issued.get(token).filter(|issued| self.at_home(&issued.grant, region))?;
        self.tenants.is_live(token, now).then(|| Info {
            grant: Arc::clone(&issued.grant),
            scopes: issued.scopes.iter().cloned().collect(),
            expires_in: (issued.expires_at - now).num_seconds(),
        })
    }
}

fn seconds(life: TimeDelta) -> u64 {
    u64::try_from(life.num_seconds()).unwrap_or(0)
}
