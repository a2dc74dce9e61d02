//! A table of the vendor's quirks and faults, each on its switch: what the client makes of it.

use std::time::Duration;

use futures::StreamExt;
use tidemark_productboard::{Activity, Error, Member, MembersQuery};
use tidemark_productboard_sim::{Burst, Faults, NextLink, RetryAfter, Route, Storm, Swap};

use crate::support::{TOKEN, activities, all, client, simulator};

/// A switch and what comes of it.
struct Quirk {
    name: &'static str,
    set: fn(&mut Faults),
    outcome: fn(&Outcome) -> bool,
}

/// What the client made of a workspace with the switch on, and of the same workspace without it.
struct Outcome {
    /// What the vendor announced to end.
    deprecations: usize,
    activities: Result<Vec<Activity>, Error>,
    members: Result<Vec<Member>, Error>,
    faithful: Vec<Activity>,
    everybody: Vec<Member>,
}

impl Outcome {
    fn is_faithful(&self) -> bool {
        matches!(&self.activities, Ok(rows) if *rows == self.faithful) && self.members_are_faithful()
    }

    fn members_are_faithful(&self) -> bool {
        matches!(&self.members, Ok(members) if *members == self.everybody)
    }

    /// The rows are the same but for what a quirk does to them.
    fn rows(&self, same: fn(&Activity, &Activity) -> bool) -> bool {
        let Ok(rows) = &self.activities else { return false };
        rows.len() == self.faithful.len()
            && rows.iter().zip(&self.faithful).all(|(its, faithful)| same(its, faithful))
    }

    /// Nothing is missing, and what came twice does not matter.
    fn rows_by_day_are_faithful(&self) -> bool {
        let Ok(rows) = &self.activities else { return false };
        self.faithful.iter().all(|row| rows.contains(row))
            && rows.iter().all(|row| self.faithful.contains(row))
    }

    fn activities_fail(&self, with: fn(&Error) -> bool) -> bool {
        matches!(&self.activities, Err(error) if with(error))
    }

    fn both_fail(&self, with: fn(&Error) -> bool) -> bool {
        self.activities_fail(with) && matches!(&self.members, Err(error) if with(error))
    }
}

fn same_actions(its: &Activity, faithful: &Activity) -> bool {
    its.row.counters.actions().eq(faithful.row.counters.actions())
}

fn swap(find: &str, put: &str) -> Swap {
    Swap { find: find.to_owned(), put: put.to_owned(), most: None }
}

fn quirk(name: &'static str, set: fn(&mut Faults), outcome: fn(&Outcome) -> bool) -> Quirk {
    Quirk { name, set, outcome }
}

fn links_and_shapes() -> Vec<Quirk> {
    vec![
        quirk("no switch", |_| {}, Outcome::is_faithful),
        quirk("relative link", |it| it.next_link = NextLink::Relative, Outcome::is_faithful),
        quirk("link without dates", |it| it.next_link = NextLink::WithoutDates, Outcome::is_faithful),
        quirk(
            "repeated last cursor",
            |it| it.repeat_last_cursor = true,
            |its| its.rows(|its, faithful| its == faithful),
        ),
        quirk(
            "link to a foreign host",
            |it| it.foreign_next_host = Some("https://thief.example".to_owned()),
            Outcome::is_faithful,
        ),
        quirk(
            "a last page that names the first",
            |it| it.last_page_links_to = Some(0),
            |its| its.rows_by_day_are_faithful(),
        ),
        quirk(
            "empty pages for ever",
            |it| it.endless_empty_pages = [Route::Members, Route::MemberActivities].into(),
            Outcome::is_faithful,
        ),
        quirk(
            "the last page again and again",
            |it| it.same_page_again = [Route::Members, Route::MemberActivities].into(),
            |its| its.rows_by_day_are_faithful(),
        ),
        quirk(
            "an unknown field nested 300 deep",
            |it| it.deep_field = 300,
            |its| its.rows(|its, faithful| its.row == faithful.row) && its.members_are_faithful(),
        ),
        quirk(
            "half an emoji, NUL and a turn of direction in every name",
            |it| it.body_swaps = vec![swap(r#""name":""#, r#""name":"\u0000\u202eAnna \ud83d "#)],
            |its| {
                matches!(&its.members, Ok(members) if members.len() == its.everybody.len()
                    && members.iter().all(|its| its.name.known().is_some_and(|name| name.starts_with("Anna \u{FFFD} "))))
            },
        ),
        quirk(
            "odd counters",
            |it| it.body_swaps = vec![swap(r#""noteCreatedCount":1"#, r#""noteCreatedCount":-1"#)],
            |its| {
                its.members_are_faithful()
                    && matches!(&its.activities, Ok(rows) if rows.len() < its.faithful.len())
            },
        ),
        quirk(
            "unknown fields",
            |it| it.unknown_fields = true,
            |its| {
                let told = |its: &Activity| its.unknown().eq(["betaSegment"]);
                its.rows(|its, faithful| (its.domain(), &its.row) == (faithful.domain(), &faithful.row))
                    && its.activities.iter().flatten().all(told)
                    && its.members_are_faithful()
            },
        ),
        quirk("hidden zeros", |it| it.hide_zeros = true, |its| its.rows(same_actions)),
        quirk("totals zero", |it| it.totals_zero = true, |its| its.rows(same_actions)),
        quirk(
            "repeated totals",
            |it| it.repeated_totals = true,
            |its| its.rows(|its, faithful| its.row.member_id == faithful.row.member_id),
        ),
        quirk(
            "absent counters",
            |it| it.absent_counters = true,
            |its| {
                matches!(&its.activities, Ok(rows) if rows.len() == its.faithful.len()
                && rows.iter().any(|its| its.row.counters.0 == [None; 19]))
            },
        ),
        quirk("editor for every maker", |it| it.editor_role = true, Outcome::is_faithful),
        quirk(
            "people whom no list has",
            |it| it.unknown_member_ids = true,
            |its| {
                matches!(&its.activities, Ok(rows) if rows.len() > its.faithful.len())
                    && its.members_are_faithful()
            },
        ),
        quirk(
            "late days",
            |it| it.late_days = 2,
            |its| matches!(&its.activities, Ok(rows) if !rows.is_empty() && rows.len() < its.faithful.len()),
        ),
        quirk(
            "an empty window",
            |it| it.empty_window = true,
            |its| matches!(&its.activities, Ok(rows) if rows.is_empty()) && its.members_are_faithful(),
        ),
        quirk(
            "an empty list",
            |it| it.empty_list = [Route::Members].into(),
            |its| matches!(&its.members, Ok(members) if members.is_empty()),
        ),
        quirk(
            "a list that shrank",
            |it| it.shrunken_list = [Route::Members].into(),
            |its| matches!(&its.members, Ok(members) if members[..] == its.everybody[..30]),
        ),
        quirk(
            "a list that shrinks while it is read",
            |it| it.shrinks_between_pages = [Route::Members].into(),
            |its| matches!(&its.members, Ok(members) if !members.is_empty() && members.len() < its.everybody.len()),
        ),
        quirk("zipped", |it| it.gzip = true, Outcome::is_faithful),
    ]
}

fn permissions_and_plans() -> Vec<Quirk> {
    vec![
        quirk(
            "forbidden",
            |it| it.forbidden = [Route::MemberActivities].into(),
            |its| {
                its.members_are_faithful()
                && its.activities_fail(|error| {
                    matches!(error, Error::Forbidden { missing_scope: Some(scope), .. } if scope == "analytics:read")
                })
            },
        ),
        quirk(
            "forbidden by the other code",
            |it| {
                it.forbidden = [Route::MemberActivities].into();
                it.access_missing_scope = true;
            },
            |its| {
                its.activities_fail(|error| matches!(error, Error::Forbidden { missing_scope: Some(_), .. }))
            },
        ),
        quirk(
            "no analytics: 403",
            |it| it.analytics_unavailable = Some(403),
            |its| {
                its.activities_fail(|error| {
                    matches!(error, Error::Forbidden { .. } | Error::NotAvailable { .. })
                })
            },
        ),
        quirk(
            "no analytics: 404",
            |it| it.analytics_unavailable = Some(404),
            |its| its.activities_fail(|error| matches!(error, Error::VendorChanged { .. })),
        ),
        quirk(
            "no analytics: 501",
            |it| it.analytics_unavailable = Some(501),
            |its| its.activities_fail(|error| matches!(error, Error::NotAvailable { status: 501, .. })),
        ),
        quirk(
            "401 on one route",
            |it| it.unauthorized_on = [Route::MemberActivities].into(),
            |its| {
                its.members_are_faithful()
                    && its.activities_fail(|error| matches!(error, Error::Rejected { .. }))
            },
        ),
        quirk(
            "revoked in the middle",
            |it| it.revoke_after = Some(2),
            |its| its.both_fail(|error| matches!(error, Error::Rejected { .. })),
        ),
        quirk(
            "expired in the middle",
            |it| it.expire_after = Some(2),
            |its| its.both_fail(|error| matches!(error, Error::Rejected { .. })),
        ),
    ]
}

fn bad_moments() -> Vec<Quirk> {
    vec![
        quirk("503 and 408", |it| it.fail_next = [503, 408].into(), Outcome::is_faithful),
        quirk(
            "short 5xx bursts",
            |it| it.burst_5xx = Some(Burst { every: 6, length: 2 }),
            Outcome::is_faithful,
        ),
        quirk(
            "a lasting 500",
            |it| it.fail_next = [500; 6].into(),
            |its| its.both_fail(|error| matches!(error, Error::Transient { status: Some(500), .. })),
        ),
        quirk(
            "a storm of 429",
            |it| it.storm_429 = Some(Storm { requests: 2, retry_after_secs: 1 }),
            Outcome::is_faithful,
        ),
        quirk(
            "a storm that asks for too long",
            |it| it.storm_429 = Some(Storm { requests: 2, retry_after_secs: 3600 }),
            |its| {
                its.both_fail(|error| {
                    matches!(error, Error::RateLimited { retry_after, .. } if retry_after.as_secs() == 3600)
                })
            },
        ),
        quirk(
            "a pause as a date",
            |it| {
                it.retry_after = RetryAfter::HttpDate;
                it.storm_429 = Some(Storm { requests: 1, retry_after_secs: 3600 });
            },
            |its| {
                its.activities_fail(|error| {
                    matches!(error, Error::RateLimited { retry_after, .. } if retry_after.as_secs() >= 3598)
                })
            },
        ),
        quirk("a proxy's page", |it| it.html_error = 1, Outcome::is_faithful),
        quirk("cut off in the body", |it| it.reset_mid_body = 1, Outcome::is_faithful),
        quirk("cut off before the head", |it| it.reset_before_head = 1, Outcome::is_faithful),
        quirk("half a JSON", |it| it.truncated_json = 1, Outcome::is_faithful),
        quirk(
            "no JSON",
            |it| it.malformed_json = 1,
            |its| its.activities_fail(|error| matches!(error, Error::VendorChanged { .. })),
        ),
        quirk("a dripping body", |it| it.slow_body = Duration::from_millis(60), Outcome::is_faithful),
        quirk("latency", |it| it.latency = Duration::from_millis(5), Outcome::is_faithful),
        quirk("jitter", |it| it.latency_jitter = Duration::from_millis(9), Outcome::is_faithful),
        quirk("stragglers", |it| it.latency_p99 = Duration::from_millis(300), Outcome::is_faithful),
        quirk("a body too large", |it| it.huge_body_bytes = 1 << 20, Outcome::is_faithful),
        quirk(
            "a redirect",
            |it| it.redirect = Some("https://thief.example/v2/members".to_owned()),
            |its| its.both_fail(|error| error.to_string().contains("a redirect (status 302)")),
        ),
        quirk(
            "an announced end",
            |it| it.sunset = Some("Wed, 08 Jul 2026 00:00:00 GMT".to_owned()),
            |its| its.is_faithful() && its.deprecations == 2,
        ),
        quirk(
            "a deprecation",
            |it| it.deprecation = Some("@1775692800".to_owned()),
            |its| its.is_faithful() && its.deprecations == 2,
        ),
    ]
}

/// Works on a workspace of its own, as quirks take their time.
async fn try_out(Quirk { name, set, outcome }: Quirk) {
    let simulator = simulator().await;
    let faithful = activities(&client(&simulator)).await.unwrap();
    let everybody = all(client(&simulator).members(&MembersQuery::everyone(), None)).await.unwrap();
    let switch = || {
        simulator.issue_token("acme", TOKEN);
        simulator.faults(TOKEN, |faults| {
            *faults = Faults::default();
            set(faults);
        });
        client(&simulator)
    };
    let client = switch();
    let activities = activities(&client).await;
    all(client.members(&MembersQuery::everyone(), None)).await.map(drop).unwrap_or_default();
    let seen = Outcome {
        deprecations: client.deprecations().len(),
        activities,
        members: all(switch().members(&MembersQuery::everyone(), None)).await,
        faithful,
        everybody,
    };
    let counts = (seen.activities.as_ref().map(Vec::len), seen.members.as_ref().map(Vec::len));
    assert!(outcome(&seen), "{name}: {counts:?}");
    for error in [seen.activities.err(), seen.members.err()].into_iter().flatten() {
        assert!(!format!("{error:?}").contains(TOKEN), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn every_quirk_has_its_outcome() {
    let quirks = [links_and_shapes(), permissions_and_plans(), bad_moments()];
    futures::stream::iter(quirks.into_iter().flatten()).for_each_concurrent(12, try_out).await;
}
