//! From facts to a rollup in the database: only what changed is computed again, equal rows are left alone, and alerts
//! leave with the rows that cause them. The fold is pure computation without a pause: to be called on a thread that
//! nobody else needs.

mod alerts;
mod fold;
mod plan;
mod recent;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use tidemark_domain::{
    Clock, Entropy,
    event::{Data, Event, UtilizationUpdated},
    exemption::Exemption,
    id::ConnectionId,
    recommendation::recommend,
    rollup::{DEFINITION_VERSION, Rollup},
};
use tidemark_ports::topology::UTILIZATION_SYNCS;
use tidemark_store::{Error, NewRollup, RollupHead, Store};

use plan::{Plan, Span};

/// Why a connection is looked at.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// A sync ended. The event only says that it is time to look.
    Sync(Event),
    /// The day's turn, or somebody changed a contract or an exemption.
    Turn(ConnectionId),
}

impl Cause {
    pub(crate) fn connection(&self) -> &ConnectionId {
        match self {
            Self::Sync(event) => &event.connection_id,
            Self::Turn(connection) => connection,
        }
    }
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The rollup stands, and what there is to tell is in the outbox.
    Written { as_of: NaiveDate, members: u64, rows: u64 },
    /// No day was fetched whole: there is nothing to say yet.
    NothingCovered,
    /// Another aggregator was there with the rollup of a newer day or of later facts, which stays.
    Superseded { as_of: NaiveDate },
    /// The event had its effect before.
    Duplicate,
}

/// What is to be written, and what alerts are judged by besides.
struct Computed {
    new: NewRollup,
    exemptions: Vec<Exemption>,
    /// There was no rollup before.
    first_look: bool,
    /// The rollup whose windows were moved on, where they were.
    moved_from: Option<RollupHead>,
}

/// Brings the rollup of a connection up to date with the facts as they are now, whatever the cause says.
pub(crate) async fn recompute(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    cause: &Cause,
) -> Result<Outcome, Error> {
    loop {
        let Some(result) = compute(store, clock, cause.connection()).await? else {
            return Ok(Outcome::NothingCovered);
        };
        if let Some(outcome) = write(store, clock, entropy, cause, &result).await? {
            return Ok(outcome);
        }
    }
}

/// None where nothing is covered.
async fn compute(
    store: &Store,
    clock: &dyn Clock,
    connection: &ConnectionId,
) -> Result<Option<Computed>, Error> {
    // The mark before the facts: what is added meanwhile stays marked.
    let mark = store.rollup_mark(connection).await?;
    let Some(span) = Span::read(store, connection).await? else { return Ok(None) };
    let before = store.rollup_head(connection).await?;
    let (rollup, packed) = match (Plan::new(&span, &mark, before.as_ref()), &before) {
        (Plan::Nothing, Some(before)) => (standing(store, connection, before).await?, None),
        (Plan::Recent { read }, Some(before)) => {
            recent::recent(store, connection, &span, read, before.as_of).await?
        }
        _ => fold::whole(store, connection, &span).await?,
    };
    // A rebuild has them.
    let teams = if mark.teams.is_empty() || is_whole(&rollup, &span) {
        None
    } else {
        Some(fold::teams(store, connection, &span, mark.teams).await?)
    };
    let exemptions = store.exemptions(connection).await?;
    let new = NewRollup {
        recommendations: recommend(&rollup, &span.coverage, &exemptions),
        head: RollupHead {
            as_of: span.last,
            history_start: span.first,
            definition_version: DEFINITION_VERSION,
            run_id: span.run_id.clone(),
            members: rollup.seats.len() as u64,
            computed_at: clock.now(),
            revision: mark.revision,
            flags: rollup.flags.clone(),
            kept_from: match &packed {
                Some(packed) => Some(packed.from),
                None => before.as_ref().and_then(|before| before.kept_from),
            },
        },
        rollup,
        teams,
        packed,
    };
    let first_look = before.is_none();
    let moved_from = before.filter(|_| new.packed.as_ref().is_some_and(|packed| !packed.is_whole));
    Ok(Some(Computed { new, exemptions, first_look, moved_from }))
}

/// Whether the rollup has the numbers of all days.
fn is_whole(rollup: &Rollup, span: &Span) -> bool {
    !rollup.windows.is_empty() && rollup.days == (span.first, span.last)
}

/// What stands already, where no facts changed: a turn of the day, a new contract.
async fn standing(store: &Store, connection: &ConnectionId, before: &RollupHead) -> Result<Rollup, Error> {
    Ok(Rollup {
        days: (before.as_of, before.as_of),
        windows: BTreeMap::new(),
        seats: store.seats(connection).await?,
        flags: before.flags.clone(),
    })
}

/// One transaction: the message is remembered, the rows written, the events on their way; or none of it. None where
/// another aggregator wrote the rollup that this one goes on from anew: what was read of it may be half old, half new.
async fn write(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    cause: &Cause,
    result: &Computed,
) -> Result<Option<Outcome>, Error> {
    let (connection, head) = (cause.connection(), &result.new.head);
    let situation = alerts::Facts::read(store, connection, clock, result).await?;
    let tx = store.begin().await?;
    if let Cause::Sync(event) = cause
        && !tx.first_time(UTILIZATION_SYNCS.name, event.id.as_str(), head.computed_at).await?
    {
        return Ok(Some(Outcome::Duplicate));
    }
    if let Some(before) = &result.moved_from
        && !tx.is_newest_rollup(connection, before).await?
    {
        return Ok(None);
    }
    let Some(changed) = tx.write_rollup(connection, &result.new).await? else {
        tx.commit().await?;
        return Ok(Some(Outcome::Superseded { as_of: head.as_of }));
    };
    let rows = changed.numbers + changed.seats + changed.recommendations;
    if matches!(cause, Cause::Sync(_)) || changed.is_anything() {
        let updated = Data::UtilizationUpdated(UtilizationUpdated {
            as_of: head.as_of,
            definition_version: head.definition_version,
            changed: Some(changed),
        });
        tx.emit(&Event::new(clock, entropy, connection.clone(), updated)).await?;
    }
    // Under the head's lock: of two aggregators one tells.
    let turn = situation.turn(&tx.told_alerts(connection).await?);
    tx.turn_alerts(connection, &turn, head.computed_at).await?;
    for alert in turn.begun {
        tx.emit(&Event::new(clock, entropy, connection.clone(), alert.into())).await?;
    }
    tx.commit().await?;
    Ok(Some(Outcome::Written { as_of: head.as_of, members: head.members, rows }))
}

#[cfg(test)]
mod tests;
