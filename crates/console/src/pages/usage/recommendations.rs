//! What to do, surest first, with what somebody took on already and what is kept although idle.

use askama::Template;
use axum::extract::{Path, Query};
use serde::Deserialize;
use tidemark_rpc::utilization::{ListRecommendationsRequest, ListSeatsRequest};

use super::{Frame, Tab, decisions::Done};
use crate::{
    page::{self, Answer, Chrome},
    view::{
        basis::Basis,
        seat::{Seat, Task},
        usage::Todo,
    },
    visitor::Visitor,
};

const PAGE: u32 = 50;
const EXEMPT: u32 = 50;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    #[serde(flatten)]
    done: Done,
}

#[derive(Template)]
#[template(path = "usage/recommendations.html")]
struct Page {
    chrome: Chrome,
    frame: Frame,
    basis: Basis,
    done: Option<&'static str>,
    todo: Todo,
    tasks: Vec<Task>,
    exempt: Vec<Seat>,
    /// Exempt seats beyond those that are shown.
    more_exempt: u32,
    /// Empty on the last page.
    next: String,
    is_first: bool,
}

pub(crate) async fn list(visitor: Visitor, Path(id): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let client = || visitor.services.utilization.utilization();
    let tasks = async {
        let request = ListRecommendationsRequest {
            connection_id: id.clone(),
            page_size: PAGE,
            page_token: asked.page.clone(),
            ..Default::default()
        };
        Ok(client().list_recommendations(request).await?.into_inner())
    };
    let exempt = async {
        let request = ListSeatsRequest {
            connection_id: id.clone(),
            exempt_only: true,
            page_size: EXEMPT,
            ..Default::default()
        };
        Ok(client().list_seats(request).await?.into_inner())
    };
    let (frame, listed, exempt) =
        tokio::try_join!(Frame::of(&visitor, &id, Tab::Recommendations), tasks, exempt)?;
    let tasks = listed.recommendations.into_iter().filter_map(Task::of);
    page::show(&Page {
        chrome: frame.chrome(&visitor),
        basis: listed.basis.map(Basis::from).unwrap_or_default(),
        done: asked.done.sentence(),
        todo: listed.savings.map(Todo::from).unwrap_or_default(),
        // Who was exempted a moment ago is still in the list, until the numbers are computed again.
        tasks: tasks.filter(|task| task.seat.exemption.is_none()).collect(),
        more_exempt: exempt.total.saturating_sub(EXEMPT),
        exempt: exempt.seats.into_iter().map(Seat::from).collect(),
        next: listed.next_page_token,
        is_first: asked.page.is_empty(),
        frame,
    })
}
