//! The switches for quirks of lists, entities, notes and days.

use std::collections::HashSet;

use chrono::Days;
use serde_json::json;
use tidemark_productboard_sim::{COUNTER_NAMES, Route};

use crate::support::{acme, all, found, get, search, today};

const WEEK: &str = "/v2/analytics/member-activities?dateFrom=2026-08-03&dateTo=2026-08-09";
const ALL_DAYS: &str = "/v2/analytics/member-activities";

#[tokio::test]
async fn the_type_can_lose_its_brackets_in_next() {
    let simulator = acme().await;
    let target = "/v2/entities?type[]=feature&type[]=subfeature&type[]=user";
    let rows = all(&simulator, target).await;
    simulator.faults("t", |faults| faults.scalar_type_in_next = true);
    let next = get(&simulator, target).await.next().unwrap().to_owned();
    assert!(next.contains("?type=feature&type=subfeature&"), "{next}");
    assert_eq!(all(&simulator, target).await, rows, "the cursor knows");
    let (fresh, _) = next.split_once("&pageCursor").unwrap();
    assert_eq!(get(&simulator, fresh).await.code(), "request.invalid");
}

#[tokio::test]
async fn searches_can_be_blind() {
    let simulator = acme().await;
    let facts = simulator.workspace("acme").unwrap();
    simulator.faults("t", |faults| {
        faults.objective_search_empty = true;
        faults.team_search_empty = true;
    });
    let objectives = json!({ "filter": { "type": ["objective"] } });
    assert!(search(&simulator, "/v2/entities/search", objectives).await.data().is_empty());
    assert!(!all(&simulator, "/v2/entities?type[]=objective").await.is_empty());
    let both = json!({ "filter": { "type": ["objective", "keyResult"] } });
    let rows = found(&simulator, "/v2/entities/search", both).await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row["type"] == "keyResult"));

    let team = &facts.teams[0];
    let by_name = json!({ "filter": { "fields": { "name": team.name } } });
    assert!(search(&simulator, "/v2/teams/search", by_name).await.data().is_empty());
    let by_text = json!({ "search": { "query": team.name } });
    assert_eq!(search(&simulator, "/v2/teams/search", by_text).await.data().len(), 1);
}

#[tokio::test]
async fn relationships_can_be_bare_and_timestamps_nested() {
    let simulator = acme().await;
    simulator.faults("t", |faults| {
        faults.relationships_as_array = true;
        faults.nested_timestamps = true;
    });
    for target in ["/v2/entities", "/v2/notes"] {
        assert!(get(&simulator, target).await.data().iter().all(|row| row["relationships"].is_array()));
    }
    let notes = get(&simulator, "/v2/notes").await;
    assert!(notes.data().iter().all(|row| row["createdAt"].is_null() && row["updatedAt"].is_null()));
    assert!(notes.data().iter().all(|row| row["fields"]["updatedAt"].is_string()));
}

#[tokio::test]
async fn rows_of_strangers_can_be_added_in_order() {
    let simulator = acme().await;
    let before = all(&simulator, WEEK).await;
    simulator.faults("t", |faults| faults.unknown_member_ids = true);
    let rows = all(&simulator, WEEK).await;
    assert_eq!(rows.len(), before.len() + 14, "two on each day");
    let facts = simulator.workspace("acme").unwrap();
    let members: HashSet<_> = facts.members.iter().map(|member| json!(member.id)).collect();
    let known: HashSet<_> = before.iter().map(|row| row["memberId"].clone()).collect();
    let strangers: HashSet<_> =
        rows.iter().map(|row| row["memberId"].clone()).filter(|id| !known.contains(id)).collect();
    assert_eq!(strangers.len(), 2);
    assert!(strangers.is_disjoint(&members));
    let key = |row: &serde_json::Value| (row["date"].to_string(), row["memberId"].to_string());
    assert!(rows.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
}

#[tokio::test]
async fn roles_and_counters_can_differ() {
    let simulator = acme().await;
    let makers = all(&simulator, WEEK).await.iter().filter(|row| row["role"] == "maker").count();
    assert!(makers > 0);
    simulator.faults("t", |faults| {
        faults.editor_role = true;
        faults.absent_counters = true;
    });
    let rows = all(&simulator, WEEK).await;
    assert!(rows.iter().all(|row| row["role"] != "maker"));
    assert!(rows.iter().filter(|row| row["role"] == "editor").count() >= makers);
    let bare = rows.iter().filter(|row| COUNTER_NAMES.iter().all(|name| row[*name].is_null())).count();
    assert!(bare > rows.len() / 5 && bare < rows.len() / 2, "{bare} of {}", rows.len());
}

#[tokio::test]
async fn the_newest_days_can_be_late() {
    let simulator = acme().await;
    let complete = all(&simulator, ALL_DAYS).await;
    simulator.faults("t", |faults| faults.late_days = 3);
    let rows = all(&simulator, ALL_DAYS).await;
    let newest = (today() - Days::new(3)).to_string();
    assert_eq!(rows[..], complete[..rows.len()]);
    assert!(rows.iter().all(|row| row["date"].as_str().unwrap() <= newest.as_str()));
    assert!(get(&simulator, &format!("{ALL_DAYS}?dateFrom={}", today())).await.data().is_empty());
    assert!(!get(&simulator, WEEK).await.data().is_empty());
    simulator.faults("t", |faults| faults.late_days = 0);
    assert_eq!(all(&simulator, ALL_DAYS).await, complete);
}

#[tokio::test]
async fn lists_can_shrink_while_they_are_read() {
    let simulator = acme().await;
    let target = format!("{ALL_DAYS}?dateFrom=2026-06-15&dateTo=2026-08-12");
    let whole = all(&simulator, &target).await;
    let pages = whole.len().div_ceil(100);
    assert!(pages > 3, "{}", whole.len());
    simulator.faults("t", |faults| faults.shrinks_between_pages.extend([Route::MemberActivities]));
    let first = get(&simulator, &target).await;
    assert_eq!(first.data()[..], whole[..100], "the first page is as it was");
    let rows = all(&simulator, &target).await;
    assert_eq!(rows[..], whole[..rows.len()]);
    // The page on which the list ends has seen it lose ten rows for each page before it.
    let ends = |page: usize| (page + 1) * 100 >= whole.len() - 10 * page;
    let last = (0..pages).find(|page| ends(*page)).unwrap();
    assert_eq!(rows.len(), (whole.len() - 10 * last).max(last * 100));
    assert!(rows.len() < whole.len());
    simulator.faults("t", |faults| faults.shrinks_between_pages.clear());
    assert_eq!(all(&simulator, &target).await, whole);
}

#[tokio::test]
async fn lists_can_be_empty_or_half() {
    let simulator = acme().await;
    let (members, teams) = (all(&simulator, "/v2/members").await, all(&simulator, "/v2/teams").await);
    simulator.faults("t", |faults| {
        faults.empty_list.extend([Route::Teams, Route::Notes, Route::NoteConfigurations]);
        faults.shrunken_list.insert(Route::Members);
        faults.empty_window = true;
    });
    for target in ["/v2/teams", "/v2/notes", "/v2/notes/configurations", WEEK] {
        let answer = get(&simulator, target).await;
        assert_eq!((answer.status, answer.data().len(), answer.next()), (200, 0, None), "{target}");
    }
    assert_eq!(all(&simulator, "/v2/members").await[..], members[..members.len() / 2]);
    assert!(!all(&simulator, "/v2/entities").await.is_empty());
    simulator.faults("t", |faults| *faults = tidemark_productboard_sim::Faults::default());
    assert_eq!(all(&simulator, "/v2/teams").await, teams);
}
