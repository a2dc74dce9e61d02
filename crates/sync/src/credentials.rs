//! What the worker asks the credential service: a token, and a judgement on one that was refused.

use secrecy::SecretString;
use tidemark_domain::id::ConnectionId;
use tidemark_rpc::credentials::{GetAccessTokenRequest, ReportRejectedRequest, Verdict};
use url::Url;

use crate::{context::Context, decision::Failure};

/// What it takes to call the vendor. Lives as long as a delivery, in memory only.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) token: SecretString,
    pub(crate) generation: i64,
    pub(crate) base_url: Url,
}

/// Asks for the present token.
pub(crate) async fn access(cx: &Context, connection: &ConnectionId) -> Result<Access, Failure> {
    let answer = cx.credentials.retry(|| {
        let mut client = cx.credentials.credentials();
        let request = GetAccessTokenRequest { connection_id: connection.to_string() };
        async move { client.get_access_token(request).await }
    });
    let answer = answer.await.map_err(Failure::Credentials)?.into_inner();
    let base_url = Url::parse(&answer.base_url).map_err(|_| Failure::Address(answer.base_url))?;
    Ok(Access { token: SecretString::from(answer.access_token), generation: answer.generation, base_url })
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
