//! Runs as callers see them.

use chrono::{DateTime, Utc};
use tidemark_rpc::{syncs, timestamp};
use tidemark_store::{DayRange, Run, StreamProgress};
use tonic::Status;

use super::refuse;
use crate::context::Context;

/// The run with its streams and the days that are known.
pub(super) async fn shown(cx: &Context, run: &Run) -> Result<syncs::Run, Status> {
    let days = cx.store.covered_days(&run.connection_id).await.map_err(refuse)?;
    with_days(cx, run, days).await
}

/// The same, for many runs of one connection.
pub(super) async fn with_days(cx: &Context, run: &Run, days: DayRange) -> Result<syncs::Run, Status> {
    let streams = cx.store.streams(&run.id).await.map_err(refuse)?;
    Ok(message(run, &streams, days, cx.now()))
}

fn message(run: &Run, streams: &[StreamProgress], days: DayRange, now: DateTime<Utc>) -> syncs::Run {
    let failures = streams.iter().filter(|progress| !progress.state.is_settled());
    syncs::Run {
        id: run.id.to_string(),
        connection_id: run.connection_id.to_string(),
        state: syncs::RunState::from(run.state).into(),
        reason: run.reason.clone().unwrap_or_default(),
        attempts: failures.map(|progress| progress.attempts).fold(run.attempts, u32::max),
        streams: streams.iter().map(stream).collect(),
        created_at: Some(timestamp(run.created_at)),
        started_at: run.started_at.map(timestamp),
        finished_at: run.finished_at.map(timestamp),
        priority: syncs::Priority::from(run.priority).into(),
        remaining_seconds: remaining(run, streams, now),
        coverage: Some(coverage(days)),
    }
}

fn stream(progress: &StreamProgress) -> syncs::StreamProgress {
    syncs::StreamProgress {
        stream: progress.stream.as_str().to_owned(),
        state: syncs::StreamState::from(progress.state).into(),
        rows: progress.rows,
        pages: progress.pages,
        done: progress.done,
        total: progress.total,
        detail: progress.detail.clone().unwrap_or_default(),
        rows_written: progress.effect.written,
        rows_unchanged: progress.effect.unchanged,
        rows_removed: progress.effect.removed,
        rows_late: progress.effect.late,
        requests: progress.requests,
        waited_ms: progress.waited_ms,
        attempts: progress.attempts,
        retry_at: progress.retry_at.map(timestamp),
    }
}

fn coverage(days: DayRange) -> syncs::Coverage {
    let text = |day: Option<chrono::NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    syncs::Coverage { first_day: text(days.first), last_day: text(days.last), days: days.count }
}

/// The longest of the streams, each at its pace so far: what was done since the start of the run.
fn remaining(run: &Run, streams: &[StreamProgress], now: DateTime<Utc>) -> Option<u64> {
    let elapsed = (now - run.started_at?).num_milliseconds().max(0).unsigned_abs();
    let open = streams.iter().filter(|progress| !run.state.is_final() && !progress.state.is_settled());
    let left = open.map(|progress| {
        let left = progress.total.saturating_sub(progress.done);
        (progress.done > 0).then(|| (elapsed.saturating_mul(left) / progress.done).div_ceil(1_000))
    });
    // A stream that has not come anywhere may take any time.
    left.collect::<Option<Vec<_>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use tidemark_domain::{
        run::{self, Priority},
        stream::{self, Stream},
    };

    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_pace_so_far_says() {
        let now = DateTime::UNIX_EPOCH;
        let (id, connection) = ("run_01jd0000000000000000000000", "conn_01jd0000000000000000000000");
        let run = Run {
            state: run::State::Running,
            started_at: Some(now - TimeDelta::seconds(30)),
            ..Run::queued(id.parse().unwrap(), connection.parse().unwrap(), Priority::Person, now, now)
        };
        let members =
            StreamProgress { state: stream::State::Complete, ..StreamProgress::pending(Stream::Members) };
        let days =
            |done| StreamProgress { done, total: 365, ..StreamProgress::pending(Stream::MemberActivities) };
        assert_eq!(remaining(&run, &[members.clone(), days(73)], now), Some(120));
        assert_eq!(remaining(&run, &[members.clone(), days(0)], now), None, "nothing is known yet");
        assert_eq!(remaining(&run, std::slice::from_ref(&members), now), None, "nothing is left");
        let ended = Run { state: run::State::Failed, ..run.clone() };
        assert_eq!(remaining(&ended, &[members.clone(), days(73)], now), None);
        let queued = Run { started_at: None, ..run };
        assert_eq!(remaining(&queued, &[members, days(73)], now), None);
    }
}
