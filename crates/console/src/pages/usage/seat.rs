//! One seat: the evidence for its state and for what is recommended, and what can be decided about it.

use askama::Template;
use axum::{
    extract::{Path, Query},
    http::StatusCode,
};
use tidemark_rpc::utilization::ListSeatsRequest;

use super::{Frame, Tab, decisions::Done};
use crate::{
    failure::Failure,
    page::{self, Answer, Chrome},
    pages::refusal::Refused,
    view::{basis::Basis, seat::Seat},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "usage/seat.html")]
pub(super) struct Page {
    chrome: Chrome,
    frame: Frame,
    basis: Basis,
    seat: Seat,
    done: Option<&'static str>,
    refused: Option<Refused>,
    /// As the form was sent.
    reason: String,
    until: String,
}

impl Page {
    pub(super) async fn of(visitor: &Visitor, id: &str, member: &str) -> Result<Self, Failure> {
        let seat = async {
            let request = ListSeatsRequest {
                connection_id: id.to_owned(),
                member_id: member.to_owned(),
                ..Default::default()
            };
            Ok(visitor.services.utilization.utilization().list_seats(request).await?.into_inner())
        };
        let (frame, listed) = tokio::try_join!(Frame::of(visitor, id, Tab::Seats), seat)?;
        let seat: Seat = listed.seats.into_iter().next().ok_or_else(Failure::not_found)?.into();
        let mut chrome = frame.chrome(visitor);
        chrome.title = format!("{} · {}", seat.name, frame.card.workspace);
        Ok(Self {
            chrome,
            frame,
            basis: listed.basis.map(Basis::from).unwrap_or_default(),
            seat,
            done: None,
            refused: None,
            reason: String::new(),
            until: String::new(),
        })
    }

    /// With what was written, to be corrected.
    pub(super) fn refuse(&mut self, refused: Refused, (reason, until): (String, String)) {
        (self.refused, self.reason, self.until) = (Some(refused), reason, until);
    }

    pub(super) fn show(&self) -> Answer {
        let status = self.refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
        page::show_as(status, self)
    }
}

pub(crate) async fn show(
    visitor: Visitor,
    Path((id, member)): Path<(String, String)>,
    Query(done): Query<Done>,
) -> Answer {
    let mut page = Page::of(&visitor, &id, &member).await?;
    page.done = done.sentence();
    page.show()
}
