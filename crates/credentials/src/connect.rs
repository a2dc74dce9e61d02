//! Connects and reconnects with an API key. Staged: the key is tried and proven before anything is stored, and what was
//! stored stays until then.

use secrecy::SecretString;
use tidemark_domain::{
    connection::{AuthScheme, CredentialKind, Region, State},
    id::OrganizationId,
};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::Connection;
use tracing::{Instrument as _, info_span};
use zeroize::Zeroizing;

use crate::{
    install::{Life, Proven},
    probe::{self, Acceptance, Found, Unfit},
    refusal::{Fault, Kept},
    secret::Secret,
    service::Parts,
    ticket::Ticket,
};

const LONGEST_KEY: usize = 4096;

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
        self.install(begun, true, Proven { by, kind, scheme, secret, found, life }, ticket).await
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
        let kind = CredentialKind::ApiKey;
        let scheme = if request.auth_scheme == 0 { old.auth_scheme } else { scheme(request.auth_scheme)? };
        let span = info_span!("reconnect", connection = %old.id);
        let found = self.examine(old.region, kind, scheme, &secret, Kept::Old).instrument(span).await?;
        self.same_workspace(&old, (kind, scheme), &secret, &found).await?;
        let life = Life::default();
        let by = by.to_owned();
        self.install(old, false, Proven { by, kind, scheme, secret, found, life }, ticket).await
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
        if matches!(judged, Err(Unfit::Rejected(_))) && kind == CredentialKind::ApiKey {
            let elsewhere = self.client(region.other(), kind, scheme, secret)?;
            if probe::acceptance(&elsewhere).await == Acceptance::Accepted {
                judged = Err(Unfit::WrongRegion);
            }
        }
        let host = self.settings.host(region);
        judged.map_err(|unfit| unfit.refusal(region, &host, kept).into())
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
                as Productboard shows it (profile menu, Integrations, Public APIs)";
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
