//! The check of what is assumed of the vendor: it finds nothing where the vendor is as described, and finds each
//! difference that a switch of the simulator makes.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use secrecy::SecretString;
use tidemark_productboard::vendor_check::{
    Assumption, MOST_REQUESTS, Outcome, VendorReport, date_to_check, vendor_check,
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
    use Assumption::{CursorsStable, DefaultWindow, LimitIgnored, PageSize, RowsByDate, WindowObeyed};
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
    use Assumption::{RosterOldestFirst, RosterWhole};
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
    use Assumption::{RateHeaders, UnknownResource, UnknownRoute};
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

#[tokio::test]
async fn the_short_check_asks_twice_where_the_last_day_is_included() {
    let simulator = simulator().await;
    let (url, options) = vendor(&simulator);
    let finding = date_to_check(&url, &SecretString::from(TOKEN), &options, today()).await.unwrap();
    assert_eq!(finding.outcome, Outcome::Holds);
    assert_eq!(simulator.requests(TOKEN), 2);
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
