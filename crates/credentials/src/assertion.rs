//! Access without a person: the deployment signs an assertion in the name of a member, and gets a short token for it.

use std::{sync::Arc, time::Duration};

use tidemark_domain::connection::{CredentialKind, Region};
use tidemark_productboard::oauth::{Assertion, OAuth};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::Connection;
use tracing::{Instrument as _, info_span};

use crate::{
    connect::{can_be_reconnected, may_begin},
    refusal::Fault,
    secret::Secret,
    service::Parts,
};

const LIFE: Duration = Duration::from_secs(120);
const LONGEST_SUBJECT: usize = 320;

impl Parts {
    pub(crate) async fn connect_with_assertion(
        &self,
        caller: &Identity,
        request: wire::ConnectWithAssertionRequest,
    ) -> Result<Connection, Fault> {
        self.can_assert()?;
        let subject = request.subject.trim().to_owned();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(Refusal::invalid("subject", "expected the member to act for").into());
        }
        let connection = if request.connection_id.is_empty() {
            may_begin(caller, &request.organization_id)?;
            may_name(caller)?;
            self.begun(&request.organization_id, request.region)?
        } else {
            let connection =
                self.visible(caller, &rpc::parse("connection_id", &request.connection_id)?).await?;
            if connection.anchors.is_empty() {
                may_name(caller)?;
            }
            connection
        };
        can_be_reconnected(&connection)?;
        let (oauth, assertion) = self.assertion(connection.region, &subject)?;
        let grant = oauth.assert(&assertion).await.map_err(Fault::OAuth)?;
        let secret = Secret { subject: Some(subject), ..Secret::granted(&grant, None) };
        let span = info_span!("assertion", connection = %connection.id);
        let by = caller.actor();
        self.take_grant(by, &connection, CredentialKind::Assertion, secret, &grant).instrument(span).await
    }

    fn can_assert(&self) -> Result<(), Refusal> {
        if self.settings.oauth.as_ref().is_some_and(|application| application.assertion_key.is_some()) {
            return Ok(());
        }
        Err(Refusal::Precondition {
            reason: "ASSERTION_NOT_CONFIGURED",
            sentence: "This deployment has no key to sign assertions with. Connect with an API key or by consent, or \
                       let the operator set `oauth.assertion_key` and give Productboard its public half."
                .to_owned(),
        })
    }

    /// What asks for an access token in the name of a member, and where.
    pub(crate) fn assertion(&self, region: Region, subject: &str) -> Result<(Arc<OAuth>, Assertion), Fault> {
        self.can_assert()?;
        let application = self.application()?;
        let host = application.host(region).as_str().trim_end_matches('/');
        let key = application.assertion_key.as_ref();
        let assertion = Assertion {
            issuer: application.client_id.clone(),
            subject: subject.to_owned(),
            audience: format!("{host}/oauth2/token"),
            issued_at: self.clock.now(),
            lifetime: LIFE,
            scopes: Vec::new(),
            private_key_pem: key.expect("checked above").clone(),
        };
        Ok((self.oauth(region)?, assertion))
    }
}

/// A key or a consent proves that whoever brings it may read the workspace; the name of a member proves nothing. Only
/// where the workspace was proven before, or to callers that may see every organization, is a name enough.
fn may_name(caller: &Identity) -> Result<(), Refusal> {
    if !caller.is_limited() {
        return Ok(());
    }
    Err(Refusal::Precondition {
        reason: "WORKSPACE_NOT_PROVEN",
        sentence: "A caller that is limited to some organizations can add an assertion only to a connection whose \
                   workspace is proven. Connect it with an API key or by consent first, then name its `connection_id`."
            .to_owned(),
    })
}
