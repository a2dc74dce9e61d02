//! Hosted connect links: redeemed once, used once, for one organization.

use chrono::TimeDelta;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::{
    connections::{
        ConnectThroughLinkRequest, ConnectThroughLinkResponse, CreateConnectLinkRequest,
        RedeemConnectLinkRequest, RedeemConnectLinkResponse, Region,
    },
    status,
};
use tidemark_testkit::SeededEntropy;
use tonic::{Code, Status};

use crate::{
    office::{CONSOLE, Office, RETURN, held},
    world::{ACME, GLOBEX, World},
};

impl Office {
    fn link_request(&self) -> CreateConnectLinkRequest {
        CreateConnectLinkRequest {
            organization_id: self.world.organization.to_string(),
            organization_name: "Acme".to_owned(),
            return_url: format!("{RETURN}/done?from=tidemark"),
            ..Default::default()
        }
    }

    async fn link(&self, request: CreateConnectLinkRequest) -> Result<String, Status> {
        let response = self.caller.connect_links().create_connect_link(request).await?.into_inner();
        assert!(response.url.starts_with(&format!("{CONSOLE}/connect/")), "{}", response.url);
        Ok(held(&response.url))
    }

    async fn redeem(&self, token: &str) -> Result<RedeemConnectLinkResponse, Status> {
        let request = RedeemConnectLinkRequest { token: token.to_owned() };
        Ok(self.caller.connect_links().redeem_connect_link(request).await?.into_inner())
    }

    async fn connect(&self, session: &str, key: &str) -> Result<ConnectThroughLinkResponse, Status> {
        let (session, api_key, region) = (session.to_owned(), key.to_owned(), Region::Us.into());
        let request = ConnectThroughLinkRequest { session, api_key, region };
        Ok(self.caller.connect_links().connect_through_link(request).await?.into_inner())
    }
}

fn code<T>(result: Result<T, Status>) -> Code {
    result.map(drop).unwrap_err().code()
}

#[tokio::test]
async fn a_link_leads_to_one_session_and_that_to_one_connection() {
    let office = Office::new().await;
    let token = office.link(office.link_request()).await.unwrap();
    let page = office.redeem(&token).await.unwrap();
    assert_eq!(page.organization_id, office.world.organization.to_string());
    assert_eq!((page.organization_name.as_str(), page.application.as_str()), ("Acme", "productboard"));
    assert!(!page.reconnect && page.return_url.starts_with(RETURN));
    assert_eq!(code(office.redeem(&token).await), Code::NotFound, "once");
    assert_eq!(code(office.connect(&token, ACME).await), Code::NotFound, "the link is not the session");

    let refused = office.connect(&page.session, "nobodys-key").await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("KEY_REJECTED"));
    let sessions = (0..4).map(|_| office.connect(&page.session, ACME));
    let results = futures::future::join_all(sessions).await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    assert!(refused.into_iter().all(|refused| code(refused) == Code::NotFound));
    let made = made.into_iter().next().unwrap().unwrap();
    assert_eq!(made.return_url, page.return_url);
    assert_eq!(made.connection.unwrap().organization_id, page.organization_id);
    assert_eq!(office.world.stored().await, 1);
}

#[tokio::test]
async fn of_many_who_redeem_one_gets_the_session() {
    let database = tidemark_testkit::TestDatabase::postgres().await;
    let office = Office::in_world(World::on(&database.url()).await).await;
    let token = office.link(office.link_request()).await.unwrap();
    let results = futures::future::join_all((0..6).map(|_| office.redeem(&token))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
}

#[tokio::test]
async fn a_link_and_a_session_last_for_minutes() {
    let office = Office::new().await;
    let minutes = |minutes| office.advance(TimeDelta::minutes(minutes));
    let token = office.link(office.link_request()).await.unwrap();
    minutes(15);
    assert_eq!(code(office.redeem(&token).await), Code::NotFound);
    let request = CreateConnectLinkRequest { ttl_minutes: 60, ..office.link_request() };
    let token = office.link(request).await.unwrap();
    minutes(59);
    let page = office.redeem(&token).await.unwrap();
    minutes(15);
    assert_eq!(code(office.connect(&page.session, ACME).await), Code::NotFound);
    assert_eq!(office.world.simulator.requests(ACME), 0);
}

#[tokio::test]
async fn a_link_can_renew_a_connection_and_only_that() {
    let office = Office::new().await;
    let lost = office.world.lost().await;
    let request = CreateConnectLinkRequest { connection_id: lost.id.clone(), ..office.link_request() };
    let page = office.redeem(&office.link(request).await.unwrap()).await.unwrap();
    assert_eq!((page.reconnect, page.workspace.as_str()), (true, "acme"));
    let refused = office.connect(&page.session, GLOBEX).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("WRONG_WORKSPACE"));
    office.world.simulator.issue_token("acme", "acme-key-2");
    let renewed = office.connect(&page.session, "acme-key-2").await.unwrap().connection.unwrap();
    assert_eq!((renewed.id, renewed.generation), (lost.id, 2));
}

#[tokio::test]
async fn what_is_not_listed_or_not_the_callers_is_refused() {
    let office = Office::new().await;
    let good = office.link_request();
    for return_url in
        ["", "https://evil.example/apps", "https://platform.example.com/", "javascript:alert(1)"]
    {
        let request = CreateConnectLinkRequest { return_url: return_url.to_owned(), ..good.clone() };
        let refused = office.link(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{return_url}");
        assert!(refused.message().starts_with("field `return_url`"), "{refused}");
    }
    let request = CreateConnectLinkRequest { ttl_minutes: 61, ..good.clone() };
    assert_eq!(code(office.link(request).await), Code::InvalidArgument);

    let token = office.link(good.clone()).await.unwrap();
    let stranger = OrganizationId::generate(&*office.world.clock, &SeededEntropy::new(9));
    let (limited, _stop) = office.limited(&[&stranger]);
    let mut client = limited.connect_links();
    assert_eq!(code(client.create_connect_link(good).await), Code::NotFound);
    let request = RedeemConnectLinkRequest { token: token.clone() };
    assert_eq!(code(client.redeem_connect_link(request).await), Code::NotFound);
    let session = office.redeem(&token).await.unwrap().session;
    let request = ConnectThroughLinkRequest { session, api_key: ACME.to_owned(), region: 1 };
    assert_eq!(code(client.connect_through_link(request).await), Code::NotFound);
    assert_eq!(office.world.stored().await, 0);
}
