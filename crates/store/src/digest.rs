//! One hash over everything that is known of a workspace, to see whether two histories of syncs led to the same facts.
//!
//! Rows go in by the order of their keys, without run ids and times. The same version of the program gives the same
//! hash for the same facts on either database; another version may not.

use std::fmt::Write as _;

use chrono::NaiveDate;
use sea_orm::Value;
use sha2::{Digest as _, Sha256};
use tidemark_domain::{id::ConnectionId, stream::Stream};
use uuid::Uuid;

use crate::{
    activity::{day_columns, read_day},
    error::Result,
    marks,
    roster::read_standing,
    statement::{Row, int, rows},
    store::Store,
};

/// Rows in memory at once; there may be millions of member days.
const PAGE: u64 = 5_000;

/// Takes lines, so that no two different lists of rows read the same.
#[derive(Default)]
struct Digest {
    hash: Sha256,
    line: String,
}

impl Digest {
    fn line(&mut self, table: &str, row: &impl std::fmt::Debug) {
        self.line.clear();
        // `Debug` quotes texts, so that none can look like the next line.
        writeln!(self.line, "{table} {row:?}").expect("a string takes all");
        self.hash.update(&self.line);
    }

    fn finish(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

impl Store {
    /// A hash over the connection's members, versions, teams, member days, entities, notes, configurations and rollups:
    /// equal facts, equal hash. For tests and operators, while nothing is written.
    pub async fn facts_digest(&self, connection: &ConnectionId) -> Result<String> {
        let mut digest = Digest::default();
        self.digest_roster(connection, &mut digest).await?;
        self.digest_days(connection, &mut digest).await?;
        self.digest_resources(connection, &mut digest).await?;
        self.configurations(connection).await?.iter().for_each(|it| digest.line("configurations", it));
        let head = self.rollup_head(connection).await?;
        let head = head.map(|head| (head.as_of, head.history_start, head.definition_version, head.members));
        digest.line("rollup_heads", &head);
        let all = self.numbers_between(connection, marks::BEGINNING, marks::END, None).await?;
        all.iter().for_each(|numbers| digest.line("rollup_numbers", &numbers));
        self.seats(connection).await?.iter().for_each(|seat| digest.line("seats", seat));
        self.recommendations(connection).await?.iter().for_each(|it| digest.line("recommendations", it));
        Ok(digest.finish())
    }

    async fn digest_roster(&self, connection: &ConnectionId, digest: &mut Digest) -> Result<()> {
        let all = async |sql: &'static str| {
            rows(&self.db, "read facts for a digest", sql, [connection.as_str().into()]).await
        };
        let sql = "select member_id, name, email from members where connection_id = $1 order by member_id";
        for row in all(sql).await? {
            let (name, email): (Option<String>, Option<String>) = (row.get("name")?, row.get("email")?);
            digest.line("members", &(row.get::<Uuid>("member_id")?, name, email));
        }
        let sql = "select member_id, valid_from, role, disabled, pending from member_versions
            where connection_id = $1 order by member_id, valid_from";
        for row in all(sql).await? {
            let key: (Uuid, NaiveDate) = (row.get("member_id")?, row.get("valid_from")?);
            digest.line("member_versions", &(key, read_standing(&row)?));
        }
        let sql = "select team_id, name, handle from teams where connection_id = $1 order by team_id";
        for row in all(sql).await? {
            let (name, handle): (String, String) = (row.get("name")?, row.get("handle")?);
            digest.line("teams", &(row.get::<Uuid>("team_id")?, name, handle));
        }
        let sql = "select team_id, member_id from team_members where connection_id = $1
            order by team_id, member_id";
        for row in all(sql).await? {
            digest.line("team_members", &(row.get::<Uuid>("team_id")?, row.get::<Uuid>("member_id")?));
        }
        Ok(())
    }

    async fn digest_days(&self, connection: &ConnectionId, digest: &mut Digest) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.day_page(connection, after).await?;
            for row in &page {
                let day = read_day(row)?;
                after = Some((day.member_id, day.day));
                digest.line("member_days", &day);
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    }

    async fn digest_resources(&self, connection: &ConnectionId, digest: &mut Digest) -> Result<()> {
        for stream in [Stream::Entities, Stream::Notes] {
            let mut after = None;
            loop {
                let page = self.resources(connection, stream, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for mut resource in page {
                    // When it was found to be gone is a matter of the history.
                    let is_deleted = resource.deleted_at.take().is_some();
                    digest.line(stream.as_str(), &(resource, is_deleted));
                }
            }
        }
        Ok(())
    }

    async fn day_page(
        &self,
        connection: &ConnectionId,
        after: Option<(Uuid, NaiveDate)>,
    ) -> Result<Vec<Row>> {
        let start = if after.is_some() { "and (member_id, day) > ($3, $4)" } else { "" };
        let sql = format!(
            "select {} from member_days where connection_id = $1 {start} order by member_id, day limit $2",
            day_columns()
        );
        let mut values: Vec<Value> = vec![connection.as_str().into(), int(PAGE)];
        values.extend(after.into_iter().flat_map(|(member, day)| [Value::from(member), day.into()]));
        rows(&self.db, "read member days for a digest", sql, values).await
    }
}
