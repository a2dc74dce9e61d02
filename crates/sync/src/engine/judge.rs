//! What the credential service thinks of a refused token. All streams meet the same refusal at once: it is reported once
//! per token, and everybody hears the one verdict.

use std::collections::BTreeMap;

use tidemark_rpc::credentials::Verdict;
use tokio::sync::{Mutex, OnceCell};

use super::Engine;
use crate::{credentials, decision::Failure};

/// The verdicts of one delivery, by the token's generation.
#[derive(Debug, Default)]
pub(super) struct Judge(Mutex<BTreeMap<i64, std::sync::Arc<OnceCell<Verdict>>>>);

impl Judge {
    /// Whether it is worth to ask for a token again: there is another one, or the service says why there is none.
    pub(super) async fn is_superseded(&self, engine: &Engine, generation: i64) -> Result<bool, Failure> {
        let verdict = self.0.lock().await.entry(generation).or_default().clone();
        let report = verdict.get_or_try_init(async || {
            let report = credentials::report_rejected(&engine.cx, &engine.connection, generation);
            let verdict = engine.fetch(report).await??;
            match verdict {
                Verdict::ReconnectRequired => {
                    tracing::debug!(run = %engine.run, "the token's refusal is confirmed");
                }
                Verdict::Superseded => {
                    tracing::debug!(run = %engine.run, "the token was replaced, going on");
                }
                Verdict::StillValid | Verdict::Undecided | Verdict::Unspecified => {}
            }
            Ok::<_, Failure>(verdict)
        });
        Ok(matches!(report.await?, Verdict::ReconnectRequired | Verdict::Superseded))
    }
}
