//! Member days: one member's counters on one date, and the feature areas the counters belong to.
//!
//! The tables here are the single place that says which counter means what.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::member::Role;

/// How many counters a member day has.
pub const COUNTERS: usize = 19;

/// What a counter counts, as far as utilization cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The vendor's own total over all boards: kept, never used (seen as 0 while its parts were not).
    VendorTotal,
    /// Something was created or changed.
    Edit,
    /// Something was opened.
    View,
}

/// A part of the product whose adoption is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Grid boards.
    Prioritization,
    /// Timeline and column boards.
    Roadmaps,
    /// Insights boards, notes and insights.
    Insights,
    /// Document boards.
    Documents,
    /// Products, components, features and subfeatures.
    Hierarchy,
}

impl Area {
    /// All areas, in the order they are shown.
    pub const ALL: [Self; 5] =
        [Self::Prioritization, Self::Roadmaps, Self::Insights, Self::Documents, Self::Hierarchy];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prioritization => "prioritization",
            Self::Roadmaps => "roadmaps",
            Self::Insights => "insights",
            Self::Documents => "documents",
            Self::Hierarchy => "hierarchy",
        }
    }

    /// The area of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|area| area.as_str() == text)
    }
}

/// One counter: its name at the vendor, its column in the database, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    /// The field of the vendor's row.
    pub field: &'static str,
    /// The column of the member-day table.
    pub column: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// The area it belongs to; the vendor's totals belong to none.
    pub area: Option<Area>,
}

impl Counter {
    /// Whether it counts a maker's action, which needs a paid seat: everything created but notes, and notes moved on.
    /// Contributors can create notes, viewers can open boards.
    pub fn needs_seat(&self) -> bool {
        self.kind == Kind::Edit && self.column != "note_created"
    }
}

const fn counter(field: &'static str, column: &'static str, kind: Kind, area: Option<Area>) -> Counter {
    Counter { field, column, kind, area }
}

/// The counters, in the order in which [`Counters`] holds them.
pub const COUNTER_TABLE: [Counter; COUNTERS] = {
    use Area::{Documents, Hierarchy, Insights, Prioritization, Roadmaps};
    use Kind::{Edit, VendorTotal, View};
    [
        counter("boardCreatedCount", "board_created", VendorTotal, None),
        counter("boardOpenedCount", "board_opened", VendorTotal, None),
        counter("componentCreatedCount", "component_created", Edit, Some(Hierarchy)),
        counter("featureCreatedCount", "feature_created", Edit, Some(Hierarchy)),
        counter("insightCreatedCount", "insight_created", Edit, Some(Insights)),
        counter("noteCreatedCount", "note_created", Edit, Some(Insights)),
        counter("productCreatedCount", "product_created", Edit, Some(Hierarchy)),
        counter("subfeatureCreatedCount", "subfeature_created", Edit, Some(Hierarchy)),
        counter("noteStateChangedCount", "note_state_changed", Edit, Some(Insights)),
        counter("gridBoardCreatedCount", "grid_board_created", Edit, Some(Prioritization)),
        counter("timelineBoardCreatedCount", "timeline_board_created", Edit, Some(Roadmaps)),
        counter("insightsBoardCreatedCount", "insights_board_created", Edit, Some(Insights)),
        counter("documentBoardCreatedCount", "document_board_created", Edit, Some(Documents)),
        counter("columnBoardCreatedCount", "column_board_created", Edit, Some(Roadmaps)),
        counter("gridBoardOpenedCount", "grid_board_opened", View, Some(Prioritization)),
        counter("timelineBoardOpenedCount", "timeline_board_opened", View, Some(Roadmaps)),
        counter("insightsBoardOpenedCount", "insights_board_opened", View, Some(Insights)),
        counter("documentBoardOpenedCount", "document_board_opened", View, Some(Documents)),
        counter("columnBoardOpenedCount", "column_board_opened", View, Some(Roadmaps)),
    ]
};

/// The counters of one member day. An absent one is `None`, which counts as zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters(pub [Option<u32>; COUNTERS]);

impl Counters {
    /// The named counters that are above zero, with what they mean. The vendor's totals are left out.
    pub fn actions(&self) -> impl Iterator<Item = (Area, Kind, u32)> + '_ {
        COUNTER_TABLE.iter().zip(self.0).filter_map(|(counter, value)| {
            let value = value.filter(|value| *value > 0)?;
            Some((counter.area?, counter.kind, value))
        })
    }
}

/// What one member did on one date, as the vendor reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDay {
    /// The member; may be unknown to the member list (portal voters, deleted accounts).
    pub member_id: Uuid,
    /// The date, in the vendor's undocumented time zone.
    pub day: NaiveDate,
    /// The role on that day.
    pub role: Role,
    /// The vendor's activity flag.
    pub active_flag: bool,
    /// The counters.
    pub counters: Counters,
}

impl MemberDay {
    /// Whether the member was active: the flag, or any named counter above zero.
    pub fn is_active(&self) -> bool {
        self.active_flag || self.counters.actions().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(active_flag: bool, set: &[(&str, u32)]) -> MemberDay {
        let mut counters = Counters::default();
        for (field, value) in set {
            let at = COUNTER_TABLE.iter().position(|counter| counter.field == *field).unwrap();
            counters.0[at] = Some(*value);
        }
        MemberDay { member_id: Uuid::nil(), day: NaiveDate::MIN, role: Role::Maker, active_flag, counters }
    }

    #[test]
    fn seventeen_counters_are_named_and_two_are_totals() {
        let totals = COUNTER_TABLE.iter().filter(|counter| counter.kind == Kind::VendorTotal).count();
        assert_eq!(totals, 2);
        assert!(COUNTER_TABLE.iter().all(|c| c.area.is_none() == (c.kind == Kind::VendorTotal)));
    }

    #[test]
    fn eleven_counters_need_a_paid_seat() {
        let makers: Vec<_> = COUNTER_TABLE.iter().filter(|counter| counter.needs_seat()).collect();
        assert_eq!(makers.len(), 11);
        assert!(makers.iter().any(|counter| counter.field == "noteStateChangedCount"));
        assert!(makers.iter().all(|counter| counter.field != "noteCreatedCount"));
    }

    #[test]
    fn active_means_the_flag_or_a_named_counter() {
        assert!(row(true, &[]).is_active());
        assert!(row(false, &[("gridBoardOpenedCount", 1)]).is_active());
        assert!(!row(false, &[("boardOpenedCount", 9)]).is_active(), "the vendor's total is not used");
        assert!(!row(false, &[("gridBoardOpenedCount", 0)]).is_active());
    }
}
