//! The report as one page of HTML: everything in one file, no script, light and dark, and fit to be printed.
//!
//! The charts are drawn here, as SVG whose marks carry CSS classes and titles. A charting library would be preferred, and
//! none fits: `plotters` writes fixed colours into every mark and neither classes nor titles, so that neither a dark
//! page nor a screen reader gets anything out of it; `charming` draws with JavaScript; `poloto` knows classes, but only
//! axes and lines. What is left is a little geometry, which has tests.

mod chart;
mod evidence;
mod page;

pub(crate) use evidence::Evidence;
pub(crate) use page::{money, render};
