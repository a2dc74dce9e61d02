//! What is assumed of the vendor: known of a connection since it was connected, or checked once before its activity is
//! read. A check that cannot be made costs its time and nothing else.

use std::{error::Error as _, time::Duration};

use chrono::{DateTime, Utc};
use tidemark_domain::id::ConnectionId;
use tidemark_productboard::vendor_check::{Assumption, Finding, quick_check};
use tidemark_store::{StreamProgress, Tx, VendorFinding};

use super::Engine;
use crate::{credentials::Access, decision::Failure};

/// A slow vendor answers a few requests in it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Whether that holds of the workspace, where it was found out.
pub(super) async fn known(engine: &Engine, assumption: Assumption) -> Result<Option<bool>, Failure> {
    let findings = engine.cx.store.vendor_findings(&engine.connection).await?;
    Ok(findings.iter().find(|it| it.assumption == assumption.id()).and_then(|it| it.holds))
}

/// Makes the cheap checks where nothing is known, once at the beginning of the stream.
pub(super) async fn check(
    engine: &Engine,
    access: &Access,
    progress: &StreamProgress,
) -> Result<(), Failure> {
    let (store, connection) = (&engine.cx.store, &engine.connection);
    let is_begun = progress.attempts > 0 || progress.pages > 0;
    if is_begun || store.vendor_findings(connection).await?.iter().any(|it| it.holds.is_some()) {
        return Ok(());
    }
    let options = engine.options(access, progress.stream)?;
    let today = engine.cx.clock.today();
    let checked = quick_check(&access.base_url, &access.token, &options, today, DEADLINE);
    match engine.fetch(checked).await? {
        Ok(findings) => {
            let write = engine.begin().await?;
            put(&write, connection, &findings, engine.cx.now()).await?;
            engine.commit_standstill(write, progress).await
        }
        Err(error) => {
            let error = error.source().unwrap_or(&error);
            tracing::warn!(run = %engine.run, %connection, %error, "what is assumed of Productboard could not be checked");
            Ok(())
        }
    }
}

/// Writes down what was found.
pub(super) async fn put(
    write: &Tx,
    connection: &ConnectionId,
    findings: &[Finding],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let kept = findings.iter().map(|finding| VendorFinding {
        assumption: finding.assumption.id().into(),
        holds: finding.outcome.holds(),
        detail: finding.to_string(),
    });
    Ok(write.put_vendor_findings(connection, &kept.collect::<Vec<_>>(), now).await?)
}
