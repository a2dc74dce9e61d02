//! Settings of invitations and hosted connect links: where their pages are, and who sends the mails.

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;

/// The console, as people reach it.
#[derive(Debug, Clone)]
pub struct Console {
    /// Links begin with it.
    pub public_url: Option<Url>,
    /// Where a hosted page may send a person back to.
    pub return_urls: Vec<Url>,
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
    pub smtp_url: Option<SecretString>,
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
            smtp_url: read.optional_url_with_secret("mail.smtp_url", &["smtps", "starttls", "smtp"]),
            from: read.text("mail.from"),
            reply_to: read.text("mail.reply_to"),
        }
    }
}
