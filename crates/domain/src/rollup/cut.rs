//! Who is counted together. Totals count each member once; team cuts overlap, since a member may be in several teams.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

use crate::member::Role;

/// A group of members whose numbers are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cut {
    /// Everybody.
    All,
    /// The members of a team, as the teams are now: their past is not recorded.
    Team(Uuid),
    /// Who had that role on the last day of the window.
    Role(Role),
    /// Who was first seen in the month of that first day.
    Cohort(NaiveDate),
}

/// Which cuts a fold counts, and a rollup has numbers of: with many teams, all cuts do not fit into memory at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CutSet {
    /// All there are.
    #[default]
    Whole,
    /// All but the teams.
    WithoutTeams,
    /// These teams alone.
    Teams(BTreeSet<Uuid>),
}

impl CutSet {
    /// Whether the cut is one of them.
    pub fn has(&self, cut: &Cut) -> bool {
        match (self, cut) {
            (Self::Whole, _) => true,
            (Self::WithoutTeams, cut) => !matches!(cut, Cut::Team(_)),
            (Self::Teams(teams), Cut::Team(team)) => teams.contains(team),
            (Self::Teams(_), _) => false,
        }
    }
}

impl Cut {
    /// The kinds.
    pub const KINDS: [&'static str; 4] = ["all", "team", "role", "cohort"];

    /// The cohort of a member first seen on that day.
    pub fn cohort(first_seen: NaiveDate) -> Self {
        Self::Cohort(first_seen.with_day(1).expect("every month has a first day"))
    }

    /// `all`, `team`, `role` or `cohort`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Team(_) => "team",
            Self::Role(_) => "role",
            Self::Cohort(_) => "cohort",
        }
    }

    /// What tells it from others of its kind: a team's id, a role's name, a month as `YYYY-MM`; empty for all.
    pub fn key(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Team(id) => id.to_string(),
            Self::Role(role) => role.as_str().to_owned(),
            Self::Cohort(month) => month.format("%Y-%m").to_string(),
        }
    }

    /// The cut of that kind and key.
    pub fn parse(kind: &str, key: &str) -> Option<Self> {
        Some(match kind {
            "all" if key.is_empty() => Self::All,
            "team" => Self::Team(Uuid::parse_str(key).ok()?),
            "role" => Self::Role(key.into()),
            "cohort" => Self::Cohort(NaiveDate::from_str(&format!("{key}-01")).ok()?),
            _ => return None,
        })
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            _ => write!(f, "{}={}", self.kind(), self.key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_reads_back_as_written() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 14).unwrap();
        let roles = ["steward", "", "Maker"].map(|name| Cut::Role(name.into()));
        let cuts = [Cut::All, Cut::Team(Uuid::from_u128(7)), Cut::cohort(day)].into_iter().chain(roles);
        for cut in cuts {
            assert_eq!(Cut::parse(cut.kind(), &cut.key()), Some(cut));
        }
        for (kind, key) in [("all", "x"), ("team", "x"), ("cohort", "2026"), ("", "")] {
            assert_eq!(Cut::parse(kind, key), None, "{kind}={key}");
        }
    }
}
