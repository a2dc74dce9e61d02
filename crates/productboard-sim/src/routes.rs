//! The routes: those of the vendor's API behind the gate, its OAuth server, and the simulator's own `/admin`.

mod admin;
mod analytics;
mod members;
mod oauth;
mod teams;
mod webhooks;

use axum::Router;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

use crate::Route;
use crate::error::ApiError;
use crate::gate::{Api, pass};

pub(crate) fn router(api: Api) -> Router {
    let gated =
        |route: Route, method: MethodRouter| method.layer(from_fn_with_state((api.clone(), route), pass));
    let subscriptions = gated(Route::Webhooks, get(webhooks::list).with_state(api.clone()))
        .merge(gated(Route::CreateWebhook, post(webhooks::create).with_state(api.clone())));
    let subscription = gated(Route::Webhook, get(webhooks::one).with_state(api.clone()))
        .merge(gated(Route::DeleteWebhook, delete(webhooks::delete).with_state(api.clone())));
    Router::new()
        .route("/v2/members", gated(Route::Members, get(members::list)))
        .route("/v2/teams", gated(Route::Teams, get(teams::list)))
        .route("/v2/teams/{id}/members", gated(Route::TeamMembers, get(teams::members)))
        .route("/v2/analytics/member-activities", gated(Route::MemberActivities, get(analytics::list)))
        .route("/v2/webhooks", subscriptions)
        .route("/v2/webhooks/{id}", subscription)
        .merge(oauth::router().merge(admin::router()).with_state(api))
        .fallback(async |uri: Uri| {
            let lives = ["/v2", "/admin", "/oauth2"].iter().any(|root| uri.path().starts_with(root));
            if lives { ApiError::unknown_route() } else { ApiError::v1_gone() }
        })
        .method_not_allowed_fallback(async || ApiError::unknown_route())
}
