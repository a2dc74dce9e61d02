//! A sync in words: how it stands, stream by stream.

use tidemark_rpc::syncs::{Run, RunState, StreamProgress, StreamState};

use super::{Moment, Tone, grouped, moment};

/// One sync.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) id: String,
    pub(crate) connection: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) reason: String,
    pub(crate) is_over: bool,
    pub(crate) needs_reconnect: bool,
    pub(crate) streams: Vec<Stream>,
    pub(crate) asked: Option<Moment>,
    pub(crate) ended: Option<Moment>,
}

/// One stream of it.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) rows: String,
    pub(crate) done: u64,
    /// 0 while it is not known.
    pub(crate) total: u64,
    /// Of what there are so many.
    pub(crate) steps: &'static str,
    pub(crate) is_begun: bool,
    pub(crate) detail: String,
}

impl From<Run> for Progress {
    fn from(run: Run) -> Self {
        let (state, tone) = match run.state() {
            RunState::Queued | RunState::Unspecified => ("Waiting for its turn", Tone::Quiet),
            RunState::Running => ("Running", Tone::Quiet),
            RunState::ReconnectRequired => ("Stopped: needs a reconnect", Tone::Bad),
            RunState::Succeeded => ("Complete", Tone::Good),
            RunState::Partial => ("Ended with gaps", Tone::Warn),
            RunState::Failed => ("Failed", Tone::Bad),
            RunState::Cancelled => ("Cancelled", Tone::Quiet),
        };
        let current = run.state();
        Self {
            state,
            tone,
            is_over: matches!(
                current,
                RunState::Succeeded | RunState::Partial | RunState::Failed | RunState::Cancelled
            ),
            needs_reconnect: current == RunState::ReconnectRequired,
            streams: run.streams.iter().map(Stream::from).collect(),
            asked: moment!(run.created_at),
            ended: moment!(run.finished_at),
            id: run.id,
            connection: run.connection_id,
            reason: run.reason,
        }
    }
}

impl From<&StreamProgress> for Stream {
    fn from(stream: &StreamProgress) -> Self {
        let (state, tone) = match stream.state() {
            StreamState::Pending | StreamState::Unspecified => ("Not begun", Tone::Quiet),
            StreamState::Running => ("Running", Tone::Quiet),
            StreamState::Complete => ("Complete", Tone::Good),
            StreamState::Unavailable => ("Cannot be read", Tone::Warn),
            StreamState::Suspect => ("Not believed, not applied", Tone::Warn),
            StreamState::Failed => ("Failed", Tone::Bad),
        };
        let name = match stream.stream.as_str() {
            "members" => "Members".to_owned(),
            "teams" => "Teams".to_owned(),
            "member_activities" => "Daily activity".to_owned(),
            other => other.replace('_', " "),
        };
        let (done, total) = match stream.state() {
            StreamState::Complete => (1.max(stream.total), 1.max(stream.total)),
            _ => (stream.done.min(stream.total), stream.total),
        };
        Self {
            name,
            state,
            tone,
            rows: grouped(stream.rows),
            done,
            total,
            steps: if stream.stream == "member_activities" { "days" } else { "lists" },
            is_begun: !matches!(stream.state(), StreamState::Pending | StreamState::Unspecified),
            detail: stream.detail.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_is_an_end() {
        let over =
            |state: RunState| Progress::from(Run { state: state.into(), ..Default::default() }).is_over;
        assert!(over(RunState::Succeeded) && over(RunState::Partial) && over(RunState::Failed));
        assert!(!over(RunState::Queued) && !over(RunState::Running) && !over(RunState::ReconnectRequired));
    }

    #[test]
    fn a_stream_never_shows_more_done_than_there_is() {
        let stream = StreamProgress { done: 9, total: 5, ..Default::default() };
        assert_eq!((Stream::from(&stream).done, Stream::from(&stream).total), (5, 5));
        let complete = StreamProgress { state: StreamState::Complete.into(), ..Default::default() };
        assert_eq!((Stream::from(&complete).done, Stream::from(&complete).total), (1, 1));
    }
}
