//! The client against the simulator: two readings of the same description of the API must agree.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_productboard::{Activity, Client, Error, LocalBudget, MembersQuery, Options, TeamsQuery};
use tidemark_productboard_sim as sim;

const TOKEN: &str = "contract-token";

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 12).unwrap()
}

/// Small pages, so that there are many.
async fn simulator() -> sim::Simulator {
    let options = sim::Options { requests_per_second: 0, page_size: 7 };
    let simulator = sim::Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let spec = sim::WorkspaceSpec::new("acme", 60, today()).teams(9).days(20);
    simulator.add(sim::Workspace::generate(&spec), TOKEN);
    simulator
}

fn client(simulator: &sim::Simulator) -> Client {
    let options =
        Options { budget: Arc::new(LocalBudget::new(10_000)), max_attempts: 3, ..Options::default() };
    let base_url = simulator.base_url().parse().unwrap();
    let options = options.trust(&base_url);
    Client::new(&base_url, SecretString::from(TOKEN), options).unwrap()
}

async fn activities(simulator: &sim::Simulator) -> Result<Vec<Activity>, Error> {
    let from = today() - chrono::Days::new(6);
    let pages = client(simulator).member_activities(from, today(), None);
    Ok(pages.try_collect::<Vec<_>>().await?.into_iter().flat_map(|page| page.items).collect())
}

#[tokio::test]
async fn members_and_teams_are_those_of_the_workspace() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);

    let pages: Vec<_> = client.members(&MembersQuery::everyone(), None).try_collect().await.unwrap();
    let members: BTreeMap<_, _> =
        pages.into_iter().flat_map(|page| page.items).map(|member| (member.id, member)).collect();
    assert_eq!(members.len(), workspace.members.len());
    for expected in &workspace.members {
        let member = &members[&expected.id];
        assert_eq!(member.name.known(), Some(expected.name.as_str()));
        assert_eq!(member.email.known(), Some(expected.email.as_str()));
        assert_eq!(member.role.as_str(), expected.role);
        assert_eq!((member.disabled, member.pending), (expected.disabled, expected.invitation_pending));
        assert_eq!(member.teams, expected.teams);
        assert_eq!(member.workspace.as_deref(), Some("acme"));
    }

    let teams: Vec<_> = client.teams(&TeamsQuery::default(), None).try_collect().await.unwrap();
    let teams: Vec<_> = teams.into_iter().flat_map(|page| page.items).collect();
    assert_eq!(teams.len(), 9);
    for team in teams {
        let pages: Vec<_> = client.team_members(team.id, None).try_collect().await.unwrap();
        let count: usize = pages.iter().map(|page| page.items.len()).sum();
        assert_eq!(count, workspace.memberships.iter().filter(|it| it.team_id == team.id).count());
    }
}

#[tokio::test]
async fn activities_survive_every_next_link_and_shape() {
    let simulator = simulator().await;
    let faithful = activities(&simulator).await.unwrap();
    assert!(faithful.len() > 14, "more than two pages: {}", faithful.len());
    assert!(faithful.iter().any(|activity| activity.row.is_active()));
    for next_link in [sim::NextLink::Relative, sim::NextLink::WithoutDates] {
        simulator.faults(TOKEN, |faults| {
            faults.next_link = next_link;
            faults.unknown_fields = true;
        });
        assert_eq!(activities(&simulator).await.unwrap(), faithful, "{next_link:?}");
    }
    simulator.faults(TOKEN, |faults| faults.hide_zeros = true);
    let sparse = activities(&simulator).await.unwrap();
    for (sparse, full) in sparse.iter().zip(&faithful) {
        assert!(sparse.row.counters.actions().eq(full.row.counters.actions()));
    }
}

#[tokio::test]
async fn faults_come_out_as_their_errors() {
    let simulator = simulator().await;
    simulator.faults(TOKEN, |faults| faults.fail_next = [503, 429].into());
    activities(&simulator).await.unwrap();

    for status in [403, 404, 501] {
        simulator.faults(TOKEN, |faults| faults.analytics_unavailable = Some(status));
        let error = activities(&simulator).await.unwrap_err();
        let expected = match status {
            403 => matches!(error, Error::Forbidden { .. }),
            _ => matches!(error, Error::NotAvailable { .. }),
        };
        assert!(expected, "{status}: {error:?}");
        assert!(error.vendor_id().unwrap().starts_with("req-"));
    }

    simulator.faults(TOKEN, |faults| {
        *faults = sim::Faults { repeat_last_cursor: true, ..sim::Faults::default() };
    });
    let error = activities(&simulator).await.unwrap_err();
    assert!(matches!(error, Error::VendorChanged { ref path, .. } if path == "links.next"), "{error:?}");

    simulator.faults(TOKEN, |faults| {
        *faults = sim::Faults { forbidden: [sim::Route::Teams].into(), ..sim::Faults::default() };
    });
    let error =
        client(&simulator).teams(&TeamsQuery::default(), None).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(
        matches!(error, Error::Forbidden { missing_scope: Some(ref scope), .. } if scope == "teams:read"),
        "{error:?}"
    );

    simulator.revoke(TOKEN);
    assert!(matches!(activities(&simulator).await.unwrap_err(), Error::Rejected { .. }));
}
