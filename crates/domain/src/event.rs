//! Events as CloudEvents 1.0 in JSON. Golden files of every version in `tests/fixtures/events` must decode for ever.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Clock, Entropy,
    alert::{Alert, BelowTarget, DataStale, OverAllocated, RenewalNear, SeatIdle, SeatsIdle},
    capability::Capability,
    connection::{CredentialKind, Reason, State},
    id::{ConnectionId, EventId, OrganizationId, RunId},
    run,
};

/// A connection was made and its credential works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// The workspace's domain at the vendor, where it could be found.
    pub workspace: Option<String>,
}

/// A connection needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconnectRequired {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// Why.
    pub reason: Reason,
    /// Which credential of the connection was refused.
    pub generation: i64,
}

/// A new credential took the old one's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconnected {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// Which credential of the connection works now.
    pub generation: i64,
}

/// A credential ends soon, or has grown old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiring {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// Which credential.
    pub credential: CredentialKind,
    /// When it ends; absent for a key that is merely old.
    pub expires_at: Option<DateTime<Utc>>,
    /// It ends in at most so many days; absent for a key that is merely old, whose connection stays as it is.
    pub days: Option<u32>,
}

/// Something that could be read is refused now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// What is refused since now.
    pub capability: Capability,
    /// What stays unknown because of it, in words for a person.
    pub consequence: String,
    /// Everything that is lost by now.
    pub lost: Vec<Capability>,
}

/// Something that was wrong with a live connection is not wrong any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// What can be read again; absent where an end that was near is far again.
    pub capability: Option<Capability>,
    /// Where the connection stands now: it may have lost more than this.
    pub state: State,
    /// What is still lost.
    pub lost: Vec<Capability>,
}

/// Somebody ended a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnected {
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// Why.
    pub reason: Reason,
    /// Whether the facts collected so far are deleted, too.
    pub facts_purged: bool,
    /// Credentials that still work at the vendor, since they could not be revoked from here.
    pub not_revoked: Vec<CredentialKind>,
}

/// A sync ended with data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCompleted {
    /// The run.
    pub run_id: RunId,
    /// `succeeded` or `partial`.
    pub state: run::State,
    /// The last covered day, where there is one.
    pub as_of: Option<NaiveDate>,
}

/// A sync ended without data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncFailed {
    /// The run.
    pub run_id: RunId,
    /// Why, in a sentence without secrets.
    pub reason: String,
}

/// The rollups of a connection changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UtilizationUpdated {
    /// The day the newest rollup speaks for.
    pub as_of: NaiveDate,
    /// By which definitions.
    pub definition_version: u32,
    /// What changed; absent in events of before this was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// What of a connection's rollups changed: rows that are equal are not written again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The first day whose numbers were computed again.
    pub first_day: Option<NaiveDate>,
    /// The last one.
    pub last_day: Option<NaiveDate>,
    /// Rows of numbers that are other than before.
    pub numbers: u64,
    /// Seats that are other than before.
    pub seats: u64,
    /// Recommendations that are other than before.
    pub recommendations: u64,
}

impl Changed {
    /// Whether anything did.
    pub fn is_anything(&self) -> bool {
        self.numbers + self.seats + self.recommendations > 0
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `connection.connected`
    Connected(Connected),
    /// `connection.expiring`
    Expiring(Expiring),
    /// `connection.degraded`
    Degraded(Degraded),
    /// `connection.recovered`
    Recovered(Recovered),
    /// `connection.reconnect_required`
    ReconnectRequired(ReconnectRequired),
    /// `connection.reconnected`
    Reconnected(Reconnected),
    /// `connection.disconnected`
    Disconnected(Disconnected),
    /// `sync.completed`
    SyncCompleted(SyncCompleted),
    /// `sync.failed`
    SyncFailed(SyncFailed),
    /// `utilization.updated`
    UtilizationUpdated(UtilizationUpdated),
    /// `utilization.below_target`
    BelowTarget(BelowTarget),
    /// `utilization.seat_idle` in version 1, one event per seat: not sent any more.
    SeatIdle(SeatIdle),
    /// `utilization.seat_idle` in version 2, one event for all seats of a day.
    SeatsIdle(SeatsIdle),
    /// `utilization.over_allocated`
    OverAllocated(OverAllocated),
    /// `utilization.renewal_near`
    RenewalNear(RenewalNear),
    /// `utilization.data_stale`
    DataStale(DataStale),
}

impl Data {
    /// The event's type: also its routing key.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connected(_) => "connection.connected",
            Self::Expiring(_) => "connection.expiring",
            Self::Degraded(_) => "connection.degraded",
            Self::Recovered(_) => "connection.recovered",
            Self::ReconnectRequired(_) => "connection.reconnect_required",
            Self::Reconnected(_) => "connection.reconnected",
            Self::Disconnected(_) => "connection.disconnected",
            Self::SyncCompleted(_) => "sync.completed",
            Self::SyncFailed(_) => "sync.failed",
            Self::UtilizationUpdated(_) => "utilization.updated",
            Self::BelowTarget(_) => "utilization.below_target",
            Self::SeatIdle(_) | Self::SeatsIdle(_) => "utilization.seat_idle",
            Self::OverAllocated(_) => "utilization.over_allocated",
            Self::RenewalNear(_) => "utilization.renewal_near",
            Self::DataStale(_) => "utilization.data_stale",
        }
    }

    fn source(&self) -> &'static str {
        match self {
            Self::Connected(_)
            | Self::Expiring(_)
            | Self::Degraded(_)
            | Self::Recovered(_)
            | Self::ReconnectRequired(_)
            | Self::Reconnected(_)
            | Self::Disconnected(_) => "/tidemark/credentials",
            Self::SyncCompleted(_) | Self::SyncFailed(_) => "/tidemark/sync",
            Self::UtilizationUpdated(_)
            | Self::BelowTarget(_)
            | Self::SeatIdle(_)
            | Self::SeatsIdle(_)
            | Self::OverAllocated(_)
            | Self::RenewalNear(_)
            | Self::DataStale(_) => "/tidemark/utilization",
        }
    }

    fn to_value(&self) -> serde_json::Result<Value> {
        match self {
            Self::Connected(data) => serde_json::to_value(data),
            Self::Expiring(data) => serde_json::to_value(data),
            Self::Degraded(data) => serde_json::to_value(data),
            Self::Recovered(data) => serde_json::to_value(data),
            Self::ReconnectRequired(data) => serde_json::to_value(data),
            Self::Reconnected(data) => serde_json::to_value(data),
            Self::Disconnected(data) => serde_json::to_value(data),
            Self::SyncCompleted(data) => serde_json::to_value(data),
            Self::SyncFailed(data) => serde_json::to_value(data),
            Self::UtilizationUpdated(data) => serde_json::to_value(data),
            Self::BelowTarget(data) => serde_json::to_value(data),
            Self::SeatIdle(data) => serde_json::to_value(data),
            Self::SeatsIdle(data) => serde_json::to_value(data),
            Self::OverAllocated(data) => serde_json::to_value(data),
            Self::RenewalNear(data) => serde_json::to_value(data),
            Self::DataStale(data) => serde_json::to_value(data),
        }
    }

    /// The version of what it carries: another one where a field is gone or has another meaning.
    fn version(&self) -> u32 {
        if matches!(self, Self::SeatsIdle(_)) { 2 } else { 1 }
    }

    fn from_value(kind: &str, version: u32, value: Value) -> Result<Self, DecodeError> {
        fn read<T: DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
            serde_json::from_value(value).map_err(DecodeError::UnknownData)
        }
        let newest = if kind == "utilization.seat_idle" { 2 } else { 1 };
        if version > newest {
            return Err(DecodeError::UnknownVersion { kind: kind.to_owned(), version });
        }
        Ok(match kind {
            "connection.connected" => Self::Connected(read(value)?),
            "connection.expiring" => Self::Expiring(read(value)?),
            "connection.degraded" => Self::Degraded(read(value)?),
            "connection.recovered" => Self::Recovered(read(value)?),
            "connection.reconnect_required" => Self::ReconnectRequired(read(value)?),
            "connection.reconnected" => Self::Reconnected(read(value)?),
            "connection.disconnected" => Self::Disconnected(read(value)?),
            "sync.completed" => Self::SyncCompleted(read(value)?),
            "sync.failed" => Self::SyncFailed(read(value)?),
            "utilization.updated" => Self::UtilizationUpdated(read(value)?),
            "utilization.below_target" => Self::BelowTarget(read(value)?),
            "utilization.seat_idle" if version == 1 => Self::SeatIdle(read(value)?),
            "utilization.seat_idle" => Self::SeatsIdle(read(value)?),
            "utilization.over_allocated" => Self::OverAllocated(read(value)?),
            "utilization.renewal_near" => Self::RenewalNear(read(value)?),
            "utilization.data_stale" => Self::DataStale(read(value)?),
            _ => return Err(DecodeError::UnknownType(kind.to_owned())),
        })
    }
}

impl From<Alert> for Data {
    /// Seats that went idle leave together, see [`SeatsIdle`].
    fn from(alert: Alert) -> Self {
        match alert {
            Alert::BelowTarget(data) => Self::BelowTarget(data),
            Alert::SeatIdle(data) => Self::SeatIdle(data),
            Alert::OverAllocated(data) => Self::OverAllocated(data),
            Alert::RenewalNear(data) => Self::RenewalNear(data),
            Alert::DataStale(data) => Self::DataStale(data),
        }
    }
}

/// One event: what happened to which connection, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Stable across redeliveries; consumers deduplicate by it.
    pub id: EventId,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// The connection it happened to.
    pub connection_id: ConnectionId,
    /// What happened.
    pub data: Data,
}

/// Why bytes are not an event, or not one for this version.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not CloudEvents JSON of the expected shape.
    #[error("the event's JSON is malformed")]
    Malformed(#[source] serde_json::Error),
    /// A type that this version does not know; a consumer may skip it.
    #[error("unknown event type `{0}`")]
    UnknownType(String),
    /// A version of a known type that this version of the program does not know.
    #[error("version {version} of the event `{kind}` is newer than this program")]
    UnknownVersion {
        /// The type.
        kind: String,
        /// The version of its data.
        version: u32,
    },
    /// An event whose data holds a value that this version does not know.
    #[error("the event's data holds what this version does not know")]
    UnknownData(#[source] serde_json::Error),
}

impl DecodeError {
    /// Whether it is an event all the same, of another version of the program: what it tells stands in the database, too, so
    /// that a consumer whose queue is a doorbell acknowledges it.
    pub fn is_unknown(&self) -> bool {
        !matches!(self, Self::Malformed(_))
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    specversion: String,
    id: EventId,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: DateTime<Utc>,
    subject: ConnectionId,
    datacontenttype: String,
    /// Ends with the version of the data.
    dataschema: String,
    data: Value,
}

impl Event {
    /// A new event of now.
    pub fn new(clock: &dyn Clock, entropy: &dyn Entropy, connection_id: ConnectionId, data: Data) -> Self {
        Self { id: EventId::generate(clock, entropy), time: clock.now(), connection_id, data }
    }

    /// The event as CloudEvents JSON.
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            specversion: "1.0".to_owned(),
            id: self.id.clone(),
            source: self.data.source().to_owned(),
            kind: self.data.kind().to_owned(),
            time: self.time,
            subject: self.connection_id.clone(),
            datacontenttype: "application/json".to_owned(),
            dataschema: format!("tidemark:{}:v{}", self.data.kind(), self.data.version()),
            data: self.data.to_value().expect("event data has string keys only"),
        };
        serde_json::to_vec(&wire).expect("an event has string keys only")
    }

    /// Reads CloudEvents JSON; unknown attributes and fields are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
        // One that says nothing of its version is of the first.
        let version = wire.dataschema.rsplit_once(":v").and_then(|(_, version)| version.parse().ok());
        let data = Data::from_value(&wire.kind, version.unwrap_or(1), wire.data)?;
        Ok(Self { id: wire.id, time: wire.time, connection_id: wire.subject, data })
    }
}
