//! What is left of the first version, where it is switched on: `GET /notes`, with its cursor beside the data. A cursor
//! dies after a minute by the simulator's clock. The form of the rows is not complete: nobody should build on it.

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::gate::{Api, Call};
use crate::json::{Body, Micros};
use crate::{Content, Note};

const CURSOR_LIFE: TimeDelta = TimeDelta::seconds(60);
const LIMITS: std::ops::RangeInclusive<usize> = 1..=2000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    page_limit: Option<usize>,
    page_cursor: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    position: usize,
    made_at: DateTime<Utc>,
    /// When the first page's cursor was made, so that the last page can give it again.
    first_at: DateTime<Utc>,
}

/// The error of this family: `{ok, errors: {source: […]}}`.
pub(super) struct Refusal(StatusCode, &'static str, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, source, why) = self;
        (status, axum::Json(json!({ "ok": false, "errors": { source: [why] } }))).into_response()
    }
}

pub(super) async fn notes(
    State(api): State<Api>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Body, Refusal> {
    if headers.get("x-version").is_none_or(|version| version != "1") {
        return Err(Refusal(StatusCode::BAD_REQUEST, "X-Version", "must be 1"));
    }
    let Query(asked) = Query::<Asked>::try_from_uri(&uri)
        .map_err(|_| Refusal(StatusCode::BAD_REQUEST, "pageLimit", "must be a number"))?;
    let limit = asked.page_limit.unwrap_or(100);
    if !LIMITS.contains(&limit) {
        return Err(Refusal(StatusCode::BAD_REQUEST, "pageLimit", "must be 1 to 2000"));
    }
    let now = api.clock.now();
    let (start, first_at) = match &asked.page_cursor {
        None => (0, now),
        Some(cursor) => {
            let dead = Refusal(StatusCode::UNPROCESSABLE_ENTITY, "pageCursor", "is invalid or expired");
            let live = read(cursor).filter(|cursor| now - cursor.made_at <= CURSOR_LIFE);
            live.map(|cursor| (cursor.position, cursor.first_at)).ok_or(dead)?
        }
    };
    Ok(page(&call, start, limit, [first_at, now]))
}

fn page(call: &Call, start: usize, limit: usize, [first_at, now]: [DateTime<Utc>; 2]) -> Body {
    let notes = &call.workspace.notes;
    let total = call.faults.left(call.route, notes.len(), start, limit);
    let start = start.min(total);
    let end = start.saturating_add(limit).min(total);
    let next = match end {
        end if end < total => Some(Cursor { position: end, made_at: now, first_at }),
        _ if call.faults.v1_cursor_loops => Some(Cursor { position: limit, made_at: first_at, first_at }),
        _ => None,
    };
    let rows: Vec<Value> = notes[start..end].iter().map(|note| row(call, note)).collect();
    let cursor = next.map(|next| URL_SAFE_NO_PAD.encode(Body::of(&next).0));
    Body::of(&json!({ "data": rows, "pageCursor": cursor, "totalResults": total }))
}

fn read(cursor: &str) -> Option<Cursor> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

fn row(call: &Call, note: &Note) -> Value {
    let workspace = &call.workspace;
    let state = match (note.archived, note.processed) {
        (true, _) => "archived",
        (false, true) => "processed",
        (false, false) => "unprocessed",
    };
    let tags = workspace.tags.iter().filter(|tag| note.tags.contains(&tag.id));
    json!({
        "id": note.id,
        "title": note.name,
        "content": match &note.content {
            Content::Text(text) => text.as_str(),
            Content::Messages(_) | Content::Properties(_) => "",
        },
        "displayUrl": format!("https://{}.productboard.com/inbox/notes/{}", workspace.domain, note.id),
        "state": state,
        "tags": tags.map(|tag| tag.name.as_str()).collect::<Vec<_>>(),
        "createdAt": Micros(note.created_at),
        "updatedAt": Micros(note.updated_at),
    })
}
