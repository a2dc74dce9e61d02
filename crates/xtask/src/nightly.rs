//! What takes too long for every change and is run at night: more cases, more seeds, larger numbers. Built with
//! optimizations, as speed decides how much can be tried.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::command;

struct Ring {
    name: &'static str,
    package: &'static str,
    target: Option<&'static str>,
    /// In nextest's filter language.
    tests: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const RINGS: &[Ring] = &[
    Ring {
        name: "a million bodies for the decoder",
        package: "tidemark-productboard",
        target: None,
        tests: "test(decode::)",
        variables: &[("PROPTEST_CASES", "1000000")],
    },
    Ring {
        name: "two hundred histories of a workspace",
        package: "tidemark-sync",
        target: Some("engine"),
        tests: "test(histories::)",
        variables: &[("TIDEMARK_TEST_SEEDS", "200")],
    },
    Ring {
        name: "a thousand connections over one record, everything failing",
        package: "tidemark-credentials",
        target: Some("service"),
        tests: "test(stress::)",
        variables: &[("TIDEMARK_STRESS", "1")],
    },
    Ring {
        name: "a hundred thousand secrets under a new key, while they are read",
        package: "tidemark-credentials",
        target: None,
        tests: "test(rotation::tests::rotation_under_load)",
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

/// Runs the rings whose name has that in it.
pub(crate) fn run(wanted: &str) -> Result<()> {
    let chosen: Vec<_> = RINGS.iter().filter(|ring| ring.name.contains(wanted)).collect();
    let names: Vec<_> = RINGS.iter().map(|ring| ring.name).collect();
    ensure!(!chosen.is_empty(), "no ring has `{wanted}` in its name; there are: {}", names.join("; "));
    for Ring { name, package, target, tests, variables } in chosen {
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
