//! What the holder of a link is offered: to connect one workspace with a key, and to see nothing else. An invited admin's
//! link and the platform's differ in what they say and in the call that they make; everything else is here.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::rejection::FormRejection,
    http::{HeaderMap, Method, StatusCode},
};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tidemark_rpc::connections::Connection;
use tonic::{Code, Response, Status};

use super::{
    given,
    refusal::{self, Refused},
};
use crate::{
    failure::Failure,
    form, limit,
    page::{self, Answer, Chrome},
    server::Console,
    view::{Moment, connection::Card},
};

/// The page with the form.
#[derive(Template)]
#[template(path = "offer.html")]
pub(super) struct Offer {
    pub(super) chrome: Chrome,
    /// Where the form goes.
    pub(super) action: String,
    pub(super) form_token: String,
    /// Who asks for what.
    pub(super) lead: String,
    pub(super) is_reconnect: bool,
    pub(super) ends: Option<Moment>,
    pub(super) refused: Option<Refused>,
    pub(super) is_eu: bool,
}

#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    region: String,
}

/// What came of a key.
pub(super) struct Made {
    pub(super) connection: Option<Connection>,
    pub(super) organization: String,
    /// Where the person goes on; empty where that is nowhere.
    pub(super) return_url: String,
}

/// After the key was taken.
#[derive(Template)]
#[template(path = "thanks.html")]
struct Thanks {
    chrome: Chrome,
    card: Card,
    organization: String,
    return_url: String,
}

impl Offer {
    pub(super) fn show(&self) -> Answer {
        let status = self.refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
        page::show_as(status, self)
    }

    /// The region that the key is of is chosen already.
    fn refuse(self, refused: Refused, region: &str) -> Answer {
        let is_eu = (region == "eu") != refused.other_region;
        Self { is_eu, refused: Some(refused), ..self }.show()
    }
}

/// Whether a person really goes there. A look ahead, by a browser or a scanner of links, must not use a link up.
pub(super) fn check_visit(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let purpose = ["sec-purpose", "purpose", "x-moz"].iter().filter_map(|name| headers.get(*name));
    let ahead = purpose.filter_map(|value| value.to_str().ok()).any(|text| text.contains("prefetch"));
    if *method == Method::GET && !ahead { Ok(()) } else { Err(Failure::dead_link()) }
}

/// What a link opens. Whatever opens nothing gets one and the same answer.
pub(super) fn opened<T>(answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    match answer {
        Ok(opened) => Ok(opened.into_inner()),
        Err(status) if status.code() == Code::NotFound => Err(Failure::dead_link()),
        Err(status) => Err(status.into()),
    }
}

/// The form of a page without a session: it comes from that page, or it is refused.
pub(super) fn check(
    console: &Console,
    headers: &HeaderMap,
    sent: Result<Form<Fields>, FormRejection>,
    secret: &str,
) -> Result<Fields, Failure> {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let expected = form::token_of(secret);
    let is_known: bool = fields.form_token.as_bytes().ct_eq(expected.as_bytes()).into();
    if is_known && form::is_own(headers, &console.settings().public_url) {
        return Ok(fields);
    }
    Err(Failure::stale_form())
}

/// Tries the key: thanks, or the form again with what Productboard said of it.
pub(super) async fn connect<F>(
    console: &Console,
    (headers, peer): (&HeaderMap, SocketAddr),
    offer: Offer,
    fields: Fields,
    call: impl FnOnce(String, i32) -> F,
) -> Answer
where
    F: Future<Output = Result<Made, Status>>,
{
    let settings = console.settings();
    let address = limit::address(headers, &settings.client_address_header, peer);
    if let Err(wait) = console.tries().take(&offer.form_token, address) {
        return offer.refuse(refusal::too_many(wait), &fields.region);
    }
    match call(fields.api_key, refusal::region(&fields.region).into()).await {
        Ok(Made { connection, organization, return_url }) => page::show(&Thanks {
            chrome: Chrome::outside(settings, "Productboard is connected"),
            card: Card::from(given(connection)?),
            organization,
            return_url,
        }),
        Err(status) if status.code() == Code::NotFound => Err(Failure::dead_link()),
        Err(status) => offer.refuse(refusal::of(status)?, &fields.region),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_ahead_uses_no_link_up() {
        let none = HeaderMap::new();
        assert!(check_visit(&Method::GET, &none).is_ok());
        assert!(check_visit(&Method::HEAD, &none).is_err());
        let ahead =
            HeaderMap::from_iter([("sec-purpose".parse().unwrap(), "prefetch;prerender".parse().unwrap())]);
        assert!(check_visit(&Method::GET, &ahead).is_err());
    }
}
