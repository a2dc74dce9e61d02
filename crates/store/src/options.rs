//! What is synced of a workspace. Whoever never chose has the default.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use tidemark_domain::{
    id::ConnectionId,
    stream::{Capture, Options, Stream},
};

use crate::{
    error::Result,
    statement::{execute, row},
    store::{Store, Tx},
};

impl Store {
    /// What is synced of the workspace.
    pub async fn sync_options(&self, connection: &ConnectionId) -> Result<Options> {
        read(&self.db, connection).await
    }
}

impl Tx {
    /// What is synced of the workspace.
    pub(crate) async fn sync_options(&self, connection: &ConnectionId) -> Result<Options> {
        read(&self.tx, connection).await
    }

    /// Chooses what is synced of the workspace from its next run on.
    pub async fn put_sync_options(
        &self,
        connection: &ConnectionId,
        options: &Options,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql =
            "insert into sync_options (connection_id, streams, capture, updated_at) values ($1, $2, $3, $4)
            on conflict (connection_id) do update set
                streams = excluded.streams, capture = excluded.capture, updated_at = excluded.updated_at";
        let streams: Vec<_> = options.optional().map(Stream::as_str).collect();
        let streams = serde_json::to_string(&streams).expect("texts are JSON");
        let values =
            [connection.as_str().into(), streams.into(), options.capture.as_str().into(), now.into()];
        execute(&self.tx, "write sync options", sql, values).await.map(drop)
    }
}

async fn read(db: &impl ConnectionTrait, connection: &ConnectionId) -> Result<Options> {
    let sql = "select streams, capture from sync_options where connection_id = $1";
    let row = row(db, "read sync options", sql, [connection.as_str().into()]).await?;
    let Some(row) = row else { return Ok(Options::default()) };
    Ok(Options::new(row.json::<Vec<Stream>>("streams")?, row.parsed("capture", Capture::parse)?))
}
