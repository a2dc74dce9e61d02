//! The numbers of `metrics`, computed from the simulator's own data in the plainest way.

use std::collections::{BTreeMap, HashSet};

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};
use tidemark_productboard_sim::{Activity, COUNTER_NAMES, Workspace};
use tidemark_rpc::utilization::Summary;
use uuid::Uuid;

const AREAS: [(&str, &[&str]); 5] = [
    ("prioritization", &["gridBoardCreatedCount", "gridBoardOpenedCount"]),
    (
        "roadmaps",
        &[
            "timelineBoardCreatedCount",
            "columnBoardCreatedCount",
            "timelineBoardOpenedCount",
            "columnBoardOpenedCount",
        ],
    ),
    (
        "insights",
        &[
            "insightsBoardCreatedCount",
            "noteCreatedCount",
            "insightCreatedCount",
            "insightsBoardOpenedCount",
            "noteStateChangedCount",
        ],
    ),
    ("documents", &["documentBoardCreatedCount", "documentBoardOpenedCount"]),
    (
        "hierarchy",
        &["productCreatedCount", "componentCreatedCount", "featureCreatedCount", "subfeatureCreatedCount"],
    ),
];

fn counts(row: &Activity, name: &str) -> bool {
    let at = COUNTER_NAMES.iter().position(|known| *known == name).unwrap();
    row.counters[at].unwrap_or(0) > 0
}

fn is_active(row: &Activity) -> bool {
    row.active_flag || COUNTER_NAMES.iter().any(|name| !name.starts_with("board") && counts(row, name))
}

/// What `demo --json` and `report --json` must say of a workspace.
pub(crate) fn sheet(workspace: &Workspace, today: NaiveDate) -> Value {
    let as_of = today - Days::new(1);
    let paid: HashSet<Uuid> = workspace
        .members
        .iter()
        .filter(|member| ["admin", "maker"].contains(&member.role.as_str()))
        .filter(|member| !member.disabled && !member.invitation_pending)
        .map(|member| member.id)
        .collect();
    let (mut active, mut idle, mut areas) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for window in [7_u64, 28, 90] {
        let start = as_of - Days::new(window - 1);
        let rows = || {
            workspace
                .activities
                .iter()
                .filter(|row| (start..=as_of).contains(&row.date) && paid.contains(&row.member_id))
        };
        let members = |of: &dyn Fn(&Activity) -> bool| {
            rows().filter(|row| of(row)).map(|row| row.member_id).collect::<HashSet<_>>().len()
        };
        let used = members(&is_active);
        active.insert(window.to_string(), used);
        idle.insert(window.to_string(), paid.len() - used);
        let by_area: BTreeMap<_, _> = AREAS
            .iter()
            .map(|(area, names)| (*area, members(&|row| names.iter().any(|name| counts(row, name)))))
            .collect();
        areas.insert(window.to_string(), by_area);
    }
    json!({
        "workspace": workspace.domain,
        "as_of": as_of.to_string(),
        "definition_version": 1,
        "coverage": {"7": 1.0, "28": 1.0, "90": 1.0},
        "members": workspace.members.len(),
        "seats": {"assigned": paid.len(), "active": active, "idle": idle},
        "areas": areas,
    })
}

/// Fails where `actual` lacks something of `expected` or says something else; it may say more.
pub(crate) fn assert_contains(actual: &Value, expected: &Value, path: &str) {
    match expected {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert_contains(&actual[key], value, &format!("{path}.{key}"));
            }
        }
        _ => assert_eq!(actual, expected, "{path}"),
    }
}

/// The same over the gRPC answer.
pub(crate) fn assert_summary(summary: &Summary, workspace: &Workspace, today: NaiveDate) {
    let expected = sheet(workspace, today);
    assert_eq!(summary.as_of, expected["as_of"]);
    assert_eq!(u64::from(summary.members), expected["members"]);
    for window in summary.windows.iter().filter(|window| window.days > 1) {
        let days = window.days.to_string();
        assert_eq!(window.covered_days, window.days);
        assert_eq!(u64::from(window.assigned_seats), expected["seats"]["assigned"], "assigned over {days}");
        assert_eq!(u64::from(window.active_seats), expected["seats"]["active"][&days], "active over {days}");
        assert_eq!(u64::from(window.idle_seats), expected["seats"]["idle"][&days], "idle over {days}");
        for area in &window.areas {
            assert_eq!(
                u64::from(area.members),
                expected["areas"][&days][&area.area],
                "{} over {days}",
                area.area
            );
        }
    }
    assert_eq!(summary.windows.iter().map(|window| window.days).collect::<Vec<_>>(), [1, 7, 28, 90]);
}

/// Rows of the days that a sync of `history_days` up to yesterday fetches.
pub(crate) fn rows_in_history(workspace: &Workspace, today: NaiveDate, history_days: u64) -> u64 {
    let fetched = (today - Days::new(history_days))..today;
    workspace.activities.iter().filter(|row| fetched.contains(&row.date)).count() as u64
}
