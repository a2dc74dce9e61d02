//! Settings from the environment: `TIDEMARK_SECTION__KEY`, taken byte for byte, whatever they look like.
//!
//! Others use our prefix, too: Compose for what it puts into its own file, Kubernetes for the address of each service.
//! What has no `__` is not ours, unless it reads like a setting in which an underscore is missing.

use std::{collections::BTreeMap, ffi::OsString};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Tag, Value},
};

use super::{DEFAULTS, Fault};

const PREFIX: &str = "TIDEMARK_";
/// Between a section and its key.
const BETWEEN: &str = "__";
/// The file's path, and what the tests use.
const OTHERS: [&str; 2] = ["CONFIG", "TEST_"];

/// Settings by their dotted keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Variables(BTreeMap<String, String>);

/// The settings in an environment, and what is wrong with it.
pub(super) fn settings(all: impl Iterator<Item = (OsString, OsString)>) -> (Variables, Vec<Fault>) {
    let (mut settings, mut faults) = (Variables::default(), Vec::new());
    for (name, value) in all {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let is_other = rest == OTHERS[0] || rest.starts_with(OTHERS[1]);
        if is_other {
            continue;
        }
        let mut fault = |problem: &str| {
            let source = format!("environment variable {name}");
            faults.push(Fault { key: name.to_owned(), problem: problem.to_owned(), source });
        };
        if !rest.contains(BETWEEN) {
            if let Some(meant) = meant(rest) {
                fault(&format!("is not read; did you mean {meant}?"));
            }
            continue;
        }
        match value.into_string() {
            Ok(value) => drop(settings.0.insert(rest.to_lowercase().replace(BETWEEN, "."), value)),
            Err(_) => fault("is no UTF-8 text"),
        }
    }
    (settings, faults)
}

/// The variable that somebody meant who wrote one underscore for two. Nothing that is only alike: it may be another's.
fn meant(rest: &str) -> Option<String> {
    let bare = |text: &str| text.to_lowercase().replace(['_', '.'], "");
    let keys = keys();
    let key = keys.iter().find(|key| bare(key) == bare(rest))?;
    Some(format!("{PREFIX}{}", key.to_uppercase().replace('.', BETWEEN)))
}

/// All settings, by their dotted keys.
pub(super) fn keys() -> Vec<String> {
    let mut table = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name;
        } else if let Some((key, _)) = line.split_once('=') {
            keys.push(format!("{table}.{}", key.trim()));
        }
    }
    keys
}

impl Provider for Variables {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variable")
            .interpolater(|_, keys| format!("{PREFIX}{}", keys.join(BETWEEN).to_uppercase()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (key, value) in &self.0 {
            let nested = figment::util::nest(key, Value::String(Tag::Default, value.clone()));
            let Value::Dict(_, nested) = nested else { continue };
            merge(&mut dict, nested);
        }
        Ok(Profile::Default.collect(dict))
    }
}

fn merge(into: &mut Dict, other: Dict) {
    for (key, value) in other {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, inner)), Value::Dict(_, more)) => merge(inner, more),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(all: &[(&str, &str)]) -> (Variables, Vec<Fault>) {
        settings(all.iter().map(|(name, value)| (OsString::from(*name), OsString::from(*value))))
    }

    #[test]
    fn a_secret_comes_back_byte_for_byte() {
        for secret in [
            "00012345678901234567",
            "+1",
            "\"quoted\"",
            "[a,b]",
            "{a=1}",
            "1e5",
            "true",
            " x ",
            "'x'",
            "0x1F",
            "ä=ö",
        ] {
            let (settings, faults) =
                read(&[("TIDEMARK_RPC__TOKEN", secret), ("TIDEMARK_RPC__TLS__CA_FILE", "x")]);
            assert_eq!(faults, []);
            let figment = figment::Figment::from(settings);
            assert_eq!(figment.extract_inner::<String>("rpc.token").unwrap(), secret);
            assert_eq!(figment.extract_inner::<String>("rpc.tls.ca_file").unwrap(), "x");
        }
    }

    #[test]
    fn the_variables_of_others_are_left_alone() {
        for other in [
            "TIDEMARK_SECRETS",
            "TIDEMARK_CONFIG",
            "TIDEMARK_TEST_POSTGRES_URL",
            "TIDEMARK_CREDENTIALS_SERVICE_HOST",
            "TIDEMARK_CONSOLE_PORT_7400_TCP_ADDR",
            "TIDEMARK_WORKER_SERVICE_PORT_GRPC",
            "TIDEMARKS__X",
        ] {
            assert_eq!(read(&[(other, "x")]), (Variables::default(), Vec::new()), "{other}");
        }
    }

    #[test]
    fn one_underscore_for_two_is_named() {
        for (wrong, right) in [
            ("TIDEMARK_DATABASE_URL", "TIDEMARK_DATABASE__URL"),
            ("TIDEMARK_RPC_TLS_CA_FILE", "TIDEMARK_RPC__TLS__CA_FILE"),
            ("TIDEMARK_WORKER_HISTORY_DAYS", "TIDEMARK_WORKER__HISTORY_DAYS"),
        ] {
            let (_, faults) = read(&[(wrong, "canary")]);
            assert_eq!(faults.len(), 1, "{wrong}");
            assert!(faults[0].problem.ends_with(&format!("did you mean {right}?")), "{faults:?}");
            assert!(!format!("{faults:?}").contains("canary"));
        }
    }
}
