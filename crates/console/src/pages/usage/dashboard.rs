//! The dashboard of a workspace: the answer first, then what it is made of. Where there are no numbers yet, what happens
//! next. Kept up to date as numbers are computed.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use chrono::NaiveDate;
use serde::Deserialize;
use tidemark_rpc::{
    syncs::{GetDataQualityRequest, ListSyncsRequest},
    utilization::{
        GetCoverageRequest, GetSummaryRequest, GetTrendRequest, ListAlertsRequest,
        ListRecommendationsRequest, TrendPoint,
    },
};
use tonic::{Code, Status};

use super::{Frame, Tab, WindowChoice, window, windows};
use crate::{
    chart::{self, Point, Size},
    failure::Failure,
    live,
    page::{self, Answer, Chrome},
    pages::watch,
    server::Console,
    view::{
        Moment,
        basis::Coverage,
        moment,
        run::Progress,
        seat::Task,
        usage::{Alert, Usage},
    },
    visitor::Visitor,
};

/// What stands on the dashboard of all that can be done.
const TASKS: u32 = 5;
const ALERTS: u32 = 5;
/// Without scripts, a page whose numbers are on their way loads itself again.
const REFRESH_SECONDS: u32 = 3;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    window: String,
}

#[derive(Template)]
#[template(path = "usage/dashboard.html")]
struct Dashboard {
    chrome: Chrome,
    frame: Frame,
    days: u32,
    board: Board,
}

/// What is kept up to date.
#[derive(Template)]
#[template(path = "usage/board.html")]
struct Board {
    frame: Frame,
    is_admin: bool,
    form_token: String,
    days: u32,
    windows: [WindowChoice; 3],
    /// None before the first numbers.
    numbers: Option<Numbers>,
    /// The last sync, while there are no numbers.
    run: Option<Progress>,
}

struct Numbers {
    usage: Usage,
    trend: Trend,
    tasks: Vec<Task>,
    coverage: Coverage,
    alerts: Vec<Alert>,
    /// Alerts that hold, beyond those that are shown.
    more_alerts: u32,
    flags: Vec<Flag>,
    unknown_fields: usize,
}

/// The trend as a chart, and the same as a table.
struct Trend {
    wide: String,
    narrow: String,
    rows: Vec<Point>,
}

/// Something odd about the data.
struct Flag {
    detail: String,
    since: Option<Moment>,
}

impl Board {
    async fn of(visitor: &Visitor, id: &str, days: u32) -> Result<Self, Failure> {
        let (frame, numbers) =
            tokio::try_join!(Frame::of(visitor, id, Tab::Overview), Numbers::of(visitor, id, days))?;
        let run = if numbers.is_none() { last_run(visitor, id).await } else { None };
        Ok(Self {
            frame,
            is_admin: visitor.is_admin,
            form_token: visitor.form_token.clone(),
            days,
            windows: windows(days),
            numbers,
            run,
        })
    }

    /// Whether something is on its way that the page does not show yet.
    fn is_waiting(&self) -> bool {
        match &self.numbers {
            Some(numbers) => numbers.usage.basis.is_pending,
            None => self.run.as_ref().is_some_and(|run| !run.needs_reconnect),
        }
    }
}

/// Without the sync service, the page says less.
async fn last_run(visitor: &Visitor, id: &str) -> Option<Progress> {
    let request = ListSyncsRequest { connection_id: id.to_owned(), page_size: 1, ..Default::default() };
    let runs = visitor.services.syncs.syncs().list_syncs(request).await.ok()?.into_inner().runs;
    runs.into_iter().next().map(Progress::from)
}

impl Numbers {
    /// None before the first rollup.
    async fn of(visitor: &Visitor, id: &str, days: u32) -> Result<Option<Self>, Failure> {
        let client = || visitor.services.utilization.utilization();
        let connection_id = || id.to_owned();
        let summary = async {
            let request = GetSummaryRequest { connection_id: connection_id() };
            client().get_summary(request).await
        };
        let trend = async {
            let request =
                GetTrendRequest { connection_id: connection_id(), window_days: days, ..Default::default() };
            client().get_trend(request).await
        };
        let tasks = async {
            let request = ListRecommendationsRequest {
                connection_id: connection_id(),
                page_size: TASKS,
                ..Default::default()
            };
            client().list_recommendations(request).await
        };
        let coverage = async {
            let request = GetCoverageRequest { connection_id: connection_id() };
            client().get_coverage(request).await
        };
        let alerts = async {
            let request = ListAlertsRequest {
                organization_id: visitor.organization.to_string(),
                connection_id: connection_id(),
                open_only: true,
                page_size: ALERTS,
                ..Default::default()
            };
            client().list_alerts(request).await
        };
        // What is odd about the data is the sync service's to tell: the numbers are shown without it, too.
        let quality = async {
            let request = GetDataQualityRequest { connection_id: connection_id() };
            let answer = visitor.services.syncs.syncs().get_data_quality(request).await;
            Ok(answer.map(tonic::Response::into_inner).unwrap_or_default())
        };
        let found: Result<_, Status> = tokio::try_join!(summary, trend, tasks, coverage, alerts, quality);
        let (summary, trend, tasks, coverage, alerts, quality) = match found {
            Ok(found) => found,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(status.into()),
        };
        let Some(summary) = summary.into_inner().summary else { return Ok(None) };
        let alerts = alerts.into_inner();
        let flags = quality.flags.iter();
        let flags = flags.map(|flag| Flag { detail: flag.detail.clone(), since: moment!(flag.since) });
        Ok(Some(Self {
            usage: Usage::of(summary, days),
            trend: Trend::from(trend.into_inner().points),
            tasks: tasks.into_inner().recommendations.into_iter().filter_map(Task::of).collect(),
            coverage: coverage.into_inner().into(),
            more_alerts: alerts.open.saturating_sub(ALERTS),
            alerts: alerts.alerts.into_iter().map(Alert::from).collect(),
            flags: flags.collect(),
            unknown_fields: quality.unknown_fields.len(),
        }))
    }
}

impl From<Vec<TrendPoint>> for Trend {
    fn from(points: Vec<TrendPoint>) -> Self {
        let first: Option<NaiveDate> = points.first().and_then(|point| point.day.parse().ok());
        let rows = points.iter().filter_map(|point| {
            let (day, window): (NaiveDate, _) = (point.day.parse().ok()?, point.window.as_ref()?);
            Some(Point {
                at: i32::try_from((day - first?).num_days()).ok()?,
                day: Moment::day(&point.day)?.person,
                paid: window.assigned_seats,
                used: window.active_seats,
                is_whole: window.covered_days >= window.days,
            })
        });
        let rows: Vec<_> = rows.collect();
        Self {
            wide: chart::trend(&rows, Size::Wide),
            narrow: chart::trend(&rows, Size::Narrow),
            rows: rows.into_iter().rev().collect(),
        }
    }
}

pub(crate) async fn show(visitor: Visitor, Path(id): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let days = window(&asked.window);
    let board = Board::of(&visitor, &id, days).await?;
    let frame = board.frame.clone();
    let mut chrome = frame.chrome(&visitor);
    chrome.refresh = board.is_waiting().then_some(REFRESH_SECONDS);
    page::show(&Dashboard { chrome, frame, days, board })
}

pub(crate) async fn live(
    State(console): State<Console>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let days = window(&asked.window);
    Frame::of(&visitor, &id, Tab::Overview).await?;
    Ok(live::stream(&console, async move |page| {
        let mut watch = watch::Watch::of(&visitor);
        loop {
            let news = watch.news(Some(&id)).await;
            let board = live::patiently(|| Board::of(&visitor, &id, days)).await;
            page.part("board", &board).await?;
            if news.iter().any(|event| event.r#type == "utilization.updated") {
                page.say("The numbers were updated".to_owned()).await?;
            }
        }
    }))
}
