//! What people decide about seats: to take a recommendation on, to keep a seat, and to undo either.

use axum::{
    Form,
    extract::{Path, rejection::FormRejection},
    response::Response,
};
use serde::Deserialize;
use tidemark_rpc::utilization::{
    AcceptRecommendationRequest, EndExemptionRequest, SetExemptionRequest, WithdrawAcceptanceRequest,
};

use super::seat::Page;
use crate::{
    failure::Failure,
    page::Answer,
    pages::{refusal, see},
    visitor::Visitor,
};

/// What comes with a decision.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct Fields {
    /// What was recommended.
    action: String,
    reason: String,
    until: String,
    /// The page that it was decided on: `list`, or the seat's.
    from: String,
}

/// What was just decided, in the address of the page that shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Done {
    done: String,
}

impl Done {
    pub(super) fn sentence(&self) -> Option<&'static str> {
        Some(match self.done.as_str() {
            "accepted" => {
                "It is on your list. Change the seat in Productboard; it goes from here by itself after the next sync."
            }
            "withdrawn" => "Nobody is on it any more.",
            "exempt" => {
                "The seat is kept, and nothing is recommended for it. The numbers are being computed again."
            }
            "ended" => "The seat is looked at as any other again. The numbers are being computed again.",
            _ => return None,
        })
    }
}

type Place = Path<(String, String)>;
type Sent = Result<Form<Fields>, FormRejection>;

fn read(sent: Sent) -> Result<Fields, Failure> {
    sent.map(|Form(fields)| fields).map_err(|_| Failure::unreadable_form())
}

fn back(visitor: &Visitor, (id, member): (&str, &str), from: &str, done: &str) -> Response {
    let page = if from == "list" { "recommendations".to_owned() } else { format!("seats/{member}") };
    see(&visitor.base, &format!("/usage/{id}/{page}?done={done}"))
}

pub(crate) async fn accept(visitor: Visitor, Path((id, member)): Place, sent: Sent) -> Answer {
    let fields = read(sent)?;
    let request = AcceptRecommendationRequest {
        connection_id: id.clone(),
        member_id: member.clone(),
        action: fields.action,
        actor: visitor.person.clone(),
    };
    visitor.services.utilization.utilization().accept_recommendation(request).await?;
    Ok(back(&visitor, (&id, &member), &fields.from, "accepted"))
}

pub(crate) async fn withdraw(visitor: Visitor, Path((id, member)): Place, sent: Sent) -> Answer {
    let fields = read(sent)?;
    let request = WithdrawAcceptanceRequest { connection_id: id.clone(), member_id: member.clone() };
    visitor.services.utilization.utilization().withdraw_acceptance(request).await?;
    Ok(back(&visitor, (&id, &member), &fields.from, "withdrawn"))
}

pub(crate) async fn exempt(visitor: Visitor, Path((id, member)): Place, sent: Sent) -> Answer {
    let fields = read(sent)?;
    let request = SetExemptionRequest {
        connection_id: id.clone(),
        member_id: member.clone(),
        reason: fields.reason.clone(),
        until: fields.until.clone(),
    };
    match visitor.services.utilization.utilization().set_exemption(request).await {
        Ok(_) => Ok(back(&visitor, (&id, &member), &fields.from, "exempt")),
        Err(status) => {
            let refused = refusal::of(status)?;
            let mut page = Page::of(&visitor, &id, &member).await?;
            page.refuse(refused, (fields.reason, fields.until));
            page.show()
        }
    }
}

pub(crate) async fn end(visitor: Visitor, Path((id, member)): Place, sent: Sent) -> Answer {
    let fields = read(sent)?;
    let request = EndExemptionRequest { connection_id: id.clone(), member_id: member.clone() };
    visitor.services.utilization.utilization().end_exemption(request).await?;
    Ok(back(&visitor, (&id, &member), &fields.from, "ended"))
}
