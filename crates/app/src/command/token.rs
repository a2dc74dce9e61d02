//! `tidemark token`: service tokens for callers. A token's text is shown once, when it is made.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tidemark_credentials::audit::{Action, Audit, Entry};
use tidemark_domain::{
    Clock,
    id::{OrganizationId, TokenId},
};
use tidemark_rpc::{scope::Scope, token};
use tidemark_runtime::{Config, OsEntropy, SystemClock};
use tidemark_store::{ServiceToken, Store};

use crate::operator::{OPERATOR, Operator};

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
    /// Makes a token and prints it, once.
    Create(Create),
    /// Lists the tokens, without their secrets.
    List,
    /// Takes a token back; it is refused within 5 s.
    Revoke {
        /// `tok_…`
        id: TokenId,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Whose token it is, for people.
    #[arg(long)]
    name: String,
    /// What it may do, such as `connections:read`; may be given several times.
    #[arg(long = "scope", required = true)]
    scopes: Vec<Scope>,
    /// The organizations it may see; may be given several times. Without, it may see all of them.
    #[arg(long = "org")]
    organizations: Vec<OrganizationId>,
    /// When it ends by itself: `90d`, `12h` or `30m`. Without, it ends when it is revoked.
    #[arg(long, value_parser = duration)]
    expires_in: Option<Duration>,
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    let operator = Operator::connect(config).await?;
    let Operator { store, audit, .. } = &operator;
    match args.what {
        What::Create(create) => make(store, audit, create, args.json).await?,
        What::List => list(&store.service_tokens().await?, args.json)?,
        What::Revoke { id } => revoke(store, audit, &id, args.json).await?,
    }
    operator.finish(ExitCode::SUCCESS).await
}

async fn make(store: &Store, audit: &Audit, create: Create, as_json: bool) -> Result<()> {
    let now = SystemClock.now();
    let expires_at = create.expires_in.map(|life| now + life);
    let minted = token::mint(&SystemClock, &OsEntropy);
    let mut scopes: Vec<_> = create.scopes.iter().map(ToString::to_string).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let limited = !create.organizations.is_empty();
    let token = ServiceToken {
        id: minted.id,
        name: create.name,
        hash: minted.hash.to_vec(),
        scopes,
        organizations: limited.then_some(create.organizations),
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    // First the entry: a token that nobody wrote down must not exist.
    record(audit, Action::CreateToken, &token).await?;
    store.insert_service_token(&token).await.context("the token was not stored, and does not work")?;
    let text = minted.text.expose_secret();
    if as_json {
        let mut shown = described(&token);
        shown["token"] = json!(text);
        say!("{shown:#}");
    } else {
        say!("{text}");
        eprintln!("Made {} ({}). This is the only time it is shown.", token.id, token.name);
    }
    Ok(())
}

async fn revoke(store: &Store, audit: &Audit, id: &TokenId, as_json: bool) -> Result<()> {
    let Some(token) = store.service_token(id).await? else { bail!("there is no token {id}") };
    // Taking back comes first: it must not fail for want of an entry.
    if !store.revoke_service_token(id, SystemClock.now()).await? {
        bail!("the token {id} was revoked before");
    }
    record(audit, Action::RevokeToken, &token).await?;
    if as_json {
        let token = store.service_token(id).await?.context("the token was there a moment ago")?;
        print_json(&described(&token));
    } else {
        eprintln!("Revoked {id} ({}). Every process refuses it within 5 s.", token.name);
    }
    Ok(())
}

/// In the chain of each organization that the token may see, or the platform's.
pub(crate) async fn record(audit: &Audit, action: Action, token: &ServiceToken) -> Result<()> {
    let entry = |organization: Option<&OrganizationId>| {
        Entry::new(organization, OPERATOR, action, &token.id)
            .with("name", &token.name)
            .with("scopes", token.scopes.join(" "))
    };
    let entries: Vec<_> = match &token.organizations {
        Some(organizations) => organizations.iter().map(|organization| entry(Some(organization))).collect(),
        None => vec![entry(None)],
    };
    for entry in entries {
        audit.record(entry).await?;
    }
    Ok(())
}

fn list(tokens: &[ServiceToken], as_json: bool) -> Result<()> {
    if as_json {
        print_json(&Value::Array(tokens.iter().map(described).collect()));
        return Ok(());
    }
    let day = |at: Option<DateTime<Utc>>| {
        at.map_or_else(|| "–".to_owned(), |at| at.format("%Y-%m-%d %H:%M").to_string())
    };
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["id", "name", "scopes", "organizations", "expires", "revoked", "last used"]);
    for token in tokens {
        let organizations = token.organizations.as_ref().map_or_else(
            || "all".to_owned(),
            |list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        );
        table.add_row([
            token.id.to_string(),
            token.name.clone(),
            token.scopes.join("\n"),
            organizations,
            day(token.expires_at),
            day(token.revoked_at),
            day(token.last_used_at),
        ]);
    }
    print_text(&table.to_string());
    Ok(())
}

fn described(token: &ServiceToken) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "organizations": token.organizations,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
    })
}

fn print_json(value: &Value) {
    print_text(&format!("{value:#}"));
}

fn print_text(text: &str) {
    say!("{text}");
}

/// `90d`, `12h` or `30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: expected a number and `d`, `h` or `m`, such as `90d`");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        _ => return Err(wrong()),
    };
    // A hundred years are enough, and no date overflows.
    let number = number.parse::<u64>().ok().filter(|number| (1..=3_153_600_000 / seconds).contains(number));
    Ok(Duration::from_secs(number.ok_or_else(wrong)? * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_number_and_a_unit() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1_800)));
        for wrong in ["", "d", "0d", "90", "-1d", "1w", "99999999999d", "9€"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
