//! How a server is reached: its URL and password, what TLS needs, and that nothing passes in plain text unasked.
//!
//! What is in a file is read again for each connection: a password or a certificate that is replaced needs no restart.

use std::{fmt, io, net::IpAddr, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::tls::{ClientPem, ClientTls, TlsError};

/// A text, or the file that holds it.
#[derive(Debug, Clone)]
pub enum Value {
    /// As it was configured.
    Text(SecretString),
    /// Read each time.
    File(PathBuf),
}

/// A server that a process connects to, as a section of the configuration says it.
#[derive(Debug, Clone)]
pub struct Server {
    /// The section's name.
    pub section: &'static str,
    /// Where it is; may hold a password.
    pub url: Value,
    /// Instead of the URL's; empty for none.
    pub password: Value,
    /// For `amqps:` and `rediss:`.
    pub tls: ClientTls,
    /// Whether a plain-text connection may leave this machine.
    pub allow_plaintext: bool,
}

/// A server as its settings say it now.
pub struct Target {
    /// Where it is. May hold a password: not to be shown.
    pub url: Url,
    /// Instead of the URL's.
    pub password: Option<SecretString>,
    /// Certificates, where the connection is encrypted.
    pub tls: Option<ClientPem>,
}

/// The settings of a server cannot be used. Never with the URL itself: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what it is")]
pub enum ServerError {
    #[error("`{path}` cannot be read")]
    File { path: String, source: io::Error },
    #[error("{section}.url does not parse as a URL")]
    Url { section: &'static str },
    #[error(
        "{section}.url would send passwords and data to {host} in plain text: use `{scheme}s:`, or, in a network that \
         nobody can listen in on, set {section}.allow_plaintext = true"
    )]
    PlainText { section: &'static str, host: String, scheme: String },
    #[error("the TLS settings of {section} cannot be used")]
    Tls { section: &'static str, source: TlsError },
}

impl Value {
    /// What it is now.
    pub fn read(&self) -> Result<SecretString, ServerError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).into()),
                Err(source) => Err(ServerError::File { path: path.display().to_string(), source }),
            },
        }
    }
}

impl Server {
    /// Everything as it is in the files now.
    pub fn read(&self) -> Result<Target, ServerError> {
        let section = self.section;
        let url = self.url.read()?;
        let url = Url::parse(url.expose_secret().trim()).map_err(|_| ServerError::Url { section })?;
        let password = Some(self.password.read()?).filter(|password| !password.expose_secret().is_empty());
        let scheme = url.scheme().to_owned();
        let tls = if matches!(scheme.as_str(), "amqps" | "rediss") {
            Some(self.tls.read().map_err(|source| ServerError::Tls { section, source })?)
        } else {
            let host = url.host_str().unwrap_or("localhost");
            if !self.allow_plaintext && !is_this_machine(host) {
                return Err(ServerError::PlainText { section, host: host.to_owned(), scheme });
            }
            None
        };
        Ok(Target { url, password, tls })
    }

    /// Whether all of it is within this process.
    pub fn is_inproc(&self) -> bool {
        self.url.read().is_ok_and(|url| url.expose_secret().starts_with("inproc:"))
    }
}

impl From<&str> for Server {
    /// A server of which only the URL is known.
    fn from(url: &str) -> Self {
        Self {
            section: "server",
            url: Value::Text(url.into()),
            password: Value::Text("".into()),
            tls: ClientTls::default(),
            allow_plaintext: false,
        }
    }
}

impl From<&String> for Server {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }
}

/// Whether what is sent to that host stays on this machine. A name that only DNS knows is another machine.
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name.is_empty() || name.starts_with('/') || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_in_plain_text_unless_the_settings_say_so() {
        for host in
            ["127.0.0.1", "127.9.9.9", "[::1]", "::1", "::ffff:127.0.0.1", "LOCALHOST", "a.localhost", ""]
        {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "10.0.0.1",
            "redis",
            "[2001:db8::1]",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "0.0.0.0",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
        let mut server = Server::from("redis://user:hunter2@cache.example.com:6379/1");
        let error = server.read().unwrap_err();
        let text = format!("{error} {error:?} {server:?}");
        assert!(text.contains("cache.example.com") && text.contains("rediss:"), "{text}");
        assert!(text.contains("server.allow_plaintext") && !text.contains("hunter2"), "{text}");
        server.allow_plaintext = true;
        assert!(server.read().unwrap().tls.is_none());
    }

    #[test]
    fn a_password_and_a_url_in_files_are_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (url, password) = (folder.path().join("url"), folder.path().join("password"));
        std::fs::write(&url, "amqp://guest@127.0.0.1:5672/%2f\n").unwrap();
        std::fs::write(&password, " 00012345\r\n").unwrap();
        let mut server = Server::from("");
        (server.url, server.password) = (Value::File(url.clone()), Value::File(password.clone()));
        let target = server.read().unwrap();
        assert_eq!(target.password.unwrap().expose_secret(), " 00012345", "byte for byte");
        std::fs::write(&password, "second").unwrap();
        std::fs::write(&url, "amqp://guest@[::1]:5672/%2f").unwrap();
        let target = server.read().unwrap();
        assert_eq!(target.password.unwrap().expose_secret(), "second");
        assert_eq!(target.url.host_str(), Some("[::1]"));
        std::fs::remove_file(&password).unwrap();
        assert!(server.read().unwrap_err().to_string().contains("password` cannot be read"));
    }

    #[test]
    fn certificate_files_that_hold_something_else_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "not a certificate").unwrap();
        let mut server = Server::from("rediss://cache.example.com");
        server.tls.ca = Some(file);
        let error = server.read().unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("ca.pem` holds no certificate in PEM"), "{source}");
        server.tls.ca = Some(folder.path().join("gone.pem"));
        let error = server.read().unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("gone.pem` cannot be read"));
    }
}
