//! What is assumed of `GET /v2/members` and of the people on it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::activities::{Activities, Earliest};
use super::survey::{Answer, Survey, listed};
use super::{Assumption, Finding};
use crate::{Member, Role, Team};

/// Pages of the roster that are read.
const MOST_PAGES: usize = 8;
/// Pairs of members that must show an order before it is believed.
const PAIRS: usize = 30;

/// The roster, in the order of the vendor.
pub(super) struct People {
    places: BTreeMap<Uuid, usize>,
    roles: BTreeSet<String>,
    is_whole: bool,
    flags: Finding,
}

fn everybody() -> [(&'static str, String); 2] {
    [("includeDisabled", "true".to_owned()), ("includeInvitationPending", "true".to_owned())]
}

/// What one to three requests show.
pub(super) async fn cheap(survey: &mut Survey) -> Finding {
    match survey.get(&["members"], &everybody()).await {
        Ok(first) => flags(survey, &first.rows().iter().collect::<Vec<_>>(), first.next().is_none()).await,
        Err(unseen) => Finding::unseen(Assumption::RosterWhole, unseen.to_string()),
    }
}

/// Reads the roster.
pub(super) async fn read(survey: &mut Survey) -> People {
    let everybody = everybody();
    let first = survey.get(&["members"], &everybody).await;
    let mut pages: Vec<Answer> = Vec::new();
    let mut next = first.ok();
    while let Some(page) = next.take() {
        survey.look_for_fields::<Member>("members", &page);
        let cursor = page.next();
        pages.push(page);
        if let (Some(cursor), true) = (cursor, pages.len() < MOST_PAGES) {
            next = survey.page(&["members"], &everybody, &cursor).await.ok();
        }
    }
    if let Ok(teams) = survey.get(&["teams"], &[]).await {
        survey.look_for_fields::<Team>("teams", &teams);
    }
    let is_whole = pages.last().is_some_and(|page| page.next().is_none());
    let rows: Vec<&Value> = pages.iter().flat_map(Answer::rows).collect();
    let flags = flags(survey, &rows, is_whole).await;
    let id = |row: &&Value| Uuid::try_parse(row["id"].as_str().unwrap_or_default()).ok();
    let role = |row: &&Value| row["fields"]["role"].as_str().map(str::to_owned);
    let places = rows.iter().filter_map(id).enumerate().map(|(place, id)| (id, place)).collect();
    People { places, roles: rows.iter().filter_map(role).collect(), is_whole, flags }
}

fn is(row: &Value, flag: &str) -> bool {
    row["fields"][flag].as_bool().unwrap_or(false)
}

/// Whether disabled and pending members came, where a search for just them finds any.
async fn flags(survey: &mut Survey, rows: &[&Value], is_whole: bool) -> Finding {
    let assumption = Assumption::RosterWhole;
    let mut shown = Vec::new();
    for (flag, word) in [("disabled", "disabled"), ("invitationPending", "pending")] {
        let listed = rows.iter().filter(|row| is(row, flag)).count();
        if listed > 0 {
            shown.push(format!("{listed} {word}"));
            continue;
        }
        // What is missing may be on a page that is not read.
        if !is_whole {
            continue;
        }
        let only = json!({ "data": { "filter": { "fields": { flag: true } } } });
        match survey.search(&["members", "search"], &only).await {
            Ok(found) if found.rows().iter().any(|row| is(row, flag)) => {
                let detail = format!("a search finds {word} members that the list leaves out");
                return Finding::differs(assumption, detail);
            }
            _ => {}
        }
    }
    if shown.is_empty() {
        return Finding::unseen(assumption, "nobody is disabled or pending");
    }
    Finding::holds(assumption, format!("{} members are listed", shown.join(" and ")))
}

impl People {
    pub(super) fn has(&self, member: &Uuid) -> bool {
        self.places.contains_key(member)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(super) fn findings(&self, activities: &Activities, seen: &Earliest) -> Vec<Finding> {
        vec![self.flags.clone(), self.known_roles(activities), self.order(seen)]
    }

    fn known_roles(&self, activities: &Activities) -> Finding {
        let assumption = Assumption::RolesKnown;
        let all: BTreeSet<_> = self.roles.union(&activities.roles()).cloned().collect();
        if all.is_empty() {
            return Finding::unseen(assumption, "no role was read");
        }
        let is_unknown = |role: &&String| matches!(role.as_str().into(), Role::Other(_));
        let unknown: BTreeSet<_> = all.iter().filter(is_unknown).cloned().collect();
        if unknown.is_empty() {
            return Finding::holds(assumption, listed(&all));
        }
        Finding::differs(assumption, format!("not known: {}", listed(&unknown)))
    }

    /// Who stands earlier on the list should have been seen earlier. Only pairs of members count that were first seen in
    /// different months.
    fn order(&self, seen: &Earliest) -> Finding {
        let assumption = Assumption::RosterOldestFirst;
        let mut members: Vec<_> =
            seen.iter().filter_map(|(id, day)| Some((*self.places.get(id)?, *day))).collect();
        members.sort_unstable();
        let apart = |a: chrono::NaiveDate, b: chrono::NaiveDate| (b - a).num_days() > 20;
        let (mut fits, mut contradicts) = (0_usize, 0_usize);
        for (at, (_, earlier)) in members.iter().enumerate() {
            for (_, later) in &members[at + 1..] {
                fits += usize::from(apart(*earlier, *later));
                contradicts += usize::from(apart(*later, *earlier));
            }
        }
        let (all, members) = (fits + contradicts, members.len());
        // Kendall's tau: what chance alone gives lies within three standard deviations.
        let tau = (fits as f64 - contradicts as f64) / all.max(1) as f64;
        let chance = 3.0
            * (2.0 * (2 * members + 5) as f64 / (9 * members.max(2) * (members.max(2) - 1)) as f64).sqrt();
        if all < PAIRS || tau.abs() < chance {
            return Finding::unseen(assumption, format!("{fits} pairs of members fit, {contradicts} do not"));
        }
        let detail = format!("{fits} of {all} pairs of members were first seen in the order of the list");
        if tau > 0.0 { Finding::holds(assumption, detail) } else { Finding::differs(assumption, detail) }
    }
}
