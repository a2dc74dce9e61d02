//! What the wire says, as a command prints it.

use tidemark_rpc::instant;

/// The word of an enumeration, without its type's prefix.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// An instant as RFC 3339.
pub(crate) fn time(at: Option<&prost_types::Timestamp>) -> Option<String> {
    at.and_then(instant).map(|at| at.to_rfc3339())
}
