//! The roster with its history, and teams.
//!
//! Invariant: a version is written only where the standing differs from the latest one, so that a history is as long
//! as what happened, however often it is fetched.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, Value};
use serde::{Deserialize, Serialize};
use tidemark_domain::{
    id::ConnectionId,
    member::{Role, Standing},
};
use uuid::Uuid;

use crate::{
    error::Result,
    marks,
    runs::Effect,
    statement::{Row, Table, count, delete_these, row, rows},
    store::{Store, Tx},
};

const MEMBERS: Table<'static> = Table {
    name: "members",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "member_id", "name", "email"]),
};

const VERSIONS: Table<'static> = Table {
    name: "member_versions",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "member_id", "valid_from", "role", "disabled", "pending"]),
};

const TEAMS: Table<'static> =
    Table { name: "teams", key: 2, columns: Cow::Borrowed(&["connection_id", "team_id", "name", "handle"]) };

const TEAM_MEMBERS: Table<'static> = Table {
    name: "team_members",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "team_id", "member_id"]),
};

/// One line of the member list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterMember {
    /// The member.
    pub member_id: Uuid,
    /// As the vendor shows it.
    pub name: Option<String>,
    /// As the vendor shows it.
    pub email: Option<String>,
    /// How the member stands.
    pub standing: Standing,
}

/// What a listing changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RosterChange {
    /// Members who came, or came back.
    pub added: u64,
    /// Members who stand differently.
    pub changed: u64,
    /// Members who left the list.
    pub closed: u64,
}

/// A team and who belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamRoster {
    /// The team.
    pub team_id: Uuid,
    /// Its name.
    pub name: String,
    /// Its handle.
    pub handle: String,
    /// Its members.
    pub members: Vec<Uuid>,
}

/// How each member of a connection stands now. By one pass over the versions: a join of the table with itself has no sure
/// plan while it has no statistics.
const LATEST: &str = "select member_id, valid_from, role, disabled, pending from (
        select member_id, valid_from, role, disabled, pending,
            row_number() over (partition by member_id order by valid_from desc) as place
        from member_versions where connection_id = $1) as placed
    where place = 1";

/// The columns `role`, `disabled`, `pending` of a version.
pub(crate) fn read_standing(row: &Row) -> Result<Option<Standing>> {
    let role: Option<String> = row.get("role")?;
    let (disabled, pending) = (row.get("disabled")?, row.get("pending")?);
    Ok(role.map(|role| Standing { role: Role::from(role.as_str()), disabled, pending }))
}

/// A member as the database knows it before a listing.
struct Known {
    name: Option<String>,
    email: Option<String>,
    valid_from: NaiveDate,
    standing: Option<Standing>,
}

/// What a complete listing does not say, as rows of it could not be read: nothing of that is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// The ids of such rows, as far as they can be told.
    pub ids: BTreeSet<Uuid>,
    /// There are others: anything that is missing may be one of them.
    pub is_nameless: bool,
}

impl Unread {
    fn may_have(&self, id: &Uuid) -> bool {
        self.is_nameless || self.ids.contains(id)
    }
}

/// What a listing makes necessary.
#[derive(Default)]
struct Plan<'a> {
    people: Vec<&'a RosterMember>,
    versions: BTreeMap<Uuid, (NaiveDate, Option<&'a Standing>)>,
    change: RosterChange,
}

impl<'a> Plan<'a> {
    fn new(
        known: &BTreeMap<Uuid, Known>,
        listing: &'a [RosterMember],
        unread: &Unread,
        valid_from: NaiveDate,
    ) -> Self {
        let listed: BTreeMap<Uuid, &RosterMember> =
            listing.iter().map(|member| (member.member_id, member)).collect();
        let mut plan = Self::default();
        for (id, member) in &listed {
            let before = known.get(id);
            if before.is_none_or(|known| known.name != member.name || known.email != member.email) {
                plan.people.push(member);
            }
            let standing = before.and_then(|known| known.standing.as_ref());
            if standing != Some(&member.standing) {
                plan.versions.insert(*id, (from(before, valid_from), Some(&member.standing)));
                if standing.is_some() { plan.change.changed += 1 } else { plan.change.added += 1 }
            }
        }
        let is_gone = |id: &Uuid| !listed.contains_key(id) && !unread.may_have(id);
        for (id, known) in known.iter().filter(|(id, known)| known.standing.is_some() && is_gone(id)) {
            plan.versions.insert(*id, (from(Some(known), valid_from), None));
            plan.change.closed += 1;
        }
        plan
    }
}

/// What is seen now is the latest, even if an earlier listing was given a later day: a version behind the latest one
/// would never become the present.
fn from(known: Option<&Known>, valid_from: NaiveDate) -> NaiveDate {
    known.map_or(valid_from, |known| known.valid_from.max(valid_from))
}

impl Store {
    /// How many members are on the list now, disabled and pending ones included.
    pub async fn member_count(&self, connection: &ConnectionId) -> Result<u64> {
        let sql = format!("select count(*) as count from ({LATEST}) as latest where role is not null");
        count(&self.db, "count members", sql, [connection.as_str().into()]).await
    }
}

/// The day of the first listing of members, if there was one.
pub(crate) async fn roster_start(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
) -> Result<Option<NaiveDate>> {
    let sql = "select min(valid_from) as first from member_versions where connection_id = $1";
    let found = row(db, "find the first listing", sql, [connection.as_str().into()]).await?;
    found.map_or(Ok(None), |row| row.get("first"))
}

impl Store {
    /// The members who are on the list now, disabled and pending ones included.
    pub async fn member_ids(&self, connection: &ConnectionId) -> Result<BTreeSet<Uuid>> {
        let sql = format!("select member_id from ({LATEST}) as latest where role is not null");
        let rows = rows(&self.db, "list members", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| row.get("member_id")).collect()
    }

    /// Everybody who ever was on the list.
    pub async fn known_member_ids(&self, connection: &ConnectionId) -> Result<BTreeSet<Uuid>> {
        let sql = "select member_id from members where connection_id = $1";
        let rows = rows(&self.db, "list known members", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| row.get("member_id")).collect()
    }

    /// Who is known to be in which team, as team and member.
    pub async fn memberships(&self, connection: &ConnectionId) -> Result<BTreeSet<(Uuid, Uuid)>> {
        let sql = "select team_id, member_id from team_members where connection_id = $1";
        let rows = rows(&self.db, "list memberships", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| Ok((row.get("team_id")?, row.get("member_id")?))).collect()
    }

    /// The teams that are known.
    pub async fn team_ids(&self, connection: &ConnectionId) -> Result<BTreeSet<Uuid>> {
        let sql = "select team_id from teams where connection_id = $1";
        let rows = rows(&self.db, "list teams", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| row.get("team_id")).collect()
    }

    /// The names of a connection's teams.
    pub async fn team_names(&self, connection: &ConnectionId) -> Result<BTreeMap<Uuid, String>> {
        let sql = "select team_id, name from teams where connection_id = $1";
        let rows = rows(&self.db, "list teams", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| Ok((row.get("team_id")?, row.get("name")?))).collect()
    }
}

impl Tx {
    /// Applies a **complete** listing: whoever is missing from it has left. Whether it is believable is for the caller
    /// to say. A member listed twice counts as listed last.
    pub async fn apply_roster(
        &self,
        connection: &ConnectionId,
        listing: &[RosterMember],
        valid_from: NaiveDate,
    ) -> Result<RosterChange> {
        self.apply_partial_roster(connection, listing, &Unread::default(), valid_from).await
    }

    /// Applies a complete listing of which some rows could not be read: their members stand as they stood.
    pub async fn apply_partial_roster(
        &self,
        connection: &ConnectionId,
        listing: &[RosterMember],
        unread: &Unread,
        valid_from: NaiveDate,
    ) -> Result<RosterChange> {
        let known = self.known_members(connection).await?;
        let plan = Plan::new(&known, listing, unread, valid_from);
        let start = if plan.versions.is_empty() { None } else { roster_start(&self.tx, connection).await? };
        let people = plan.people.iter().map(|member| -> Vec<Value> {
            let (name, email) = (member.name.clone(), member.email.clone());
            vec![connection.as_str().into(), member.member_id.into(), name.into(), email.into()]
        });
        let (_, refused) =
            self.put_most::<Uuid>(&MEMBERS, "write members", "member_id", people.collect()).await?;
        // A name that the database does not take is none: the member is one all the same.
        let nameless = refused.into_iter().map(|place| -> Vec<Value> {
            let nothing = || None::<String>.into();
            vec![connection.as_str().into(), plan.people[place].member_id.into(), nothing(), nothing()]
        });
        MEMBERS.put(&self.tx, "write members", nameless).await?;
        let versions = plan.versions.iter().map(|(id, (from, standing))| -> Vec<Value> {
            vec![
                connection.as_str().into(),
                (*id).into(),
                (*from).into(),
                standing.map(|standing| standing.role.as_str()).into(),
                standing.is_some_and(|standing| standing.disabled).into(),
                standing.is_some_and(|standing| standing.pending).into(),
            ]
        });
        VERSIONS.put(&self.tx, "write member versions", versions).await?;
        // What the first listing showed stands for all time before it, and so does what another one shows of the same day;
        // a later one changes the days from its own on.
        let first = plan.versions.values().map(|(from, _)| *from).min();
        if let Some(first) = first {
            let first = if start.is_none_or(|start| first <= start) { marks::BEGINNING } else { first };
            self.mark(connection, [first, marks::END]).await?;
        }
        Ok(plan.change)
    }

    async fn known_members(&self, connection: &ConnectionId) -> Result<BTreeMap<Uuid, Known>> {
        let sql = format!("select member_id, valid_from, role, disabled, pending from ({LATEST}) as latest");
        let mut latest = HashMap::new();
        for row in rows(&self.tx, "read the roster", sql, [connection.as_str().into()]).await? {
            let standing: (NaiveDate, _) = (row.get("valid_from")?, read_standing(&row)?);
            latest.insert(row.get::<Uuid>("member_id")?, standing);
        }
        let sql = "select member_id, name, email from members where connection_id = $1";
        let rows = rows(&self.tx, "read the roster", sql, [connection.as_str().into()]).await?;
        let known = rows.iter().map(|row| {
            let id = row.get("member_id")?;
            let Some((valid_from, standing)) = latest.remove(&id) else { return Ok(None) };
            Ok(Some((id, Known { name: row.get("name")?, email: row.get("email")?, valid_from, standing })))
        });
        known.filter_map(Result::transpose).collect()
    }

    /// Puts these teams in the place of all the connection has. Whether the list is believable is for the caller to say.
    /// Teams have no past: who is in another team now counts there on every day.
    pub async fn replace_teams(&self, connection: &ConnectionId, teams: &[TeamRoster]) -> Result<Effect> {
        self.replace_legible_teams(connection, teams, &Unread::default()).await
    }

    /// The same, where some teams could not be read: they stay, with everybody who was in them.
    pub async fn replace_legible_teams(
        &self,
        connection: &ConnectionId,
        teams: &[TeamRoster],
        unread: &Unread,
    ) -> Result<Effect> {
        let teams: BTreeMap<Uuid, &TeamRoster> = teams.iter().map(|team| (team.team_id, team)).collect();
        let members: BTreeSet<_> = teams
            .values()
            .flat_map(|team| team.members.iter().map(|member| (team.team_id, *member)))
            .collect();
        let count = (teams.len() + members.len()) as u64;
        let (removed, mut changed) = self.remove_teams(connection, &teams, &members, unread).await?;
        let rows = teams.values().map(|team| -> Vec<Value> {
            let (name, handle) = (team.name.as_str(), team.handle.as_str());
            vec![connection.as_str().into(), team.team_id.into(), name.into(), handle.into()]
        });
        let mut written = TEAMS.put(&self.tx, "write teams", rows).await?;
        let rows = members.into_iter().map(|(team, member)| -> Vec<Value> {
            vec![connection.as_str().into(), team.into(), member.into()]
        });
        let joined: Vec<Uuid> =
            TEAM_MEMBERS.put_changed(&self.tx, "write team members", "team_id", rows).await?;
        written += joined.len() as u64;
        changed.extend(joined);
        self.mark_teams(connection, &changed).await?;
        Ok(Effect { written, unchanged: count - written, removed, late: 0 })
    }

    /// How many rows went, and the teams that lost members.
    async fn remove_teams(
        &self,
        connection: &ConnectionId,
        teams: &BTreeMap<Uuid, &TeamRoster>,
        members: &BTreeSet<(Uuid, Uuid)>,
        unread: &Unread,
    ) -> Result<(u64, BTreeSet<Uuid>)> {
        let stays =
            |team: &Uuid| unread.ids.contains(team) || (unread.is_nameless && !teams.contains_key(team));
        let id = Value::from(connection.as_str());
        let mut left: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        let sql = "select team_id, member_id from team_members where connection_id = $1";
        for row in rows(&self.tx, "read team members", sql, [id.clone()]).await? {
            let (team, member): (Uuid, Uuid) = (row.get("team_id")?, row.get("member_id")?);
            if !members.contains(&(team, member)) && !stays(&team) {
                left.entry(team).or_default().push(member);
            }
        }
        let mut removed = 0;
        for (team, members) in &left {
            let of = ("team_members", "connection_id = $1 and team_id = $2");
            let (values, these) = ([id.clone(), (*team).into()], ("member_id", members.as_slice()));
            removed += delete_these(&self.tx, "remove team members", of, &values, these).await?;
        }
        let mut gone = Vec::new();
        let sql = "select team_id from teams where connection_id = $1";
        for row in rows(&self.tx, "read teams", sql, [id.clone()]).await? {
            let team: Uuid = row.get("team_id")?;
            if !teams.contains_key(&team) && !stays(&team) {
                gone.push(team);
            }
        }
        let of = ("teams", "connection_id = $1");
        removed += delete_these(&self.tx, "remove teams", of, &[id], ("team_id", &gone)).await?;
        Ok((removed, left.into_keys().collect()))
    }
}
