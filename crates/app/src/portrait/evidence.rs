//! What the report is made of, asked for over gRPC as any client would.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::{Days, NaiveDate};
use tidemark_rpc::{
    client::Caller,
    utilization::{
        ExportFormat, ExportRequest, ExportTable, GetTrendRequest, ListRecommendationsRequest,
        ListSeatsRequest, Recommendation, Seat, SeatSort, Summary, TrendPoint,
    },
};

/// Weeks of the heatmap.
pub(crate) const WEEKS: u64 = 13;
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
    pub(crate) recommendations: Vec<Recommendation>,
    /// Active days per week and member, oldest week first.
    pub(crate) weeks: BTreeMap<String, [u8; WEEKS as usize]>,
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
        let seats = seats(caller, &id).await?;
        step("recommendations");
        let recommendations = recommendations(caller, &id).await?;
        step("member days");
        let weeks = weeks(caller, &id, as_of).await?;
        Ok(Self { workspace, summary, trends, seats, recommendations, weeks })
    }
}

async fn seats(caller: &Caller, id: &str) -> Result<Vec<Seat>> {
    let mut request = ListSeatsRequest {
        connection_id: id.to_owned(),
        paid_only: true,
        sort: SeatSort::LastActive.into(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut seats = Vec::new();
    loop {
        let page = caller.utilization().list_seats(request.clone()).await?.into_inner();
        seats.extend(page.seats);
        if page.next_page_token.is_empty() {
            return Ok(seats);
        }
        request.page_token = page.next_page_token;
    }
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

/// Counted as the export of member days comes in.
async fn weeks(
    caller: &Caller,
    id: &str,
    as_of: NaiveDate,
) -> Result<BTreeMap<String, [u8; WEEKS as usize]>> {
    let first = as_of - Days::new(WEEKS * 7 - 1);
    let request = ExportRequest {
        connection_id: id.to_owned(),
        table: ExportTable::MemberDays.into(),
        format: ExportFormat::Csv.into(),
        from: first.to_string(),
        to: as_of.to_string(),
    };
    let mut stream = caller.utilization().export(request).await?.into_inner();
    let mut file = Vec::new();
    while let Some(part) = stream.message().await? {
        file.extend(part.chunk);
    }
    let mut weeks: BTreeMap<String, [u8; WEEKS as usize]> = BTreeMap::new();
    for line in csv::Reader::from_reader(&file[..]).into_records() {
        let line = line.context("the service sent a table that is not CSV")?;
        let (Some(member), Some(day), Some("true")) = (line.get(0), line.get(1), line.get(3)) else {
            continue;
        };
        let day: NaiveDate = day.parse().context("the service sent a day that is none")?;
        let week = usize::try_from((day - first).num_days() / 7).unwrap_or(0);
        if let Some(count) = weeks.entry(member.to_owned()).or_default().get_mut(week) {
            *count += 1;
        }
    }
    Ok(weeks)
}
