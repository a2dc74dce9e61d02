//! `tidemark config`: is the configuration usable, and what can be set.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use tidemark_runtime::{
    Config,
    config::{DEFAULTS, Faults},
};

use crate::required::{self, Role};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Reads file and environment, and names at once everything that cannot be used or that a role would refuse at its
    /// start; fails if there is something. Asks no server: `doctor` does.
    Check {
        /// For this role only.
        #[arg(long, value_enum, default_value = "all")]
        role: Role,
    },
    /// Prints every setting with its default and its meaning.
    Reference,
}

/// One setting.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Setting {
    key: String,
    /// The environment variable.
    variable: String,
    default: String,
    help: String,
}

pub(crate) fn run(file: Option<&Path>, args: &Args) -> Result<ExitCode> {
    match args.what {
        What::Check { role } => Ok(check(file, role, args.json)),
        What::Reference if args.json => {
            print(&serde_json::to_string_pretty(&settings(DEFAULTS))?);
            Ok(ExitCode::SUCCESS)
        }
        What::Reference => {
            print(DEFAULTS);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(file: Option<&Path>, role: Role, as_json: bool) -> ExitCode {
    let faults = match Config::load(file, &[]) {
        Ok(config) => Faults(required::missing(&config, role)),
        Err(faults) => faults,
    };
    if faults.0.is_empty() {
        if as_json {
            print(&format!("{:#}", json!({ "usable": true, "faults": [] })));
        } else {
            print("the configuration can be used");
        }
        return ExitCode::SUCCESS;
    }
    if as_json {
        let list: Vec<_> = faults
            .0
            .iter()
            .map(|fault| json!({ "key": fault.key, "problem": fault.problem, "source": fault.source }))
            .collect();
        print(&format!("{:#}", json!({ "usable": false, "faults": list })));
    } else {
        print(&faults.to_string());
    }
    ExitCode::FAILURE
}

/// Reads the commented defaults: a table's name, comments, and the key that they are about.
fn settings(defaults: &str) -> Vec<Setting> {
    let (mut table, mut help, mut found) = (String::new(), Vec::new(), Vec::new());
    for line in defaults.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix('#') {
            help.push(comment.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut table);
            help.clear();
        } else if let Some((key, default)) = line.split_once('=') {
            let key = format!("{table}.{}", key.trim());
            found.push(Setting {
                variable: format!("TIDEMARK_{}", key.to_uppercase().replace('.', "__")),
                default: default.trim().trim_matches('"').to_owned(),
                help: help.join(" "),
                key,
            });
            help.clear();
        } else {
            help.clear();
        }
    }
    found
}

fn print(text: &str) {
    say!("{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_setting_with_its_help() {
        let settings = settings(DEFAULTS);
        let url = settings.iter().find(|setting| setting.key == "database.url").unwrap();
        assert_eq!(url.variable, "TIDEMARK_DATABASE__URL");
        assert!(url.default.starts_with("postgres://") && url.help.contains("sqlite:"), "{url:?}");
        let keys = DEFAULTS.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
        assert_eq!(settings.len(), keys);
        let tls = settings.iter().find(|setting| setting.key == "rpc.tls.ca_file").unwrap();
        assert!(tls.help.starts_with("Authorities"), "{tls:?}");
    }
}
