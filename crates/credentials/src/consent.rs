//! A person's consent at the vendor, from the click to the grant, after RFC 9700: PKCE, a state that is bound to the
//! browser session and works once, the issuer checked where it is told, and nothing kept of what failed.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tidemark_domain::connection::{AuthScheme, CredentialKind, Region};
use tidemark_productboard::oauth::Grant;
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::{Connection, Consent};
use tracing::{Instrument as _, info_span};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    connect::{can_be_reconnected, may_begin},
    install::{Life, Proven},
    refusal::{Fault, Kept},
    secret::{Secret, refresh_token},
    service::Parts,
    ticket::Ticket,
    vault::Place,
};

const LIFE: TimeDelta = TimeDelta::minutes(10);
const SHORTEST_SESSION: usize = 16;
const LONGEST: usize = 4096;

/// A consent that was begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) connection: Connection,
    pub(crate) url: Url,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Parts {
    pub(crate) async fn begin_consent(
        &self,
        caller: &Identity,
        request: wire::BeginConsentRequest,
    ) -> Result<Begun, Fault> {
        let scopes = &self.application()?.scopes;
        let session = session(request.session)?;
        let (connection, is_new) = if request.connection_id.is_empty() {
            {
                may_begin(caller, &request.organization_id)?;
                (self.begun(&request.organization_id, request.region)?, true)
            }
        } else {
            (self.visible(caller, &rpc::parse("connection_id", &request.connection_id)?).await?, false)
        };
        can_be_reconnected(&connection)?;
        let asked = self.oauth(connection.region)?.authorize(scopes.iter().map(String::as_str));
        let now = self.clock.now();
        let state_hash = hash(asked.state.expose_secret());
        let consent = Consent {
            session_hash: hash(session.expose_secret()),
            verifier: self.vault.seal(place(&connection, &state_hash), &asked.verifier),
            connection_id: connection.id.clone(),
            created_at: now,
            expires_at: now + LIFE,
            state_hash,
        };
        let tx = self.store.begin().await?;
        if is_new {
            tx.insert_connection(&connection).await?;
        }
        tx.insert_consent(&consent).await?;
        tx.commit().await?;
        tracing::info!(
            connection = %connection.id, organization = %connection.organization_id, "consent begun"
        );
        Ok(Begun { connection, url: asked.url, expires_at: consent.expires_at })
    }

    pub(crate) async fn complete_consent(
        &self,
        caller: &Identity,
        request: wire::CompleteConsentRequest,
    ) -> Result<Connection, Fault> {
        let session = session(request.session)?;
        let (state, code) = (Zeroizing::new(request.state), Zeroizing::new(request.code));
        if state.is_empty() || state.len() > LONGEST || code.len() > LONGEST {
            return Err(Refusal::invalid("state", "expected `state` as it came back").into());
        }
        let taken =
            self.store.take_consent(&hash(&state), &hash(session.expose_secret()), self.clock.now()).await?;
        let consent = taken.ok_or_else(unknown)?;
        let connection = self.visible(caller, &consent.connection_id).await?;
        can_be_reconnected(&connection)?;
        self.check_issuer(connection.region, &request.iss)?;
        if !request.error.is_empty() {
            return Err(refused(&request.error).into());
        }
        if code.is_empty() {
            return Err(Refusal::invalid("code", "expected `code` or `error` as it came back").into());
        }
        let verifier = self.vault.open(place(&connection, &consent.state_hash), &consent.verifier);
        let sealed = |error| Fault::Sealed { connection: connection.id.clone(), error };
        let verifier = verifier.map_err(sealed)?;
        let oauth = self.oauth(connection.region)?;
        let grant =
            oauth.exchange(&SecretString::from(code.as_str()), &verifier).await.map_err(Fault::OAuth)?;
        let span = info_span!("consent", connection = %connection.id);
        let secret = Secret::granted(&grant, None);
        let granted = self
            .take_grant(caller.actor(), &connection, CredentialKind::Oauth, secret, &grant)
            .instrument(span);
        match granted.await {
            Ok(connection) => Ok(connection),
            // The commit may have happened without its confirmation: what may be stored is not revoked.
            Err(fault @ Fault::Store(_)) => Err(fault),
            Err(fault) => {
                // What is not stored must not stay alive at the vendor.
                self.revoke_quietly(connection.region, &grant).await;
                Err(fault)
            }
        }
    }

    /// Proves a grant and stores it.
    pub(crate) async fn take_grant(
        &self,
        by: &str,
        connection: &Connection,
        kind: CredentialKind,
        secret: Secret,
        grant: &Grant,
    ) -> Result<Connection, Fault> {
        let region = connection.region;
        let kept = if connection.generation == 0 { Kept::Nothing } else { Kept::Old };
        let info = self.oauth(region)?.token_info(&grant.access_token).await.map_err(Fault::OAuth)?;
        let scheme = AuthScheme::Bearer;
        let look = self.look(region, kind, &secret).await?.told(info.workspace.as_deref());
        let host = self.settings.host(region);
        let found = look.judged(kind).map_err(|unfit| Fault::from(unfit.refusal(region, &host, kept)))?;
        self.same_workspace(connection, (kind, scheme), &secret, &found).await?;
        let life = Life::of(grant, kind);
        let is_new = self.store.connection(&connection.id).await?.is_none();
        let proven = Proven { by: by.to_owned(), kind, scheme, secret, found, life };
        self.install(connection.clone(), is_new, proven, &Ticket::None).await
    }

    fn check_issuer(&self, region: Region, told: &str) -> Result<(), Refusal> {
        let expected = self.application()?.host(region);
        if told.is_empty() || told.trim_end_matches('/') == expected.as_str().trim_end_matches('/') {
            return Ok(());
        }
        let sentence = "The answer to the consent came from another place than the one that was asked, which can be \
                        an attack. Nothing was stored. Start the consent again, and tell the operator if it repeats."
            .to_owned();
        Err(Refusal::Precondition { reason: "WRONG_ISSUER", sentence })
    }

    /// Ends a grant that is of no use. A failure is logged; the grant ends by itself one day.
    pub(crate) async fn revoke_quietly(&self, region: Region, grant: &Grant) {
        let Ok(oauth) = self.oauth(region) else { return };
        let token = refresh_token(grant).unwrap_or(&grant.access_token);
        if let Err(error) = oauth.revoke(token).await {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "a grant that was not stored could not be revoked");
        }
    }
}

fn place<'a>(connection: &'a Connection, state_hash: &'a str) -> Place<'a> {
    Place {
        organization: &connection.organization_id,
        record: state_hash,
        field: "consent_verifier",
        version: 0,
    }
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn session(told: String) -> Result<SecretString, Refusal> {
    let told = Zeroizing::new(told);
    if told.len() < SHORTEST_SESSION || told.len() > LONGEST {
        let expected =
            format!("a random value of at least {SHORTEST_SESSION} characters that only this session has");
        return Err(Refusal::invalid("session", expected));
    }
    Ok(SecretString::from(told.as_str()))
}

fn unknown() -> Refusal {
    Refusal::Precondition {
        reason: "CONSENT_UNKNOWN",
        sentence:
            "This consent is not under way: it took longer than ten minutes, was completed already, or was \
                   begun in another browser session. Start it again."
                .to_owned(),
    }
}

/// What the vendor sent back instead of a code.
fn refused(error: &str) -> Refusal {
    if error == "access_denied" {
        return Refusal::Precondition {
            reason: "CONSENT_REFUSED",
            sentence: "The consent was refused at Productboard, so that nothing can be read. Nothing was changed here. \
                       Choose Connect again when somebody who may consent, an admin of the workspace, is there."
                .to_owned(),
        };
    }
    let code: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    Refusal::Precondition {
        reason: "CONSENT_FAILED",
        sentence: format!(
            "Productboard did not ask for the consent ({code}). Nothing was changed here. Try again; if it repeats, \
             the operator should check the application registered with Productboard."
        ),
    }
}
