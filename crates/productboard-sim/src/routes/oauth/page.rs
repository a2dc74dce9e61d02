//! The consent page: plain HTML with labels, a heading and two buttons. No script, no style, nothing from elsewhere.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::Workspace;
use crate::oauth::{App, Ask};

pub(super) fn consent(
    ask: &Ask,
    app: &App,
    scopes: &BTreeSet<String>,
    workspaces: &[Arc<Workspace>],
) -> String {
    let list = scopes.iter().fold(String::new(), |mut list, scope| {
        let _ = write!(list, "<li><code>{}</code></li>", escape(scope));
        list
    });
    let options = workspaces.iter().fold(String::new(), |mut options, workspace| {
        let (domain, title) = (escape(&workspace.domain), escape(&title(&workspace.domain)));
        let _ = write!(options, "<option value=\"{domain}\">{title}</option>");
        options
    });
    let name = escape(&app.client_id);
    let heading = format!("Allow {name} to use your workspace?");
    let body = format!(
        "<p>It asks for:</p>\n<ul>{list}</ul>\n<form method=\"post\" action=\"/oauth2/authorize\">\n{}\
         <p><label for=\"workspace\">Workspace</label> \
         <select id=\"workspace\" name=\"workspace\" required>{options}</select></p>\n\
         <p><button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button> \
         <button type=\"submit\" name=\"decision\" value=\"deny\" formnovalidate>Deny</button></p>\n</form>",
        carried(ask)
    );
    document(&heading, &body)
}

pub(super) fn refusal(reason: &str) -> String {
    document("The application cannot be authorized", &format!("<p role=\"alert\">{}.</p>", escape(reason)))
}

/// `acme-corp` is called `Acme Corp`.
pub(super) fn title(domain: &str) -> String {
    let words = domain.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The parameters of the request, carried through the form.
fn carried(ask: &Ask) -> String {
    let always = [
        ("response_type", &ask.response_type),
        ("client_id", &ask.client_id),
        ("redirect_uri", &ask.redirect_uri),
        ("scope", &ask.scope),
    ];
    let sometimes = [
        ("state", &ask.state),
        ("code_challenge", &ask.code_challenge),
        ("code_challenge_method", &ask.code_challenge_method),
    ];
    let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    always.into_iter().chain(sometimes).fold(String::new(), |mut inputs, (name, value)| {
        let _ = writeln!(inputs, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
        inputs
    })
}

fn document(heading: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{heading}</title></head>\n\
         <body>\n<main>\n<h1>{heading}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
        out
    })
}
