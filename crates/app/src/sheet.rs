//! What the demo and the report print of a workspace: JSON for programs, tables for people.

use std::{collections::BTreeMap, io::Write};

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;
use tidemark_domain::{activity::Area, rollup::Flag};
use tidemark_rpc::{
    syncs::{Run, RunState},
    utilization::{Savings, Summary, WindowUse},
};

use crate::{cycle, portrait::money};

const WINDOWS: [u32; 3] = [7, 28, 90];

/// The numbers of one workspace, each with what it stands on.
#[derive(Debug, Serialize)]
pub(crate) struct Sheet {
    workspace: String,
    /// `succeeded`, `partial` or `reconnect_required`: how the last sync ended.
    sync: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(flatten)]
    numbers: Option<Numbers>,
}

#[derive(Debug, Serialize)]
struct Numbers {
    as_of: String,
    history_start: String,
    definition_version: u32,
    /// Covered days of the window, as a share.
    coverage: BTreeMap<String, f64>,
    /// Why the numbers are older than they should be, where they are.
    #[serde(skip_serializing_if = "String::is_empty")]
    stale: String,
    /// What is wrong with the facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quality: Vec<String>,
    members: u32,
    /// Members in roles that are not known: nobody can say whether their seats are paid for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unknown_roles: BTreeMap<String, u32>,
    seats: Seats,
    /// Seats with something recommended, by how sure that is.
    recommended: Recommended,
    /// Who used what, by window; nothing where that is not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    areas: BTreeMap<String, BTreeMap<&'static str, u32>>,
}

#[derive(Debug, Serialize)]
struct Seats {
    assigned: u32,
    active: BTreeMap<String, u32>,
    idle: BTreeMap<String, u32>,
    /// Paid seats by state on the as-of day.
    states: BTreeMap<String, u32>,
}

/// What to do, and what it saves.
#[derive(Debug, Serialize)]
struct Recommended {
    certain: u32,
    probable: u32,
    review: u32,
    reassignable_now: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    reassignable_per_month: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    droppable_at_renewal: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    saving_at_renewal: String,
}

impl Recommended {
    fn new(savings: &Savings) -> Self {
        Self {
            certain: savings.certain,
            probable: savings.probable,
            review: savings.review,
            reassignable_now: savings.reassignable_now,
            reassignable_per_month: money(savings.reassignable_per_month.as_ref()),
            droppable_at_renewal: savings.droppable_at_renewal,
            saving_at_renewal: money(savings.saving_at_renewal.as_ref()),
        }
    }

    /// In a sentence: what a person does next.
    fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if self.certain > 0 {
            parts.push(format!("take {} certain seats back (disabled, or never accepted)", self.certain));
        }
        if self.probable > 0 {
            parts.push(format!("give {} unused seats to others", self.probable));
        }
        if self.review > 0 {
            parts.push(format!("review {} that a free role might do for", self.review));
        }
        if parts.is_empty() {
            return "nothing: no seat is free by what is known".to_owned();
        }
        parts.join("; ")
    }

    fn money(&self) -> Option<String> {
        if self.reassignable_per_month.is_empty() {
            return None;
        }
        let renewal = match (self.droppable_at_renewal, self.saving_at_renewal.as_str()) {
            (Some(seats), saving) if !saving.is_empty() => {
                format!("; at renewal {seats} seats fewer save {saving} a year")
            }
            _ => String::new(),
        };
        Some(format!("reassignable now: {} a month{renewal}", self.reassignable_per_month))
    }
}

impl Sheet {
    pub(crate) fn new(workspace: String, run: &Run, found: cycle::Numbers) -> Self {
        let sync = match run.state() {
            RunState::Succeeded => "succeeded",
            RunState::ReconnectRequired => "reconnect_required",
            _ => "partial",
        };
        // The reason of a run that ended with gaps names each gap.
        let notes = [Some(run.reason.clone()), found.withheld].into_iter().flatten();
        let notes = notes.filter(|note| !note.is_empty()).collect();
        Self { workspace, sync, notes, numbers: found.summary.map(Numbers::new) }
    }

    /// Why there are no numbers, where there are none.
    pub(crate) fn gap(&self) -> Option<String> {
        let none = self.numbers.is_none();
        none.then(|| {
            let notes = if self.notes.is_empty() {
                "no day of activity could be fetched".to_owned()
            } else {
                self.notes.join("; ")
            };
            format!("{}: there are no numbers to report: {notes}", self.workspace)
        })
    }
}

impl Numbers {
    fn new(summary: Summary) -> Self {
        let shown = || summary.windows.iter().filter(|window| WINDOWS.contains(&window.days));
        let by_window = |number: fn(&WindowUse) -> u32| -> BTreeMap<String, u32> {
            shown().map(|window| (window.days.to_string(), number(window))).collect()
        };
        let coverage = shown()
            .map(|window| (window.days.to_string(), f64::from(window.covered_days) / f64::from(window.days)))
            .collect();
        let basis = summary.basis.clone().unwrap_or_default();
        // Where every row carries the workspace's totals, nobody can say who used what.
        let tells_areas = basis.flags.iter().all(|flag| flag != Flag::RepeatedTotals.as_str());
        let of_window = |window: &WindowUse| (window.days.to_string(), areas(window));
        let areas = shown().filter(|_| tells_areas).map(of_window).collect();
        let recommended = Recommended::new(summary.savings.as_ref().unwrap_or(&Savings::default()));
        let seats = Seats {
            assigned: shown().next().map_or(0, |window| window.assigned_seats),
            active: by_window(|window| window.active_seats),
            idle: by_window(|window| window.idle_seats),
            states: summary.seat_states.iter().map(|count| (count.state.clone(), count.seats)).collect(),
        };
        Self {
            coverage,
            areas,
            seats,
            recommended,
            stale: basis.stale_reason,
            flags: basis.flags,
            quality: basis.quality.into_iter().map(|it| it.detail).collect(),
            members: summary.members,
            unknown_roles: summary.unknown_roles.into_iter().map(|it| (it.role, it.members)).collect(),
            definition_version: summary.definition_version,
            as_of: summary.as_of,
            history_start: summary.history_start,
        }
    }
}

fn areas(window: &WindowUse) -> BTreeMap<&'static str, u32> {
    let members = |area: Area| {
        window.areas.iter().find(|line| line.area == area.as_str()).map_or(0, |line| line.members)
    };
    Area::ALL.into_iter().map(|area| (area.as_str(), members(area))).collect()
}

/// Prints to standard output, where nothing else goes.
pub(crate) fn print(sheets: &[Sheet], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, sheets)?;
        writeln!(out)?;
    } else {
        for sheet in sheets {
            table(&mut out, sheet)?;
        }
    }
    Ok(())
}

fn table(out: &mut impl Write, sheet: &Sheet) -> Result<()> {
    writeln!(out, "\n{}  (last sync: {})", sheet.workspace, sheet.sync)?;
    sheet.notes.iter().try_for_each(|note| writeln!(out, "  note: {note}"))?;
    let Some(numbers) = &sheet.numbers else {
        writeln!(out, "  no numbers yet")?;
        return Ok(());
    };
    let month = "28".to_owned();
    let used = share(numbers.seats.active.get(&month), numbers.seats.assigned);
    writeln!(out, "  {} paid seats; {used} used in 28 days", numbers.seats.assigned)?;
    writeln!(out, "  to do: {}", numbers.recommended.sentence())?;
    if let Some(money) = numbers.recommended.money() {
        writeln!(out, "  {money}")?;
    }
    let stale =
        if sheet.sync == "reconnect_required" { ", stale until the workspace is reconnected" } else { "" };
    writeln!(
        out,
        "  {} members, as of {}{stale} (definitions v{})",
        numbers.members, numbers.as_of, numbers.definition_version
    )?;
    if !numbers.stale.is_empty() && stale.is_empty() {
        writeln!(out, "  note: {}", numbers.stale)?;
    }
    numbers.quality.iter().try_for_each(|detail| writeln!(out, "  data quality: {detail}"))?;
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    let windows = WINDOWS.map(|days| days.to_string());
    let mut header = vec!["".to_owned()];
    header.extend(windows.iter().map(|days| format!("{days} days")));
    table.set_header(header);
    let mut line = |title: &str, cell: &dyn Fn(&str) -> String| {
        let cells = windows.iter().map(|days| cell(days));
        table.add_row(std::iter::once(title.to_owned()).chain(cells));
    };
    let seats = &numbers.seats;
    line("paid seats used", &|days| share(seats.active.get(days), seats.assigned));
    line("paid seats idle", &|days| share(seats.idle.get(days), seats.assigned));
    for area in Area::ALL.into_iter().filter(|_| !numbers.areas.is_empty()) {
        let members = |days: &str| numbers.areas.get(days).and_then(|areas| areas.get(area.as_str()));
        line(&format!("used {}", area.as_str()), &|days| share(members(days), seats.assigned));
    }
    line("days covered", &|days| format!("{:.0} %", numbers.coverage.get(days).unwrap_or(&0.0) * 100.0));
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    writeln!(out, "{table}")?;
    let states: Vec<_> =
        seats.states.iter().map(|(state, seats)| format!("{seats} {}", state.replace('_', " "))).collect();
    writeln!(out, "  paid seats by state: {}", states.join(", "))?;
    Ok(())
}

fn share(number: Option<&u32>, of: u32) -> String {
    let number = number.copied().unwrap_or(0);
    match (100 * number + of / 2).checked_div(of) {
        Some(percent) => format!("{number} ({percent} %)"),
        None => number.to_string(),
    }
}
