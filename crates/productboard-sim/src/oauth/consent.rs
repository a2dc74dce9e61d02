//! A client asks for a code, and somebody consents or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::grants::{Code, Grant};
use super::{App, OAuth, OAuthError};
use crate::Workspace;

/// A consent given without a browser.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consent {
    /// The application.
    pub client_id: String,
    /// The workspace that is opened to it.
    pub domain: String,
    /// Where the code would be sent; the application's first one when `None`.
    pub redirect_uri: Option<String>,
    /// What is granted; all that the application may ask for when empty.
    pub scopes: BTreeSet<String>,
    /// The S256 challenge of the code verifier.
    pub code_challenge: Option<String>,
}

impl Consent {
    /// To everything, without PKCE, for the first redirect URI.
    pub fn new(client_id: impl Into<String>, domain: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), domain: domain.into(), ..Self::default() }
    }
}

/// The parameters of `/oauth2/authorize`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) response_type: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
}

/// Why nobody was asked.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// Whoever sent the browser cannot be trusted with an answer.
    Shown(&'static str),
    /// The client is told, at its redirect URI.
    Returned(OAuthError),
}

impl OAuth {
    /// Checks what a client asks for: the application and the scopes that a person is asked about.
    pub(crate) fn check(&self, ask: &Ask) -> Result<(App, BTreeSet<String>), Unasked> {
        let known = self.book().apps.get(&ask.client_id).map(|known| known.app.clone());
        let app = known.ok_or(Unasked::Shown("The application is unknown"))?;
        if !app.redirect_uris.contains(&ask.redirect_uri) {
            return Err(Unasked::Shown("The redirect URI is not one of the application's"));
        }
        if ask.response_type != "code" {
            let error =
                OAuthError::new("unsupported_response_type", "Only the response type code is supported");
            return Err(Unasked::Returned(error));
        }
        // No method means plain, says RFC 7636.
        if ask.code_challenge.is_some() && ask.code_challenge_method.as_deref() != Some("S256") {
            let error = OAuthError::invalid_request("The code challenge method must be S256");
            return Err(Unasked::Returned(error));
        }
        let scopes = granted(&app.scopes, &ask.scope).ok_or_else(OAuthError::invalid_scope);
        scopes.map(|scopes| (app, scopes)).map_err(Unasked::Returned)
    }

    /// Makes the code of a consent that was checked. `None` when there is no such workspace.
    pub(crate) fn allow(
        &self,
        ask: &Ask,
        scopes: BTreeSet<String>,
        domain: &str,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let workspace = self.tenants.workspace(domain)?;
        let grant = Grant {
            client_id: ask.client_id.clone(),
            domain: domain.to_owned(),
            email: consenting(&workspace),
            scopes,
        };
        let code = Code::new(grant, ask.redirect_uri.clone(), ask.code_challenge.clone(), now);
        let mut book = self.book();
        let secret = book.secret("code");
        book.codes.insert(secret.clone(), code);
        Some(secret)
    }

    /// The same without a browser. `None` when the application, the workspace, the redirect URI or a scope is unknown.
    pub(crate) fn consent(&self, consent: &Consent, now: DateTime<Utc>) -> Option<String> {
        let first = self.book().apps.get(&consent.client_id)?.app.redirect_uris.first().cloned();
        let ask = Ask {
            response_type: "code".to_owned(),
            client_id: consent.client_id.clone(),
            redirect_uri: consent.redirect_uri.clone().or(first)?,
            scope: Vec::from_iter(consent.scopes.iter().cloned()).join(" "),
            state: None,
            code_challenge: consent.code_challenge.clone(),
            code_challenge_method: consent.code_challenge.is_some().then(|| "S256".to_owned()),
        };
        let (_, scopes) = self.check(&ask).ok()?;
        self.allow(&ask, scopes, &consent.domain, now)
    }

    pub(crate) fn workspaces(&self, region: crate::Region) -> Vec<Arc<Workspace>> {
        self.tenants.of_region(region)
    }
}

/// The asked scopes, all of `most` when none are named; `None` when they exceed it.
pub(super) fn granted(most: &BTreeSet<String>, asked: &str) -> Option<BTreeSet<String>> {
    let asked: BTreeSet<String> = asked.split_whitespace().map(str::to_owned).collect();
    match asked {
        none if none.is_empty() => Some(most.clone()),
        asked => asked.is_subset(most).then_some(asked),
    }
}

/// Only makers with admin access may consent; which one does not matter here.
fn consenting(workspace: &Workspace) -> String {
    let live = |member: &&crate::Member| !member.disabled && !member.invitation_pending;
    let mut people = workspace.members.iter().filter(live);
    let admin = people.clone().find(|member| member.role == "admin").or_else(|| people.next());
    admin.map_or_else(|| format!("admin@{}.example", workspace.domain), |member| member.email.clone())
}
