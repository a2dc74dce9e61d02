//! What the numbers of an answer stand on, and whether they are older than they should be.

use chrono::NaiveDate;
use tidemark_domain::{
    alert::STALE_DAYS, connection::State, id::ConnectionId, quality::ROSTER_UNREAD, rollup::Flag,
};
use tidemark_rpc::{timestamp, utilization as wire};
use tidemark_store::{DataFlag, Result, RollupHead, Store};

/// The newest rollup of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ground {
    pub(crate) connection: ConnectionId,
    pub(crate) head: RollupHead,
    stale: Option<String>,
    pending: bool,
    /// What syncs and rollups found odd about the data.
    quality: Vec<DataFlag>,
}

impl Ground {
    pub(crate) async fn read(
        store: &Store,
        connection: &ConnectionId,
        today: NaiveDate,
    ) -> Result<Option<Self>> {
        let head = store.rollup_head(connection).await?;
        // Of nobody, there are no numbers: a version before this one wrote them where no list of members was read.
        let Some(head) = head.filter(|head| head.members > 0) else { return Ok(None) };
        let state = store.connection(connection).await?.map(|connection| connection.state);
        let pending = store.is_rollup_pending(connection).await?;
        let quality = store.data_flags(connection).await?;
        let no_roster = quality.iter().find(|it| it.flag == ROSTER_UNREAD).map(|it| it.detail.clone());
        let stale = stale(state, head.as_of, today).or(no_roster);
        Ok(Some(Self { connection: connection.clone(), head, stale, pending, quality }))
    }

    /// Why there is no rollup although days are covered, where it is for want of a list of members; and whether facts have
    /// changed since.
    pub(crate) async fn missing(store: &Store, connection: &ConnectionId) -> Result<Option<(String, bool)>> {
        // Before the flag: what is said then is not older than this.
        let pending = store.is_rollup_pending(connection).await?;
        let flags = store.data_flags(connection).await?;
        Ok(flags.into_iter().find(|it| it.flag == ROSTER_UNREAD).map(|it| (it.detail, pending)))
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
            flags: self.quality.iter().map(|it| it.flag.clone()).collect(),
            quality: self.quality.iter().map(flag).collect(),
        }
    }
}

fn flag(found: &DataFlag) -> wire::QualityFlag {
    wire::QualityFlag { flag: found.flag.clone(), detail: found.detail.clone() }
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
