//! Commands on the bus. They carry ids only; the record is in the database.

use serde::{Deserialize, Serialize};

use crate::id::{ConnectionId, RunId};

/// Asks a worker to go on with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRun {
    /// The run.
    pub run_id: RunId,
    /// Its connection, for ordering and logs.
    pub connection_id: ConnectionId,
}

impl SyncRun {
    /// The command's name: routing key and queue.
    pub const NAME: &str = "sync.run";
}
