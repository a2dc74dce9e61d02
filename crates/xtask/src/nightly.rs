//! What takes too long for every change and is run at night: more cases, more seeds, larger numbers. Built with
//! optimizations, as speed decides how much can be tried.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::command;

struct Ring {
    name: &'static str,
    package: &'static str,
    /// In nextest's filter language.
    tests: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const RINGS: [Ring; 2] = [
    Ring {
        name: "a million bodies for the decoder",
        package: "tidemark-productboard",
        tests: "test(decode::)",
        variables: &[("PROPTEST_CASES", "1000000")],
    },
    Ring {
        name: "two hundred histories of a workspace",
        package: "tidemark-sync",
        tests: "test(histories::)",
        variables: &[("TIDEMARK_TEST_SEEDS", "200")],
    },
];

pub(crate) fn run() -> Result<()> {
    for Ring { name, package, tests, variables } in RINGS {
        println!("==> {name}");
        let begun = Instant::now();
        let arguments = ["nextest", "run", "--release", "--locked", "--package", package, "-E", tests];
        command::run(command::cargo(&arguments).envs(variables.iter().copied()))
            .with_context(|| format!("ring `{name}`"))?;
        println!("<== {name}: ok after {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
