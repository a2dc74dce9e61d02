//! Teams, roles and months of arrival, side by side.

use askama::Template;
use axum::extract::{Path, Query};
use serde::Deserialize;
use tidemark_rpc::utilization::ListCutsRequest;

use super::{Frame, Tab, WindowChoice, windows};
use crate::{
    page::{self, Answer, Chrome},
    view::{basis::Basis, in_part, usage::Group},
    visitor::Visitor,
};

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    window: String,
}

#[derive(Template)]
#[template(path = "usage/groups.html")]
struct Page {
    chrome: Chrome,
    frame: Frame,
    basis: Basis,
    days: u32,
    windows: [WindowChoice; 3],
    /// Covered days of the window, which is everybody's; none where all are.
    covered_in_part: Option<u32>,
    tables: Vec<Table>,
}

struct Table {
    title: &'static str,
    first_column: &'static str,
    note: &'static str,
    /// The field of a search for the seats of a group; empty where there is none.
    search: &'static str,
    groups: Vec<Group>,
}

const TABLES: [(&str, &str, &str, &str, &str); 3] = [
    (
        "team",
        "Teams",
        "Team",
        "team",
        "A member of several teams counts in each of them: do not add them up.",
    ),
    ("role", "Roles", "Role", "role", "By the role on the last day. Only admins and makers hold paid seats."),
    ("cohort", "By month of arrival", "First seen in", "", "By the month in which a member was first seen."),
];

pub(crate) async fn list(visitor: Visitor, Path(id): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let days = super::window(&asked.window);
    let cuts = async {
        let request = ListCutsRequest { connection_id: id.clone(), kind: String::new(), window_days: days };
        Ok(visitor.services.utilization.utilization().list_cuts(request).await?.into_inner())
    };
    let (frame, listed) = tokio::try_join!(Frame::of(&visitor, &id, Tab::Groups), cuts)?;
    let of = |kind: &str| {
        let cuts = listed.cuts.iter().filter(|it| it.cut.as_ref().is_some_and(|cut| cut.kind == kind));
        cuts.cloned().map(Group::from).collect::<Vec<_>>()
    };
    let tables = TABLES.map(|(kind, title, first_column, search, note)| {
        let mut groups = of(kind);
        match kind {
            "cohort" => groups.reverse(),
            _ => groups.sort_by_key(|group| std::cmp::Reverse(group.paid)),
        }
        Table { title, first_column, note, search, groups }
    });
    let window = listed.cuts.iter().find_map(|it| it.window.as_ref());
    page::show(&Page {
        chrome: frame.chrome(&visitor),
        basis: listed.basis.clone().map(Basis::from).unwrap_or_default(),
        days,
        windows: windows(days),
        covered_in_part: window.and_then(|window| in_part(window.covered_days, days)),
        tables: tables.into(),
        frame,
    })
}
