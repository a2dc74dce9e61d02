//! What takes too long for every change and is run at night: more cases, more seeds, larger numbers. Built with
//! optimizations, as speed decides how much can be tried.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::command;

struct Ring {
    name: &'static str,
    package: &'static str,
    target: Option<&'static str>,
    /// In nextest's filter language.
    tests: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const RINGS: [Ring; 3] = [
    Ring {
        name: "a million bodies for the decoder",
        package: "tidemark-productboard",
        target: None,
        tests: "test(decode::)",
        variables: &[("PROPTEST_CASES", "1000000")],
    },
    Ring {
        name: "a thousand connections over one record, everything failing",
        package: "tidemark-credentials",
        target: Some("service"),
        tests: "test(stress::)",
        variables: &[("TIDEMARK_STRESS", "1")],
    },
    Ring {
        name: "renewals by processes that are killed",
        package: "tidemark-app",
        target: Some("nightly"),
        tests: "all()",
        variables: &[],
    },
];

pub(crate) fn run() -> Result<()> {
    for Ring { name, package, target, tests, variables } in RINGS {
        println!("==> {name}");
        let begun = Instant::now();
        let arguments = ["nextest", "run", "--release", "--locked", "--no-capture", "--package", package];
        let mut cargo = command::cargo(&arguments);
        if let Some(target) = target {
            cargo.args(["--test", target]);
        }
        command::run(cargo.args(["-E", tests]).envs(variables.iter().copied()))
            .with_context(|| format!("ring `{name}`"))?;
        println!("<== {name}: ok after {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
