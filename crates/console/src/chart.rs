//! Charts as SVG: drawn here by plotters, coloured by the style sheet, which knows light and dark. What the lines say of a
//! day is told where the pointer is; the page has the same numbers as a table.

use std::{error::Error, fmt::Write as _};

use plotters::{
    backend::SVGBackend,
    chart::ChartBuilder,
    drawing::IntoDrawingArea as _,
    element::Rectangle,
    series::{AreaSeries, LineSeries},
    style::{Color as _, IntoFont as _, RGBColor},
};

// Names rather than colours: the style sheet has a rule for each.
const PAID: RGBColor = RGBColor(1, 1, 1);
const USED: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);
const PARTIAL: RGBColor = RGBColor(4, 4, 4);
const TEXT: RGBColor = RGBColor(5, 5, 5);

/// One day of a trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// Days since the first one; days that are not known are left out.
    pub(crate) at: i32,
    pub(crate) day: String,
    pub(crate) paid: u32,
    pub(crate) used: u32,
    /// Whether all days of its window are covered.
    pub(crate) is_whole: bool,
}

/// How large a chart is drawn: for wide pages, and for phones, where the same letters have to stay legible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Wide,
    Narrow,
}

impl Size {
    fn pixels(self) -> (u32, u32) {
        match self {
            Self::Wide => (960, 280),
            Self::Narrow => (360, 240),
        }
    }

    fn labels(self) -> usize {
        if self == Self::Wide { 8 } else { 3 }
    }
}

/// Paid and used seats over time. Empty where there are fewer than two days.
pub(crate) fn trend(points: &[Point], size: Size) -> String {
    if points.len() < 2 {
        return String::new();
    }
    drawn(points, size).unwrap_or_else(|error| {
        tracing::error!(%error, "a chart could not be drawn");
        String::new()
    })
}

fn drawn(points: &[Point], size: Size) -> Result<String, Box<dyn Error>> {
    let (first, last) = (points[0].at, points[points.len() - 1].at);
    let most = points.iter().map(|point| point.paid.max(point.used)).max().unwrap_or(0);
    let top = most + most.div_ceil(10).max(1);
    let mut svg = String::new();
    let mut bands = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size.pixels()).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(8)
            .margin_right(16)
            .x_label_area_size(26)
            .y_label_area_size(46)
            .build_cartesian_2d(first..last, 0..top)?;
        let day = |at: &i32| label(points, *at);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(GRID.mix(0.0))
            .axis_style(GRID)
            .x_labels(size.labels())
            .y_labels(5)
            .x_label_formatter(&day)
            .label_style(("sans-serif", 15).into_font().color(&TEXT))
            .draw()?;
        for days in runs(points, |point| point.is_whole).filter(|days| !days[0].is_whole) {
            let end = days[days.len() - 1].at;
            let shade = Rectangle::new([(days[0].at, 0), (end, top)], PARTIAL.filled());
            chart.draw_series([shade])?;
        }
        for days in runs(points, |_| true) {
            let used = || days.iter().map(|point| (point.at, point.used));
            chart.draw_series(AreaSeries::new(used(), 0, USED.mix(0.12)))?;
            let paid = days.iter().map(|point| (point.at, point.paid));
            chart.draw_series(LineSeries::new(paid, PAID.stroke_width(2)))?;
            chart.draw_series(LineSeries::new(used(), USED.stroke_width(3)))?;
        }
        let half = (chart.backend_coord(&(first + 1, 0)).0 - chart.backend_coord(&(first, 0)).0).max(2);
        let (_, low) = chart.backend_coord(&(first, 0));
        let (_, high) = chart.backend_coord(&(first, top));
        for point in points {
            let (x, used) = chart.backend_coord(&(point.at, point.used));
            let (_, paid) = chart.backend_coord(&(point.at, point.paid));
            // Nothing of it is anybody's text but the numbers and the day.
            write!(
                bands,
                r#"<g class="band"><title>{}</title><rect x="{}" y="{high}" width="{half}" height="{}"/><path d="M{x} {high}V{low}"/><circle cx="{x}" cy="{paid}" r="4"/><circle cx="{x}" cy="{used}" r="4"/></g>"#,
                told(point),
                x - half / 2,
                low - high,
            )?;
        }
        root.present()?;
    }
    Ok(finished(&svg, &bands))
}

/// What is told where the pointer is.
fn told(point: &Point) -> String {
    let least = if point.is_whole { "" } else { "at least " };
    format!("{}: {least}{} of {} paid seats used", point.day, point.used, point.paid)
}

/// Days in a row that are alike: a day that is not known breaks the line.
fn runs(points: &[Point], of: impl Fn(&Point) -> bool) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(move |a, b| b.at == a.at + 1 && of(a) == of(b))
}

/// The day at a place on the axis, short.
fn label(points: &[Point], at: i32) -> String {
    let near = points.iter().min_by_key(|point| point.at.abs_diff(at));
    near.map(|point| point.day.rsplit_once(' ').map_or(point.day.clone(), |(day, _)| day.to_owned()))
        .unwrap_or_default()
}

/// For the page: as wide as there is room, its words in the page's letters, and out of the way of screen readers, who
/// have the table.
fn finished(svg: &str, bands: &str) -> String {
    let body = svg.replacen("<svg ", r#"<svg aria-hidden="true" focusable="false" "#, 1);
    let body = body.replace(r#" font-family="sans-serif""#, "").replace(r#" opacity="1""#, "");
    body.replace("\n", "").replacen("</svg>", &format!("{bands}</svg>"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i32, is_whole: bool) -> Point {
        Point { at, day: format!("{} Aug 2026", at + 1), paid: 40, used: 30, is_whole }
    }

    #[test]
    fn a_chart_says_what_it_shows_and_carries_no_style_of_its_own() {
        let points: Vec<_> = (0..20).map(|at| point(at, at > 4)).collect();
        let svg = trend(&points, Size::Wide);
        assert!(svg.starts_with("<svg aria-hidden=\"true\"") && svg.ends_with("</svg>"), "{svg}");
        assert_eq!(svg.matches("<title>").count(), 20);
        assert!(svg.contains("<title>3 Aug 2026: at least 30 of 40 paid seats used</title>"), "{svg}");
        assert!(svg.contains("<title>9 Aug 2026: 30 of 40 paid seats used</title>"), "{svg}");
        assert!(svg.contains("#040404"), "days that are not whole are shaded");
        assert!(!svg.contains("style=") && !svg.contains("<style"), "the policy allows none");
    }

    #[test]
    fn a_day_that_is_not_known_breaks_the_line() {
        let known: Vec<_> = [0, 1, 2, 5, 6].map(|at| point(at, true)).to_vec();
        let lines = trend(&known, Size::Narrow).matches("stroke=\"#020202\"").count();
        assert_eq!(lines, 2);
        assert_eq!(trend(&known[..1], Size::Wide), "", "of one day there is no trend");
    }
}
