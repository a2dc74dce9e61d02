//! Rollups: what the newest one speaks for, and writing one whole.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, Value};
use tidemark_domain::{
    event::Changed,
    id::{ConnectionId, RunId},
    quality::ROSTER_UNREAD,
    recommendation::Recommendation,
    rollup::{CutSet, Flag, Key, Rollup, WindowUse},
};
use uuid::Uuid;

use crate::{
    dialect,
    error::Result,
    recent::Packed,
    statement::{Table, execute, int, row},
    store::{Store, Tx},
};

const HEADS: Table<'static> = Table {
    name: "rollup_heads",
    key: 1,
    columns: Cow::Borrowed(&[
        "connection_id",
        "as_of",
        "history_start",
        "definition_version",
        "run_id",
        "members",
        "computed_at",
        "revision",
        "looked_on",
        "flags",
        "rolled_from",
        "packed_at",
        "rolled_at",
        "kept_revision",
    ]),
};

/// What the newest rollup of a workspace speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupHead {
    /// The day the numbers are as of.
    pub as_of: NaiveDate,
    /// The first covered day: "never seen" means "not since then".
    pub history_start: NaiveDate,
    /// By which definitions.
    pub definition_version: u32,
    /// The run whose facts it saw.
    pub run_id: RunId,
    /// Members that went into it.
    pub members: u64,
    /// When it was made.
    pub computed_at: DateTime<Utc>,
    /// The changes of facts it has seen.
    pub revision: u64,
    /// What is wrong with the facts.
    pub flags: Vec<Flag>,
    /// The first of the days whose activity is kept for the next rollup, where it is; `rolled_from` in the database.
    pub kept_from: Option<NaiveDate>,
}

/// What is to be written of a rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRollup {
    /// What it speaks for.
    pub head: RollupHead,
    /// The numbers of its days, and all seats.
    pub rollup: Rollup,
    /// Numbers of teams on all days, where some had to be computed again.
    pub teams: Option<TeamNumbers>,
    /// What is recommended.
    pub recommendations: Vec<Recommendation>,
    /// What is to be written besides.
    pub rest: Rest,
}

/// What of a rollup depends on how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// The seats, and everything that is kept for the next one.
    Put(Packed),
    /// Nothing: seats and what is kept stand already, or were written before in the same transaction.
    Written {
        /// How many of the seats changed.
        seats: u64,
    },
}

/// All numbers of some teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamNumbers {
    /// Which teams; those without any numbers too.
    pub teams: BTreeSet<Uuid>,
    /// The first and the last day.
    pub days: (NaiveDate, NaiveDate),
    /// The numbers.
    pub windows: BTreeMap<Key, WindowUse>,
}

impl Store {
    /// What the newest rollup speaks for.
    pub async fn rollup_head(&self, connection: &ConnectionId) -> Result<Option<RollupHead>> {
        let sql =
            "select as_of, history_start, definition_version, run_id, members, computed_at, revision, flags,
                rolled_from, packed_at
            from rollup_heads where connection_id = $1";
        let values = [connection.as_str().into()];
        let Some(row) = row(&self.db, "read a rollup's head", sql, values).await? else { return Ok(None) };
        let (rolled_from, packed_at): (Option<NaiveDate>, Option<DateTime<Utc>>) =
            (row.get("rolled_from")?, row.get("packed_at")?);
        let computed_at = row.get("computed_at")?;
        Ok(Some(RollupHead {
            as_of: row.get("as_of")?,
            history_start: row.get("history_start")?,
            definition_version: row.count("definition_version")?,
            run_id: row.parsed("run_id", |text| text.parse().ok())?,
            members: row.count("members")?,
            computed_at,
            revision: row.count("revision")?,
            flags: row.known("flags")?,
            // Another version, which packs in another way, may have written the head meanwhile.
            kept_from: rolled_from.filter(|_| packed_at == Some(computed_at)),
        }))
    }
}

impl Tx {
    /// Whether that is still the newest rollup; until the end of the transaction it stays so.
    pub async fn is_newest_rollup(&self, connection: &ConnectionId, head: &RollupHead) -> Result<bool> {
        let lock = dialect::lock(self.tx.get_database_backend());
        let sql =
            format!("select as_of, revision, computed_at from rollup_heads where connection_id = $1 {lock}");
        let found = row(&self.tx, "look at a rollup's head", sql, [connection.as_str().into()]).await?;
        let Some(row) = found else { return Ok(false) };
        let newest: (NaiveDate, u64, DateTime<Utc>) =
            (row.get("as_of")?, row.count("revision")?, row.get("computed_at")?);
        Ok(newest == (head.as_of, head.revision, head.computed_at))
    }

    /// Writes the head, and locks it until the end of the transaction; `false`, with nothing written, where a rollup of a
    /// newer day, of later facts or of later definitions stands already.
    pub async fn write_head(&self, connection: &ConnectionId, head: &RollupHead) -> Result<bool> {
        let upsert = HEADS.upsert(self.tx.get_database_backend());
        let newest = format!(
            "{upsert} where rollup_heads.as_of <= excluded.as_of and rollup_heads.revision <= excluded.revision
                and rollup_heads.definition_version <= excluded.definition_version"
        );
        let values = head_values(connection, head);
        Ok(execute(&self.tx, "write a rollup's head", newest, values).await? == 1)
    }

    /// Writes the rollup's numbers of its days over those that are there, and its seats and recommendations in the place
    /// of the old ones, and what is kept for the next one; equal rows are left alone. Numbers of other days stay, but for
    /// those of teams that were computed again. Takes away the mark that it has seen.
    ///
    /// None, with nothing written, where a rollup of a newer day, of later facts or of later definitions stands already:
    /// the head goes first, so that of two writers the second waits for the first and then sees its day. Who writes seats
    /// or numbers before, has to look at the head before that.
    pub async fn write_rollup(&self, connection: &ConnectionId, new: &NewRollup) -> Result<Option<Changed>> {
        let NewRollup { head, rollup, teams, recommendations, rest } = new;
        if !self.write_head(connection, head).await? {
            return Ok(None);
        }
        let mut numbers = 0;
        let days = (!rollup.windows.is_empty()).then_some(rollup.days);
        if let Some(days) = days {
            numbers += self.put_numbers(connection, days, &rollup.cuts, &rollup.windows).await?;
        }
        if let Some(TeamNumbers { teams, days, windows }) = teams {
            numbers += self.put_numbers(connection, *days, &CutSet::Teams(teams.clone()), windows).await?;
        }
        // Those of teams are of all days.
        let days = teams.as_ref().map(|teams| teams.days).or(days);
        let changed = Changed {
            first_day: days.map(|(first, _)| first),
            last_day: days.map(|(_, last)| last),
            numbers,
            seats: match rest {
                Rest::Put(_) => self.put_seats(connection, &rollup.seats).await?,
                Rest::Written { seats } => *seats,
            },
            recommendations: self.put_recommendations(connection, recommendations).await?,
        };
        if let Rest::Put(packed) = rest {
            self.put_packed(connection, packed).await?;
        }
        self.put_data_flags(connection, &head.flags, head.computed_at).await?;
        self.put_data_flag(connection, ROSTER_UNREAD, None, head.computed_at).await?;
        self.unmark(connection, head.revision).await?;
        Ok(Some(changed))
    }
}

impl Tx {
    /// Says why there is no rollup of the present facts: what was computed of an earlier list of members stands, and
    /// numbers without any member go. The connection has had its turn of the day.
    pub async fn withhold_rollup(
        &self,
        connection: &ConnectionId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let id = || Value::from(connection.as_str());
        self.put_data_flag(connection, ROSTER_UNREAD, Some(reason), now).await?;
        let sql = "update rollup_heads set looked_on = $2 where connection_id = $1";
        execute(&self.tx, "note a look", sql, [id(), now.date_naive().into()]).await?;
        let sql = "delete from rollup_heads where connection_id = $1 and members = 0";
        if execute(&self.tx, "withdraw a rollup", sql, [id()]).await? > 0 {
            for table in ["rollup_numbers", "seats", "recommendations"] {
                let sql = format!("delete from {table} where connection_id = $1");
                execute(&self.tx, "withdraw a rollup", sql, [id()]).await?;
            }
        }
        Ok(())
    }
}

fn head_values(connection: &ConnectionId, head: &RollupHead) -> Vec<Value> {
    vec![
        connection.as_str().into(),
        head.as_of.into(),
        head.history_start.into(),
        int(head.definition_version),
        head.run_id.as_str().into(),
        int(head.members),
        head.computed_at.into(),
        int(head.revision),
        head.computed_at.date_naive().into(),
        serde_json::json!(head.flags).to_string().into(),
        head.kept_from.into(),
        head.kept_from.map(|_| head.computed_at).into(),
        // What the versions before kept is of no more use to them.
        None::<DateTime<Utc>>.into(),
        None::<i64>.into(),
    ]
}

#[cfg(test)]
mod tests {
    use chrono::{Days, TimeDelta};
    use tidemark_domain::{
        member::{Role, Standing},
        rollup::{Cut, DEFINITION_VERSION, Seat, SeatState},
    };

    use super::*;
    use crate::test_databases::memory;

    fn connection() -> ConnectionId {
        "conn_01jd0000000000000000000000".parse().unwrap()
    }

    fn as_of() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 9).unwrap()
    }

    /// Writes a rollup of a member or none; gives its head.
    async fn write(store: &Store, seats: &[Seat], rest: Rest) -> RollupHead {
        let head = RollupHead {
            as_of: as_of(),
            history_start: as_of(),
            definition_version: DEFINITION_VERSION,
            run_id: "run_01jd0000000000000000000000".parse().unwrap(),
            members: 0,
            computed_at: DateTime::UNIX_EPOCH,
            revision: 0,
            flags: Vec::new(),
            kept_from: Some(as_of() - Days::new(104)),
        };
        let days = (as_of(), as_of());
        let rollup = Rollup {
            days,
            cuts: CutSet::Whole,
            windows: BTreeMap::new(),
            seats: seats.to_vec(),
            flags: Vec::new(),
        };
        let (teams, recommendations) = (None, Vec::new());
        let new = NewRollup { head: head.clone(), rollup, teams, recommendations, rest };
        let tx = store.begin().await.unwrap();
        tx.write_rollup(&connection(), &new).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        head
    }

    /// While one version takes the place of the other, both write the same heads.
    #[tokio::test]
    async fn what_another_version_packed_is_of_no_use() {
        let store = memory().await;
        let head = write(&store, &[], Rest::Written { seats: 0 }).await;
        assert_eq!(store.rollup_head(&connection()).await.unwrap(), Some(head.clone()));
        // Where it is not the time of the head, the version before has nothing to go on from.
        let sql = "select rolled_at from rollup_heads";
        let row = row(&store.db, "a test", sql, []).await.unwrap().unwrap();
        assert_eq!(row.get::<Option<DateTime<Utc>>>("rolled_at").unwrap(), None);

        // As it writes its own.
        let later = head.computed_at + TimeDelta::hours(1);
        let sql = "update rollup_heads set computed_at = $1, rolled_at = $1";
        execute(&store.db, "a test", sql, [later.into()]).await.unwrap();
        let expected = RollupHead { computed_at: later, kept_from: None, ..head };
        assert_eq!(store.rollup_head(&connection()).await.unwrap(), Some(expected));
    }

    /// Cuts, windows and flags that a later version writes beside ours, and a key that no version could read.
    #[tokio::test]
    async fn what_a_later_version_keeps_is_left_alone_and_what_none_can_read_goes() {
        let store = memory().await;
        write(&store, &[], Rest::Written { seats: 0 }).await;
        let columns: Vec<_> = (0..26).map(|_| "1").collect();
        let row_of = |kind: &str, key: &str, window: u32| {
            format!(
                "insert into rollup_numbers values ('{}', '{kind}', '{key}', {window}, '{}', {})",
                connection(),
                as_of(),
                columns.join(", ")
            )
        };
        let later = [("region", "eu", 28), ("all", "", 365), ("team", &*Uuid::nil().to_string(), 14)];
        for (kind, key, window) in later {
            execute(&store.db, "a test", row_of(kind, key, window), []).await.unwrap();
        }
        for (kind, key) in [("cohort", ""), ("team", "x"), ("cohort", "soon")] {
            execute(&store.db, "a test", row_of(kind, key, 28), []).await.unwrap();
        }
        execute(
            &store.db,
            "a test",
            "update rollup_heads set flags = '[\"dusty\", \"repeated_totals\"]'",
            [],
        )
        .await
        .unwrap();
        assert_eq!(store.rollup_head(&connection()).await.unwrap().unwrap().flags, [Flag::RepeatedTotals]);
        let read = store.numbers_between(&connection(), as_of(), as_of(), None).await.unwrap();
        assert_eq!(read, BTreeMap::new());
        let tx = store.begin().await.unwrap();
        let window = WindowUse { assigned: 7, ..WindowUse::default() };
        let wanted = BTreeMap::from([((Cut::All, as_of(), 28), window)]);
        assert_eq!(
            tx.put_numbers(&connection(), (as_of(), as_of()), &CutSet::Whole, &wanted).await.unwrap(),
            4
        );
        tx.commit().await.unwrap();
        assert_eq!(store.numbers_between(&connection(), as_of(), as_of(), None).await.unwrap(), wanted);
        let sql = "select cut_kind, window_days from rollup_numbers order by cut_kind, window_days";
        let kept = crate::statement::rows(&store.db, "a test", sql, []).await.unwrap();
        let kept: Vec<(String, i64)> =
            kept.iter().map(|row| (row.at(0).unwrap(), row.at(1).unwrap())).collect();
        let expected = [("all", 28), ("all", 365), ("region", 28), ("team", 14)];
        assert_eq!(kept, expected.map(|(kind, window)| (kind.to_owned(), window)));
    }

    /// A later version has a state that this one does not know, and then this one is back.
    #[tokio::test]
    async fn a_rebuild_writes_over_seats_that_it_cannot_read() {
        let store = memory().await;
        let seat = Seat {
            member_id: Uuid::from_u128(1),
            standing: Standing { role: Role::Maker, disabled: false, pending: false },
            state: SeatState::Dormant,
            first_seen_day: as_of(),
            last_active_day: None,
            pending_since: None,
            uses: Default::default(),
            areas_used: [].into(),
        };
        let all = || Rest::Put(Packed { from: as_of(), blocks: Vec::new() });
        write(&store, std::slice::from_ref(&seat), all()).await;
        execute(&store.db, "a test", "update seats set state = 'asleep'", []).await.unwrap();
        assert!(store.seats(&connection()).await.is_err());
        write(&store, std::slice::from_ref(&seat), all()).await;
        assert_eq!(store.seats(&connection()).await.unwrap(), [seat]);
    }
}
