//! Every table that holds what the vault sealed, in one place: so that secrets can be counted by key, and each be sealed
//! anew while others read and write.
//!
//! A secret is replaced by comparing its old bytes. Whoever read the old ones opens them still: both keys are in the
//! ring until nothing is left under the old one.

use sea_orm::Value;
use tidemark_domain::id::OrganizationId;

use crate::{
    credentials::Sealed,
    dialect,
    error::Result,
    statement::{Row, execute, int, rows},
    store::Store,
};

/// All of them. A table that joins in needs this line, and nothing else.
pub static SEALED_TABLES: &[SealedTable] = &[
    SealedTable {
        name: "credentials",
        organization: "(select c.organization_id from connections c where c.id = t.connection_id)",
        record: "t.connection_id",
        field: "t.kind",
        version: "t.generation",
        prefix: "",
    },
    SealedTable {
        name: "consents",
        organization: "(select c.organization_id from connections c where c.id = t.connection_id)",
        record: "t.state_hash",
        field: "'consent_verifier'",
        version: "0",
        prefix: "",
    },
    SealedTable {
        name: "webhook_secrets",
        organization: "(select e.organization_id from webhook_endpoints e where e.id = t.endpoint_id)",
        record: "t.endpoint_id",
        field: "'webhook_secret'",
        version: "t.version",
        prefix: "",
    },
];

/// Where sealed secrets stand, and how each one's place is read. The parts of the place are SQL expressions over the
/// table, called `t`; the sealed columns are `algorithm`, `key_id`, `wrapped_key`, `ciphertext` behind a prefix, so that
/// a table with two secrets per row has two entries. A row whose columns are null holds no secret.
#[derive(Debug)]
pub struct SealedTable {
    name: &'static str,
    organization: &'static str,
    record: &'static str,
    field: &'static str,
    version: &'static str,
    prefix: &'static str,
}

/// A sealed secret with the place it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Whose it is.
    pub organization: OrganizationId,
    /// The id of the record that it is part of.
    pub record: String,
    /// Which secret of the record it is.
    pub field: String,
    /// Which of the secrets that the field has had.
    pub version: i64,
    /// The secret.
    pub sealed: Sealed,
}

/// How many secrets a key seals in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCount {
    /// The table.
    pub table: &'static str,
    /// The key.
    pub key_id: String,
    /// How many.
    pub rows: u64,
}

impl SealedTable {
    /// What the table is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn column(&self, name: &str) -> String {
        format!("t.{}{name}", self.prefix)
    }

    fn read(row: &Row) -> Result<SealedRow> {
        Ok(SealedRow {
            organization: row.parsed("organization", |text| text.parse().ok())?,
            record: row.get("record")?,
            field: row.get("field")?,
            version: row.get("version")?,
            sealed: Sealed {
                algorithm: row.get("algorithm")?,
                key_id: row.get("key_id")?,
                wrapped_key: row.get("wrapped_key")?,
                ciphertext: row.get("ciphertext")?,
            },
        })
    }
}

impl Store {
    /// How many secrets each key seals, by table and key.
    pub async fn sealed_counts(&self) -> Result<Vec<SealedCount>> {
        let mut counts = Vec::new();
        for table in SEALED_TABLES {
            let key_id = table.column("key_id");
            let sql = format!(
                "select {key_id} as key_id, count(*) as count from {} t where {key_id} is not null
                group by {key_id} order by {key_id}",
                table.name
            );
            for row in rows(&self.db, "count sealed secrets", sql, []).await? {
                let (key_id, rows) = (row.get("key_id")?, row.count("count")?);
                counts.push(SealedCount { table: table.name, key_id, rows });
            }
        }
        Ok(counts)
    }

    /// A page of the table's secrets that are sealed with another key than that one, by place.
    pub async fn sealed_otherwise(
        &self,
        table: &SealedTable,
        key_id: &str,
        after: Option<&SealedRow>,
        limit: u64,
    ) -> Result<Vec<SealedRow>> {
        let SealedTable { name, organization, record, field, version, .. } = table;
        let [algorithm, key, wrapped, ciphertext] =
            ["algorithm", "key_id", "wrapped_key", "ciphertext"].map(|name| table.column(name));
        let start = if after.is_some() {
            format!("and ({record}, {field}, {version}) > ($3, $4, $5)")
        } else {
            String::new()
        };
        let sql = format!(
            "select {organization} as organization, {record} as record, {field} as field, {version} as version,
                {algorithm} as algorithm, {key} as key_id, {wrapped} as wrapped_key, {ciphertext} as ciphertext
            from {name} t where {key} <> $1 {start} order by 2, 3, 4 limit $2"
        );
        let mut values: Vec<Value> = vec![key_id.into(), int(limit)];
        if let Some(SealedRow { record, field, version, .. }) = after {
            values.extend([record.as_str().into(), field.as_str().into(), (*version).into()]);
        }
        let rows = rows(&self.db, "read sealed secrets", sql, values).await?;
        rows.iter().map(SealedTable::read).collect()
    }

    /// Replaces secrets by the same ones sealed anew, wherever the old bytes still stand; tells how many did.
    pub async fn reseal(&self, table: &SealedTable, renewed: &[(SealedRow, Sealed)]) -> Result<u64> {
        const WIDTH: usize = 10;
        if renewed.is_empty() {
            return Ok(0);
        }
        let backend = self.db.get_database_backend();
        let tuples: Vec<_> =
            (0..renewed.len()).map(|row| dialect::tuple(backend, row * WIDTH + 1, WIDTH)).collect();
        let SealedTable { name, record, field, version, prefix, .. } = table;
        let [key, wrapped, ciphertext] =
            ["key_id", "wrapped_key", "ciphertext"].map(|name| table.column(name));
        // Both databases call the columns of a list of tuples column1, column2…
        let sql = format!(
            "update {name} as t set {prefix}algorithm = v.column7, {prefix}key_id = v.column8,
                {prefix}wrapped_key = v.column9, {prefix}ciphertext = v.column10
            from (values {}) as v
            where {record} = v.column1 and {field} = v.column2 and {version} = v.column3
                and {key} = v.column4 and {wrapped} = v.column5 and {ciphertext} = v.column6",
            tuples.join(", "),
        );
        let values = renewed.iter().flat_map(|(row, new)| -> [Value; WIDTH] {
            [
                row.record.as_str().into(),
                row.field.as_str().into(),
                row.version.into(),
                row.sealed.key_id.as_str().into(),
                row.sealed.wrapped_key.clone().into(),
                row.sealed.ciphertext.clone().into(),
                new.algorithm.as_str().into(),
                new.key_id.as_str().into(),
                new.wrapped_key.clone().into(),
                new.ciphertext.clone().into(),
            ]
        });
        execute(&self.db, "seal secrets anew", sql, values).await
    }
}
