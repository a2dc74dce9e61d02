//! Holds the crates' direct dependencies against the table of the design: which siblings a crate may use, and which
//! libraries have one home. Dependencies of tests and build scripts are held to it too.

mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::command;
use table::{CRATES, Home, LIBRARIES, PREFIX, Row, TEST_CRATES};

/// A workspace crate as cargo sees it.
#[derive(Debug)]
struct Member {
    name: String,
    dependencies: Vec<(String, DependencyKind)>,
}

/// One dependency that the table does not allow.
#[derive(Debug, PartialEq, Eq)]
enum Violation {
    /// A crate without a row.
    Unlisted { member: String },
    /// A sibling that the row does not name.
    Sibling { member: String, sibling: String, kind: DependencyKind },
    /// A library outside its home.
    Library {
        member: String,
        library: String,
        kind: DependencyKind,
        homes: Vec<&'static str>,
        why: &'static str,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted { member } => {
                write!(
                    f,
                    "{member} has no row in crates/xtask/src/architecture/table.rs: add it with its siblings"
                )
            }
            Self::Sibling { member, sibling, kind } => write!(
                f,
                "{member} may not use {sibling} ({} dependency): go through gRPC, events or a port, or change \
                 the design's table first",
                name_of(*kind)
            ),
            Self::Library { member, library, kind, homes, why } => write!(
                f,
                "{member} may not use {library} ({} dependency), which belongs in {}: {why}",
                name_of(*kind),
                homes.join(", ")
            ),
        }
    }
}

fn name_of(kind: DependencyKind) -> &'static str {
    match kind {
        DependencyKind::Development => "dev",
        DependencyKind::Build => "build",
        _ => "normal",
    }
}

/// Checks this workspace.
pub(crate) fn check() -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(command::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo could not describe the workspace")?;
    let members: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| Member {
            name: package.name.to_string(),
            dependencies: package.dependencies.iter().map(|of| (of.name.clone(), of.kind)).collect(),
        })
        .collect();
    let violations = violations(&members, CRATES, LIBRARIES);
    if violations.is_empty() {
        println!("{} crates keep to the table of the design", members.len());
        return Ok(());
    }
    for violation in &violations {
        eprintln!("  {violation}");
    }
    bail!("{} dependencies that the design does not allow", violations.len())
}

fn violations(members: &[Member], rows: &[Row], libraries: &[Home]) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in members {
        let short = member.name.strip_prefix(PREFIX).unwrap_or(&member.name);
        let Some(row) = rows.iter().find(|row| row.name == short) else {
            found.push(Violation::Unlisted { member: short.to_owned() });
            continue;
        };
        for (dependency, kind) in &member.dependencies {
            if let Some(sibling) = dependency.strip_prefix(PREFIX) {
                if !may_use(row, sibling, *kind, rows) {
                    let (member, sibling) = (short.to_owned(), sibling.to_owned());
                    found.push(Violation::Sibling { member, sibling, kind: *kind });
                }
            } else if let Some(home) = libraries.iter().find(|home| home.names.contains(&dependency.as_str()))
                && !home.admits(short, *kind)
            {
                let (member, library) = (short.to_owned(), dependency.clone());
                let (homes, why) = (home.crates.to_vec(), home.why);
                found.push(Violation::Library { member, library, kind: *kind, homes, why });
            }
        }
    }
    found
}

fn may_use(row: &Row, sibling: &str, kind: DependencyKind, rows: &[Row]) -> bool {
    row.siblings.contains(&sibling)
        || kind == DependencyKind::Development
            && (row.in_tests.iter().any(|exception| exception.of == sibling)
                || TEST_CRATES.contains(&sibling) && !is_below(row.name, sibling, rows))
}

/// Whether `upper` uses `lower`, directly or through others.
fn is_below(lower: &str, upper: &str, rows: &[Row]) -> bool {
    let siblings = rows.iter().find(|row| row.name == upper).map_or(&[][..], |row| row.siblings);
    siblings.iter().any(|sibling| *sibling == lower || is_below(lower, sibling, rows))
}
