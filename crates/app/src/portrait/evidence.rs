//! What the report is made of, asked for over gRPC as any client would.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::{Days, NaiveDate};
use tidemark_rpc::{
    client::Caller,
    utilization::{
        GetTrendRequest, ListRecommendationsRequest, ListSeatsRequest, ListSeatsResponse, Recommendation,
        Seat, SeatSort, Summary, TrendPoint,
    },
};

/// Rows of the heatmap and of the list of recommendations; the exports have all of them.
pub(crate) const ROWS: u32 = 60;
const TREND_DAYS: u64 = 180;
const PAGE: u32 = 1_000;

/// The numbers of one workspace.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) workspace: String,
    pub(crate) summary: Summary,
    /// By window length.
    pub(crate) trends: BTreeMap<u32, Vec<TrendPoint>>,
    /// Paid seats, the least used first.
    pub(crate) seats: Vec<Seat>,
    /// Covered days of each of the weeks that are told of them.
    pub(crate) covered_by_week: Vec<u32>,
    /// Paid seats that are not among them.
    pub(crate) seats_left_out: u32,
    pub(crate) recommendations: Vec<Recommendation>,
}

impl Evidence {
    /// Asks for everything. `step` is called after each question.
    pub(crate) async fn gather(
        caller: &Caller,
        workspace: String,
        summary: Summary,
        step: impl Fn(&'static str),
    ) -> Result<Self> {
        let id = summary.connection_id.clone();
        let as_of: NaiveDate = summary.as_of.parse().context("the service told no day")?;
        let mut trends = BTreeMap::new();
        for window_days in [7, 28, 90] {
            let from = (as_of - Days::new(TREND_DAYS - 1)).to_string();
            let request =
                GetTrendRequest { connection_id: id.clone(), from, window_days, ..Default::default() };
            let points = caller.utilization().get_trend(request).await?.into_inner().points;
            trends.insert(window_days, points);
        }
        step("seats");
        let page = seats(caller, &id).await?;
        let shown = u32::try_from(page.seats.len()).unwrap_or(u32::MAX);
        let seats_left_out = page.total.saturating_sub(shown);
        step("recommendations");
        let recommendations = recommendations(caller, &id).await?;
        let (seats, covered_by_week) = (page.seats, page.covered_days_by_week);
        Ok(Self { workspace, summary, trends, seats, covered_by_week, seats_left_out, recommendations })
    }
}

/// The least used paid seats, with their weeks.
async fn seats(caller: &Caller, id: &str) -> Result<ListSeatsResponse> {
    let request = ListSeatsRequest {
        connection_id: id.to_owned(),
        paid_only: true,
        sort: SeatSort::LastActive.into(),
        page_size: ROWS,
        weeks: true,
        ..Default::default()
    };
    Ok(caller.utilization().list_seats(request).await?.into_inner())
}

async fn recommendations(caller: &Caller, id: &str) -> Result<Vec<Recommendation>> {
    let mut request =
        ListRecommendationsRequest { connection_id: id.to_owned(), page_size: PAGE, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = caller.utilization().list_recommendations(request.clone()).await?.into_inner();
        all.extend(page.recommendations);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}
