//! Mails over SMTP: one connection per mail, TLS where the address says so, and no word of a server's answer in a log,
//! because a filter may quote the link that it dislikes.

mod delivery;
mod letter;
mod outcome;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::extension::ClientId,
};
use secrecy::ExposeSecret;
use tidemark_runtime::server::Value;
use url::Url;

use letter::Letter;
use outcome::Outcome;

/// For each step of a mail's way.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// For all of it.
const SEND_TIMEOUT: Duration = Duration::from_secs(45);

/// Sends mails. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Office>);

struct Office {
    /// Read for each mail: a password that is replaced needs no restart.
    smtp_url: Value,
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

/// Why the mail settings cannot be used. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMail {
    /// Not an address of a mail server.
    #[error(
        "`mail.smtp_url` is no address of a mail server; expected smtps://user:password@host, \
         starttls://user:password@host or smtp://host"
    )]
    Url,
    /// A password would be sent in the clear.
    #[error(
        "`mail.smtp_url` has a password, and `smtp:` would send it in the clear; \
         use smtps: or starttls:, or a server on this machine"
    )]
    Unprotected,
    /// There are no certificates to check a server's with.
    #[error(
        "TLS to the server of `mail.smtp_url` cannot be set up: are the system's CA certificates installed?"
    )]
    Tls,
    /// Its file is not there just now.
    #[error("the file of `mail.smtp_url` cannot be read")]
    File,
    /// Not an address of a person.
    #[error("`{0}` is no address; expected one such as `Tidemark <no-reply@example.com>`")]
    Address(&'static str),
}

/// Keeps answering machines from answering (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// A letter with its envelope.
struct Posted<'a> {
    to: Mailbox,
    letter: &'a Letter<'a>,
    /// The same for each attempt, so that a mail that was taken twice is shown once.
    id: String,
    date: DateTime<Utc>,
}

impl Mailer {
    /// A sender of mails through that server. Does no IO.
    pub fn new(smtp_url: &Value, from: &str, reply_to: &str) -> Result<Self, InvalidMail> {
        let from: Mailbox = from.parse().map_err(|_| InvalidMail::Address("mail.from"))?;
        let reply_to = match reply_to.trim() {
            "" => None,
            text => Some(text.parse().map_err(|_| InvalidMail::Address("mail.reply_to"))?),
        };
        let mailer = Self(Arc::new(Office { smtp_url: smtp_url.clone(), from, reply_to }));
        // What is wrong with it now is said now.
        mailer.transport()?;
        Ok(mailer)
    }

    /// The way to the server as the setting says it now.
    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, InvalidMail> {
        let text = self.0.smtp_url.read().map_err(|_| InvalidMail::File)?;
        let url = smtp(text.expose_secret().trim())?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str());
        let builder = builder.map_err(|e| if e.is_tls() { InvalidMail::Tls } else { InvalidMail::Url });
        let mut builder = builder?.timeout(Some(STEP_TIMEOUT));
        if url.path().len() <= 1 {
            // A container's own name would mean nothing to the server.
            builder = builder.hello_name(ClientId::Domain(self.0.from.email.domain().to_owned()));
        }
        Ok(builder.build())
    }

    async fn send(&self, posted: Posted<'_>) -> Outcome {
        let Ok(message) = self.message(posted) else { return Outcome::unwritable() };
        let transport = match self.transport() {
            Ok(transport) => transport,
            Err(problem) => return Outcome::unusable(&problem),
        };
        match tokio::time::timeout(SEND_TIMEOUT, transport.send(message)).await {
            Ok(Ok(_)) => Outcome::Taken,
            Ok(Err(error)) => Outcome::of(&error),
            Err(_) => Outcome::silent(),
        }
    }

    fn message(&self, posted: Posted<'_>) -> Result<Message, lettre::error::Error> {
        let Office { from, reply_to, .. } = &*self.0;
        let mut message = Message::builder()
            .from(from.clone())
            .to(posted.to)
            .subject(posted.letter.subject())
            .message_id(Some(format!("<{}@{}>", posted.id, from.email.domain())))
            .date(posted.date.into())
            .header(AutoSubmitted);
        if let Some(reply_to) = reply_to {
            message = message.reply_to(reply_to.clone());
        }
        message.multipart(MultiPart::alternative_plain_html(posted.letter.text(), posted.letter.html()))
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.0.from).finish_non_exhaustive()
    }
}

/// The address in the words of the library: `starttls:` is its `smtp:` with TLS required.
fn smtp(text: &str) -> Result<Url, InvalidMail> {
    let mut url = Url::parse(text).map_err(|_| InvalidMail::Url)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidMail::Url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidMail::Url);
    }
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "smtps" => {}
        "smtp" if url.password().is_some() && !local => return Err(InvalidMail::Unprotected),
        "smtp" => {}
        "starttls" => {
            url.set_scheme("smtp").map_err(|()| InvalidMail::Url)?;
            url.set_query(Some("tls=required"));
        }
        _ => return Err(InvalidMail::Url),
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(url: &str, from: &str) -> Result<Mailer, InvalidMail> {
        Mailer::new(&Value::Text(url.into()), from, "")
    }

    #[test]
    fn a_password_is_never_sent_in_the_clear_and_never_shown() {
        let from = "Tidemark <no-reply@example.com>";
        for good in
            ["smtps://u:canary@mail.example.com", "starttls://u:canary@mail.example.com:2525", "smtp://relay"]
        {
            let shown = format!("{:?}", mailer(good, from).unwrap());
            assert!(shown.contains("no-reply@example.com") && !shown.contains("canary"), "{shown}");
        }
        assert!(mailer("smtp://u:canary@127.0.0.1:25", from).is_ok(), "this machine");
        let refused = mailer("smtp://u:canary@mail.example.com", from).unwrap_err();
        assert_eq!(refused, InvalidMail::Unprotected);
        for bad in ["", "mail.example.com", "http://canary", "smtp://h?tls=opportunistic", "smtps:///"] {
            assert_eq!(mailer(bad, from).unwrap_err(), InvalidMail::Url, "{bad}");
        }
        assert_eq!(mailer("smtp://relay", "Tidemark").unwrap_err(), InvalidMail::Address("mail.from"));
    }

    #[test]
    fn an_address_in_a_file_is_read_for_each_mail() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("smtp-url");
        std::fs::write(&file, "smtp://relay\n").unwrap();
        let mailer = Mailer::new(&Value::File(file.clone()), "no-reply@example.com", "").unwrap();
        std::fs::write(&file, "smtp://u:canary@mail.example.com\n").unwrap();
        assert_eq!(mailer.transport().unwrap_err(), InvalidMail::Unprotected);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(mailer.transport().unwrap_err(), InvalidMail::File);
    }
}
