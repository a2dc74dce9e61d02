//! The check of what is assumed of the vendor: it finds nothing where the vendor is as described, and finds each
//! difference that a switch of the simulator makes.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use secrecy::SecretString;
use tidemark_productboard::vendor_check::{
    Assumption, Finding, MOST_QUICK, MOST_REQUESTS, Outcome, VendorReport, quick_check, vendor_check,
};
use tidemark_productboard::{Error, Options};
use tidemark_productboard_sim::{self as sim, Faults, Route, Simulator};
use url::Url;

use crate::support::{TOKEN, today};

/// Large enough to show everything: several pages, members that joined over a year, objectives, pending members.
async fn simulator() -> Simulator {
    static ACME: LazyLock<sim::Workspace> = LazyLock::new(|| {
        sim::Workspace::generate(&sim::WorkspaceSpec::new("acme", 80, today()).teams(4).days(420))
    });
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), sim::Options::default()).await.unwrap();
    simulator.add(ACME.clone(), TOKEN);
    simulator
}

fn vendor(simulator: &Simulator) -> (Url, Options) {
    let url: Url = simulator.base_url().parse().unwrap();
    (url.clone(), Options::default().trust(&url))
}

async fn report(simulator: &Simulator) -> VendorReport {
    let (url, options) = vendor(simulator);
    vendor_check(&url, &SecretString::from(TOKEN), &options, today(), |_| {}).await.unwrap()
}

fn outcomes(report: &VendorReport) -> BTreeMap<Assumption, Outcome> {
    report.findings.iter().map(|finding| (finding.assumption, finding.outcome)).collect()
}

/// What the check finds of a vendor whose switches are set.
async fn differing(change: impl FnOnce(&mut Faults)) -> Vec<Assumption> {
    let simulator = simulator().await;
    simulator.faults(TOKEN, change);
    let report = report(&simulator).await;
    let differs = report.findings.iter().filter(|finding| finding.outcome == Outcome::Differs);
    differs.map(|finding| finding.assumption).collect()
}

#[tokio::test]
async fn a_vendor_as_described_holds_every_assumption() {
    let report = report(&simulator().await).await;
    assert_eq!(report.findings.len(), Assumption::ALL.len());
    for finding in &report.findings {
        assert_eq!(finding.outcome, Outcome::Holds, "{finding:?}");
    }
    assert!(report.requests <= MOST_REQUESTS, "{}", report.requests);
}

#[tokio::test]
async fn each_difference_of_days_and_pages_is_found() {
    use Assumption::{
        CursorsStable, DateToInclusive, DefaultWindow, LimitIgnored, PageSize, RowsByDate, WindowObeyed,
    };
    let found = differing(|faults| faults.date_to_exclusive = true).await;
    assert!(found.contains(&DateToInclusive), "{found:?}");
    let found = differing(|faults| faults.window_ignored = true).await;
    assert!(found.contains(&WindowObeyed), "{found:?}");
    let found = differing(|faults| faults.default_window_days = Some(30)).await;
    assert!(found.contains(&DefaultWindow), "{found:?}");
    let found = differing(|faults| faults.activity_newest_first = true).await;
    assert!(found.contains(&RowsByDate), "{found:?}");
    let found = differing(|faults| faults.page_rows = Some(50)).await;
    assert!(found.contains(&PageSize), "{found:?}");
    let found = differing(|faults| faults.activity_limit_obeyed = true).await;
    assert!(found.contains(&LimitIgnored), "{found:?}");
    let found = differing(|faults| faults.cursors_drift = true).await;
    assert!(found.contains(&CursorsStable), "{found:?}");
}

#[tokio::test]
async fn each_difference_of_rows_is_found() {
    use Assumption::{ActivityOfMembers, BoardTotals, FieldsKnown, OwnCounters};
    let found = differing(|faults| faults.totals_zero = true).await;
    assert!(found.contains(&BoardTotals), "{found:?}");
    let found = differing(|faults| faults.repeated_totals = true).await;
    assert!(found.contains(&OwnCounters), "{found:?}");
    let found = differing(|faults| faults.unknown_member_ids = true).await;
    assert!(found.contains(&ActivityOfMembers), "{found:?}");
    let found = differing(|faults| faults.unknown_fields = true).await;
    assert!(found.contains(&FieldsKnown), "{found:?}");
}

#[tokio::test]
async fn each_difference_of_the_roster_is_found() {
    use Assumption::{RolesKnown, RosterOldestFirst, RosterWhole};
    let steward = sim::Swap {
        find: r#""role":"viewer""#.to_owned(),
        put: r#""role":"steward""#.to_owned(),
        most: None,
    };
    let found = differing(|faults| faults.body_swaps = vec![steward]).await;
    assert!(found.contains(&RolesKnown), "{found:?}");
    let found = differing(|faults| faults.members_newest_first = true).await;
    assert!(found.contains(&RosterOldestFirst), "{found:?}");
    let found = differing(|faults| faults.include_ignored = true).await;
    assert!(found.contains(&RosterWhole), "{found:?}");
}

#[tokio::test]
async fn each_difference_of_searches_is_found() {
    use Assumption::{NotesByUpdated, ObjectivesSearched, SearchByUpdated, SearchWithoutType};
    let found = differing(|faults| faults.objective_search_empty = true).await;
    assert_eq!(found, [ObjectivesSearched]);
    let found = differing(|faults| faults.untyped_search_empty = true).await;
    assert!(found.contains(&SearchWithoutType) && !found.contains(&SearchByUpdated), "{found:?}");
    let found = differing(|faults| faults.updated_filter_ignored = true).await;
    assert!(found.contains(&SearchByUpdated) && found.contains(&NotesByUpdated), "{found:?}");
}

#[tokio::test]
async fn each_difference_of_answers_is_found() {
    use Assumption::{RateHeaders, Refusals, UnknownResource, UnknownRoute};
    let vendor = simulator().await;
    // What is sent in the place of a key: of the workspace, and dead.
    vendor.issue_token("acme", "not-a-key");
    vendor.faults("not-a-key", |faults| {
        faults.revoke_after = Some(0);
        faults.unauthorized_body = Some("<p>no</p>".to_owned());
    });
    assert_eq!(outcomes(&report(&vendor).await)[&Refusals], Outcome::Differs);
    let found = differing(|faults| faults.not_found_code = Some("gone.away".to_owned())).await;
    assert!(found.contains(&UnknownRoute) && found.contains(&UnknownResource), "{found:?}");
    let found = differing(|faults| faults.rate_headers = sim::RateHeaders::Absent).await;
    assert!(found.contains(&RateHeaders), "{found:?}");
}

#[tokio::test]
async fn what_the_key_may_not_read_could_not_be_seen() {
    let simulator = simulator().await;
    let forbidden = HashSet::from([Route::MemberActivities, Route::EntitiesSearch, Route::Notes]);
    simulator.faults(TOKEN, |faults| faults.forbidden = forbidden);
    let found = outcomes(&report(&simulator).await);
    for assumption in [Assumption::DateToInclusive, Assumption::SearchByUpdated, Assumption::NotesByUpdated] {
        assert_eq!(found[&assumption], Outcome::Unseen, "{assumption:?}");
    }
}

#[tokio::test]
async fn a_refused_key_ends_the_check_with_the_clients_error() {
    let simulator = simulator().await;
    let (url, options) = vendor(&simulator);
    let token = SecretString::from("somebody-elses-key");
    let error = vendor_check(&url, &token, &options, today(), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
}

async fn quick(simulator: &Simulator) -> Vec<Finding> {
    let (url, options) = vendor(simulator);
    let deadline = Duration::from_secs(5);
    quick_check(&url, &SecretString::from(TOKEN), &options, today(), deadline).await.unwrap()
}

#[tokio::test]
async fn the_cheap_checks_find_what_decides_numbers_and_verdicts() {
    use Assumption::{DateToInclusive, RosterWhole, UnknownRoute, WindowObeyed};
    let all = [DateToInclusive, WindowObeyed, RosterWhole, UnknownRoute];
    let off = Faults::default;
    let differing = [
        (off(), None),
        (Faults { date_to_exclusive: true, ..off() }, Some(DateToInclusive)),
        (Faults { window_ignored: true, ..off() }, Some(WindowObeyed)),
        (Faults { include_ignored: true, ..off() }, Some(RosterWhole)),
        (Faults { not_found_code: Some("gone.away".to_owned()), ..off() }, Some(UnknownRoute)),
    ];
    for (changed, expected) in differing {
        let simulator = simulator().await;
        simulator.faults(TOKEN, |faults| *faults = changed);
        let findings = quick(&simulator).await;
        assert_eq!(findings.iter().map(|it| it.assumption).collect::<Vec<_>>(), all);
        let differs = |it: &&Finding| it.outcome == Outcome::Differs;
        let found: Vec<_> = findings.iter().filter(differs).map(|it| it.assumption).collect();
        assert_eq!(found, Vec::from_iter(expected));
        assert!(simulator.requests(TOKEN) <= MOST_QUICK.into(), "{}", simulator.requests(TOKEN));
    }
}

/// A vendor that hangs, refuses or is in trouble: nothing could be seen, and soon.
#[tokio::test]
async fn cheap_checks_that_cannot_be_made_end_in_time() {
    let troubles: [fn(&mut Faults); 4] = [
        |faults| faults.hangs = true,
        |faults| faults.fail_next = std::iter::repeat_n(503, 100).collect(),
        |faults| faults.storm_429 = Some(sim::Storm { requests: 100, retry_after_secs: 3_600 }),
        |faults| faults.malformed_json = 100,
    ];
    for trouble in troubles {
        let simulator = simulator().await;
        simulator.faults(TOKEN, trouble);
        let (url, options) = vendor(&simulator);
        let begun = std::time::Instant::now();
        let deadline = Duration::from_millis(600);
        let findings =
            quick_check(&url, &SecretString::from(TOKEN), &options, today(), deadline).await.unwrap();
        assert!(findings.iter().all(|it| it.outcome != Outcome::Differs), "{findings:?}");
        assert_eq!(findings[0].outcome, Outcome::Unseen);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn no_name_address_or_id_is_in_a_report() {
    let simulator = simulator().await;
    simulator.faults(TOKEN, |faults| (faults.unknown_fields, faults.unknown_member_ids) = (true, true));
    let text = format!("{:?}", report(&simulator).await);
    for member in &simulator.workspace("acme").unwrap().members {
        for secret in [&member.name, &member.email, &member.id.to_string()] {
            assert!(!text.contains(secret.as_str()), "{secret}");
        }
    }
    assert!(!text.contains(TOKEN) && !text.contains("acme"), "{text}");
}
