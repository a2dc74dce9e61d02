//! Why a server cannot be used, in a sentence with its remedy. The libraries' own words are matched: they differ in types,
//! and most have lost them by the time a person reads them.

use std::error::Error;

use secrecy::ExposeSecret as _;
use tidemark_runtime::config::Database;

/// What is wrong between this process and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    PlainText,
    Untrusted,
    OtherName,
    Expired,
    WantsCertificate,
    NotTls,
    UnknownHost,
    Refused,
    Password,
    Other,
    ReadOnly,
    Full,
    Silent,
}

/// In the order in which they are looked for: what a server said comes before what the network did.
const WORDS: [(Cause, &[&str]); 13] = [
    (Cause::PlainText, &["in plain text: use"]),
    (Cause::Untrusted, &["unknownissuer", "unknown issuer", "badsignature", "self-signed", "self signed"]),
    (Cause::OtherName, &["notvalidforname", "not valid for name", "certificate not valid for"]),
    (
        Cause::Expired,
        &["certificate expired", "notvalidyet", "certificate not valid yet", "invalidcertificate(expired"],
    ),
    (
        Cause::WantsCertificate,
        &["certificaterequired", "certificate required", "badcertificate", "handshakefailure"],
    ),
    (
        Cause::Password,
        &[
            "password authentication failed",
            "wrongpass",
            "noauth",
            "access_refused",
            "accessrefused",
            "authenticationfailed",
            "password authentication",
            "invalid username-password",
            "no pg_hba.conf entry",
        ],
    ),
    (Cause::ReadOnly, &["read-only transaction", "readonly", "read only replica", "read-only database"]),
    (
        Cause::Full,
        &["oom command", "misconf", "no space left", "disk full", "disk is full", "database or disk is full"],
    ),
    (
        Cause::NotTls,
        &["corrupt message", "invalidcontenttype", "tls upgrade required", "does not support tls"],
    ),
    (
        Cause::Other,
        &[
            "not in amqp",
            "http/1.",
            "<html",
            "not an answer of",
            "unknown protocol",
            "invalid response when parsing",
        ],
    ),
    (
        Cause::UnknownHost,
        &[
            "failed to lookup address",
            "name or service not known",
            "name resolution",
            "nodename nor servname",
        ],
    ),
    (Cause::Refused, &["connection refused"]),
    (Cause::Silent, &["no answer", "does not answer", "timed out", "no connection to"]),
];

impl Cause {
    /// The cause that these words of a library mean.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let named = |(_, words): &&(Self, &[&str])| words.iter().any(|word| text.contains(word));
        WORDS.iter().find(named).map(|(cause, _)| *cause)
    }

    /// What it means.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::PlainText => "it is on another machine, and the connection would not be encrypted",
            Self::Untrusted => "its certificate is not of an authority that this process trusts",
            Self::OtherName => "its certificate is for another host name",
            Self::Expired => "its certificate is not valid at this time",
            Self::WantsCertificate => "it wants a certificate of this process that it trusts",
            Self::NotTls => "it does not speak TLS at that port",
            Self::UnknownHost => "its host name is not known (DNS)",
            Self::Refused => "nothing listens at its address: the connection was refused",
            Self::Password => "it rejects the user or the password",
            Self::Other => "something else answers there, such as a proxy or a web server",
            Self::ReadOnly => "it is read-only: a replica, or a failover that is not finished",
            Self::Full => "it takes no writes: its disk or its memory is full",
            Self::Silent => "it does not answer",
        }
    }

    /// What to do, for the server `name` of a section of the configuration.
    pub(crate) fn remedy(self, name: &str, section: &str) -> String {
        let url = format!("{section}.url (TIDEMARK_{}__URL)", section.to_uppercase());
        match self {
            Self::PlainText => format!(
                "use TLS in {url}, or, in a network that nobody can listen in on, set {section}.allow_plaintext"
            ),
            Self::Untrusted if section == "database" => {
                format!("name the authority's certificate by sslrootcert in {url}")
            }
            Self::Untrusted => format!("name the authority's certificate in {section}.ca_file"),
            Self::OtherName => {
                format!("use a name that the certificate holds in {url}, or issue one for this name")
            }
            Self::Expired => {
                format!("renew the certificate of {name}, and check the clocks of both machines")
            }
            Self::WantsCertificate => format!(
                "set {section}.client_certificate_file and {section}.client_key_file to a certificate that {name} trusts"
            ),
            Self::NotTls => format!("use the port at which {name} speaks TLS in {url}"),
            Self::UnknownHost => format!("correct the host in {url}, or its DNS entry"),
            Self::Refused => format!("start {name}, or correct host and port in {url}"),
            Self::Password => format!("correct user and password in {url}, or in {name}"),
            Self::Other => format!("correct host and port in {url}, or let the proxy pass {name} through"),
            Self::ReadOnly => format!("point {url} at the primary, or finish the failover of {name}"),
            Self::Full => {
                format!("make room on the disk or in the memory of {name}; work goes on without a restart")
            }
            Self::Silent => format!("check that {name} runs, that {url} is right, and the firewall between"),
        }
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The error of the server `name` of a section of the configuration, in a sentence with its remedy where its cause is known.
pub(crate) fn explain(error: &str, name: &str, section: &str) -> String {
    match Cause::of(error) {
        Some(cause) => format!("{}; {} ({error})", cause.sentence(), cause.remedy(name, section)),
        None => error.to_owned(),
    }
}

/// The same, of the database. A SQLite file is no server: the error's own sentence says what to do.
pub(crate) fn explain_database(database: &Database, error: &tidemark_store::Error) -> String {
    let error = chain(error);
    if is_file(database) { error } else { explain(&error, "PostgreSQL", "database") }
}

/// Whether the database is a file of SQLite's.
pub(crate) fn is_file(database: &Database) -> bool {
    database.url.expose_secret().starts_with("sqlite:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_a_sentence_and_a_remedy_of_its_own() {
        let sentences: std::collections::BTreeSet<_> =
            WORDS.iter().map(|(cause, _)| cause.sentence()).collect();
        let remedies: std::collections::BTreeSet<_> =
            WORDS.iter().map(|(cause, _)| cause.remedy("Redis", "leases")).collect();
        assert_eq!((sentences.len(), remedies.len()), (WORDS.len(), WORDS.len()));
    }

    #[test]
    fn the_words_of_the_libraries_are_understood() {
        for (text, cause) in [
            (
                "cannot reach amqps://localhost:5671//: invalid peer certificate: UnknownIssuer",
                Cause::Untrusted,
            ),
            ("invalid peer certificate: certificate not valid for name \"db\"", Cause::OtherName),
            ("failed to lookup address information: Name or service not known", Cause::UnknownHost),
            ("no connection to 127.0.0.1:1: Connection refused (os error 111)", Cause::Refused),
            ("error returned from database: password authentication failed for user \"x\"", Cause::Password),
            ("no connection to x:6379: WRONGPASS: invalid username-password pair", Cause::Password),
            ("amqp://x answers, but not in AMQP 0-9-1", Cause::Other),
            ("cannot execute INSERT in a read-only transaction", Cause::ReadOnly),
            ("command failed: READONLY: You can't write against a read only replica.", Cause::ReadOnly),
            ("OOM command not allowed when used memory > 'maxmemory'.", Cause::Full),
            ("MISCONF Redis is configured to save RDB snapshots", Cause::Full),
            ("received corrupt message of type InvalidContentType", Cause::NotTls),
            ("bus.url would send passwords and data to mq in plain text: use `amqps:`", Cause::PlainText),
        ] {
            assert_eq!(Cause::of(text), Some(cause), "{text}");
        }
        assert_eq!(Cause::of("something new"), None);
    }
}
