//! Connects and reconnects. Staged: a credential is tried and proven before anything is stored, what was stored stays
//! until then, and then all of it changes in one transaction.

use std::time::Duration;

use secrecy::SecretString;
use tidemark_domain::{
    capability::renewed,
    connection::{AuthScheme, CredentialKind, Region, Signal, State},
    expiry,
    id::OrganizationId,
};
use tidemark_productboard::oauth::Grant;
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::{Connection, SealedCredential};
use tracing::{Instrument as _, info_span};
use zeroize::Zeroizing;

use crate::{
    audit::{Action, Entry},
    moves::{Telling, signals},
    probe::{self, Acceptance, Found, Unfit},
    refusal::{Fault, Kept, wrong_workspace},
    secret::Secret,
    service::Parts,
    ticket::Ticket,
};

const LONGEST_KEY: usize = 4096;

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
    /// What the vendor leaves out is what it documents.
    pub(crate) fn of(grant: &Grant) -> Self {
        let refresh = grant.refresh_token.as_ref().and(grant.refresh_expires_in);
        Self { access: grant.expires_in.or(Some(Duration::from_secs(300))), refresh }
    }
}

impl Parts {
    /// As a caller asks for it.
    pub(crate) async fn create_for(
        &self,
        caller: &Identity,
        request: wire::CreateConnectionRequest,
    ) -> Result<Connection, Fault> {
        may_begin(caller, &request.organization_id)?;
        self.create(caller.actor(), request, &Ticket::None).await
    }

    /// As a caller, or the holder of a link, asks for it.
    pub(crate) async fn create(
        &self,
        by: &str,
        request: wire::CreateConnectionRequest,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        let secret = Secret::key(api_key(request.api_key)?);
        let begun = self.begun(&request.organization_id, request.region)?;
        let scheme = scheme(request.auth_scheme)?;
        let span = info_span!("create", organization = %begun.organization_id);
        let kind = CredentialKind::ApiKey;
        let found = self.examine(begun.region, kind, scheme, &secret, Kept::Nothing).instrument(span).await?;
        let life = Life::default();
        let by = by.to_owned();
        self.install(None, begun, Proven { by, kind, scheme, secret, found, life }, ticket).await
    }

    /// As a caller asks for it.
    pub(crate) async fn reconnect_for(
        &self,
        caller: &Identity,
        request: wire::ReconnectConnectionRequest,
    ) -> Result<Connection, Fault> {
        self.visible(caller, &rpc::parse("connection_id", &request.connection_id)?).await?;
        self.reconnect(caller.actor(), request, &Ticket::None).await
    }

    /// As a caller, or the holder of a link, asks for it.
    pub(crate) async fn reconnect(
        &self,
        by: &str,
        request: wire::ReconnectConnectionRequest,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        let secret = Secret::key(api_key(request.api_key)?);
        let old = self.connection(&rpc::parse("connection_id", &request.connection_id)?).await?;
        can_be_reconnected(&old)?;
        let (kind, scheme) = (CredentialKind::ApiKey, old.auth_scheme);
        let span = info_span!("reconnect", connection = %old.id);
        let found = self.examine(old.region, kind, scheme, &secret, Kept::Old).instrument(span).await?;
        same_workspace(&old, kind, &found)?;
        let life = Life::default();
        let by = by.to_owned();
        self.install(Some(&old), old.clone(), Proven { by, kind, scheme, secret, found, life }, ticket).await
    }

    /// A connection that is not in the database yet.
    pub(crate) fn begun(&self, organization: &str, number: i32) -> Result<Connection, Fault> {
        let organization: OrganizationId = rpc::parse("organization_id", organization)?;
        Ok(Connection::begun(self.new_connection_id(), organization, region(number)?, self.clock.now()))
    }

    /// Tries a credential: what it was found to be, or why it cannot carry a connection.
    pub(crate) async fn examine(
        &self,
        region: Region,
        kind: CredentialKind,
        scheme: AuthScheme,
        secret: &Secret,
        kept: Kept,
    ) -> Result<Found, Fault> {
        let client = self.client(region, kind, scheme, secret)?;
        let look = probe::look(&client, self.clock.today()).await;
        let mut judged = look.judged(kind);
        if matches!(judged, Err(Unfit::Rejected)) && kind == CredentialKind::ApiKey {
            let elsewhere = self.client(region.other(), kind, scheme, secret)?;
            if probe::acceptance(&elsewhere).await == Acceptance::Accepted {
                judged = Err(Unfit::WrongRegion);
            }
        }
        let host = self.settings.host(region);
        judged.map_err(|unfit| unfit.refusal(region, &host, kept).into())
    }

    /// Stores a proven credential: as the first one of a new connection, or in the place of the one of its kind.
    pub(crate) async fn install(
        &self,
        old: Option<&Connection>,
        base: Connection,
        proven: Proven,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        let Proven { by, kind, scheme, secret, found, life } = proven;
        let matrix = match old {
            Some(old) => {
                let holding = self.holding(&old.id).await.or_else(|fault| self.bare(old, fault))?;
                let findings = holding.matrix_with(kind, Some(&found.findings));
                renewed(&old.capabilities, &findings)
            }
            None => found.findings.clone(),
        };
        let anchors = found.identity.anchors();
        let to = Connection {
            // What the new credential does not show stays known from the old one: it is the same workspace.
            anchors: if anchors.is_empty() { base.anchors.clone() } else { anchors },
            workspace: found.identity.workspace.clone().or_else(|| base.workspace.clone()),
            auth_scheme: if kind == CredentialKind::ApiKey { scheme } else { base.auth_scheme },
            generation: base.generation + 1,
            capabilities: matrix.clone(),
            ..base
        };
        let first = if to.state == State::AwaitingConsent { Signal::Consented } else { Signal::Replaced };
        let lost_and_found = old.map(|old| signals(old, &matrix)).unwrap_or_default();
        let mut moved = self.moved(to, [first].into_iter().chain(lost_and_found), &Telling::default());
        let (now, interval) = (self.clock.now(), self.settings.probe_interval);
        let next_probe = expiry::first_probe(now, interval, self.share());
        (moved.to.next_probe_at, moved.to.probed_at) = (Some(next_probe), Some(now));
        let mut version = self.version(&moved.to, kind, moved.to.generation, &secret, life);
        version.capabilities = found.findings;
        version.proven_at = Some(now);

        let tx = self.store.begin().await?;
        ticket.spend(&tx, &moved.to.id, now).await?;
        let written = match old {
            Some(old) => moved.write(&tx, old).await?,
            None => moved.insert(&tx).await?,
        };
        if !written {
            return Err(Fault::Overtaken);
        }
        tx.insert_credential(&version).await?;
        tx.delete_credentials_before(&moved.to.id, kind, version.generation).await?;
        let action = if first == Signal::Consented { Action::Connect } else { Action::Reconnect };
        let entry = Entry::new(Some(&moved.to.organization_id), &by, action, &moved.to.id);
        self.audit.append(&tx, entry.with("generation", version.generation)).await?;
        tx.commit().await?;
        moved.log();
        if old.is_some() {
            self.store.schedule_probe(&moved.to.id, next_probe, Some(now)).await?;
        }
        self.connection(&moved.to.id).await
    }

    /// A reconnect is the way out of a connection whose credential is missing, too.
    fn bare(&self, old: &Connection, fault: Fault) -> Result<crate::holding::Holding, Fault> {
        match fault {
            Fault::Missing { .. } => Ok(crate::holding::Holding::bare(old.clone())),
            fault => Err(fault),
        }
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
            access_expires_at: life.access.map(|life| now + life),
            refresh_expires_at: life.refresh.map(|life| now + life),
            refresh_due_at: due,
            ..SealedCredential::new(connection.id.clone(), generation, kind, sealed, now)
        }
    }
}

/// Refuses who may not see the organization.
pub(crate) fn may_begin(caller: &Identity, organization: &str) -> Result<(), Fault> {
    let organization: OrganizationId = rpc::parse("organization_id", organization)?;
    Ok(caller.check(&organization, "organization")?)
}

/// A disconnected connection stays disconnected.
pub(crate) fn can_be_reconnected(connection: &Connection) -> Result<(), Refusal> {
    if connection.state != State::Disconnected {
        return Ok(());
    }
    let sentence = "This workspace was disconnected for good. Connect it as a new connection.".to_owned();
    Err(Refusal::Precondition { reason: rpc::status::DISCONNECTED, sentence })
}

/// Refuses a credential that is not proven to belong to the connection's workspace.
pub(crate) fn same_workspace(old: &Connection, kind: CredentialKind, found: &Found) -> Result<(), Refusal> {
    let is_first = old.generation == 0;
    if is_first || found.identity.is_of(old) {
        return Ok(());
    }
    Err(wrong_workspace(kind, old.workspace.as_deref(), found.identity.workspace.as_deref()))
}

/// The key as pasted, without the white space around it. What is wrong with it is told without showing it.
fn api_key(pasted: String) -> Result<SecretString, Refusal> {
    let pasted = Zeroizing::new(pasted);
    let key = pasted.trim();
    let problem = if key.is_empty() {
        "there is no key"
    } else if key.len() > LONGEST_KEY {
        "this is longer than any key"
    } else if key.contains(char::is_whitespace) {
        "there is white space inside the key"
    } else if !key.chars().all(|c| c.is_ascii_graphic()) {
        "there are characters in it that no key has"
    } else {
        return Ok(SecretString::from(key));
    };
    let what = "paste the access token alone, without `Bearer` in front, \
                as Productboard shows it (Settings, Integrations, Public APIs)";
    Err(Refusal::invalid("api_key", format!("{problem}; {what}")))
}

fn region(number: i32) -> Result<Region, Refusal> {
    let region = wire::Region::try_from(number);
    region.map(Region::from).map_err(|_| Refusal::invalid("region", "expected REGION_US or REGION_EU"))
}

fn scheme(number: i32) -> Result<AuthScheme, Refusal> {
    let scheme = wire::AuthScheme::try_from(number);
    let expected = "expected AUTH_SCHEME_BEARER or AUTH_SCHEME_BASIC";
    scheme.map(AuthScheme::from).map_err(|_| Refusal::invalid("auth_scheme", expected))
}
