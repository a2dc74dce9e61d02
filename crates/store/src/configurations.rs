//! Which fields a workspace has for its entities and notes, replaced as a whole.

use std::{borrow::Cow, collections::BTreeMap};

use sea_orm::Value;
use tidemark_domain::id::ConnectionId;

use crate::{
    error::Result,
    runs::Effect,
    statement::{Table, execute, placeholders, rows},
    store::{Store, Tx},
};

const CONFIGURATIONS: Table<'static> = Table {
    name: "configurations",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "family", "kind", "document"]),
};

/// Pairs that one statement deletes.
const DELETED_AT_ONCE: usize = 200;

/// The configuration of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// `entity` or `note`.
    pub family: String,
    /// The type.
    pub kind: String,
    /// The vendor's JSON.
    pub document: String,
}

impl Store {
    /// All of the workspace's configurations.
    pub async fn configurations(&self, connection: &ConnectionId) -> Result<Vec<Configuration>> {
        let sql = "select family, kind, document from configurations where connection_id = $1
            order by family, kind";
        let rows = rows(&self.db, "read configurations", sql, [connection.as_str().into()]).await?;
        let read = |row: &crate::statement::Row| {
            let (family, kind) = (row.get("family")?, row.get("kind")?);
            Ok(Configuration { family, kind, document: row.get("document")? })
        };
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Puts these in the place of all the connection has; of those that are missing only where the list is whole.
    pub async fn replace_configurations(
        &self,
        connection: &ConnectionId,
        all: &[Configuration],
        is_whole: bool,
    ) -> Result<Effect> {
        let mut effect = Effect::default();
        let all: BTreeMap<_, _> =
            all.iter().map(|it| ((it.family.as_str(), it.kind.as_str()), it.document.as_str())).collect();
        let sql = "select family, kind from configurations where connection_id = $1";
        let mut gone = Vec::new();
        for row in rows(&self.tx, "read configurations", sql, [connection.as_str().into()]).await? {
            let (family, kind): (String, String) = (row.get("family")?, row.get("kind")?);
            if is_whole && !all.contains_key(&(family.as_str(), kind.as_str())) {
                gone.extend([Value::from(family), kind.into()]);
            }
        }
        for gone in gone.chunks(2 * DELETED_AT_ONCE) {
            let pairs: Vec<_> =
                (0..gone.len() / 2).map(|at| format!("({})", placeholders(2 + at * 2, 2))).collect();
            // As rows of values, since SQLite knows no list of tuples.
            let sql = format!(
                "delete from configurations where connection_id = $1 and (family, kind) in (values {})",
                pairs.join(", ")
            );
            let values = std::iter::once(connection.as_str().into()).chain(gone.iter().cloned());
            let values: Vec<_> = values.collect();
            effect.removed += execute(&self.tx, "delete configurations", sql, values).await?;
        }
        let count = all.len() as u64;
        let rows = all.into_iter().map(|((family, kind), document)| -> Vec<Value> {
            vec![connection.as_str().into(), family.into(), kind.into(), document.into()]
        });
        effect.written = CONFIGURATIONS.put(&self.tx, "write configurations", rows).await?;
        effect.unchanged = count - effect.written;
        Ok(effect)
    }
}
