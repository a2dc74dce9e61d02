//! Everything a change must pass, cheapest complaint first.

use std::{
    fmt,
    io::{BufRead, BufReader},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{architecture, command, deploy, proto, services};

type Step = (&'static str, fn() -> Result<()>);

/// Before the tests, which come last so that their summary is what is left on the screen.
const STEPS: [Step; 7] = [
    ("format", || command::run(&mut command::cargo(&["fmt", "--all", "--check"]))),
    ("clippy", clippy),
    ("documentation", documentation),
    ("architecture", architecture::check),
    ("gRPC contracts", proto::lint),
    ("services", services::ensure),
    ("deployment", deploy::check),
];

pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    for (name, step) in STEPS {
        timed(name, step)?;
    }
    let counts = timed("tests", tests)?;
    println!("all {} steps passed after {:.1} s", STEPS.len() + 1, begun.elapsed().as_secs_f64());
    if let Some(counts) = counts {
        println!("{counts}");
    }
    Ok(())
}

fn timed<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let begun = Instant::now();
    let done = step();
    let word = if done.is_ok() { "ok" } else { "FAILED" };
    println!("<== {name}: {word} after {:.1} s", begun.elapsed().as_secs_f64());
    done.with_context(|| format!("step `{name}`"))
}

fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    command::run(&mut command::cargo(&arguments))
}

fn documentation() -> Result<()> {
    let mut cargo = command::cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    command::run(cargo.env("RUSTDOCFLAGS", "-Dwarnings"))
}

/// Counts where the runner gives no summary of its own.
fn tests() -> Result<Option<Counts>> {
    let present = || command::succeeds(&mut command::cargo(&["nextest", "--version"]));
    if !present() {
        println!("cargo-nextest is missing and is installed now");
        // Its failure has an answer: cargo's own test runner.
        if let Err(error) = command::run(&mut command::cargo(&["install", "--locked", "cargo-nextest"])) {
            eprintln!("warning: {error:#}");
        }
    }
    if present() {
        let mut nextest = command::cargo(&["nextest", "run", "--workspace", "--locked"]);
        return command::run(&mut nextest).map(|()| None);
    }
    println!("cargo-nextest could not be installed; `cargo test` runs the tests");
    plain_tests().map(Some)
}

/// `cargo test` reports each test program by itself: this adds the reports up.
fn plain_tests() -> Result<Counts> {
    let mut cargo = command::cargo(&["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]);
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("`cargo test` could not be started")?;
    let mut sum = Counts::default();
    for line in BufReader::new(child.stdout.take().context("the output was asked for")?).lines() {
        let line = line.context("the output of `cargo test` could not be read")?;
        println!("{line}");
        sum.add(&line);
    }
    let status = child.wait().context("`cargo test` got lost")?;
    if !status.success() {
        println!("{sum}");
        bail!("`cargo test` failed ({status})");
    }
    Ok(sum)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Counts {
    /// Reads `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some(report) = line.strip_prefix("test result: ") else { return };
        for part in report.split([';', '.']) {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_added_up() {
        let mut sum = Counts::default();
        sum.add("running 3 tests");
        sum.add(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        sum.add("test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out");
        assert_eq!(sum, Counts { passed: 7, failed: 2 });
    }
}
