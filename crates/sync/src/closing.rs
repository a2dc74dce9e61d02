//! How a delivery ends in the database: the run's next state, with its event or its next command, in one transaction
//! under the fence. Each end is logged once, here.

use std::{error::Error, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::{
    event::{Data, Event, SyncCompleted, SyncFailed},
    run::{self, Priority},
    stream,
};
use tidemark_runtime::metrics::sync as metrics;
use tidemark_store::{self as store, Fence, Result, Run, StreamProgress};

use crate::{
    context::Context,
    decision::{Decision, Failure, backoff, decide},
    engine::Ended,
};

/// How soon a waiting run looks whether there is a credential again, which heals a lost `reconnected` event: each time
/// twice as late, up to hours.
const RECONNECT_LOOK: Duration = Duration::from_secs(300);
const LONGEST_RECONNECT_LOOK: Duration = Duration::from_secs(4 * 3_600);
/// What another version has to do is left to it for this long at a time, and in all before the run ends without it.
const LEFT: Duration = Duration::from_secs(60);
const LEFT_IN_ALL: Duration = Duration::from_secs(3_600);
pub(crate) const FIRST_RECONNECT_LOOK: Duration = Duration::from_secs(2);
/// Spread on top of the pause the vendor asked for.
const SPREAD: Duration = Duration::from_secs(1);

/// What goes out with the run's new state.
enum Send {
    Nothing,
    /// Nothing, and the run comes behind those who wait.
    Back,
    Continuation,
    Event(Data),
}

/// Writes down how a delivery ended.
pub(crate) async fn close(
    cx: &Context,
    taken: &Run,
    fence: &Fence,
    ended: std::result::Result<Ended, Failure>,
    served: Duration,
) -> Result<()> {
    let run_id = &taken.id;
    let Some(run) = cx.store.run(run_id).await?.filter(|run| !run.state.is_final()) else { return Ok(()) };
    let close = Close { cx, fence, taken, run, served };
    metrics::delivered(match &ended {
        Ok(Ended::Paused) => "paused",
        Ok(Ended::Settled) => "settled",
        Ok(Ended::Waiting { .. }) => "waiting",
        Err(_) => "failed",
    });
    let written = match ended {
        Ok(Ended::Paused) => close.go_on().await,
        Ok(Ended::Settled) => close.finish().await,
        Ok(Ended::Waiting { until, reason }) => close.wait_for_streams(until, reason).await,
        Err(failure) => close.fail(&failure).await,
    };
    match written {
        Err(store::Error::FenceLost) => {
            tracing::warn!(run = %run_id, "the workspace went to another worker, which goes on from the checkpoint");
            Ok(())
        }
        written => written,
    }
}

struct Close<'a> {
    cx: &'a Context,
    fence: &'a Fence,
    /// As it was when this worker took it.
    taken: &'a Run,
    run: Run,
    /// How long this worker had it.
    served: Duration,
}

impl Close<'_> {
    async fn go_on(&self) -> Result<()> {
        let next = Run { wake_at: Some(self.cx.rescue_at()), ..self.run.clone() };
        self.write(next, Send::Continuation).await?;
        tracing::debug!(run = %self.run.id, connection = %self.run.connection_id, "sync makes room and goes on later");
        Ok(())
    }

    /// All streams that are left wait for their next attempts, unless somebody ended that wait while the worker had the run.
    async fn wait_for_streams(&self, until: DateTime<Utc>, reason: String) -> Result<()> {
        self.wait(until, reason).await?;
        let (cx, run, now) = (self.cx, &self.run, self.cx.now());
        let streams = cx.store.streams(&run.id).await?;
        let mut open = streams.iter().filter(|progress| !progress.state.is_settled());
        if open.any(|progress| progress.retry_at.is_some_and(|at| at > now)) {
            return Ok(());
        }
        let tx = cx.store.begin().await?;
        if tx.hurry_run(&run.id, now).await? {
            cx.send_off(&tx, &run.id, &run.connection_id).await?;
        }
        tx.commit().await
    }

    /// All that is left waits for its next attempt.
    async fn wait(&self, until: DateTime<Utc>, reason: String) -> Result<()> {
        let next = Run { wake_at: Some(until), reason: Some(reason), ..self.run.clone() };
        self.write(next, Send::Nothing).await
    }

    async fn finish(&self) -> Result<()> {
        let streams = self.cx.store.streams(&self.run.id).await?;
        if streams.iter().any(|progress| !progress.state.is_settled()) {
            // A reconnect asked for a stream again that this worker had settled.
            return self.go_on().await;
        }
        let mut state = run::outcome(streams.iter().map(|progress| progress.state));
        let mut reason = shortfalls(&streams);
        if self.cx.store.stream_count(&self.run.id).await? > streams.len() as u64 {
            let sentence = "A newer version of Tidemark has more to read for this sync.";
            if self.cx.now() - self.run.created_at < TimeDelta::from_std(LEFT_IN_ALL).unwrap_or_default() {
                return self.wait(self.cx.after(LEFT), sentence.to_owned()).await;
            }
            if state == run::State::Succeeded {
                state = run::State::Partial;
            }
            reason =
                Some(reason.map_or_else(|| sentence.to_owned(), |reason| format!("{reason} {sentence}")));
        }
        if state == run::State::Failed {
            return self.give_up(reason.unwrap_or_else(|| "No stream could be read.".to_owned())).await;
        }
        let as_of = self.cx.store.coverage(&self.run.connection_id).await?.last().map(|covered| covered.day);
        let run_id = self.run.id.clone();
        let next = Run { reason: reason.clone(), ..self.ended(state) };
        self.write(next, Send::Event(Data::SyncCompleted(SyncCompleted { run_id, state, as_of }))).await?;
        for progress in &streams {
            metrics::stream_ended(progress.stream.as_str(), progress.state.as_str());
        }
        let (run, connection) = (&self.run.id, &self.run.connection_id);
        match reason {
            None => tracing::info!(%run, %connection, "sync succeeded"),
            Some(reason) => tracing::warn!(%run, %connection, reason, "sync ended with gaps"),
        }
        Ok(())
    }

    async fn fail(&self, failure: &Failure) -> Result<()> {
        let attempt = self.run.attempts.saturating_add(1);
        let pause = match decide(failure, attempt) {
            Decision::Stop => {
                tracing::warn!(run = %self.run.id, connection = %self.run.connection_id, %failure, "sync stopped here");
                let tx = self.cx.store.begin().await?;
                tx.release_claim(self.taken).await?;
                return tx.commit().await;
            }
            Decision::AwaitReconnect(sentence) => return self.await_reconnect(sentence).await,
            Decision::GiveUp(reason) => {
                tracing::error!(run = %self.run.id, error = failure as &dyn Error, "sync cannot go on");
                return self.give_up(reason).await;
            }
            Decision::Leave => {
                tracing::warn!(run = %self.run.id, error = failure as &dyn Error, "left to another version");
                let reason = "A newer version of Tidemark wrote part of this sync; it is left to that one.";
                return self.wait(self.cx.after(LEFT + self.cx.jitter(LEFT)), reason.to_owned()).await;
            }
            Decision::RetryAfter(pause) => pause.saturating_add(self.cx.jitter(SPREAD)),
            // The others are settled by the engine; coming here they are worth another try.
            Decision::Retry
            | Decision::ReconnectCheck
            | Decision::StreamUnavailable(_)
            | Decision::StreamSuspect(_)
            | Decision::StreamFailed(_) => {
                let half = backoff(attempt) / 2;
                half + self.cx.jitter(half)
            }
        };
        let wake_at = Some(self.cx.after(pause));
        let reason = Some(failure.reason_to_wait(pause));
        let send = if matches!(failure, Failure::Silent(_)) { Send::Back } else { Send::Nothing };
        self.write(Run { attempts: attempt, wake_at, reason, ..self.run.clone() }, send).await?;
        tracing::warn!(
            run = %self.run.id,
            connection = %self.run.connection_id,
            attempt,
            pause_ms = pause.as_millis(),
            error = failure as &dyn Error,
            "sync attempt failed, it will be tried again"
        );
        Ok(())
    }

    async fn await_reconnect(&self, sentence: String) -> Result<()> {
        let was_waiting = self.run.state == run::State::ReconnectRequired;
        // Who reconnects at once may be done before this is written, and would then wake nobody: look again soon, once.
        let looks = if was_waiting { self.run.attempts.saturating_add(1) } else { 0 };
        let look = reconnect_look(looks);
        let next = Run {
            state: run::State::ReconnectRequired,
            reason: Some(sentence),
            attempts: looks,
            wake_at: Some(self.cx.after(look)),
            ..self.run.clone()
        };
        self.write(next, Send::Nothing).await?;
        if !was_waiting {
            let (run, connection) = (&self.run.id, &self.run.connection_id);
            tracing::warn!(%run, %connection, "sync waits until the workspace is reconnected");
        }
        Ok(())
    }

    async fn give_up(&self, reason: String) -> Result<()> {
        let event = Data::SyncFailed(SyncFailed { run_id: self.run.id.clone(), reason: reason.clone() });
        let next = Run { reason: Some(reason.clone()), ..self.ended(run::State::Failed) };
        self.write(next, Send::Event(event)).await?;
        tracing::error!(run = %self.run.id, connection = %self.run.connection_id, reason, "sync failed");
        Ok(())
    }

    fn ended(&self, state: run::State) -> Run {
        Run { state, wake_at: None, finished_at: Some(self.cx.now()), ..self.run.clone() }
    }

    async fn write(&self, next: Run, send: Send) -> Result<()> {
        let now = self.cx.now();
        let next = Run { updated_at: now, ..next };
        let tx = self.cx.store.begin().await?;
        tx.guard(self.fence, now, self.cx.settings.lease_ttl).await?;
        if !tx.update_run(&next, self.run.state).await? {
            // A reconnect resumed the run in between, and sent its command.
            return Ok(());
        }
        // Who had a turn and is not done comes behind those who wait for theirs.
        let lane = if matches!(send, Send::Continuation | Send::Back) {
            Priority::Backfill
        } else {
            Priority::Person
        };
        let served_ms = u64::try_from(self.served.as_millis()).unwrap_or(u64::MAX);
        tx.leave_run(&next.id, served_ms, lane).await?;
        match send {
            Send::Nothing | Send::Back => {}
            Send::Continuation => self.cx.send_off(&tx, &next.id, &next.connection_id).await?,
            Send::Event(data) => {
                let connection = next.connection_id.clone();
                tx.emit(&Event::new(&*self.cx.clock, &*self.cx.entropy, connection, data)).await?;
            }
        }
        tx.commit().await?;
        if next.state.is_final() {
            tell_end(&next, now);
        }
        Ok(())
    }
}

/// The pause before the look of that number: soon at first, later and later.
fn reconnect_look(number: u32) -> Duration {
    match number.checked_sub(1) {
        None => FIRST_RECONNECT_LOOK,
        Some(doublings) => RECONNECT_LOOK.saturating_mul(1 << doublings.min(16)).min(LONGEST_RECONNECT_LOOK),
    }
}

/// Counts a run that has just ended.
pub(crate) fn tell_end(run: &Run, now: DateTime<Utc>) {
    metrics::ended(run.state.as_str(), (now - run.started_at.unwrap_or(now)).to_std().unwrap_or_default());
}

/// What is missing and why, in one line; nothing where every stream is complete.
fn shortfalls(streams: &[StreamProgress]) -> Option<String> {
    let incomplete = streams.iter().filter(|progress| progress.state != stream::State::Complete);
    let lines: Vec<_> = incomplete
        .map(|progress| {
            let detail = progress.detail.as_deref().unwrap_or("not read");
            format!("{}: {}", progress.stream.as_str(), detail.trim_end_matches('.'))
        })
        .collect();
    (!lines.is_empty()).then(|| format!("{}.", lines.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_reconnect_is_looked_at_later_and_later() {
        let looks = [0, 1, 2, 3, 7, 8, u32::MAX].map(|number| reconnect_look(number).as_secs());
        assert_eq!(looks, [2, 300, 600, 1_200, 14_400, 14_400, 14_400]);
    }
}
