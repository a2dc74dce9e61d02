//! The routes: those of the vendor's API behind the gate, and the simulator's own `/admin`.

mod admin;
mod analytics;
mod body;
mod members;
mod pii;
mod teams;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use crate::Route;
use crate::error::ApiError;
use crate::gate::{Api, pass};

pub(crate) fn router(api: Api) -> Router {
    let gated =
        |route: Route, method: MethodRouter| method.layer(from_fn_with_state((api.clone(), route), pass));
    Router::new()
        .route("/v2/members", gated(Route::Members, get(members::list)))
        .route("/v2/members/search", gated(Route::MembersSearch, post(members::search::list)))
        .route("/v2/members/{id}", gated(Route::Member, get(members::one)))
        .route("/v2/teams", gated(Route::Teams, get(teams::list)))
        .route("/v2/teams/search", gated(Route::TeamsSearch, post(teams::search::list)))
        .route("/v2/teams/{id}", gated(Route::Team, get(teams::one)))
        .route("/v2/teams/{id}/members", gated(Route::TeamMembers, get(teams::members)))
        .route("/v2/analytics/member-activities", gated(Route::MemberActivities, get(analytics::list)))
        .merge(admin::router().with_state(api))
        .fallback(async || ApiError::unknown_route())
        .method_not_allowed_fallback(async || ApiError::unknown_route())
}
