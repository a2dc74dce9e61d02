//! What a person is told when there is no page: what happened, what it means for their data, and the next step. Said
//! here, rendered once, in `headers`, where the console's own address is known.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tonic::{Code, Status};

/// Why there is no page.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    /// What happened.
    pub(crate) what: String,
    /// What it means for the data.
    pub(crate) meaning: &'static str,
    /// What to do.
    pub(crate) next: &'static str,
    /// Whether the first page is of help.
    pub(crate) home: bool,
}

const UNCHANGED: &str = "Nothing was changed. Connections, keys and numbers are as they were.";

impl Failure {
    pub(crate) fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "There is no such page",
            what: "Nothing of your organization is at this address.".to_owned(),
            meaning: UNCHANGED,
            next: "Go back to your connections, and look for it from there.",
            home: true,
        }
    }

    /// Used, expired, taken back or never there: all the same to whoever asks.
    pub(crate) fn dead_link() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "This link does not open anything",
            what: "It may have been used already, its time may be over, or a part of it is missing."
                .to_owned(),
            meaning: UNCHANGED,
            next: "Ask for a new link where you got this one. Each link works once.",
            home: false,
        }
    }

    pub(crate) fn no_session() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            title: "Your session is over",
            what: "Sessions end after an hour without use, after twelve hours, and when you sign out."
                .to_owned(),
            meaning: "Syncs and connections go on without you. What you had not sent yet was not saved.",
            next: "Open the console again from your platform, where you are signed in.",
            home: false,
        }
    }

    pub(crate) fn viewer() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "Your role lets you look, not change",
            what: "Connecting, inviting, syncing and disconnecting are for admins of your organization."
                .to_owned(),
            meaning: UNCHANGED,
            next: "Ask an admin of your organization to do it, or to give you the role.",
            home: true,
        }
    }

    pub(crate) fn stale_form() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "This form cannot be taken",
            what: "It did not come from a page of your present session.".to_owned(),
            meaning: UNCHANGED,
            next: "Open the page again, and send the form from there.",
            home: true,
        }
    }

    pub(crate) fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            title: "This is too much at once",
            what: "The form is larger than any key or name.".to_owned(),
            meaning: UNCHANGED,
            next: "Check what was pasted, and send it again.",
            home: true,
        }
    }

    pub(crate) fn unreadable_form() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "This form is not complete",
            what: "A field that belongs to it is missing or cannot be read.".to_owned(),
            meaning: UNCHANGED,
            next: "Open the page again, and send the form from there.",
            home: true,
        }
    }

    /// A limit of the console is reached; `what` says which one.
    pub(crate) fn too_often(what: &str) -> Self {
        Status::resource_exhausted(format!("There are {what}.")).into()
    }

    pub(crate) fn too_slow() -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            title: "The form did not arrive in time",
            what: "Its end had not come after fifteen seconds.".to_owned(),
            meaning: UNCHANGED,
            next: "Check your network, and send the form again.",
            home: true,
        }
    }

    fn fault(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a page could not be made");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "Something failed on our side",
            what: "The page could not be made. The cause was written down for the operator.".to_owned(),
            meaning: "Syncs and connections go on by themselves. Whether your last change was made, your connections \
                      will tell.",
            next: "Look at your connections, and try again if the change is not there.",
            home: true,
        }
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::fault(&error)
    }
}

/// The table: from a service's answer to what a person is told.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::NotFound | Code::InvalidArgument => Self::not_found(),
            Code::FailedPrecondition => Self {
                status: StatusCode::CONFLICT,
                title: "This cannot be done now",
                what: status.message().to_owned(),
                meaning: UNCHANGED,
                next: "Do what it says, and try again.",
                home: true,
            },
            Code::Aborted => Self {
                status: StatusCode::CONFLICT,
                title: "Somebody else was faster",
                what: "The same thing was changed by somebody else in this moment.".to_owned(),
                meaning: "Their change was made, yours was not.",
                next: "Look at it as it is now, and try again if it is still needed.",
                home: true,
            },
            Code::ResourceExhausted => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                title: "That was too often",
                what: status.message().to_owned(),
                meaning: UNCHANGED,
                next: "Wait a minute, and try again.",
                home: true,
            },
            Code::Unavailable | Code::DeadlineExceeded => {
                tracing::warn!(code = ?status.code(), message = status.message(), "a service did not answer");
                Self {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    title: "A part of the service does not answer",
                    what: "It may be starting again, or be out of reach for a moment.".to_owned(),
                    meaning: "Connections, keys and numbers are kept. Syncs go on by themselves when it is back.",
                    next: "Wait a minute, and load the page again.",
                    home: true,
                }
            }
            _ => Self::fault(&status),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
