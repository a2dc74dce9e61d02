//! What is assumed of searches and filters of entities and notes: they decide whether a short sync sees all changes.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::survey::{Answer, Survey, Unseen};
use super::{Assumption, Finding};
use crate::{Entity, Note};

const SEARCH: [&str; 2] = ["entities", "search"];

pub(super) async fn check(survey: &mut Survey) -> Vec<Finding> {
    let mut findings = features(survey).await;
    findings.push(objectives(survey).await);
    findings.push(notes(survey).await);
    findings
}

/// The row of a page that changed last.
fn newest(answer: &Answer) -> Option<(&str, DateTime<Utc>)> {
    let changed = answer.rows().iter().filter_map(|row| Some((row["id"].as_str()?, time(row)?)));
    changed.max_by_key(|(_, time)| *time)
}

fn time(row: &Value) -> Option<DateTime<Utc>> {
    let text = row["updatedAt"].as_str().or_else(|| row["fields"]["updatedAt"].as_str())?;
    text.parse().ok()
}

fn has(answer: &Answer, id: &str) -> bool {
    answer.rows().iter().any(|row| row["id"] == id)
}

fn a_second_before(time: DateTime<Utc>) -> DateTime<Utc> {
    time.checked_sub_signed(TimeDelta::seconds(1)).unwrap_or(time)
}

fn spelled(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn listed(survey: &mut Survey, kind: &str) -> Result<Answer, Unseen> {
    let query = [("type[]", kind.to_owned()), ("fields[]", "archived".to_owned())];
    let answer = survey.get(&["entities"], &query).await?;
    survey.look_for_fields::<Entity>("entities", &answer);
    Ok(answer)
}

async fn features(survey: &mut Survey) -> Vec<Finding> {
    let [by_updated, untyped] = [Assumption::SearchByUpdated, Assumption::SearchWithoutType];
    let unseen = |why: String| vec![Finding::unseen(by_updated, why.clone()), Finding::unseen(untyped, why)];
    let list = match listed(survey, "feature").await {
        Ok(list) => list,
        Err(why) => return unseen(why.to_string()),
    };
    let Some((id, time)) = newest(&list) else { return unseen("there are no features".to_owned()) };
    let from = a_second_before(time);
    let changed = json!({ "from": spelled(from) });
    let typed = json!({ "data": { "filter": { "type": ["feature"], "updatedAt": changed } } });
    let open = json!({ "data": { "filter": { "updatedAt": changed } } });
    let typed = survey.search(&SEARCH, &typed).await;
    let open = survey.search(&SEARCH, &open).await;
    vec![found(by_updated, &typed, id, from), found(untyped, &open, id, from)]
}

/// Whether the row that changed last came, and nothing that is older.
fn found(assumption: Assumption, answer: &Result<Answer, Unseen>, id: &str, from: DateTime<Utc>) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return Finding::unseen(assumption, why.to_string()),
    };
    let older = answer.rows().iter().filter_map(time).filter(|time| *time < from).count();
    if older > 0 {
        return Finding::differs(assumption, format!("{older} rows are older than was asked for"));
    }
    if has(answer, id) {
        return Finding::holds(assumption, "a row that changed was found");
    }
    if answer.next().is_some() {
        return Finding::unseen(assumption, "there is more than a page");
    }
    Finding::differs(assumption, "a row that changed was not found")
}

async fn objectives(survey: &mut Survey) -> Finding {
    let assumption = Assumption::ObjectivesSearched;
    let list = match listed(survey, "objective").await {
        Ok(list) => list,
        Err(why) => return Finding::unseen(assumption, why.to_string()),
    };
    if list.rows().is_empty() {
        return Finding::unseen(assumption, "there are no objectives");
    }
    let all = json!({ "data": { "filter": { "type": ["objective"] } } });
    match survey.search(&SEARCH, &all).await {
        Ok(answer) if answer.rows().is_empty() => {
            Finding::differs(assumption, "a search finds none, and the list has some")
        }
        Ok(_) => Finding::holds(assumption, "a search finds some"),
        Err(why) => Finding::unseen(assumption, why.to_string()),
    }
}

async fn notes(survey: &mut Survey) -> Finding {
    let assumption = Assumption::NotesByUpdated;
    let slim = || vec![("fields", "archived".to_owned()), ("fields[]", "archived".to_owned())];
    let list = match survey.get(&["notes"], &slim()).await {
        Ok(list) => list,
        Err(why) => return Finding::unseen(assumption, why.to_string()),
    };
    survey.look_for_fields::<Note>("notes", &list);
    let Some((id, time)) = newest(&list) else { return Finding::unseen(assumption, "there are no notes") };
    let from = a_second_before(time);
    let mut query = slim();
    query.push(("updatedFrom", spelled(from)));
    let answer = survey.get(&["notes"], &query).await;
    found(assumption, &answer, id, from)
}
