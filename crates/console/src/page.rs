//! What is around every page: address, title, navigation, whose session it is.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use crate::{asset, failure::Failure, settings::Settings, visitor::Visitor};

/// Where in the navigation a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Connections,
    Usage,
    Invites,
    /// Behind a link, or an error.
    Outside,
}

/// What is around a page.
#[derive(Debug, Clone)]
pub(crate) struct Chrome {
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) place: Place,
    pub(crate) person: Option<Person>,
    /// After how many seconds a browser without scripts loads the page again.
    pub(crate) refresh: Option<u32>,
}

/// Whose session it is, as far as pages show it.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) organization: String,
    pub(crate) is_admin: bool,
    pub(crate) form_token: String,
}

impl Chrome {
    /// Around a page of a session.
    pub(crate) fn of(visitor: &Visitor, place: Place, title: impl Into<String>) -> Self {
        Self {
            base: visitor.base.clone(),
            title: title.into(),
            place,
            person: Some(Person {
                name: visitor.person.clone(),
                organization: visitor.organization_name.clone(),
                is_admin: visitor.is_admin,
                form_token: visitor.form_token.clone(),
            }),
            refresh: None,
        }
    }

    /// Around a page that is reached by a link.
    pub(crate) fn outside(settings: &Settings, title: impl Into<String>) -> Self {
        Self {
            base: settings.base().to_owned(),
            title: title.into(),
            place: Place::Outside,
            person: None,
            refresh: None,
        }
    }

    pub(crate) fn style(&self) -> String {
        format!("{}/assets/{}", self.base, asset::style())
    }

    pub(crate) fn script(&self) -> String {
        format!("{}/assets/{}", self.base, asset::script())
    }

    pub(crate) fn icon(&self) -> String {
        format!("{}/assets/{}", self.base, asset::icon())
    }

    pub(crate) fn is_at(&self, place: &str) -> bool {
        matches!(
            (self.place, place),
            (Place::Connections, "connections") | (Place::Usage, "usage") | (Place::Invites, "invites")
        )
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.person.as_ref().is_some_and(|person| person.is_admin)
    }

    /// What every form of the session carries.
    pub(crate) fn form_token(&self) -> &str {
        self.person.as_ref().map_or("", |person| &person.form_token)
    }
}

/// A page, or the failure to make it.
pub(crate) type Answer = Result<Response, Failure>;

pub(crate) fn show(template: &impl Template) -> Answer {
    show_as(StatusCode::OK, template)
}

pub(crate) fn show_as(status: StatusCode, template: &impl Template) -> Answer {
    Ok((status, Html(template.render()?)).into_response())
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    chrome: Chrome,
    failure: Failure,
}

/// The page of a failure.
pub(crate) fn failure(settings: &Settings, failure: Failure) -> Response {
    let status = failure.status;
    let page = FailurePage { chrome: Chrome::outside(settings, failure.title), failure };
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of a failure could not be made");
            (status, page.failure.what).into_response()
        }
    }
}
