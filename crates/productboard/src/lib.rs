#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod budget;
mod client;
mod decode;
mod error;
mod exchange;
mod model;
mod paging;
mod refusal;
mod route;

pub use budget::{LocalBudget, RateBudget};
pub use client::{Client, MembersQuery, Options};
pub use error::{BoxError, Error};
pub use model::activity::Activity;
pub use model::member::{Member, Text};
pub use model::team::{Team, TeamMember};
pub use paging::{Cursor, Page, Pages};
