#![doc = include_str!("../README.md")]

mod calendar;
mod counters;
mod draft;
mod entity;
mod error;
mod evolve;
mod faults;
mod feedback;
mod field;
mod gate;
mod ground;
mod index;
mod json;
mod limit;
mod names;
mod note;
mod page;
mod people;
mod planning;
mod routes;
mod server;
mod spec;
mod teams;
mod tenants;
mod titles;
mod workspace;

pub use entity::{
    CustomValue, Entity, EntityKind, Granularity, HealthStatus, HealthUpdate, Progress, Relationship,
    RelationshipKind, Source, Timeframe,
};
pub use evolve::Changes;
pub use faults::{Faults, NextLink, Route};
pub use field::{CustomField, CustomKind, SelectOption, Status};
pub use note::{Content, Message, Note, NoteKind, NoteSource, Property, Target};
pub use server::{Options, Simulator};
pub use spec::{Health, WorkspaceSpec, showcase};
pub use workspace::{Activity, COUNTER_NAMES, Member, Membership, Team, Workspace};
