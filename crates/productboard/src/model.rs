//! What the API holds: the vendor's JSON in, our types out. Unknown fields are ignored, unknown words are kept.

pub(crate) mod activity;
pub(crate) mod configuration;
pub(crate) mod document;
pub(crate) mod entity;
pub(crate) mod field;
pub(crate) mod member;
pub(crate) mod note;
pub(crate) mod relationship;
pub(crate) mod resource;
pub(crate) mod team;
pub(crate) mod text;
pub(crate) mod webhook;
mod word;
