//! From facts to a rollup in the database: read in pages, folded, written in one transaction. The fold is pure
//! computation without a pause: to be called on a thread that nobody else needs.

use chrono::NaiveDate;
use tidemark_domain::{
    Clock, Entropy,
    event::{Data, Event, UtilizationUpdated},
    id::{ConnectionId, RunId},
    rollup::{Coverage, DEFINITION_VERSION, Fold, MemberFacts, Rollup},
};
use tidemark_ports::topology::UTILIZATION_SYNCS;
use tidemark_store::{Error, OwnedMemberFacts, RollupHead, Store};

/// Members read at once.
const PAGE: u64 = 500;

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The rollup stands, and `utilization.updated` is in the outbox.
    Written { as_of: NaiveDate, members: u64 },
    /// No day was fetched whole: there is nothing to say yet.
    NothingCovered,
    /// Another aggregator was there with the rollup of a newer day, which stays.
    Superseded { as_of: NaiveDate },
    /// The event had its effect before.
    Duplicate,
}

/// The days a rollup speaks for, and the run that brought the last of them.
struct Span {
    coverage: Coverage,
    first: NaiveDate,
    last: NaiveDate,
    run_id: RunId,
}

/// Brings the rollup of the event's connection up to date with the facts as they are now, whatever the event said.
pub(crate) async fn recompute(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    event: &Event,
) -> Result<Outcome, Error> {
    let connection = &event.connection_id;
    let Some(span) = span(store, connection).await? else { return Ok(Outcome::NothingCovered) };
    let rollup = fold(store, connection, &span).await?;
    let head = RollupHead {
        as_of: span.last,
        history_start: span.first,
        definition_version: DEFINITION_VERSION,
        run_id: span.run_id,
        members: rollup.seats.len() as u64,
        computed_at: clock.now(),
    };
    let updated = Data::UtilizationUpdated(UtilizationUpdated {
        as_of: head.as_of,
        definition_version: head.definition_version,
    });
    let updated = Event::new(clock, entropy, connection.clone(), updated);
    write(store, event, &head, &rollup, &updated).await
}

/// Where nothing is covered, there is no rollup: unknown is not inactive.
async fn span(store: &Store, connection: &ConnectionId) -> Result<Option<Span>, Error> {
    let days = store.coverage(connection).await?;
    let coverage: Coverage = days.iter().map(|covered| covered.day).collect();
    let (Some(first), Some(last)) = (coverage.history_start(), coverage.as_of()) else { return Ok(None) };
    let run_id = days.into_iter().find(|covered| covered.day == last).map(|covered| covered.run_id);
    Ok(run_id.map(|run_id| Span { coverage, first, last, run_id }))
}

/// Page by page, so that memory does not grow with the workspace.
async fn fold(store: &Store, connection: &ConnectionId, span: &Span) -> Result<Rollup, Error> {
    let mut fold = Fold::new(span.first, span.last, &span.coverage);
    let mut after = None;
    loop {
        let page = store.member_facts(connection, after, PAGE, span.first).await?;
        let Some(last) = page.last() else { return Ok(fold.finish()) };
        after = Some(last.member_id);
        for OwnedMemberFacts { member_id, versions, days } in &page {
            fold.member(MemberFacts { member_id: *member_id, versions, days });
        }
    }
}

/// One transaction: the message is remembered, the rollup replaced, the event on its way; or none of it.
async fn write(
    store: &Store,
    event: &Event,
    head: &RollupHead,
    rollup: &Rollup,
    updated: &Event,
) -> Result<Outcome, Error> {
    let connection = &event.connection_id;
    let tx = store.begin().await?;
    if !tx.first_time(UTILIZATION_SYNCS.name, event.id.as_str(), head.computed_at).await? {
        return Ok(Outcome::Duplicate);
    }
    if !tx.replace_rollup(connection, head, rollup).await? {
        tx.commit().await?;
        return Ok(Outcome::Superseded { as_of: head.as_of });
    }
    tx.emit(updated).await?;
    tx.commit().await?;
    Ok(Outcome::Written { as_of: head.as_of, members: head.members })
}

#[cfg(test)]
mod tests;
