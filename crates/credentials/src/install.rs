//! Puts a proven credential into its connection: the credential, how the connection stands, its events and the end of the
//! credential before, all in one transaction.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tidemark_domain::{
    capability::{Finding, renewed},
    connection::{AuthScheme, CredentialKind, Signal, State},
    expiry,
};
use tidemark_productboard::oauth::Grant;
use tidemark_store::{Connection, SealedCredential};
use tokio::time::Instant;

use crate::{
    audit::{Action, Entry},
    holding::Holding,
    moves::{Move, TRIES, Telling, signals},
    probe::Found,
    refusal::Fault,
    secret::{Secret, refresh_token},
    service::Parts,
    ticket::Ticket,
};

/// How long the access token of a consent is taken to live where the vendor does not say, or says what cannot be: much
/// less than the day it usually does, and long enough for a calm life.
const UNKNOWN_LIFE: Duration = Duration::from_secs(3600);
/// The same for an assertion, whose tokens live for five minutes as documented.
const ASSERTED_LIFE: Duration = Duration::from_secs(300);

/// How long a grant is held while the database does not take it. Within the deadline of whoever consented.
const INSTALL_FOR: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// A credential that was proven, on its way into a connection.
pub(crate) struct Proven {
    /// Who brought it, for the audit log.
    pub(crate) by: String,
    pub(crate) kind: CredentialKind,
    pub(crate) scheme: AuthScheme,
    pub(crate) secret: Secret,
    pub(crate) found: Found,
    pub(crate) life: Life,
}

/// How long the tokens of a credential live.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Life {
    pub(crate) access: Option<Duration>,
    pub(crate) refresh: Option<Duration>,
}

impl Life {
    pub(crate) fn of(grant: &Grant, kind: CredentialKind) -> Self {
        let unknown = if kind == CredentialKind::Assertion { ASSERTED_LIFE } else { UNKNOWN_LIFE };
        let access = expiry::believed(grant.expires_in).unwrap_or(unknown);
        let refresh = refresh_token(grant).and(expiry::believed(grant.refresh_expires_in));
        Self { access: Some(access), refresh }
    }
}

impl Parts {
    /// Stores a proven credential: as the first one of a new connection, or in the place of the one of its kind. What was
    /// granted can be had only once: the database gets some time to take it.
    pub(crate) async fn install(
        &self,
        connection: Connection,
        is_new: bool,
        mut proven: Proven,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        proven.found.assumed = self.assumed(&connection, &proven).await;
        let is_grant = proven.kind != CredentialKind::ApiKey;
        let until = Instant::now() + if is_grant { INSTALL_FOR } else { Duration::ZERO };
        let replaced = self.generation_of(&connection, proven.kind).await;
        let seen = replaced.as_ref().ok().copied();
        let mut outcome = match replaced {
            Ok(replaced) => self.installed_over(replaced, connection.clone(), is_new, &proven, ticket).await,
            Err(fault) => Err(fault),
        };
        while let Err(Fault::Store(error)) = &outcome
            && Instant::now() < until
        {
            let error: &(dyn std::error::Error + Send + Sync + 'static) = error;
            tracing::warn!(connection = %connection.id, error, "what was granted could not be stored, trying again");
            tokio::time::sleep(BETWEEN_TRIES).await;
            outcome = self.installed_again(seen, &connection, is_new, &proven, ticket).await;
        }
        outcome
    }

    /// After a failure, whose commit may have happened without its confirmation.
    async fn installed_again(
        &self,
        seen: Option<Option<i64>>,
        connection: &Connection,
        is_new: bool,
        proven: &Proven,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        let Some((present, versions)) = self.store.held(&connection.id).await? else {
            return self.installed_over(None, connection.clone(), is_new, proven, ticket).await;
        };
        let version = versions.iter().find(|version| version.kind == proven.kind);
        let is_in = version.is_some_and(|version| {
            let secret = self.open(&present, version);
            secret.is_ok_and(|secret| secret.access.expose_secret() == proven.secret.access.expose_secret())
        });
        if is_in {
            self.present.forget(&present.id);
            return Ok(present);
        }
        let replaced = version.map(|version| version.generation);
        if seen.is_some_and(|seen| seen != replaced) || present.state == State::Disconnected {
            return Err(Fault::Overtaken);
        }
        self.installed_over(replaced, present, is_new, proven, ticket).await
    }

    async fn installed_over(
        &self,
        replaced: Option<i64>,
        mut connection: Connection,
        is_new: bool,
        proven: &Proven,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        for _ in 0..TRIES {
            if let Some(installed) = self.installed(&connection, is_new, proven, ticket).await? {
                return Ok(installed);
            }
            // Somebody wrote down what they saw meanwhile, which is no reason to consent again. Another credential is.
            connection = self.connection(&connection.id).await?;
            let present = self.generation_of(&connection, proven.kind).await?;
            if present != replaced || connection.state == State::Disconnected {
                break;
            }
        }
        Err(Fault::Overtaken)
    }

    /// Which version of that kind the connection holds; none where it holds none.
    async fn generation_of(
        &self,
        connection: &Connection,
        kind: CredentialKind,
    ) -> Result<Option<i64>, Fault> {
        let versions = self.store.credentials_of(&connection.id).await?;
        Ok(versions.iter().filter(|version| version.kind == kind).map(|version| version.generation).max())
    }

    /// Nothing where the connection is not as it was read any more.
    async fn installed(
        &self,
        old: &Connection,
        is_new: bool,
        proven: &Proven,
        ticket: &Ticket,
    ) -> Result<Option<Connection>, Fault> {
        let now = self.clock.now();
        let matrix = self.matrix_after(old, is_new, proven).await?;
        let next_probe = expiry::first_probe(now, self.settings.probe_interval, self.share());
        let moved = self.placed(old, proven, matrix, next_probe);
        let (to, kind) = (&moved.to, proven.kind);
        let version = SealedCredential {
            capabilities: proven.found.findings.clone(),
            proven_at: Some(now),
            ..self.version(to, kind, to.generation, &proven.secret, proven.life)
        };
        let tx = self.store.begin().await?;
        ticket.spend(&tx, &to.id, now).await?;
        let written = if is_new { moved.insert(&tx).await? } else { moved.write(&tx, old).await? };
        if !written {
            return Ok(None);
        }
        tx.insert_credential(&version).await?;
        tx.put_vendor_findings(&to.id, &proven.found.assumed, now).await?;
        tx.delete_credentials_before(&to.id, kind, version.generation).await?;
        let action = if old.state == State::AwaitingConsent { Action::Connect } else { Action::Reconnect };
        let entry = Entry::new(Some(&to.organization_id), &proven.by, action, &to.id);
        let entry = entry.with("generation", version.generation);
        let entry = match (&old.workspace, &to.workspace) {
            (Some(was), Some(is)) if was != is => entry.with("workspace_was", was).with("workspace", is),
            _ => entry,
        };
        self.audit.append(&tx, entry).await?;
        if !is_new {
            tx.schedule_probe(&to.id, next_probe, Some(now)).await?;
        }
        tx.commit().await?;
        self.done(&moved);
        Ok(Some(moved.to))
    }

    /// What the connection can read with it.
    async fn matrix_after(
        &self,
        old: &Connection,
        is_new: bool,
        proven: &Proven,
    ) -> Result<Vec<Finding>, Fault> {
        if is_new {
            return Ok(proven.found.findings.clone());
        }
        let holding = match self.holding(&old.id).await {
            // A reconnect is the way out of a connection whose credential is missing, too.
            Err(Fault::Missing { .. }) => Holding::bare(old.clone()),
            holding => holding?,
        };
        Ok(renewed(&old.capabilities, &holding.matrix_with(proven.kind, Some(&proven.found.findings))))
    }

    fn placed(
        &self,
        old: &Connection,
        proven: &Proven,
        matrix: Vec<Finding>,
        next_probe: chrono::DateTime<chrono::Utc>,
    ) -> Move {
        let Proven { kind, scheme, found, .. } = proven;
        let anchors = found.identity.anchors();
        let first = if old.state == State::AwaitingConsent { Signal::Consented } else { Signal::Replaced };
        let lost_and_found = signals(old, &matrix);
        let to = Connection {
            // What the new credential does not show stays known from the old one: it is the same workspace.
            anchors: if anchors.is_empty() { old.anchors.clone() } else { anchors },
            workspace: found.identity.workspace.clone().or_else(|| old.workspace.clone()),
            auth_scheme: if *kind == CredentialKind::ApiKey { *scheme } else { old.auth_scheme },
            generation: old.generation + 1,
            capabilities: matrix,
            next_probe_at: Some(next_probe),
            probed_at: Some(self.clock.now()),
            ..old.clone()
        };
        self.moved(to, [first].into_iter().chain(lost_and_found), &Telling::default())
    }

    /// A version to be stored, sealed for its place, with its ends.
    pub(crate) fn version(
        &self,
        connection: &Connection,
        kind: CredentialKind,
        generation: i64,
        secret: &Secret,
        life: Life,
    ) -> SealedCredential {
        let now = self.clock.now();
        let sealed = self.seal(connection, kind, generation, secret);
        // An assertion is made when it is asked for: nothing has to be kept alive.
        let renews = kind == CredentialKind::Oauth && secret.refresh.is_some();
        let due = life.access.filter(|_| renews).map(|life| expiry::refresh_at(now, life, self.share()));
        SealedCredential {
            access_expires_at: life.access.map(|life| expiry::after(now, life)),
            refresh_expires_at: life.refresh.map(|life| expiry::after(now, life)),
            refresh_due_at: due,
            ..SealedCredential::new(connection.id.clone(), generation, kind, sealed, now)
        }
    }
}
