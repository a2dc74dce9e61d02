//! What a workspace is to the vendor besides its data: where it is kept and what was paid for.

use serde::{Deserialize, Serialize};

/// The data centre of a workspace. Its tokens are unknown in the other one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// `api.productboard.com`.
    #[default]
    Us,
    /// `api.eu.productboard.com`.
    Eu,
}

/// What was paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// No API keys: each answers 403 `planUpgrade.required`. Applications with a consent go on.
    Essentials,
    /// The API without `/v2/analytics`, which answers 403 `planUpgrade.required`.
    WithoutAnalytics,
    /// The whole API.
    #[default]
    Pro,
}
