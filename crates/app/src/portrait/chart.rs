//! The geometry of the charts: from numbers to places. How they look is up to the page's CSS.

use chrono::{Datelike, Days, NaiveDate};

/// A place on an axis with its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
}

/// A line over days, with its name at its end.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) class: &'static str,
    pub(super) points: String,
    pub(super) name: String,
    pub(super) end: (f64, f64),
}

/// Lines over time.
#[derive(Debug)]
pub(super) struct Trend {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) lines: Vec<Line>,
    pub(super) values: Vec<Tick>,
    pub(super) months: Vec<Tick>,
}

/// Days with a number each.
pub(super) struct Series {
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) points: Vec<(NaiveDate, u32)>,
}

const LABEL_GAP: f64 = 10.5;

impl Trend {
    pub(super) fn new(series: &[Series], width: f64, height: f64) -> Self {
        let (left, right, top, bottom) = (32.0, width - 66.0, 8.0, height - 20.0);
        let days = series.iter().flat_map(|series| series.points.iter().map(|(day, _)| *day));
        let (first, last) = (days.clone().min().unwrap_or_default(), days.max().unwrap_or_default());
        let most = series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value)).max();
        let scale = nice(most.unwrap_or(0));
        let span = (last - first).num_days().max(1) as f64;
        let x = |day: NaiveDate| left + (day - first).num_days() as f64 / span * (right - left);
        let y = |value: u32| bottom - f64::from(value) / f64::from(scale) * (bottom - top);
        let line = |series: &Series| {
            let end = series.points.last()?;
            let point = |(day, value): &(NaiveDate, u32)| format!("{:.1},{:.1}", x(*day), y(*value));
            let points = series.points.iter().map(point).collect::<Vec<_>>().join(" ");
            let name = format!("{} {}", end.1, series.name);
            Some(Line { class: series.class, points, name, end: (x(end.0), y(end.1)) })
        };
        let mut lines: Vec<_> = series.iter().filter_map(line).collect();
        spread(&mut lines, bottom);
        let values = (0..=4).map(|step| scale * step / 4);
        let values = values.map(|value| Tick { at: y(value), text: value.to_string() }).collect();
        let starts = first.iter_days().take_while(|day| *day <= last).filter(|day| day.day() == 1);
        let months = starts.map(|day| Tick { at: x(day), text: day.format("%b").to_string() }).collect();
        Self { width, height, left, right, lines, values, months }
    }
}

/// A round number of fours that is not less.
fn nice(most: u32) -> u32 {
    let steps = [4_u32, 8, 12, 20, 40, 60, 80];
    let mut unit = 1_u32;
    loop {
        if let Some(step) = steps.iter().find(|step| step.saturating_mul(unit) >= most) {
            return step.saturating_mul(unit);
        }
        unit = unit.saturating_mul(10);
    }
}

/// Moves the names of lines that end close to each other apart.
fn spread(lines: &mut [Line], bottom: f64) {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|a, b| lines[*b].end.1.total_cmp(&lines[*a].end.1));
    let mut lowest = bottom + 4.0;
    for at in order {
        let y = lines[at].end.1.min(lowest);
        lines[at].end.1 = y;
        lowest = y - LABEL_GAP;
    }
}

/// Percent of a bar that a number needs.
const TOLD: f64 = 4.0;

/// A piece of a stacked bar.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) class: String,
    /// In percent of the bar.
    pub(super) width: f64,
    pub(super) count: u32,
    pub(super) name: String,
    /// Wide enough for its number.
    pub(super) told: bool,
}

/// A part of a whole in percent, with one decimal.
pub(super) fn percent_of(part: u32, whole: u32) -> f64 {
    (f64::from(part) / f64::from(whole.max(1)) * 1_000.0).round() / 10.0
}

/// The pieces of a bar side by side, over a common whole.
pub(super) fn stack(pieces: &[(String, u32)], whole: u32) -> Vec<Piece> {
    let piece = |(name, count): &(String, u32)| {
        let width = percent_of(*count, whole);
        Piece {
            class: name.clone(),
            width,
            count: *count,
            name: name.replace('_', " "),
            told: width >= TOLD * (1.0 + count.to_string().len() as f64),
        }
    };
    pieces.iter().filter(|(_, count)| *count > 0).map(piece).collect()
}

/// A month over a chart of weeks.
#[derive(Debug, PartialEq)]
pub(super) struct Month {
    pub(super) name: String,
    /// Weeks that begin in it.
    pub(super) weeks: usize,
}

/// The months of so many weeks, the last of which ends on a day.
pub(super) fn months(last: NaiveDate, weeks: usize) -> Vec<Month> {
    let starts = (1..=weeks as u64).rev().map(|back| last + Days::new(1) - Days::new(7 * back));
    let mut months: Vec<Month> = Vec::new();
    for start in starts {
        let name = start.format("%b").to_string();
        match months.last_mut() {
            Some(month) if month.name == name => month.weeks += 1,
            _ => months.push(Month { name, weeks: 1 }),
        }
    }
    months
}

/// How strongly a week of so many active days is coloured.
pub(super) fn level(days: u32) -> u8 {
    match days {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(offset: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 20).unwrap() + chrono::TimeDelta::days(offset)
    }

    #[test]
    fn the_scale_holds_the_largest_number() {
        for most in [0, 1, 4, 5, 13, 99, 801, 50_000, 4_000_000_000] {
            assert!(nice(most) >= most && nice(most).is_multiple_of(4), "{most}: {}", nice(most));
        }
        assert_eq!(nice(33), 40);
    }

    #[test]
    fn lines_stay_inside_and_names_do_not_cover_each_other() {
        let series = |class, value| Series {
            class,
            name: "used",
            points: (0..40).map(|at| (day(at), value)).collect(),
        };
        let trend = Trend::new(&[series("a", 10), series("b", 10), series("c", 0)], 700.0, 260.0);
        let mut ends: Vec<_> = trend.lines.iter().map(|line| line.end.1).collect();
        ends.sort_by(f64::total_cmp);
        assert!(ends.windows(2).all(|pair| pair[1] - pair[0] >= LABEL_GAP - 0.1), "{ends:?}");
        assert_eq!(trend.months.iter().map(|tick| tick.text.as_str()).collect::<Vec<_>>(), ["Feb"]);
        assert!(trend.lines.iter().all(|line| line.end.0 <= trend.right + 0.1));
        assert!(Trend::new(&[], 700.0, 260.0).lines.is_empty());
    }

    #[test]
    fn pieces_lie_side_by_side() {
        let pieces = [("dormant".to_owned(), 3), ("unknown".to_owned(), 0), ("never_seen".to_owned(), 1)];
        let stacked = stack(&pieces, 80);
        assert_eq!(stacked.iter().map(|piece| piece.width).collect::<Vec<_>>(), [3.8, 1.3]);
        assert_eq!(stacked[1].name, "never seen");
        assert!(!stacked[1].told && stack(&pieces, 8)[1].told);
        assert_eq!(stack(&pieces, 0)[1].width, 100.0, "of nothing, and still a number");
    }

    #[test]
    fn weeks_are_told_by_the_month_they_begin_in() {
        let told = months(day(41), 13);
        let told: Vec<_> = told.iter().map(|month| (month.name.as_str(), month.weeks)).collect();
        assert_eq!(told, [("Dec", 5), ("Jan", 4), ("Feb", 4)], "the last week begins on 24 February");
    }
}
