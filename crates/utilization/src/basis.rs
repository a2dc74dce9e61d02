//! What the numbers of an answer stand on, and whether they are older than they should be.

use chrono::NaiveDate;
use tidemark_domain::{alert::STALE_DAYS, connection::State, id::ConnectionId, rollup::Flag};
use tidemark_rpc::{timestamp, utilization as wire};
use tidemark_store::{Result, RollupHead, Store};

/// The newest rollup of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ground {
    pub(crate) connection: ConnectionId,
    pub(crate) head: RollupHead,
    stale: Option<String>,
    pending: bool,
}

impl Ground {
    pub(crate) async fn read(
        store: &Store,
        connection: &ConnectionId,
        today: NaiveDate,
    ) -> Result<Option<Self>> {
        let Some(head) = store.rollup_head(connection).await? else { return Ok(None) };
        let state = store.connection(connection).await?.map(|connection| connection.state);
        let pending = store.rollup_mark(connection).await?.revision > head.revision;
        let stale = stale(state, head.as_of, today);
        Ok(Some(Self { connection: connection.clone(), head, stale, pending }))
    }

    /// Features per seat say nothing where every row carries the workspace's totals.
    pub(crate) fn tells_features(&self) -> bool {
        !self.head.flags.contains(&Flag::RepeatedTotals)
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.is_some()
    }

    pub(crate) fn wire(&self) -> wire::Basis {
        let head = &self.head;
        wire::Basis {
            connection_id: self.connection.to_string(),
            as_of: head.as_of.to_string(),
            history_start: head.history_start.to_string(),
            definition_version: head.definition_version,
            run_id: head.run_id.to_string(),
            stale: self.is_stale(),
            stale_reason: self.stale.clone().unwrap_or_default(),
            computed_at: Some(timestamp(head.computed_at)),
            pending_changes: self.pending,
            flags: head.flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
        }
    }
}

fn stale(state: Option<State>, as_of: NaiveDate, today: NaiveDate) -> Option<String> {
    let until = format!("the numbers and verdicts stand as of {as_of}");
    match state {
        Some(State::ReconnectRequired) => {
            Some(format!("the workspace has to be reconnected; until then {until}"))
        }
        Some(State::Disconnected) => Some(format!("the workspace was disconnected; {until}")),
        _ if (today - as_of).num_days() > STALE_DAYS => Some(format!(
            "no newer day was fetched whole for {} days; {until}",
            (today - as_of).num_days() - 1
        )),
        _ => None,
    }
}
