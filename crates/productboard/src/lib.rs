#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod budget;
mod client;
mod credential;
mod decode;
mod error;
mod exchange;
mod headers;
mod host;
pub mod metrics;
mod model;
pub mod oauth;
mod operation;
mod paging;
mod query;
mod refusal;
mod request;
mod retry;
mod transport;
pub mod vendor_check;

pub use budget::{LocalBudget, RateBudget};
pub use client::{Client, Deprecation, Options};
pub use credential::AuthScheme;
pub use decode::{RowKey, UnreadableRow};
pub use error::{BoxError, Cause, Error, Rejection};
pub use model::activity::Activity;
pub use model::configuration::{
    Configuration, FieldConfiguration, Filter, RelationshipConfiguration, SelectValue, Values,
};
pub use model::document::{Configured, Document, Schema};
pub use model::entity::{Entity, EntityType};
pub use model::field::{Choice, Fields, Health, MemberValue, Number, Progress, Timeframe};
pub use model::member::Member;
pub use model::note::{Content, Note, NoteType, OpportunityField, Part};
pub use model::relationship::{Relationship, RelationshipKind, Relationships, Target};
pub use model::resource::Source;
pub use model::team::{Team, TeamMember};
pub use model::text::Text;
pub use model::webhook::{NewWebhook, Webhook};
pub use paging::{Cursor, ListFlag, Page, Pages};
pub use query::entities::{CustomFilter, EntitiesQuery, EntityRelationshipsQuery, EntitySearch};
pub use query::members::{MemberSearch, MembersQuery};
pub use query::notes::{NoteRelationshipsQuery, NoteSearch, NotesQuery};
pub use query::teams::{TeamSearch, TeamsQuery};
/// What an [`Activity`] says and a [`Member`] is.
pub use tidemark_domain::{
    activity::{Counters, MemberDay},
    member::Role,
};

pub use query::{FieldSelection, MemberIs, Named, Period, SourceIs};
pub use transport::Transport;
