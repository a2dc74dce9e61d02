//! The findings, printed as they come: a check that waits hides no other.

use std::cell::RefCell;

use anyhow::Result;
use serde::Serialize;
use tokio::time::timeout;

use super::PATIENCE;
use crate::cause::Cause;

/// What one check found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    subject: &'static str,
    healthy: bool,
    detail: String,
    /// What to do; empty where there is nothing to do.
    remedy: String,
}

impl Finding {
    pub(super) fn healthy(subject: &'static str, detail: impl Into<String>) -> Self {
        Self { subject, healthy: true, detail: detail.into(), remedy: String::new() }
    }

    pub(super) fn problem(
        subject: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { subject, healthy: false, detail: detail.into(), remedy: remedy.into() }
    }

    /// Something to know of that is nobody's fault here.
    pub(super) fn notice(
        subject: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { subject, healthy: true, detail: detail.into(), remedy: remedy.into() }
    }

    /// A server that cannot be used, with its cause where the words of the error say it.
    pub(super) fn of_server(
        subject: &'static str,
        error: &str,
        name: &str,
        section: &str,
        remedy: &str,
    ) -> Self {
        match Cause::of(error) {
            Some(cause) => {
                Self::problem(subject, format!("{} ({error})", cause.sentence()), cause.remedy(name, section))
            }
            None => Self::problem(subject, error, remedy),
        }
    }
}

/// All of them.
pub(super) struct Report {
    json: bool,
    findings: RefCell<Vec<(u8, Finding)>>,
}

/// The findings of one kind; their rank is their place in the JSON.
pub(super) struct Section<'a> {
    report: &'a Report,
    rank: u8,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, findings: RefCell::default() }
    }

    pub(super) fn section(&self, rank: u8) -> Section<'_> {
        Section { report: self, rank }
    }

    /// Whether all is well.
    pub(super) fn finish(self) -> Result<bool> {
        let mut findings = self.findings.into_inner();
        // Stable: within a section they keep their order.
        findings.sort_by_key(|(rank, _)| *rank);
        let findings: Vec<_> = findings.into_iter().map(|(_, finding)| finding).collect();
        if self.json {
            say!("{}", serde_json::to_string_pretty(&findings)?);
        }
        Ok(findings.iter().all(|finding| finding.healthy))
    }
}

impl Section<'_> {
    pub(super) fn add(&self, finding: Finding) {
        if !self.report.json {
            say!("{} {}: {}", if finding.healthy { "ok  " } else { "FAIL" }, finding.subject, finding.detail);
            if !finding.remedy.is_empty() {
                say!("       do: {}", finding.remedy);
            }
        }
        self.report.findings.borrow_mut().push((self.rank, finding));
    }

    /// Adds what is found within the deadline of a check, or that nothing was.
    pub(super) async fn within(
        &self,
        subject: &'static str,
        remedy: &str,
        look: impl Future<Output = Vec<Finding>>,
    ) {
        match timeout(PATIENCE, look).await {
            Ok(findings) => findings.into_iter().for_each(|finding| self.add(finding)),
            Err(_) => self.add(Finding::problem(subject, silent(), remedy)),
        }
    }
}

pub(super) fn silent() -> String {
    format!("no answer in {} s", PATIENCE.as_secs())
}
