//! The lists: what is asked, how pages follow each other, what comes out.

use crate::vendor::{Reply, TOKEN, Vendor, activity, id, member};
use chrono::NaiveDate;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tidemark_domain::activity::COUNTER_TABLE;
use tidemark_domain::member::Role;
use tidemark_productboard::{
    Activity, Cursor, Error, ListFlag, Member, MembersQuery, Page, TeamsQuery, Text,
};

fn march(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, day).unwrap()
}

async fn members(vendor: &Vendor) -> Result<Vec<Page<Member>>, Error> {
    vendor.client().members(&MembersQuery::everyone(), None).try_collect().await
}

#[tokio::test]
async fn any_next_link_leads_to_the_same_request_with_a_cursor() {
    let links = [
        "https://api.productboard.com/v2/analytics/member-activities?dateFrom=2026-03-01&dateTo=2026-03-09&pageCursor=a%2B%2F%3D",
        "/member-activities?pageCursor=b",
        "https://api.eu.productboard.com/elsewhere?pageCursor=c",
    ];
    let rows = [activity("2026-03-02")];
    let mut script: Vec<_> = links.iter().map(|link| Reply::page(&rows, Some(link))).collect();
    script.push(Reply::page(&rows, None));
    let vendor = Vendor::answering(script).await;

    let pages = vendor.client().member_activities(march(1), march(9), None);
    let pages: Vec<Page<Activity>> = pages.try_collect().await.unwrap();

    let next: Vec<_> = pages.iter().map(|page| page.next.as_ref().map(Cursor::as_str)).collect();
    assert_eq!(next, [Some("a+/="), Some("b"), Some("c"), None]);
    assert_eq!(pages.iter().map(|page| page.items.len()).sum::<usize>(), 4);
    let asked = vendor.asked();
    let cursors: Vec<_> = asked.iter().map(|asked| asked.value("pageCursor")).collect();
    assert_eq!(cursors, [None, Some("a+/="), Some("b"), Some("c")]);
    for asked in asked {
        assert_eq!(asked.path, "/v2/analytics/member-activities");
        assert_eq!(
            (asked.value("dateFrom"), asked.value("dateTo")),
            (Some("2026-03-01"), Some("2026-03-09"))
        );
        assert_eq!(asked.authorization, format!("Bearer {TOKEN}"));
        assert!(asked.user_agent.starts_with("tidemark/"), "{}", asked.user_agent);
    }
}

#[tokio::test]
async fn a_list_resumes_at_a_cursor() {
    let vendor = Vendor::answering([Reply::page(&[member(2)], None)]).await;
    let pages = vendor.client().members(&MembersQuery::everyone(), Some(Cursor::new("kept")));
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    assert_eq!(pages[0].items[0].id, id(2));
    let asked = &vendor.asked()[0];
    assert_eq!(asked.value("pageCursor"), Some("kept"));
    assert_eq!(asked.value("includeDisabled"), Some("true"));
    assert_eq!(asked.value("includeInvitationPending"), Some("true"));
}

#[tokio::test]
async fn each_list_has_its_path_below_a_base_with_a_path() {
    let mut vendor = Vendor::answering(vec![Reply::page(&[], None); 4]).await;
    vendor.url = vendor.url.join("gateway/pb/").unwrap();
    let client = vendor.client();
    client.members(&MembersQuery::default(), None).try_collect::<Vec<_>>().await.unwrap();
    client.teams(&TeamsQuery::default(), None).try_collect::<Vec<_>>().await.unwrap();
    client.team_members(id(5), None).try_collect::<Vec<_>>().await.unwrap();
    client.member_activities(march(1), march(1), None).try_collect::<Vec<_>>().await.unwrap();
    let paths: Vec<_> = vendor.asked().into_iter().map(|asked| asked.path).collect();
    let team = format!("/gateway/pb/v2/teams/{}/members", id(5));
    let expected = [
        "/gateway/pb/v2/members",
        "/gateway/pb/v2/teams",
        team.as_str(),
        "/gateway/pb/v2/analytics/member-activities",
    ];
    assert_eq!(paths, expected);
    assert_eq!(vendor.asked()[0].query, [], "without switches there is no query");
}

#[tokio::test]
async fn a_repeated_cursor_ends_the_list() {
    let again = Reply::page(&[member(1)], Some("/members?pageCursor=again"));
    let vendor = Vendor::answering([again.clone(), again.clone(), again]).await;
    let pages = members(&vendor).await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!((pages[0].flags.as_slice(), &pages[1].next), (&[][..], &None));
    assert_eq!(pages[1].flags, [ListFlag::RepeatedCursor], "the list is complete, and odd");
    assert_eq!(vendor.asked().len(), 2);
}

#[tokio::test]
async fn a_link_to_an_earlier_page_ends_a_list_that_was_resumed() {
    let page = |row, next| Reply::page(&[member(row)], Some(next));
    let script = [page(2, "?pageCursor=c"), page(3, "?pageCursor=a"), page(1, "?pageCursor=b")];
    let vendor = Vendor::answering(script).await;
    let pages = vendor.client().members(&MembersQuery::everyone(), Some(Cursor::new("b")));
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    let rows: Vec<_> = pages.iter().flat_map(|page| &page.items).map(|member| member.id).collect();
    assert_eq!(rows, [id(2), id(3), id(1)], "all that can be reached");
    assert_eq!(pages[2].flags, [ListFlag::RepeatedCursor]);
}

#[tokio::test]
async fn empty_pages_with_ever_fresh_cursors_end_the_list() {
    let empty = |at: u32| Reply::page(&[], Some(&format!("/v2/members?pageCursor=fresh-{at}")));
    let script = [Reply::page(&[member(1)], Some("?pageCursor=x"))].into_iter().chain((0..50).map(empty));
    let vendor = Vendor::answering(script).await;
    let pages = members(&vendor).await.unwrap();
    assert_eq!((pages.len(), pages[5].flags.as_slice()), (6, &[ListFlag::EmptyPages][..]));
    assert_eq!(vendor.asked().len(), 6);
}

#[tokio::test]
async fn the_same_page_with_ever_fresh_cursors_ends_the_list() {
    let same =
        |at: u32| Reply::page(&[member(1), member(2)], Some(&format!("/v2/members?pageCursor=fresh-{at}")));
    let vendor = Vendor::answering((0..50).map(same)).await;
    let pages = members(&vendor).await.unwrap();
    assert_eq!((pages.len(), pages[5].flags.as_slice()), (6, &[ListFlag::RepeatedRows][..]));
    assert_eq!(vendor.asked().len(), 6);
}

/// Rows that came before and rows that cannot be read are distinguished from new ones.
#[tokio::test]
async fn pages_that_bring_one_new_row_each_are_gone_past() {
    let page = |at: u128| {
        let next = (at < 20).then(|| format!("?pageCursor={at}"));
        Reply::page(&[member(0), member(at)], next.as_deref())
    };
    let vendor = Vendor::answering((1..=20).map(page)).await;
    let pages = members(&vendor).await.unwrap();
    assert!(pages.len() == 20 && pages.iter().all(|page| page.flags.is_empty()));
}

/// Each stream reads two pages of a circle of five, as a delivery does.
#[tokio::test]
async fn a_circle_longer_than_one_stream_is_seen_across_them() {
    let page = |at: u128| Reply::page(&[member(at)], Some(&format!("?pageCursor={}", at % 5)));
    let vendor = Vendor::answering((1..50).map(page)).await;
    let (mut kept, mut seen) = (None, 0);
    let flags = loop {
        let start = kept.map(|(text, way): (String, String)| Cursor::new(text).after(&way));
        let pages = vendor.client().members(&MembersQuery::everyone(), start);
        let pages: Vec<_> = StreamExt::take(pages, 2).try_collect().await.unwrap();
        seen += pages.len();
        let last = pages.last().unwrap();
        let Some(next) = &last.next else { break last.flags.clone() };
        kept = Some((next.as_str().to_owned(), next.way()));
    };
    assert_eq!(flags, [ListFlag::RepeatedCursor]);
    assert!((5..20).contains(&seen), "{seen}");
}

#[tokio::test]
async fn an_empty_page_in_the_middle_is_gone_past() {
    let script = [
        Reply::page(&[], Some("?pageCursor=a")),
        Reply::page(&[], Some("?pageCursor=b")),
        Reply::page(&[member(1)], None),
    ];
    let vendor = Vendor::answering(script).await;
    let pages = members(&vendor).await.unwrap();
    assert_eq!((pages.len(), pages[2].items.len(), pages[2].flags.len()), (3, 1, 0));
}

#[tokio::test]
async fn a_link_to_any_host_gives_its_cursor_and_is_never_followed() {
    for host in ["https://thief.example", "http://pb-backend.internal:8080", "//10.0.0.7", "ftp://x@y"] {
        let link = format!("{host}/v2/members?pageCursor=c");
        let vendor =
            Vendor::answering([Reply::page(&[member(1)], Some(&link)), Reply::page(&[member(2)], None)])
                .await;
        let pages = members(&vendor).await.unwrap();
        assert_eq!(pages.iter().map(|page| page.items.len()).sum::<usize>(), 2, "{host}");
        let asked = vendor.asked();
        assert_eq!((asked[1].path.as_str(), asked[1].value("pageCursor")), ("/v2/members", Some("c")));
        assert_eq!(asked[1].value("includeDisabled"), Some("true"), "the filters are there again");
    }
}

#[tokio::test]
async fn a_next_link_without_a_cursor_is_not_taken_for_the_end() {
    let vendor = Vendor::answering([Reply::page(&[member(1)], Some("/v2/members?page=2"))]).await;
    let error = members(&vendor).await.unwrap_err();
    assert!(matches!(error, Error::VendorChanged { ref path, .. } if path == "links.next"), "{error:?}");
}

#[tokio::test]
async fn the_list_ends_at_a_null_absent_or_empty_link() {
    let ends =
        [json!({ "next": null }), json!({}), json!({ "next": "" }), json!({ "next": "/x?pageCursor=" })];
    for links in ends {
        let vendor = Vendor::answering([Reply::json(&json!({ "data": [member(1)], "links": links }))]).await;
        let pages = members(&vendor).await.unwrap();
        assert_eq!((pages.len(), &pages[0].next), (1, &None), "{links}");
    }
}

#[tokio::test]
async fn rows_outside_the_window_are_dropped() {
    let days = ["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"];
    let vendor = Vendor::answering([Reply::page(&days.map(activity), None)]).await;
    let pages = vendor.client().member_activities(march(1), march(3), None);
    let pages: Vec<Page<Activity>> = pages.try_collect().await.unwrap();
    let kept: Vec<_> = pages[0].items.iter().map(|activity| activity.row.day).collect();
    assert_eq!(kept, [march(1), march(2), march(3)]);
}

#[tokio::test]
async fn counters_unknown_fields_and_the_role_editor() {
    let mut row = activity("2026-03-02");
    row["gridBoardOpenedCount"] = json!(0);
    row["productCreatedCount"] = Value::Null;
    row["dreamCount"] = json!({ "lucid": 2 });
    let vendor = Vendor::answering([Reply::page(&[row], None)]).await;
    let pages = vendor.client().member_activities(march(1), march(3), None);
    let pages: Vec<Page<Activity>> = pages.try_collect().await.unwrap();
    let activity = &pages[0].items[0];
    let row = &activity.row;
    assert_eq!((activity.domain(), &row.role, row.member_id), (Some("acme"), &Role::Maker, id(1)));
    for (counter, value) in COUNTER_TABLE.iter().zip(row.counters.0) {
        let expected = match counter.field {
            "noteCreatedCount" => Some(3),
            "gridBoardOpenedCount" => Some(0),
            _ => None,
        };
        assert_eq!(value, expected, "{}", counter.field);
    }
}

#[tokio::test]
async fn members_with_hidden_names() {
    let mut hidden = member(1);
    hidden["fields"]["name"] = json!("[redacted]");
    hidden["fields"]["email"] = json!("[obfuscated]");
    hidden["fields"]["role"] = json!("steward");
    hidden["fields"]["teams"] = json!([{ "id": id(9), "name": "Core" }]);
    let vendor = Vendor::answering([Reply::page(&[hidden, member(2)], None)]).await;
    let members = members(&vendor).await.unwrap().remove(0).items;
    assert_eq!((&members[0].name, &members[0].email), (&Text::Hidden, &Text::Hidden));
    assert_eq!(members[0].role, Role::Other("steward".to_owned()));
    assert_eq!(members[0].teams, [id(9)]);
    assert_eq!(members[1].name.known(), Some("Ada"));
    assert_eq!(members[1].workspace.as_deref(), Some("acme"));
}

#[tokio::test]
async fn teams_and_their_members() {
    let team = json!({ "id": id(3), "type": "team", "fields": { "name": "Core", "handle": "core", "avatarUrl": null } });
    let in_team = json!({ "id": id(1), "type": "member", "fields": { "name": "[redacted]" } });
    let vendor = Vendor::answering([Reply::page(&[team], None), Reply::page(&[in_team], None)]).await;
    let teams: Vec<_> = vendor.client().teams(&TeamsQuery::default(), None).try_collect().await.unwrap();
    assert_eq!(
        (teams[0].items[0].name.as_str(), teams[0].items[0].handle.as_deref()),
        ("Core", Some("core"))
    );
    let members: Vec<_> = vendor.client().team_members(id(3), None).try_collect().await.unwrap();
    assert_eq!((members[0].items[0].id, &members[0].items[0].name), (id(1), &Text::Hidden));
}
