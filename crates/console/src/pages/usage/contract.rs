//! The contract: what is paid for, until when, and what fewer seats would mean at renewal.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, rejection::FormRejection},
    http::StatusCode,
};
use serde::Deserialize;
use tidemark_rpc::utilization::{GetContractRequest, PreviewRenewalRequest, SetContractRequest};
use tonic::Code;

use super::{Frame, Tab};
use crate::{
    failure::Failure,
    page::{self, Answer, Chrome},
    pages::{
        refusal::{self, Refused},
        see,
    },
    view::{
        basis::Basis,
        contract::{Fields, Terms, WhatIf},
    },
    visitor::Visitor,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// Seats fewer, as written.
    drop: String,
    saved: bool,
}

#[derive(Template)]
#[template(path = "usage/contract.html")]
struct Page {
    chrome: Chrome,
    frame: Frame,
    terms: Terms,
    fields: Fields,
    refused: Option<Refused>,
    is_saved: bool,
    drop: String,
    what_if: Option<WhatIf>,
    /// What the preview stands on.
    basis: Option<Basis>,
    /// Why there is no preview.
    no_preview: String,
}

impl Page {
    async fn of(visitor: &Visitor, id: &str) -> Result<Self, Failure> {
        let contract = async {
            let request = GetContractRequest { connection_id: id.to_owned() };
            Ok(visitor.services.utilization.utilization().get_contract(request).await?.into_inner())
        };
        let (frame, found) = tokio::try_join!(Frame::of(visitor, id, Tab::Contract), contract)?;
        let contract = found.contract.unwrap_or_default();
        Ok(Self {
            chrome: frame.chrome(visitor),
            frame,
            terms: Terms::from(&contract),
            fields: Fields::from(&contract),
            refused: None,
            is_saved: false,
            drop: String::new(),
            what_if: None,
            basis: None,
            no_preview: String::new(),
        })
    }

    /// What fewer seats would mean.
    async fn preview(&mut self, visitor: &Visitor, drop: &str) -> Result<(), Failure> {
        drop.clone_into(&mut self.drop);
        let Ok(drop_seats) = drop.trim().parse() else {
            "How many seats fewer? Write a whole number.".clone_into(&mut self.no_preview);
            return Ok(());
        };
        let request = PreviewRenewalRequest { connection_id: self.frame.card.id.clone(), drop_seats };
        match visitor.services.utilization.utilization().preview_renewal(request).await {
            Ok(preview) => {
                let preview = preview.into_inner();
                self.basis = preview.basis.clone().map(Basis::from);
                self.what_if = Some(preview.into());
            }
            Err(status) if status.code() == Code::NotFound => {
                "There are no numbers yet to compare the contract with.".clone_into(&mut self.no_preview);
            }
            Err(status) if status.code() == Code::FailedPrecondition => {
                "Enter the purchased seats first.".clone_into(&mut self.no_preview);
            }
            Err(status) => return Err(status.into()),
        }
        Ok(())
    }
}

pub(crate) async fn show(visitor: Visitor, Path(id): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let mut page = Page::of(&visitor, &id).await?;
    page.is_saved = asked.saved;
    if !asked.drop.is_empty() {
        page.preview(&visitor, &asked.drop).await?;
    }
    page::show(&page)
}

pub(crate) async fn set(
    visitor: Visitor,
    Path(id): Path<String>,
    sent: Result<Form<Fields>, FormRejection>,
) -> Answer {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let contract = match fields.read() {
        Ok(contract) => contract,
        Err(unreadable) => return refuse(&visitor, &id, fields, incomplete(unreadable.0)).await,
    };
    let request = SetContractRequest { connection_id: id.clone(), contract: Some(contract) };
    match visitor.services.utilization.utilization().set_contract(request).await {
        Ok(_) => Ok(see(&visitor.base, &format!("/usage/{id}/contract?saved=true"))),
        Err(status) => refuse(&visitor, &id, fields, refusal::of(status)?).await,
    }
}

fn incomplete(sentence: String) -> Refused {
    Refused {
        title: "This cannot be used",
        sentence,
        status: StatusCode::UNPROCESSABLE_ENTITY,
        other_region: false,
    }
}

async fn refuse(visitor: &Visitor, id: &str, fields: Fields, refused: Refused) -> Answer {
    let page = Page { fields, ..Page::of(visitor, id).await? };
    page::show_as(refused.status, &Page { refused: Some(refused), ..page })
}
