//! A person's consent at Productboard: there, and back. A cookie of this browser ties the two together.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tidemark_rpc::connections::{BeginConsentRequest, CompleteConsentRequest};

use super::{
    given,
    refusal::{self, Refused},
    see,
};
use crate::{
    cookie::{self, Name},
    failure::Failure,
    form,
    page::{self, Answer, Chrome, Place},
    server::Console,
    visitor::Visitor,
};

/// As long as a consent can be completed.
const LIFE_SECONDS: u32 = 600;

#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    connection_id: String,
    #[serde(default)]
    region: String,
}

/// What comes back from the vendor.
#[derive(Deserialize)]
pub(crate) struct Returned {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    iss: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct NotConsented {
    chrome: Chrome,
    refused: Refused,
}

pub(crate) async fn begin(
    State(console): State<Console>,
    visitor: Visitor,
    sent: Result<Form<Fields>, FormRejection>,
) -> Answer {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let session = form::secret(console.entropy());
    let is_new = fields.connection_id.is_empty();
    let request = BeginConsentRequest {
        organization_id: if is_new { visitor.organization.to_string() } else { String::new() },
        connection_id: fields.connection_id,
        region: refusal::region(&fields.region).into(),
        session: session.clone(),
    };
    let begun = match visitor.services.credentials.connections().begin_consent(request).await {
        Ok(begun) => begun.into_inner(),
        Err(status) => return not_consented(&visitor, refusal::of(status)?),
    };
    let mut response = Redirect::to(&begun.authorize_url).into_response();
    let cookie = cookie::set(console.settings(), Name::Consent, &session, Some(LIFE_SECONDS));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(crate) async fn complete(
    State(console): State<Console>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Answer {
    let settings = console.settings();
    let Some(session) = cookie::read(&headers, settings, Name::Consent) else {
        return not_consented(&visitor, unknown());
    };
    let Returned { state, code, error, iss } = returned;
    let request = CompleteConsentRequest { session, state, code, error, iss };
    let completed = visitor.services.credentials.connections().complete_consent(request).await;
    let mut response: Response = match completed {
        Ok(completed) => {
            let connection = given(completed.into_inner().connection)?;
            see(&visitor.base, &format!("/connections/{}?news=true", connection.id))
        }
        Err(status) if status.code() == tonic::Code::NotFound => not_consented(&visitor, unknown())?,
        Err(status) => not_consented(&visitor, refusal::of(status)?)?,
    };
    response.headers_mut().append(header::SET_COOKIE, cookie::clear(settings, Name::Consent));
    Ok(response)
}

fn unknown() -> Refused {
    Refused {
        title: "This consent is not known here",
        sentence: "It was begun in another browser, it is older than ten minutes, or it has ended already. \
                   Nothing was stored."
            .to_owned(),
        status: StatusCode::NOT_FOUND,
        other_region: false,
    }
}

fn not_consented(visitor: &Visitor, refused: Refused) -> Answer {
    let chrome = Chrome::of(visitor, Place::Connections, refused.title);
    page::show_as(refused.status, &NotConsented { chrome, refused })
}
