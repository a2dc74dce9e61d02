//! What an invitation says, as text and as HTML with the same words. Everything that a caller wrote is escaped; nothing
//! is loaded from anywhere.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

/// What there is to say.
pub(super) struct Letter<'a> {
    pub(super) organization: &'a str,
    pub(super) invited_by: &'a str,
    pub(super) invitee: Option<&'a str>,
    /// An existing connection is to be renewed.
    pub(super) reconnect: bool,
    /// The connection's workspace, where it is known.
    pub(super) workspace: Option<&'a str>,
    pub(super) link: &'a SecretString,
    pub(super) expires_at: DateTime<Utc>,
}

const STYLE: &str = "\
    :root { color-scheme: light dark; supported-color-schemes: light dark; }\
    body { margin: 0; padding: 24px; background: #ffffff; color: #1c2024; \
           font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; }\
    main { max-width: 560px; margin: 0 auto; }\
    h1 { font-size: 22px; line-height: 1.3; }\
    a { color: #0b57d0; overflow-wrap: anywhere; }\
    .go { display: inline-block; padding: 12px 20px; border-radius: 6px; background: #0b57d0; color: #ffffff; \
          font-weight: 600; text-decoration: none; }\
    .small { font-size: 14px; color: #4a5058; }\
    @media (prefers-color-scheme: dark) {\
      body { background: #16181b; color: #eceef0; }\
      a { color: #9cc2ff; }\
      .go { background: #9cc2ff; color: #10233f; }\
      .small { color: #b4bac2; }\
    }";

const READS: &str = "Tidemark will only read, and never change anything: the members of the workspace with their roles, \
                     its teams, and how active each member is per day. From this it works out which seats are used.";
const NEEDED: &str = "You need to be an admin of the Productboard workspace. The page shows where to find the API key, \
                      and it takes about two minutes.";
const UNEXPECTED: &str = "If you did not expect this, do nothing: without you nothing is connected, and the link ends by \
                          itself. If you doubt where it comes from, ask the person named above before you follow it. \
                          Nobody will ask you to answer this mail with a key or a password.";

impl Letter<'_> {
    pub(super) fn subject(&self) -> String {
        let Self { organization, invited_by, .. } = self;
        let verb = if self.reconnect { "reconnect" } else { "connect" };
        format!("{invited_by} asks you to {verb} Productboard for {organization}")
    }

    fn greeting(&self) -> String {
        self.invitee.map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"))
    }

    fn request(&self) -> String {
        let Self { organization, invited_by, .. } = self;
        let workspace = self.workspace.map(|name| format!(" (workspace {name})")).unwrap_or_default();
        if self.reconnect {
            return format!(
                "{invited_by} asks you to reconnect Productboard{workspace} to Tidemark for {organization}. It was \
                 connected before, and its access no longer works."
            );
        }
        format!(
            "{invited_by} asks you to connect your Productboard workspace to Tidemark for {organization}."
        )
    }

    fn life(&self) -> String {
        let end = self.expires_at.format("%-d %B %Y, %H:%M UTC");
        format!("The link works once, until {end}. Please do not pass it on.")
    }

    fn button(&self) -> &'static str {
        if self.reconnect { "Reconnect Productboard" } else { "Connect Productboard" }
    }

    pub(super) fn text(&self) -> String {
        let paragraphs = [
            self.greeting(),
            self.request(),
            format!("{}:\n{}", self.button(), self.link.expose_secret()),
            NEEDED.to_owned(),
            READS.to_owned(),
            self.life(),
            UNEXPECTED.to_owned(),
        ];
        paragraphs.join("\n\n") + "\n"
    }

    pub(super) fn html(&self) -> String {
        let title = escaped(&self.subject());
        let greeting = escaped(&self.greeting());
        let request = escaped(&self.request());
        let link = escaped(self.link.expose_secret());
        let life = escaped(&self.life());
        let button = self.button();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{button}</h1>\n<p>{greeting}</p>\n<p>{request}</p>\n\
             <p><a class=\"go\" href=\"{link}\">{button}</a></p>\n\
             <p>{NEEDED}</p>\n<p>{READS}</p>\n<p>{life}</p>\n\
             <p class=\"small\">If the button does nothing, copy this address into your browser: \
             <a href=\"{link}\">{link}</a></p>\n<p class=\"small\">{UNEXPECTED}</p>\n\
             </main>\n</body>\n</html>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(link: &SecretString) -> Letter<'_> {
        Letter {
            organization: "Acme <script>alert(1)</script> & Söhne",
            invited_by: "\" onmouseover='x'",
            invitee: Some("Zoë"),
            reconnect: false,
            workspace: None,
            link,
            expires_at: "2026-08-19T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_a_caller_wrote_is_text_and_nothing_is_loaded() {
        let link = SecretString::from("https://app.example.com/invitations/abc");
        let html = letter(&link).html();
        assert!(!html.contains("<script") && !html.contains("\" onmouse"), "{html}");
        assert!(html.contains("Acme &lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne"), "{html}");
        for loads in ["<img", "src=", "@import", "url(", "<link"] {
            assert!(!html.contains(loads), "{loads}");
        }
        for wanted in
            ["lang=\"en\"", "<title>", "prefers-color-scheme: dark", "color-scheme\" content=\"light dark"]
        {
            assert!(html.contains(wanted), "{wanted}");
        }
    }

    #[test]
    fn both_parts_say_the_same() {
        let link = SecretString::from("https://app.example.com/invitations/abc");
        let plain = Letter { organization: "Acme", invited_by: "Grace", ..letter(&link) };
        let (text, html) = (plain.text(), plain.html());
        let all = [
            "Grace asks you to connect",
            "only read",
            "12:00 UTC",
            "19 August 2026",
            "did not expect",
            "abc",
        ];
        for words in all {
            assert!(text.contains(words) && html.contains(words), "{words}");
        }
        let renewed = Letter { reconnect: true, workspace: Some("acme"), ..plain };
        assert_eq!(renewed.subject(), "Grace asks you to reconnect Productboard for Acme");
        assert!(renewed.text().contains("reconnect Productboard (workspace acme)"), "{}", renewed.text());
    }
}
