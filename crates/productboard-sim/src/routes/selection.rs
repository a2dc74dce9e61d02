//! Which fields an answer has: those that are not empty, all, or the named ones.

use crate::error::ApiError;

/// What a request said about fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    NonEmpty,
    All,
    Named(Vec<String>),
}

impl Selection {
    /// Reads `fields[]`, or the same list of a search.
    pub(super) fn of(names: &[String], known: impl Fn(&str) -> bool) -> Result<Self, String> {
        match names {
            [] => Ok(Self::NonEmpty),
            [all] if all == "all" => Ok(Self::All),
            names if names.iter().any(|name| name == "all") => Err("all must stand alone".to_owned()),
            names => match names.iter().find(|name| !known(name)) {
                Some(unknown) => Err(format!("{unknown} is no field")),
                None => Ok(Self::Named(names.to_vec())),
            },
        }
    }

    /// Reads `fields[]` of a query.
    pub(super) fn of_query<'a>(
        names: impl Iterator<Item = &'a str>,
        known: impl Fn(&str) -> bool,
    ) -> Result<Self, ApiError> {
        let names: Vec<String> = names.map(str::to_owned).collect();
        Self::of(&names, known).map_err(|why| ApiError::invalid_parameter("fields[]", why))
    }

    /// Whether a field is answered. A named one is, even when it is empty.
    pub(super) fn takes(&self, id: &str, is_empty: bool) -> bool {
        match self {
            Self::NonEmpty => !is_empty,
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == id),
        }
    }
}
