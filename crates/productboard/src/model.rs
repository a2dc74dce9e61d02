//! What the lists hold: the vendor's JSON in, our types out. Unknown fields are ignored, unknown roles are kept.

pub(crate) mod activity;
pub(crate) mod member;
pub(crate) mod team;
