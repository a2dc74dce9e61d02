//! In and out: the platform's link becomes a session, and a session ends.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Redirect, Response},
};
use tidemark_rpc::connections::{EndConsoleSessionRequest, RedeemConsoleLinkRequest};
use tonic::Code;

use crate::{
    cookie::{self, Name},
    failure::Failure,
    page::{self, Answer, Chrome},
    server::Console,
    visitor::Visitor,
};

/// Whether a person really goes there. A look ahead, by a browser or a scanner of links, must not use a link up.
pub(crate) fn is_visit(method: &Method, headers: &HeaderMap) -> bool {
    let purpose = ["sec-purpose", "purpose", "x-moz"].iter().filter_map(|name| headers.get(*name));
    let ahead = purpose.filter_map(|value| value.to_str().ok()).any(|text| text.contains("prefetch"));
    *method == Method::GET && !ahead
}

pub(crate) async fn enter(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, Failure> {
    if !is_visit(&method, &headers) {
        return Err(Failure::dead_link());
    }
    let request = RedeemConsoleLinkRequest { token };
    let redeemed = console.services().credentials.console().redeem_console_link(request).await;
    let redeemed = match redeemed {
        Ok(redeemed) => redeemed.into_inner(),
        Err(status) if status.code() == Code::NotFound => return Err(Failure::dead_link()),
        Err(status) => return Err(status.into()),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_ahead_uses_no_link_up() {
        let none = HeaderMap::new();
        assert!(is_visit(&Method::GET, &none));
        assert!(!is_visit(&Method::HEAD, &none));
        let ahead =
            HeaderMap::from_iter([("sec-purpose".parse().unwrap(), "prefetch;prerender".parse().unwrap())]);
        assert!(!is_visit(&Method::GET, &ahead));
    }
}
