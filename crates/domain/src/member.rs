//! Members and the history of their seats.

use std::{convert::Infallible, fmt, str::FromStr};

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize, de};

/// Roles are keys of numbers: a longer name is cut, in characters.
const LONGEST_ROLE: usize = 100;

/// A member's role. Any name the vendor may come up with is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum Role {
    /// Makes and administers; a paid seat.
    Admin,
    /// Makes; a paid seat. The analytics route calls it `editor`.
    Maker,
    /// Looks at boards; free.
    Viewer,
    /// Adds notes; free.
    Contributor,
    /// A role this version does not know.
    Other(String),
}

impl Role {
    /// Whether a seat of this role is paid for.
    pub fn is_paid(&self) -> bool {
        matches!(self, Self::Admin | Self::Maker)
    }

    /// Whether this version knows what the role is for. Whether a seat of another one is paid for, nobody can say.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// The name on the wire and in the database.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::Maker => "maker",
            Self::Viewer => "viewer",
            Self::Contributor => "contributor",
            Self::Other(name) => name,
        }
    }
}

/// Case and outer space do not matter. What is made from a role's own name is that role again.
impl From<&str> for Role {
    fn from(name: &str) -> Self {
        let name = name.trim();
        let name = name.char_indices().nth(LONGEST_ROLE).map_or(name, |(end, _)| name[..end].trim_end());
        let known = [
            ("admin", Self::Admin),
            ("maker", Self::Maker),
            ("editor", Self::Maker),
            ("viewer", Self::Viewer),
            ("contributor", Self::Contributor),
        ];
        let role = known.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(name)).map(|(_, role)| role);
        role.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

/// Without a text of its own for the known roles: one is read for every row of activity.
impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl de::Visitor<'_> for Name {
            type Value = Role;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a role")
            }

            fn visit_str<E>(self, name: &str) -> Result<Role, E> {
                Ok(name.into())
            }
        }

        deserializer.deserialize_str(Name)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.as_str().to_owned()
    }
}

impl FromStr for Role {
    type Err = Infallible;
    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.into())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the roster says of a member at one time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The role.
    pub role: Role,
    /// Whether the member was disabled.
    pub disabled: bool,
    /// Whether the invitation still waits to be accepted.
    pub pending: bool,
}

impl Standing {
    /// Whether this is a paid seat: a paying role, enabled, invitation accepted.
    pub fn is_paid_seat(&self) -> bool {
        self.role.is_paid() && !self.disabled && !self.pending
    }
}

/// One version in a member's history (slowly changing dimension, type 2).
///
/// `valid_from` is the last whole day before the sync that saw it: what a sync sees in the morning is how the roster
/// stood at the end of the day before. The vendor keeps no history, so what the very first listing showed stands for
/// all time before it. Whoever came on a later listing was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The first day the version speaks for.
    pub valid_from: NaiveDate,
    /// How the member stood; `None` once the member had left the list.
    pub standing: Option<Standing>,
}

/// How a member stood on a day, from versions in order of `valid_from` and the day of the workspace's first listing.
pub fn standing_on(versions: &[Version], roster_start: NaiveDate, day: NaiveDate) -> Option<&Standing> {
    let after = versions.partition_point(|version| version.valid_from <= day);
    let version = match after.checked_sub(1) {
        Some(present) => versions.get(present),
        None => versions.first().filter(|first| first.valid_from <= roster_start),
    };
    version.and_then(|version| version.standing.as_ref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(d: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, d).unwrap()
    }

    proptest! {
        /// A role is a key of numbers, and written down by its name.
        #[test]
        fn a_role_is_read_back_from_its_own_name(name in any::<String>()) {
            let role = Role::from(name.as_str());
            prop_assert_eq!(&Role::from(role.as_str()), &role);
            let json = serde_json::to_string(&role).unwrap();
            prop_assert_eq!(serde_json::from_str::<Role>(&json).unwrap(), role);
        }
    }

    #[test]
    fn a_role_that_is_cut_is_read_back_too() {
        for long in [format!("{}  b", "a".repeat(99)), format!("admin{}x", " ".repeat(120)), "ä ".repeat(80)]
        {
            let role = Role::from(long.as_str());
            assert_eq!(Role::from(role.as_str()), role, "{long}");
            assert!(role.as_str().chars().count() <= LONGEST_ROLE);
        }
    }

    #[test]
    fn editor_is_a_maker_and_unknown_roles_are_kept() {
        assert_eq!(Role::from("editor"), Role::Maker);
        assert_eq!(Role::from("steward").as_str(), "steward");
        assert!(!Role::from("steward").is_paid() && !Role::from("steward").is_known());
    }

    #[test]
    fn case_and_outer_space_of_a_role_do_not_matter() {
        for (name, role) in [
            ("Maker", Role::Maker),
            ("ADMIN", Role::Admin),
            (" maker ", Role::Maker),
            ("EDITOR", Role::Maker),
            ("\tViewer\n", Role::Viewer),
            ("CONTRIBUTOR", Role::Contributor),
            (" Owner", Role::Other("Owner".to_owned())),
            ("", Role::Other(String::new())),
            ("maker admin", Role::Other("maker admin".to_owned())),
        ] {
            assert_eq!(Role::from(name), role, "`{name}`");
            assert_eq!(Role::from(role.as_str()), role, "it reads back");
            assert_eq!(serde_json::from_value::<Role>(name.into()).unwrap(), role);
        }
    }

    #[test]
    fn the_version_in_force_on_a_day_is_found() {
        let maker = Standing { role: Role::Maker, disabled: false, pending: false };
        let disabled = Standing { disabled: true, ..maker.clone() };
        let versions = [
            Version { valid_from: day(5), standing: Some(maker.clone()) },
            Version { valid_from: day(9), standing: Some(disabled.clone()) },
            Version { valid_from: day(12), standing: None },
        ];
        let on = |at| standing_on(&versions, day(5), day(at));
        assert_eq!(on(1), Some(&maker), "the first listing reaches back");
        assert_eq!(standing_on(&versions, day(4), day(1)), None, "whoever came later was not there before");
        assert_eq!(on(8), Some(&maker));
        assert_eq!(on(9), Some(&disabled));
        assert_eq!(on(20), None);
        assert_eq!(standing_on(&[], day(1), day(1)), None);
    }
}
