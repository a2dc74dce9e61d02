//! The long version of the crate page. The switches are described at [`Faults`](crate::Faults) and
//! [`OAuthFaults`](crate::OAuthFaults).

#[doc = include_str!("../docs/vendor.md")]
pub mod vendor {}

#[doc = include_str!("../docs/data.md")]
pub mod data {}

#[doc = include_str!("../docs/oauth.md")]
pub mod oauth {}

#[doc = include_str!("../docs/webhooks.md")]
pub mod webhooks {}

#[doc = include_str!("../docs/admin.md")]
pub mod admin {}
