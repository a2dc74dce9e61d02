//! The routes: those of the vendor's API behind the gate, its OAuth server, and the simulator's own `/admin`.

mod admin;
mod analytics;
mod body;
mod entities;
mod members;
mod notes;
mod oauth;
mod pii;
mod selection;
mod teams;
mod v1;
mod webhooks;

pub(crate) use self::selection::Selection;

use axum::Router;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

use crate::Route;
use crate::error::ApiError;
use crate::gate::{Api, pass, recode};

pub(crate) fn router(api: Api) -> Router {
    let gated =
        |route: Route, method: MethodRouter| method.layer(from_fn_with_state((api.clone(), route), pass));
    let subscriptions = gated(Route::Webhooks, get(webhooks::list).with_state(api.clone()))
        .merge(gated(Route::CreateWebhook, post(webhooks::create).with_state(api.clone())));
    let subscription = gated(Route::Webhook, get(webhooks::one).with_state(api.clone()))
        .merge(gated(Route::DeleteWebhook, delete(webhooks::delete).with_state(api.clone())));
    let recoded = from_fn_with_state(api.clone(), recode);
    let v1_notes =
        gated(Route::V1Notes, get(v1::notes).with_state(api.clone())).fallback(async || ApiError::v1_gone());
    Router::new()
        .route("/v2/members", gated(Route::Members, get(members::list)))
        .route("/v2/members/search", gated(Route::MembersSearch, post(members::search::list)))
        .route("/v2/members/{id}", gated(Route::Member, get(members::one)))
        .route("/v2/teams", gated(Route::Teams, get(teams::list)))
        .route("/v2/teams/search", gated(Route::TeamsSearch, post(teams::search::list)))
        .route("/v2/teams/{id}", gated(Route::Team, get(teams::one)))
        .route("/v2/teams/{id}/members", gated(Route::TeamMembers, get(teams::members)))
        .route("/v2/analytics/member-activities", gated(Route::MemberActivities, get(analytics::list)))
        .route("/notes", v1_notes)
        .route("/v2/webhooks", subscriptions)
        .route("/v2/webhooks/{id}", subscription)
        .merge(entities_router(gated))
        .merge(notes_router(gated))
        .merge(oauth::router().merge(admin::router()).with_state(api))
        .fallback(async |uri: Uri| {
            let lives = ["/v2", "/admin", "/oauth2"].iter().any(|root| uri.path().starts_with(root));
            if lives { ApiError::unknown_route() } else { ApiError::v1_gone() }
        })
        .method_not_allowed_fallback(async || ApiError::unknown_route())
        .layer(recoded)
}

fn entities_router(gated: impl Fn(Route, MethodRouter) -> MethodRouter) -> Router {
    let configurations = gated(Route::EntityConfigurations, get(entities::configuration::list));
    let relationships = gated(Route::EntityRelationships, get(entities::relationships::list));
    Router::new()
        .route("/v2/entities", gated(Route::Entities, get(entities::list)))
        .route("/v2/entities/search", gated(Route::EntitiesSearch, post(entities::search::list)))
        .route("/v2/entities/configurations", configurations)
        .route(
            "/v2/entities/configurations/{type}",
            gated(Route::EntityConfiguration, get(entities::configuration::one)),
        )
        .route("/v2/entities/fields/{id}/values", gated(Route::FieldValues, get(entities::values::list)))
        .route("/v2/entities/{id}", gated(Route::Entity, get(entities::one)))
        .route("/v2/entities/{id}/relationships", relationships)
}

fn notes_router(gated: impl Fn(Route, MethodRouter) -> MethodRouter) -> Router {
    let configurations = gated(Route::NoteConfigurations, get(notes::configuration::list));
    let configuration = gated(Route::NoteConfiguration, get(notes::configuration::one));
    Router::new()
        .route("/v2/notes", gated(Route::Notes, get(notes::list)))
        .route("/v2/notes/search", gated(Route::NotesSearch, post(notes::search::list)))
        .route("/v2/notes/configurations", configurations)
        .route("/v2/notes/configurations/{type}", configuration)
        .route("/v2/notes/{id}", gated(Route::Note, get(notes::one)))
        .route(
            "/v2/notes/{id}/relationships",
            gated(Route::NoteRelationships, get(notes::relationships::list)),
        )
}
