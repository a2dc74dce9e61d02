//! Members and teams, one by one and searched, by tokens that may see people and by those that may not.

use tidemark_domain::member::Role;
use tidemark_productboard::{Error, MemberSearch, MembersQuery, TeamSearch, TeamsQuery, Text};
use tidemark_productboard_sim::{Access, Faults, Plan, Region};

use crate::support::{TOKEN, all, client, client_of, client_with, options, simulator};

#[tokio::test]
async fn one_member_and_one_team() {
    let simulator = simulator().await;
    let client = client(&simulator);
    let everybody = all(client.members(&MembersQuery::everyone(), None)).await.unwrap();
    for member in &everybody[..3] {
        assert_eq!(client.member(member.id).await.unwrap(), *member);
    }
    for team in all(client.teams(&TeamsQuery::default(), None)).await.unwrap() {
        assert_eq!(client.team(team.id).await.unwrap(), team);
    }
    let error = client.member(uuid::Uuid::nil()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn members_are_found_by_each_filter() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let found = async |search: MemberSearch| all(client.search_members(&search, None)).await.unwrap().len();
    let count = |takes: fn(&tidemark_productboard_sim::Member) -> bool| {
        workspace.members.iter().filter(|member| takes(member)).count()
    };
    let everyone = MemberSearch { include_disabled: true, include_pending: true, ..MemberSearch::default() };
    assert_eq!(found(everyone.clone()).await, 60);
    let of_role = MemberSearch { roles: vec![Role::Maker], ..everyone.clone() };
    assert_eq!(found(of_role).await, count(|member| member.role == "maker"));
    let disabled = MemberSearch { disabled: Some(true), ..MemberSearch::default() };
    assert_eq!(found(disabled).await, count(|member| member.disabled));
    let pending = MemberSearch { pending: Some(true), ..MemberSearch::default() };
    assert_eq!(found(pending).await, count(|member| member.invitation_pending));
    let two = &workspace.members[..2];
    let ids = MemberSearch { ids: two.iter().map(|member| member.id).collect(), ..everyone.clone() };
    assert_eq!(found(ids).await, 2);
    let emails = two.iter().map(|member| member.email.to_uppercase()).collect();
    assert_eq!(found(MemberSearch { emails, ..everyone }).await, 2);

    let roles = MembersQuery { roles: vec![Role::Viewer], ..MembersQuery::everyone() };
    let viewers = all(client.members(&roles, None)).await.unwrap();
    assert_eq!(viewers.len(), count(|member| member.role == "viewer"));
    let too_many = MemberSearch { ids: vec![uuid::Uuid::nil(); 101], ..MemberSearch::default() };
    let error = all(client.search_members(&too_many, None)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 400, .. }), "{error:?}");
    assert!(error.to_string().contains("(at /data/filter/id)"), "{error}");
}

#[tokio::test]
async fn teams_are_found_by_each_filter_unless_the_vendor_is_blind() {
    let simulator = simulator().await;
    let client = client(&simulator);
    let team = all(client.teams(&TeamsQuery::default(), None)).await.unwrap().swap_remove(4);
    let found = async |search: TeamSearch| all(client.search_teams(&search, None)).await.unwrap();
    let by_name = TeamSearch { names: vec![team.name.to_uppercase()], ..TeamSearch::default() };
    let by_handle = TeamSearch { handles: vec![team.handle.clone().unwrap()], ..TeamSearch::default() };
    let by_id = TeamSearch { ids: vec![team.id], ..TeamSearch::default() };
    let by_text = TeamSearch { query: Some(team.name.to_lowercase()), ..TeamSearch::default() };
    for search in [&by_name, &by_handle, &by_id, &by_text] {
        assert!(found(search.clone()).await.contains(&team), "{search:?}");
    }
    let listed = TeamsQuery { name: Some(team.name.clone()), ..TeamsQuery::default() };
    assert_eq!(all(client.teams(&listed, None)).await.unwrap(), std::slice::from_ref(&team));
    simulator.faults(TOKEN, |faults| faults.team_search_empty = true);
    assert_eq!(found(by_name).await, [], "as seen live");
    assert!(found(by_text).await.contains(&team));
}

#[tokio::test]
async fn people_are_hidden_from_tokens_that_may_not_see_them() {
    let simulator = simulator().await;
    let scopes = ["members:read", "teams:read"];
    simulator.issue("acme", "masked", Access::oauth(scopes));
    let client = client_of(&simulator, "masked");
    for word in [false, true] {
        simulator.faults("masked", |faults| *faults = Faults { obfuscated_word: word, ..Faults::default() });
        let members = all(client.members(&MembersQuery::everyone(), None)).await.unwrap();
        assert_eq!(members.len(), 60);
        for member in members {
            assert_eq!(
                (member.name, member.username, member.email),
                (Text::Hidden, Text::Hidden, Text::Hidden)
            );
        }
        let team = all(client.teams(&TeamsQuery::default(), None)).await.unwrap().swap_remove(0);
        let members = all(client.team_members(team.id, None)).await.unwrap();
        assert!(members.iter().all(|member| (&member.name, &member.email) == (&Text::Hidden, &Text::Hidden)));
    }
    let by_mail = MemberSearch { emails: vec!["a@b.example".to_owned()], ..MemberSearch::default() };
    let error = all(client.search_members(&by_mail, None)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 400, .. }), "{error:?}");

    simulator.issue("acme", "teams-only", Access::oauth(["teams:read"]));
    let client = client_of(&simulator, "teams-only");
    let error = all(client.members(&MembersQuery::default(), None)).await.unwrap_err();
    assert!(
        matches!(error, Error::Forbidden { missing_scope: Some(ref scope), .. } if scope == "members:read"),
        "{error:?}"
    );
}

#[tokio::test]
async fn plans_and_regions() {
    let simulator = simulator().await;
    let members = async || all(client(&simulator).members(&MembersQuery::default(), None)).await;
    simulator.set_plan("acme", Plan::Essentials);
    let error = members().await.unwrap_err();
    assert!(matches!(error, Error::NotAvailable { .. }), "{error:?}");
    simulator.set_plan("acme", Plan::Pro);
    simulator.set_region("acme", Region::Eu);
    let error = members().await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
    let european = client_with(&simulator.eu_base_url(), TOKEN, options());
    assert!(!all(european.members(&MembersQuery::default(), None)).await.unwrap().is_empty());
}

#[tokio::test]
async fn oauth_tokens_are_not_equal_to_keys() {
    let simulator = simulator().await;
    let scopes = ["members:read", "teams:read", "analytics:read", "entities:read"];
    simulator.issue("acme", "granted", Access::oauth(scopes));
    simulator.faults("granted", |faults| faults.oauth_forbidden = true);
    let client = client_of(&simulator, "granted");
    let refused = [
        all(client.members(&MembersQuery::default(), None)).await.map(drop),
        all(client.teams(&TeamsQuery::default(), None)).await.map(drop),
        crate::support::activities(&client).await.map(drop),
    ];
    for outcome in refused {
        assert!(matches!(outcome, Err(Error::Forbidden { .. })), "{outcome:?}");
    }
    let entities = client.entities(&tidemark_productboard::EntitiesQuery::default(), None);
    assert!(!all(entities).await.unwrap().is_empty());
}
