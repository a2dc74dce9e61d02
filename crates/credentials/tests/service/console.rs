//! Sessions of the console: links that work once, sessions with two ends, secrets that change.

use chrono::TimeDelta;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::connections::{
    ConsoleRole, CreateConsoleLinkRequest, EndConsoleSessionRequest, RedeemConsoleLinkRequest,
    RedeemConsoleLinkResponse, TouchConsoleSessionRequest, TouchConsoleSessionResponse,
};
use tidemark_testkit::SeededEntropy;
use tonic::{Code, Status};

use crate::office::{CONSOLE, Office, held};

impl Office {
    fn entry(&self) -> CreateConsoleLinkRequest {
        CreateConsoleLinkRequest {
            organization_id: self.world.organization.to_string(),
            organization_name: "Acme".to_owned(),
            person: "Ada".to_owned(),
            role: ConsoleRole::Admin.into(),
            path: "/connections".to_owned(),
            ttl_minutes: 0,
        }
    }

    async fn let_in(&self, request: CreateConsoleLinkRequest) -> Result<String, Status> {
        let response = self.caller.console().create_console_link(request).await?.into_inner();
        assert!(response.url.starts_with(&format!("{CONSOLE}/enter/")), "{}", response.url);
        Ok(held(&response.url))
    }

    async fn enter(&self, token: &str) -> Result<RedeemConsoleLinkResponse, Status> {
        let request = RedeemConsoleLinkRequest { token: token.to_owned() };
        Ok(self.caller.console().redeem_console_link(request).await?.into_inner())
    }

    async fn touch(&self, session: &str, passive: bool) -> Result<TouchConsoleSessionResponse, Status> {
        let request = TouchConsoleSessionRequest { session: session.to_owned(), passive };
        Ok(self.caller.console().touch_console_session(request).await?.into_inner())
    }

    async fn session(&self) -> String {
        let token = self.let_in(self.entry()).await.unwrap();
        self.enter(&token).await.unwrap().session
    }
}

fn code<T>(result: Result<T, Status>) -> Code {
    result.map(drop).unwrap_err().code()
}

#[tokio::test]
async fn a_link_lets_one_person_in_once() {
    let office = Office::new().await;
    let token = office.let_in(office.entry()).await.unwrap();
    let entered = office.enter(&token).await.unwrap();
    let claims = entered.claims.unwrap();
    assert_eq!((claims.person.as_str(), claims.role()), ("Ada", ConsoleRole::Admin));
    assert_eq!(claims.organization_id, office.world.organization.to_string());
    assert_eq!(entered.path, "/connections");
    assert!(claims.form_token.len() > 40 && claims.form_token != entered.session);
    assert_eq!(code(office.enter(&token).await), Code::NotFound, "once");
    assert_eq!(code(office.touch(&token, false).await), Code::NotFound, "the link is not the session");
    assert_eq!(office.touch(&entered.session, false).await.unwrap().claims.unwrap().person, "Ada");
    let late = office.let_in(office.entry()).await.unwrap();
    office.advance(TimeDelta::minutes(5));
    let told = |refused: Result<RedeemConsoleLinkResponse, Status>| {
        let refused = refused.unwrap_err();
        (refused.message().to_owned(), refused.details().to_vec())
    };
    let unknown = "A".repeat(43);
    let answers = [told(office.enter(&late).await), told(office.enter(&token).await)];
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0], told(office.enter(&unknown).await), "used, late and unknown read the same");
}

#[tokio::test]
async fn what_was_lent_and_exchanged_is_in_the_audit_log() {
    let office = Office::new().await;
    let token = office.let_in(office.entry()).await.unwrap();
    office.enter(&token).await.unwrap();
    let chain = office.world.organization.as_str();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let entries = loop {
        let entries = office.world.store.audit_entries(chain, 0, 100).await.unwrap();
        let links: Vec<_> = entries.into_iter().filter(|it| it.action.starts_with("link.")).collect();
        // The second one is written soon after.
        if links.len() == 2 {
            break links;
        }
        assert!(tokio::time::Instant::now() < deadline, "{links:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!([entries[0].action.as_str(), &entries[1].action], ["link.create", "link.redeem"]);
    assert_eq!(entries[0].subject, entries[1].subject, "the same link");
    let text = format!("{entries:?}");
    assert!(text.contains("admin") && !text.contains(&token), "{text}");
}

#[tokio::test]
async fn a_session_ends_when_it_is_left_and_after_twelve_hours() {
    let office = Office::new().await;
    let left = office.session().await;
    office.advance(TimeDelta::minutes(59));
    office.touch(&left, true).await.unwrap();
    office.advance(TimeDelta::minutes(1));
    assert_eq!(
        code(office.touch(&left, false).await),
        Code::NotFound,
        "a page that looks by itself is no use"
    );

    let mut session = office.session().await;
    for _ in 0..23 {
        office.advance(TimeDelta::minutes(30));
        let touched = office.touch(&session, false).await.unwrap();
        assert!(!touched.session.is_empty() && touched.session != session, "it changes its secret");
        session = touched.session;
    }
    office.advance(TimeDelta::minutes(30));
    assert_eq!(code(office.touch(&session, false).await), Code::NotFound);
}

#[tokio::test]
async fn the_secret_before_works_for_a_minute_and_an_end_is_an_end() {
    let office = Office::new().await;
    let first = office.session().await;
    assert_eq!(office.touch(&first, false).await.unwrap().session, "", "it is still fresh");
    office.advance(TimeDelta::minutes(15));
    assert_eq!(office.touch(&first, true).await.unwrap().session, "", "looking changes nothing");
    let second = office.touch(&first, false).await.unwrap().session;
    assert_eq!(
        office.touch(&first, false).await.unwrap().session,
        "",
        "one change for all that come at once"
    );
    office.advance(TimeDelta::minutes(1));
    assert_eq!(code(office.touch(&first, false).await), Code::NotFound);
    office.touch(&second, false).await.unwrap();
    for _ in 0..2 {
        let request = EndConsoleSessionRequest { session: second.clone() };
        office.caller.console().end_console_session(request).await.unwrap();
        assert_eq!(code(office.touch(&second, false).await), Code::NotFound);
    }
}

#[tokio::test]
async fn only_the_organizations_own_callers_and_only_pages_of_the_console() {
    let office = Office::new().await;
    let good = office.entry();
    let wrong = [
        CreateConsoleLinkRequest { role: 0, ..good.clone() },
        CreateConsoleLinkRequest { path: "//evil.example".to_owned(), ..good.clone() },
        CreateConsoleLinkRequest { person: String::new(), ..good.clone() },
        CreateConsoleLinkRequest { ttl_minutes: 61, ..good.clone() },
    ];
    for request in wrong {
        assert_eq!(code(office.let_in(request).await), Code::InvalidArgument);
    }
    let token = office.let_in(good.clone()).await.unwrap();
    let stranger = OrganizationId::generate(&*office.world.clock, &SeededEntropy::new(9));
    let (limited, _stop) = office.limited(&[&stranger]);
    let mut client = limited.console();
    assert_eq!(code(client.create_console_link(good).await), Code::NotFound);
    let request = RedeemConsoleLinkRequest { token: token.clone() };
    assert_eq!(code(client.redeem_console_link(request).await), Code::NotFound);
    let session = office.enter(&token).await.unwrap().session;
    let request = TouchConsoleSessionRequest { session: session.clone(), passive: false };
    assert_eq!(code(client.touch_console_session(request).await), Code::NotFound);
    let request = EndConsoleSessionRequest { session: session.clone() };
    client.end_console_session(request).await.unwrap();
    office.touch(&session, false).await.unwrap();
}
