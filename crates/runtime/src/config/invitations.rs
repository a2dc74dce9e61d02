//! Settings of invitations and hosted connect links: where their pages are, and who sends the mails.

use std::net::SocketAddr;

use url::Url;

use super::reader::Reader;
use crate::server::Value;

/// The console, as people reach it.
#[derive(Debug, Clone)]
pub struct Console {
    /// Links begin with it.
    pub public_url: Option<Url>,
    /// Where a hosted page may send a person back to.
    pub return_urls: Vec<Url>,
    /// Where it listens, for whatever stands in front of it.
    pub listen: SocketAddr,
    /// What it shows the services; the internal token where it is empty.
    pub token: Value,
    /// Whose pages may show it in a frame.
    pub frame_ancestors: Vec<Url>,
    /// The header in which whatever stands in front tells who asks; nobody stands there where it is empty.
    pub client_address_header: String,
}

/// Invitations.
#[derive(Debug, Clone)]
pub struct Invitations {
    /// Links per organization and day.
    pub per_day: u32,
}

/// The mail server.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `smtps:`, `starttls:` or `smtp:`; may hold a password. None where there is no server.
    pub smtp_url: Option<Value>,
    /// Whom the mails are from.
    pub from: String,
    /// Whom an answer goes to; may be empty.
    pub reply_to: String,
}

impl Console {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            public_url: read.optional_url("console.public_url", &["https", "http"]),
            return_urls: read.urls("console.return_urls", &["https", "http"]),
            listen: read.parsed("console.listen", "an address such as 127.0.0.1:7400"),
            token: read.value("console.token"),
            frame_ancestors: read.urls("console.frame_ancestors", &["https", "http"]),
            client_address_header: read.text("console.client_address_header").to_ascii_lowercase(),
        }
    }
}

impl Invitations {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self { per_day: read.number("invitations.per_day", 1..=10_000) }
    }
}

impl Mail {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            smtp_url: read.optional_value("mail.smtp_url", &["smtps", "starttls", "smtp"]),
            from: read.text("mail.from"),
            reply_to: read.text("mail.reply_to"),
        }
    }
}
