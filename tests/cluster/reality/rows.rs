//! The rows of the table: what the vendor does, and what must come of it.

use chrono::Days;
use serde_json::{Value, json};
use tidemark_domain::Clock as _;
use tidemark_productboard_sim::{Activity, Burst, Faults, OddRow, RateHeaders, Route, Swap, Workspace};
use tidemark_runtime::SystemClock;

use super::{
    Expected::{self, Reason, Right, RightOf, RightWith, Sheet},
    Row, is_right,
};
use crate::{cluster::today, naive};

fn row(what: &'static str, change: impl FnOnce(&mut Faults), expected: Expected) -> Row {
    let mut faults = Faults::default();
    change(&mut faults);
    Row { what, faults, expected, assumption: None }
}

fn assumed(
    assumption: &'static str,
    what: &'static str,
    change: impl FnOnce(&mut Faults),
    expected: Expected,
) -> Row {
    Row { assumption: Some(assumption), ..row(what, change, expected) }
}

fn swap(find: &str, put: &str, most: Option<usize>) -> Vec<Swap> {
    vec![Swap { find: find.to_owned(), put: put.to_owned(), most }]
}

/// Rows of members who did as much on other days of every window: without one of them every number is the same.
fn spare_rows(workspace: &Workspace) -> Vec<Activity> {
    let whole = naive::sheet(workspace, today());
    let recent = today() - Days::new(20)..today() - Days::new(2);
    let mut spare = Vec::new();
    let mut left = workspace.clone();
    for row in workspace.activities.iter().filter(|row| recent.contains(&row.date)) {
        let is_same = |it: &Activity| (it.member_id, it.date) == (row.member_id, row.date);
        let mut without = left.clone();
        without.activities.retain(|it| !is_same(it));
        if naive::sheet(&without, today()) == whole {
            spare.push(row.clone());
            left = without;
        }
        if spare.len() == 4 {
            break;
        }
    }
    assert_eq!(spare.len(), 4, "the workspace has rows to spare");
    spare
}

fn odd(row: &Activity, pointer: &str, value: Value) -> OddRow {
    OddRow {
        route: Route::MemberActivities,
        id: row.member_id,
        date: Some(row.date),
        pointer: pointer.to_owned(),
        value,
    }
}

fn odd_member(workspace: &Workspace, at: usize, pointer: &str, value: Value) -> OddRow {
    let id = workspace.members[at].id;
    OddRow { route: Route::Members, id, date: None, pointer: pointer.to_owned(), value }
}

/// The places of members with a paid seat.
fn paid(workspace: &Workspace) -> Vec<usize> {
    let seat = |at: &usize| {
        let member = &workspace.members[*at];
        ["admin", "maker"].contains(&member.role.as_str()) && !member.disabled && !member.invitation_pending
    };
    (0..workspace.members.len()).filter(seat).collect()
}

fn long_ago(workspace: &Workspace) -> Activity {
    let day = today() - Days::new(60);
    workspace.activities.iter().rfind(|row| row.date <= day).unwrap().clone()
}

/// A: a base that was not read is not zero.
pub(super) fn bases(real: &Workspace) -> Vec<Row> {
    let lists = || [Route::Members, Route::Teams, Route::MemberActivities].into();
    let spare = spare_rows(real);
    let odd_rows = vec![
        odd(&spare[0], "/noteCreatedCount", json!(-1)),
        odd(&spare[1], "/role", Value::Null),
        odd(&spare[2], "/boardOpenedCount", json!(1_u64 << 40)),
        odd(&spare[3], "/date", json!(format!("{}T10:30:00Z", spare[3].date))),
    ];
    let nameless = vec![odd(&long_ago(real), "/memberId", Value::Null)];
    let owners = paid(real).into_iter().take(10);
    let owners: Vec<_> = owners.map(|at| odd_member(real, at, "/fields/role", json!("owner"))).collect();
    let upper = [
        swap(r#""role":"maker""#, r#""role":"Maker""#, None),
        swap(r#""role":"admin""#, r#""role":"ADMIN""#, None),
    ];
    vec![
        row("nothing", |_| {}, Right),
        row("no members on the first sync", |it| it.empty_list = [Route::Members].into(), Reason("believed")),
        row(
            "half an emoji in each name",
            |it| it.body_swaps = swap(r#""name":""#, r#""name":"Anna \ud83d "#, None),
            Right,
        ),
        row(
            "next links name an internal host",
            |it| it.foreign_next_host = Some("http://pb-backend.internal:8080".to_owned()),
            Right,
        ),
        row(
            "the last page names itself",
            |it| it.repeat_last_cursor = true,
            RightWith("repeated_cursor.members"),
        ),
        row(
            "the last page names the first",
            |it| it.last_page_links_to = Some(0),
            RightWith("repeated_cursor.member_activities"),
        ),
        row("empty pages for ever", |it| it.endless_empty_pages = lists(), RightWith("empty_pages.members")),
        row("the same page for ever", |it| it.same_page_again = lists(), RightWith("repeated_rows.members")),
        row("roles in other case", |it| it.body_swaps = upper.concat(), Right),
        row(
            "a new role of ten members",
            |it| it.odd_rows = owners,
            Sheet(|sheet, real| {
                let mut without = real.clone();
                for at in paid(real).into_iter().take(10) {
                    without.members[at].role = "owner".to_owned();
                }
                assert!(is_right(sheet, &without), "{sheet}");
                assert_eq!(sheet["unknown_roles"], json!({ "owner": 10 }));
            }),
        ),
        row("four odd rows of activity", |it| it.odd_rows = odd_rows, Right),
        row(
            "a row that says not whose it is",
            |it| it.odd_rows = nameless,
            Sheet(|sheet, real| {
                let whole = naive::sheet(real, today());
                for window in ["7", "28"] {
                    assert_eq!(sheet["seats"]["active"][window], whole["seats"]["active"][window], "{sheet}");
                    assert_eq!(sheet["coverage"][window], 1.0);
                }
                assert!(sheet["coverage"]["90"].as_f64().unwrap() < 1.0, "one day is not known");
            }),
        ),
        row("a field nested 300 deep", |it| it.deep_field = 300, Right),
        row(
            "pages of 17 MB",
            |it| {
                it.body_swaps =
                    swap(r#""name":""#, &format!(r#""name":"{}"#, "x".repeat(17_000_000)), Some(1));
            },
            Right,
        ),
        row(
            "analytics is gone: route.notFound",
            |it| {
                it.analytics_unavailable = Some(404);
                it.not_found_code = Some("route.notFound".to_owned());
            },
            Reason("the API has changed: the route is gone"),
        ),
        row("analytics is not in the plan", |it| it.analytics_unavailable = Some(402), Reason("plan")),
        row(
            "a key that is half copied",
            |it| {
                it.revoke_after = Some(0);
                it.unauthorized_body = Some(r#"{"message":"Bad token; invalid JSON"}"#.to_owned());
            },
            Reason("not a whole Productboard API key"),
        ),
        row(
            "a key that was revoked",
            |it| {
                it.revoke_after = Some(0);
                it.unauthorized_body =
                    Some(r#"{"message":"No credentials found for given 'iss'"}"#.to_owned());
            },
            Reason("revoked"),
        ),
    ]
}

/// B: numbers and texts of the vendor.
pub(super) fn numbers(real: &Workspace) -> Vec<Row> {
    let soon = SystemClock.now().timestamp() + 2;
    let nul = [r#""name":""#, r#""handle":""#, r#""email":""#, r#""username":""#];
    let nul: Vec<_> =
        nul.iter().flat_map(|find| swap(find, &format!(r"{find}\u0000\u202e\u0007"), None)).collect();
    let empty = vec![odd_member(real, paid(real)[0], "/fields/role", json!(""))];
    vec![
        row(
            "a moment in Retry-After of three 503",
            |it| {
                it.fail_next = [503, 503, 503].into();
                it.retry_after_text = Some(soon.to_string());
            },
            Right,
        ),
        row("a limit of 10^12 a second", |it| it.rate_limit_text = Some("1000000000000".to_owned()), Right),
        row("a limit of nothing", |it| it.rate_limit_text = Some("0".to_owned()), Right),
        row("a limit that is no number", |it| it.rate_limit_text = Some("NaN".to_owned()), Right),
        row("NUL, bell and a turn of direction in names", |it| it.body_swaps = nul, Right),
        row(
            "an empty role",
            |it| it.odd_rows = empty,
            Sheet(|sheet, real| {
                let mut without = real.clone();
                without.members.remove(paid(real)[0]);
                assert!(is_right(sheet, &without), "{sheet}");
                assert!(sheet["flags"].to_string().contains("quarantined_rows.members"), "{sheet}");
            }),
        ),
        row(
            "a name of a megabyte",
            |it| it.body_swaps = swap(r#""name":""#, &format!(r#""name":"{}"#, "x".repeat(1 << 20)), Some(3)),
            Right,
        ),
        row(
            "names of 2,800 characters",
            |it| it.body_swaps = swap(r#""name":""#, &format!(r#""name":"{}"#, "änderung".repeat(350)), None),
            Right,
        ),
        row(
            "HTML, half a JSON and cut answers",
            |it| {
                (it.html_error, it.truncated_json, it.reset_mid_body, it.malformed_json) = (1, 1, 1, 1);
            },
            Right,
        ),
        row("503 in bursts", |it| it.burst_5xx = Some(Burst { every: 20, length: 2 }), Right),
    ]
}

/// F: every switch that breaks an assumption.
pub(super) fn assumptions() -> Vec<Row> {
    vec![
        assumed(
            "date_to_inclusive",
            "dateTo is exclusive",
            |it| it.date_to_exclusive = true,
            RightWith("assumption.date_to_inclusive"),
        ),
        assumed(
            "window_obeyed",
            "the window is ignored",
            |it| it.window_ignored = true,
            RightWith("assumption.window_obeyed"),
        ),
        assumed("default_window", "30 days without dates", |it| it.default_window_days = Some(30), Right),
        assumed("rows_by_date", "newest day first", |it| it.activity_newest_first = true, Right),
        assumed("page_size", "pages of 50", |it| it.page_rows = Some(50), Right),
        assumed("limit_ignored", "limit is obeyed", |it| it.activity_limit_obeyed = true, Right),
        assumed("cursors_stable", "cursors drift", |it| it.cursors_drift = true, Right),
        assumed("board_totals", "board totals are 0", |it| it.totals_zero = true, Right),
        assumed(
            "own_counters",
            "everybody has the totals",
            |it| it.repeated_totals = true,
            Sheet(|sheet, real| {
                assert!(sheet["flags"].to_string().contains("repeated_totals"), "{sheet}");
                // Who used what is in no such row: nothing is said of it.
                assert_eq!(sheet["areas"], Value::Null, "{sheet}");
                assert_eq!(sheet["seats"]["assigned"], paid(real).len(), "{sheet}");
                assert!(sheet["quality"].to_string().contains("say nothing about one member"), "{sheet}");
            }),
        ),
        assumed("activity_of_members", "activity of strangers", |it| it.unknown_member_ids = true, Right),
        assumed("fields_known", "unknown fields", |it| it.unknown_fields = true, Right),
        assumed("roster_oldest_first", "members newest first", |it| it.members_newest_first = true, Right),
        assumed(
            "roster_whole",
            "no disabled and pending members",
            |it| it.include_ignored = true,
            RightOf(|workspace| {
                workspace.members.retain(|member| !member.disabled && !member.invitation_pending);
            }),
        ),
        assumed(
            "roles_known",
            "a role steward",
            |it| it.body_swaps = swap(r#""role":"viewer""#, r#""role":"steward""#, None),
            RightWith("unknown_role"),
        ),
        assumed("objectives_searched", "no objective is found", |it| it.objective_search_empty = true, Right),
        assumed("search_without_type", "a search needs a type", |it| it.untyped_search_empty = true, Right),
        assumed("search_by_updated", "updatedAt is no filter", |it| it.updated_filter_ignored = true, Right),
        assumed("notes_by_updated", "nor for notes", |it| it.updated_filter_ignored = true, Right),
        assumed(
            "unknown_route",
            "404 has another code",
            |it| it.not_found_code = Some("gone.away".to_owned()),
            RightWith("assumption.unknown_route"),
        ),
        assumed(
            "unknown_resource",
            "also for ids",
            |it| it.not_found_code = Some("gone.away".to_owned()),
            Right,
        ),
        assumed(
            "refusals",
            "a 401 in another form",
            |it| it.unauthorized_body = Some("<p>no</p>".to_owned()),
            Right,
        ),
        assumed("rate_headers", "no headers of the limit", |it| it.rate_headers = RateHeaders::Absent, Right),
    ]
}
