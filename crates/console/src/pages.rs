//! The pages, by who may see them. What changes something stands in [`changes`], and nowhere else.

mod connect;
mod connections;
mod consent;
mod disconnect;
mod entry;
mod events;
mod hosted;
mod invites;
mod landing;
mod offer;
mod refusal;
mod syncs;
mod usage;
mod watch;

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tonic::Code;

use crate::{asset, failure::Failure, server::Console};

/// For everybody with a session.
pub(crate) fn looks() -> Router<Console> {
    Router::new()
        .route("/", get(connections::list))
        .route("/connections", get(connections::list))
        .route("/connections/live", get(connections::live_list))
        .route("/connections/{id}", get(connections::one))
        .route("/connections/{id}/live", get(connections::live_one))
        .route("/connections/{id}/events", get(events::history))
        .route("/connections/{id}/syncs", get(syncs::history))
        .route("/syncs/{id}", get(syncs::one))
        .route("/syncs/{id}/live", get(syncs::live))
        .route("/invites", get(invites::list))
        .route("/usage", get(usage::list))
        .route("/usage/{id}", get(usage::dashboard::show))
        .route("/usage/{id}/live", get(usage::dashboard::live))
        .route("/usage/{id}/seats", get(usage::seats::list))
        .route("/usage/{id}/seats/{member}", get(usage::seat::show))
        .route("/usage/{id}/recommendations", get(usage::recommendations::list))
        .route("/usage/{id}/groups", get(usage::groups::list))
        .route("/usage/{id}/contract", get(usage::contract::show))
        .route("/usage/{id}/export/{file}", get(usage::export::send))
        .route("/leave", post(entry::leave))
}

/// For admins.
pub(crate) fn changes() -> Router<Console> {
    Router::new()
        .route("/connect", get(connect::ask).post(connect::create))
        .route("/connections/{id}/reconnect", get(connect::ask_again).post(connect::reconnect))
        .route("/connections/{id}/probe", post(connections::probe))
        .route("/connections/{id}/sync", post(syncs::start))
        .route("/connections/{id}/disconnect", get(disconnect::ask).post(disconnect::disconnect))
        .route("/consent", post(consent::begin))
        .route("/oauth/callback", get(consent::complete))
        .route("/invite", get(invites::ask).post(invites::create))
        .route("/invites/{id}/resend", post(invites::resend))
        .route("/invites/{id}/revoke", post(invites::revoke))
        .route("/usage/{id}/seats/{member}/accept", post(usage::decisions::accept))
        .route("/usage/{id}/seats/{member}/withdraw", post(usage::decisions::withdraw))
        .route("/usage/{id}/seats/{member}/exempt", post(usage::decisions::exempt))
        .route("/usage/{id}/seats/{member}/unexempt", post(usage::decisions::end))
        .route("/usage/{id}/contract", post(usage::contract::set))
}

/// For those who hold a link.
pub(crate) fn outside() -> Router<Console> {
    Router::new()
        .route("/enter/{token}", get(entry::enter))
        .route("/invitations/{token}", get(landing::open).post(landing::accept))
        .route("/connect/{token}", get(hosted::redeem))
        .route("/hosted", get(hosted::ask).post(hosted::connect))
}

/// For anybody, without a question to any service.
pub(crate) fn open() -> Router<Console> {
    Router::new()
        .route("/left", get(entry::left))
        .route("/assets/{name}", get(asset::serve))
        .route("/healthz", get(async || "ok\n"))
}

/// After a form: the browser asks for the page that shows what came of it.
fn see(base: &str, path: &str) -> Response {
    Redirect::to(&format!("{base}{path}")).into_response()
}

/// A message that the contract promises.
fn given<T>(part: Option<T>) -> Result<T, Failure> {
    part.ok_or_else(|| tonic::Status::new(Code::Internal, "an answer lacks what it is about").into())
}
