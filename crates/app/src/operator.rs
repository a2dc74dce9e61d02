//! Who runs a command that changes the record: its work is in the audit log, like that of every caller.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use tidemark_credentials::audit::{Audit, AuditKey, Writer};
use tidemark_runtime::{Config, SystemClock};
use tidemark_store::Store;

use crate::node;

/// What the operator is called in the audit log.
pub(crate) const OPERATOR: &str = "operator";

/// The record and the way into the audit log.
pub(crate) struct Operator {
    pub(crate) store: Store,
    pub(crate) audit: Audit,
    writer: Writer,
}

impl Operator {
    pub(crate) async fn connect(config: &Config) -> Result<Self> {
        let key = AuditKey::parse(&config.audit_key).context("the setting audit.key cannot be used")?;
        let store = node::connect(config).await?;
        let (audit, writer) = Audit::start(store.clone(), key, Arc::new(SystemClock));
        Ok(Self { store, audit, writer })
    }

    /// Waits until all entries are written.
    pub(crate) async fn finish(self, code: ExitCode) -> Result<ExitCode> {
        drop(self.audit);
        self.writer.drained().await;
        self.store.close().await?;
        Ok(code)
    }
}
