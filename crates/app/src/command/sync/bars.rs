//! A run in the terminal while it works: a line for the run and a bar for each of its streams.

use std::{collections::BTreeMap, io::IsTerminal as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tidemark_rpc::syncs::{Run, StreamProgress};

use crate::command::wire::word;

#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    run: ProgressBar,
    streams: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// Nothing where nobody looks at a terminal.
    pub(super) fn on_terminal() -> Option<Self> {
        std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let run = all.add(ProgressBar::no_length().with_style(style("{msg}")));
            Self { all, run, streams: BTreeMap::new() }
        })
    }

    pub(super) fn show(&mut self, run: &Run) {
        let left = run.remaining_seconds.map(|left| format!(", about {left} s left")).unwrap_or_default();
        let state = word(run.state().as_str_name(), "RUN_STATE_");
        self.run.set_message(format!("{} {state}{left} {}", run.id, run.reason));
        for stream in &run.streams {
            self.show_stream(stream);
        }
    }

    fn show_stream(&mut self, stream: &StreamProgress) {
        let bar = self.streams.entry(stream.stream.clone()).or_insert_with(|| {
            let style = style("  {prefix:<18} {bar:30} {pos:>4}/{len:<4} {msg}");
            self.all.add(ProgressBar::new(0).with_style(style).with_prefix(stream.stream.clone()))
        });
        // A bar of no length looks full.
        bar.set_length(stream.total.max(1));
        bar.set_position(stream.done);
        let state = word(stream.state().as_str_name(), "STREAM_STATE_");
        let (rows, requests) = (stream.rows, stream.requests);
        bar.set_message(format!("{state}: {rows} rows, {requests} requests {}", stream.detail));
    }

    /// Leaves the screen to what is printed next.
    pub(super) fn clear(self) {
        // A terminal that went away has nothing left to clear.
        let _ = self.all.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
