//! What the worker asks the credential service: a token for what it wants to read, and a judgement on one that was
//! refused.

use secrecy::SecretString;
use tidemark_domain::{capability::Capability, id::ConnectionId};
use tidemark_productboard::AuthScheme;
use tidemark_rpc::{
    connections as wire,
    credentials::{GetAccessTokenRequest, ReportForbiddenRequest, ReportRejectedRequest, Verdict},
};
use url::Url;

use crate::{context::Context, decision::Failure};

/// What it takes to call the vendor. Lives as long as a stream of a delivery, in memory only: far shorter than any token
/// that is handed out.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) token: SecretString,
    pub(crate) generation: i64,
    pub(crate) base_url: Url,
    pub(crate) scheme: AuthScheme,
}

/// Asks for the token that can read this.
pub(crate) async fn access(
    cx: &Context,
    connection: &ConnectionId,
    wanted: Capability,
) -> Result<Access, Failure> {
    let answer = cx.credentials.retry(|| {
        let mut client = cx.credentials.credentials();
        let capability = wire::Capability::from(wanted).into();
        let request = GetAccessTokenRequest { connection_id: connection.to_string(), capability };
        async move { client.get_access_token(request).await }
    });
    let answer = answer.await.map_err(Failure::Credentials)?.into_inner();
    let scheme = match answer.auth_scheme() {
        wire::AuthScheme::Basic => AuthScheme::Basic,
        wire::AuthScheme::Unspecified | wire::AuthScheme::Bearer => AuthScheme::Bearer,
    };
    let base_url = Url::parse(&answer.base_url).map_err(|_| Failure::Address(answer.base_url))?;
    let (token, generation) = (SecretString::from(answer.access_token), answer.generation);
    Ok(Access { token, generation, base_url, scheme })
}

/// Tells that the vendor would not let the token of this generation read this.
pub(crate) async fn report_forbidden(
    cx: &Context,
    connection: &ConnectionId,
    generation: i64,
    capability: Capability,
) -> Result<(), Failure> {
    let answer = cx.credentials.retry(|| {
        let mut client = cx.credentials.credentials();
        let capability = wire::Capability::from(capability).into();
        let request =
            ReportForbiddenRequest { connection_id: connection.to_string(), generation, capability };
        async move { client.report_forbidden(request).await }
    });
    answer.await.map(drop).map_err(Failure::Credentials)
}

/// Tells that the vendor refused the token of this generation.
pub(crate) async fn report_rejected(
    cx: &Context,
    connection: &ConnectionId,
    generation: i64,
) -> Result<Verdict, Failure> {
    let answer = cx.credentials.retry(|| {
        let mut client = cx.credentials.credentials();
        let request = ReportRejectedRequest { connection_id: connection.to_string(), generation };
        async move { client.report_rejected(request).await }
    });
    Ok(answer.await.map_err(Failure::Credentials)?.into_inner().verdict())
}
