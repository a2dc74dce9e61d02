//! Reads one key after the other, remembers every fault, and at the end every key that nobody asked for.

use std::{
    collections::BTreeSet,
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use figment::{
    Figment,
    providers::{Format, Toml},
    value::{Dict, Num, Value},
};
use secrecy::SecretString;
use tidemark_domain::webhook::TrustedHost;
use url::Url;

use super::{DEFAULTS, variables};
use crate::server::Value as Reread;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The dotted key.
    pub key: String,
    /// What is wrong, and what was expected. Never holds a secret.
    pub problem: String,
    /// Where the value came from.
    pub source: String,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        let settings = variables::keys();
        for Fault { key, problem, source } in &self.0 {
            write!(f, "\n  {key} ({source}): {problem}")?;
            if settings.contains(key) {
                let variable = format!("TIDEMARK_{}", key.to_uppercase().replace('.', "__"));
                write!(f, "; set it in the file or as {variable}")?;
            }
        }
        Ok(())
    }
}

pub(super) struct Reader {
    figment: Figment,
    asked: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn open(file: Option<&Path>, overrides: &[(&str, String)]) -> Self {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        let mut faults = Vec::new();
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Ok(text) => figment = figment.merge(Toml::string(&text)),
                Err(error) => faults.push(Fault {
                    key: "--config".to_owned(),
                    problem: format!("{} cannot be read: {error}", path.display()),
                    source: "command line".to_owned(),
                }),
            }
        }
        let (variables, problems) = variables::settings(std::env::vars_os());
        faults.extend(problems);
        figment = figment.merge(variables);
        for (key, value) in overrides {
            figment = figment.merge((*key, value.as_str()));
        }
        if let Err(error) = figment.extract::<Dict>() {
            let problems = error.into_iter().map(|error| Fault {
                key: "file".to_owned(),
                problem: error.kind.to_string(),
                source: "configuration file".to_owned(),
            });
            faults.extend(problems);
            figment = Figment::from(Toml::string(DEFAULTS));
        }
        Self { figment, asked: BTreeSet::new(), faults }
    }

    fn source(&self, key: &str) -> String {
        let metadata = self.figment.find_metadata(key);
        metadata.map_or_else(
            || "not set".to_owned(),
            |metadata| match &*metadata.name {
                "TOML source string" => "defaults or file".to_owned(),
                name => name.to_owned(),
            },
        )
    }

    fn fault(&mut self, key: &str, problem: impl Into<String>) {
        let source = self.source(key);
        self.faults.push(Fault { key: key.to_owned(), problem: problem.into(), source });
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        let file_key = format!("{key}_file");
        self.asked.extend([key.to_owned(), file_key.clone()]);
        if let Ok(value) = self.figment.find_value(&file_key) {
            let path = plain(&value).unwrap_or_default();
            match std::fs::read_to_string(&path) {
                Ok(text) => return text.trim().to_owned(),
                Err(error) => self.fault(&file_key, format!("`{path}` cannot be read: {error}")),
            }
        }
        match self.figment.find_value(key).ok().as_ref().map(plain) {
            Some(Some(text)) => text,
            Some(None) => {
                self.fault(key, "expected a single value, found a list or table");
                String::new()
            }
            None => {
                self.fault(key, "has no value");
                String::new()
            }
        }
    }

    pub(super) fn secret(&mut self, key: &str) -> SecretString {
        self.text(key).into()
    }

    /// A text that is read again from its file, where it has one.
    pub(super) fn value(&mut self, key: &str) -> Reread {
        let text = self.text(key);
        let file = self.figment.find_value(&format!("{key}_file")).ok();
        file.and_then(|path| plain(&path))
            .map_or_else(|| Reread::Text(text.into()), |path| Reread::File(path.into()))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.choice(key, "`true` or `false`", |text| text.parse().ok(), false)
    }

    /// Words separated by commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key);
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Hosts separated by commas, each for every organization or, as `org_…=host`, for one.
    pub(super) fn trusted_hosts(&mut self, key: &str) -> Vec<TrustedHost> {
        let parsed: Result<_, String> = self.list(key).iter().map(|word| word.parse()).collect();
        parsed.unwrap_or_else(|expected| {
            self.fault(key, expected);
            Vec::new()
        })
    }

    /// The path of a file that is read later, and again; nothing where it is empty.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key);
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    /// Two paths that make sense together only.
    pub(super) fn pair(&mut self, one: &str, other: &str) -> Option<(PathBuf, PathBuf)> {
        match (self.path(one), self.path(other)) {
            (Some(first), Some(second)) => Some((first, second)),
            (None, None) => None,
            (Some(_), None) => {
                self.fault(other, format!("is not set, and `{one}` is of no use without it"));
                None
            }
            (None, Some(_)) => {
                self.fault(one, format!("is not set, and `{other}` is of no use without it"));
                None
            }
        }
    }

    pub(super) fn name(&mut self, key: &str) -> String {
        let text = self.text(key);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || !text.chars().all(plain) {
            self.fault(key, format!("expected letters, digits, `-`, `_` or `.`, found `{text}`"));
        }
        text
    }

    pub(super) fn parsed<T: FromStr + Placeholder>(&mut self, key: &str, expected: &str) -> T {
        let text = self.text(key);
        text.parse().unwrap_or_else(|_| {
            self.fault(key, format!("expected {expected}, found `{text}`"));
            T::placeholder()
        })
    }

    /// Nothing where it is empty.
    pub(super) fn optional<T: FromStr>(&mut self, key: &str, expected: &str) -> Option<T> {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.fault(key, format!("expected {expected}, found `{text}`"));
        }
        parsed
    }

    pub(super) fn choice<T>(
        &mut self,
        key: &str,
        expected: &str,
        of: impl Fn(&str) -> Option<T>,
        otherwise: T,
    ) -> T {
        let text = self.text(key);
        of(&text).unwrap_or_else(|| {
            self.fault(key, format!("expected {expected}, found `{text}`"));
            otherwise
        })
    }

    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> u32 {
        let text = self.text(key);
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.fault(key, format!("expected {expected}, found `{text}`"));
            *range.start()
        })
    }

    pub(super) fn millis(&mut self, key: &str, range: RangeInclusive<u32>) -> Duration {
        Duration::from_millis(self.number(key, range).into())
    }

    pub(super) fn url(&mut self, key: &str, schemes: &[&str]) -> Url {
        let text = self.text(key);
        let url = Url::parse(&text).ok().filter(|url| schemes.contains(&url.scheme()));
        url.unwrap_or_else(|| {
            self.fault(key, format!("expected a URL with scheme {}, found `{text}`", schemes.join(" or ")));
            Url::placeholder()
        })
    }

    /// A URL, or nothing.
    pub(super) fn optional_url(&mut self, key: &str, schemes: &[&str]) -> Option<Url> {
        if self.text(key).trim().is_empty() { None } else { Some(self.url(key, schemes)) }
    }

    /// URLs separated by commas, or nothing.
    pub(super) fn urls(&mut self, key: &str, schemes: &[&str]) -> Vec<Url> {
        let text = self.text(key);
        let mut urls = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match Url::parse(part).ok().filter(|url| schemes.contains(&url.scheme())) {
                Some(url) => urls.push(url),
                None => {
                    self.fault(
                        key,
                        format!("expected URLs with scheme {}, found `{part}`", schemes.join(" or ")),
                    );
                }
            }
        }
        urls
    }

    /// A URL that may hold a password and is read again from its file, or nothing.
    pub(super) fn optional_value(&mut self, key: &str, schemes: &[&str]) -> Option<Reread> {
        if self.text(key).trim().is_empty() {
            return None;
        }
        self.url_with_secret(key, schemes);
        Some(self.value(key))
    }

    /// A URL that may hold a password: its text is never repeated.
    pub(super) fn url_with_secret(&mut self, key: &str, schemes: &[&str]) -> SecretString {
        let text = self.text(key);
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
            let found = scheme.map_or("no scheme".to_owned(), |scheme| format!("scheme `{scheme}`"));
            self.fault(key, format!("expected a URL with scheme {}, found {found}", schemes.join(" or ")));
        }
        text.into()
    }

    /// The settings, or everything that was wrong with them.
    pub(super) fn finish<T>(mut self, settings: T) -> Result<T, super::Faults> {
        let all = self.figment.extract::<Dict>().unwrap_or_default();
        for key in leaves("", &all) {
            if !self.asked.contains(&key) {
                let problem = match nearest(&key, self.asked.iter().map(String::as_str)) {
                    Some(setting) => format!("is not a setting; did you mean `{setting}`?"),
                    None => "is not a setting; `tidemark config reference` lists them all".to_owned(),
                };
                self.fault(&key, problem);
            }
        }
        if self.faults.is_empty() { Ok(settings) } else { Err(Faults(self.faults)) }
    }
}

/// The setting that somebody may have meant.
pub(super) fn nearest<'a>(key: &str, settings: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = settings.map(|setting| (strsim::normalized_damerau_levenshtein(key, setting), setting));
    let (alike, setting) = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (alike > 0.7).then_some(setting)
}

fn leaves(prefix: &str, dict: &Dict) -> Vec<String> {
    let join = |key: &String| if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
    dict.iter()
        .flat_map(|(key, value)| match value {
            Value::Dict(_, inner) => leaves(&join(key), inner),
            _ => vec![join(key)],
        })
        .collect()
}

/// A value as text: in a file, numbers and flags need no quotes.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, c) => Some(c.to_string()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, Num::F32(number)) => Some(number.to_string()),
        Value::Num(_, Num::F64(number)) => Some(number.to_string()),
        Value::Num(_, number) => number
            .to_u128()
            .map(|number| number.to_string())
            .or_else(|| number.to_i128().map(|number| number.to_string())),
        Value::Empty(..) => Some(String::new()),
        Value::Dict(..) | Value::Array(..) => None,
    }
}

/// Stands in for a faulty value until `finish` refuses the whole.
pub(super) trait Placeholder {
    fn placeholder() -> Self;
}

impl Placeholder for std::net::SocketAddr {
    fn placeholder() -> Self {
        Self::from(([127, 0, 0, 1], 0))
    }
}

impl Placeholder for Url {
    fn placeholder() -> Self {
        Self::parse("http://invalid.invalid").expect("a constant")
    }
}
