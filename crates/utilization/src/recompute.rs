//! From facts to a rollup in the database: only what changed is computed again, equal rows are left alone, and alerts
//! leave with the rows that cause them. The fold is pure computation without a pause: to be called on a thread that
//! nobody else needs.

mod alerts;
mod fold;
mod plan;
mod recent;

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use tidemark_domain::{
    Clock, Entropy,
    event::{Changed, Data, Event, UtilizationUpdated},
    exemption::Exemption,
    id::ConnectionId,
    recommendation::recommend,
    rollup::{self, Cut, CutSet, DEFINITION_VERSION, Rollup},
};
use tidemark_ports::topology::UTILIZATION_SYNCS;
use tidemark_store::{Error, NewRollup, Rest, RollupHead, Store, TeamNumbers, Tx};
use tokio::try_join;
use uuid::Uuid;

use fold::{Share, Whole};
use plan::{Base, Plan, Span};

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
    /// Nobody knows who the members are: no seat is counted, and what was computed before stands.
    NoRoster { reason: String },
    /// Another aggregator was there with the rollup of a newer day or of later facts, which stays.
    Superseded { as_of: NaiveDate },
    /// The event had its effect before.
    Duplicate,
    /// Somebody disconnected the workspace, which has no numbers any more.
    Disconnected,
    /// It was computed by later definitions, and is left to a process that knows them.
    LeftToNewer { definition_version: u32 },
}

/// What is read before anything is written.
struct Prepared {
    span: Span,
    /// The changes of facts that were seen.
    revision: u64,
    source: Source,
    /// The numbers of teams, where some are to be computed again.
    teams: Option<TeamNumbers>,
    exemptions: Vec<Exemption>,
    situation: alerts::Facts,
}

/// Where a rollup comes from.
enum Source {
    /// All facts, of which something is to be kept, so much at once.
    Made { whole: Whole, share: Share },
    /// What is kept beside the rollup before.
    Kept(Box<recent::Facts>),
    /// The rollup before, with its seats: no facts changed.
    Standing(Rollup, RollupHead),
}

impl Source {
    async fn read(
        store: &Store,
        connection: &ConnectionId,
        span: &Span,
        plan: Plan,
        before: Option<RollupHead>,
    ) -> Result<Self, Error> {
        Ok(match (plan, before) {
            (Plan::Nothing, Some(before)) => {
                Self::Standing(standing(store, connection, &before).await?, before)
            }
            (Plan::Recent { read }, Some(before)) => {
                let facts = recent::Facts::read(store, connection, span, read, before).await?;
                Self::Kept(Box::new(facts))
            }
            _ => {
                let share = Share::of(store, connection, span).await?;
                Self::Made { whole: fold::whole(store, connection, span, share).await?, share }
            }
        })
    }

    /// The rollup that it goes on from.
    fn before(&self) -> Option<&RollupHead> {
        match self {
            Self::Made { .. } => None,
            Self::Kept(facts) => Some(&facts.before),
            Self::Standing(_, before) => Some(before),
        }
    }
}

/// What came of writing it.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    Ended(Outcome),
    /// Another aggregator wrote the rollup that this one goes on from anew: what was read before may be older.
    Outrun,
    /// What is kept is not enough: all days are to be computed.
    NotEnough,
}

/// Brings the rollup of a connection up to date with the facts as they are now, whatever the cause says.
pub(crate) async fn recompute(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    cause: &Cause,
) -> Result<Outcome, Error> {
    let head = store.rollup_head(cause.connection()).await?;
    let newer = head.map(|head| head.definition_version).filter(|version| *version > DEFINITION_VERSION);
    if let Some(definition_version) = newer {
        return Ok(Outcome::LeftToNewer { definition_version });
    }
    let mut is_enough = true;
    loop {
        let prepared = match prepare(store, cause.connection(), is_enough).await? {
            Ok(prepared) => prepared,
            Err(Base::NoRoster(reason)) => return withhold(store, clock, cause, reason).await,
            Err(_) => return Ok(Outcome::NothingCovered),
        };
        match carry_out(store, clock, entropy, cause, prepared).await? {
            Attempt::Ended(outcome) => return Ok(outcome),
            Attempt::Outrun => {}
            Attempt::NotEnough => {
                let connection = cause.connection();
                tracing::info!(%connection, "what is kept of activity is not enough: all days are computed");
                is_enough = false;
            }
        }
    }
}

/// Tells why there is no rollup.
async fn withhold(store: &Store, clock: &dyn Clock, cause: &Cause, reason: String) -> Result<Outcome, Error> {
    let (connection, now) = (cause.connection(), clock.now());
    let tx = store.begin().await?;
    if let Cause::Sync(event) = cause
        && !tx.first_time(UTILIZATION_SYNCS.name, event.id.as_str(), now).await?
    {
        return Ok(Outcome::Duplicate);
    }
    tx.withhold_rollup(connection, &reason, now).await?;
    if !tx.may_have_rollup(connection).await? {
        return Ok(Outcome::Disconnected);
    }
    tx.commit().await?;
    Ok(Outcome::NoRoster { reason })
}

/// What is computed, or else what there is instead of something to compute from.
async fn prepare(
    store: &Store,
    connection: &ConnectionId,
    is_enough: bool,
) -> Result<Result<Prepared, Base>, Error> {
    // The mark before the facts: what is added meanwhile stays marked.
    let mark = store.rollup_mark(connection).await?;
    let (base, before, exemptions) = try_join!(
        Base::read(store, connection),
        store.rollup_head(connection),
        store.exemptions(connection),
    )?;
    let span = match base {
        Base::Read(span) => span,
        base => return Ok(Err(base)),
    };
    let plan = match Plan::new(&span, &mark, before.as_ref()) {
        Plan::Recent { .. } if !is_enough => Plan::Whole,
        _ if !fold::fit(mark.teams.len(), &span) => Plan::Whole,
        plan => plan,
    };
    // A rebuild has them.
    let teams = if mark.teams.is_empty() || plan == Plan::Whole {
        None
    } else {
        Some(fold::teams(store, connection, &span, mark.teams).await?)
    };
    let situation = alerts::Facts::read(store, connection, &span, before.is_none());
    let source = Source::read(store, connection, &span, plan, before);
    let (situation, source) = try_join!(situation, source)?;
    let revision = mark.revision;
    Ok(Ok(Prepared { span, revision, source, teams, exemptions, situation }))
}

/// What stands already, where no facts changed: a turn of the day, a new contract.
async fn standing(store: &Store, connection: &ConnectionId, before: &RollupHead) -> Result<Rollup, Error> {
    Ok(Rollup {
        days: (before.as_of, before.as_of),
        cuts: CutSet::Whole,
        windows: BTreeMap::new(),
        seats: store.seats(connection).await?,
        flags: before.flags.clone(),
    })
}

/// One transaction: the message is remembered, the rows written, the events on their way; or none of it.
async fn carry_out(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    cause: &Cause,
    prepared: Prepared,
) -> Result<Attempt, Error> {
    let Prepared { span, revision, source, teams, exemptions, situation } = prepared;
    let (connection, computed_at) = (cause.connection(), clock.now());
    let tx = store.begin().await?;
    if let Cause::Sync(event) = cause
        && !tx.first_time(UTILIZATION_SYNCS.name, event.id.as_str(), computed_at).await?
    {
        return Ok(Attempt::Ended(Outcome::Duplicate));
    }
    let superseded = Attempt::Ended(Outcome::Superseded { as_of: span.last });
    if let Some(before) = source.before() {
        // Locked until the end, so that what was read of it and beside it stays true.
        if !tx.is_newest_rollup(connection, before).await? {
            return Ok(Attempt::Outrun);
        }
        // It was written between the look at the mark and the one at the head.
        if before.revision > revision {
            tx.commit().await?;
            return Ok(superseded);
        }
    }
    let mut others = None;
    let (rollup, rest, kept_from) = match source {
        Source::Made { whole, share } => {
            let (rollup, packed, cohorts) = whole.apart();
            others = (!share.is_whole(&rollup, &span)).then_some((cohorts, share));
            let kept_from = Some(packed.from);
            (rollup, Rest::Put(packed), kept_from)
        }
        Source::Kept(facts) => {
            let Some((rollup, seats)) = recent::move_on(*facts, &tx).await? else {
                return Ok(Attempt::NotEnough);
            };
            (rollup, Rest::Written { seats }, Some(rollup::kept_from(span.last)))
        }
        Source::Standing(rollup, before) => (rollup, Rest::Written { seats: 0 }, before.kept_from),
    };
    let head = RollupHead {
        as_of: span.last,
        history_start: span.first,
        definition_version: DEFINITION_VERSION,
        run_id: span.run_id.clone(),
        members: rollup.seats.len() as u64,
        computed_at,
        revision,
        flags: rollup.flags.clone(),
        kept_from,
    };
    let mut recommendations = recommend(&rollup, &span.coverage, &exemptions);
    recommendations.retain(|it| span.unknown.allow(it, span.last));
    let new = NewRollup { head, rollup, teams, recommendations, rest };
    let Some(changed) = write(&tx, connection, &span, &new, others).await? else {
        tx.commit().await?;
        return Ok(superseded);
    };
    // Read before somebody disconnected it, it must not come after the deletion of its facts. Before the first event, in
    // the order in which a disconnect locks the connection and its events.
    if !tx.may_have_rollup(connection).await? {
        return Ok(Attempt::Ended(Outcome::Disconnected));
    }
    announce(&tx, clock, entropy, cause, &new, changed).await?;
    // Under the head's lock: of two aggregators one tells.
    let turn = situation.turn(clock, &new, &exemptions, &tx.told_alerts(connection).await?);
    tx.turn_alerts(connection, &turn, computed_at).await?;
    for announcement in turn.announcements() {
        tx.emit(&Event::new(clock, entropy, connection.clone(), announcement)).await?;
    }
    tx.commit().await?;
    let (head, rows) = (new.head, changed.numbers + changed.seats + changed.recommendations);
    Ok(Attempt::Ended(Outcome::Written { as_of: head.as_of, members: head.members, rows }))
}

/// Writes the rollup, and the numbers of the days and teams that it leaves out; none where a newer one stands.
async fn write(
    tx: &Tx,
    connection: &ConnectionId,
    span: &Span,
    new: &NewRollup,
    others: Option<(HashMap<Uuid, Cut>, Share)>,
) -> Result<Option<Changed>, Error> {
    let mut numbers = 0;
    let is_part = others.is_some();
    if let Some((cohorts, share)) = others {
        // Locked before the others are written.
        if !tx.write_head(connection, &new.head).await? {
            return Ok(None);
        }
        numbers = fold::write_others(tx, connection, span, (&new.rollup, &cohorts), share).await?;
    }
    let changed = tx.write_rollup(connection, new).await?;
    Ok(changed.map(|changed| Changed {
        first_day: if is_part { Some(span.first) } else { changed.first_day },
        numbers: changed.numbers + numbers,
        ..changed
    }))
}

/// What a sync brought is announced in any case, and of a turn what it changed.
async fn announce(
    tx: &Tx,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    cause: &Cause,
    new: &NewRollup,
    changed: Changed,
) -> Result<(), Error> {
    if !matches!(cause, Cause::Sync(_)) && !changed.is_anything() {
        return Ok(());
    }
    let updated = Data::UtilizationUpdated(UtilizationUpdated {
        as_of: new.head.as_of,
        definition_version: new.head.definition_version,
        changed: Some(changed),
    });
    tx.emit(&Event::new(clock, entropy, cause.connection().clone(), updated)).await
}

#[cfg(test)]
mod tests;
