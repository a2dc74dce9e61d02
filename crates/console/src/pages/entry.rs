//! In and out: the platform's link becomes a session, and a session ends.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Redirect, Response},
};
use tidemark_rpc::connections::{EndConsoleSessionRequest, RedeemConsoleLinkRequest};

use super::offer;
use crate::{
    cookie::{self, Name},
    failure::Failure,
    page::{self, Answer, Chrome},
    server::Console,
    visitor::Visitor,
};

pub(crate) async fn enter(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, Failure> {
    offer::check_visit(&method, &headers)?;
    let request = RedeemConsoleLinkRequest { token };
    let redeemed =
        offer::opened(console.services().credentials.console().redeem_console_link(request).await)?;
    let settings = console.settings();
    // Only ever a path below the console: the service has checked it, and so has this line.
    let path = if redeemed.path.starts_with("//") { "/" } else { &redeemed.path };
    let mut response = Redirect::to(&format!("{}{path}", settings.base())).into_response();
    let cookie = cookie::set(settings, Name::Session, &redeemed.session, None);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(crate) async fn leave(
    State(console): State<Console>,
    _: Visitor,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let settings = console.settings();
    if let Some(session) = cookie::read(&headers, settings, Name::Session) {
        let request = EndConsoleSessionRequest { session };
        console.services().credentials.console().end_console_session(request).await?;
    }
    let mut response = super::see(settings.base(), "/left");
    response.headers_mut().append(header::SET_COOKIE, cookie::clear(settings, Name::Session));
    Ok(response)
}

#[derive(Template)]
#[template(path = "left.html")]
struct Left {
    chrome: Chrome,
}

pub(crate) async fn left(State(console): State<Console>) -> Answer {
    page::show(&Left { chrome: Chrome::outside(console.settings(), "Signed out") })
}
