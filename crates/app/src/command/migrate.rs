//! `tidemark migrate`

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tidemark_domain::id::TokenId;
use tidemark_runtime::Config;

use crate::{
    node,
    operator::Operator,
    role_tokens::{self, RoleToken},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make the database roles of the services, too, and grant each what it needs. PostgreSQL only; the user must own the
    /// tables and be allowed to make roles.
    #[arg(long)]
    roles: bool,
    /// Enter the service token in that file, with the scopes of that role: worker, console or operator. May be given
    /// several times, and again: what is entered already stays.
    #[arg(long = "token", value_name = "ROLE=FILE")]
    tokens: Vec<RoleToken>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let store = node::connect(config).await?;
    let applied = store
        .migrate()
        .await
        .context("the database was not migrated; nothing of the failed step was kept")?;
    match applied.len() {
        _ if args.json => {}
        0 => eprintln!("the database is up to date"),
        count => eprintln!("applied {count} migration(s): {}", applied.join(", ")),
    }
    if args.roles {
        store.grant_roles().await.context("the schema is up to date, and the roles were not granted")?;
        if !args.json {
            eprintln!("tidemark_credentials, tidemark_worker and tidemark_aggregator have what they need");
        }
    }
    store.close().await?;
    let tokens = if args.tokens.is_empty() { Vec::new() } else { register(config, &args.tokens).await? };
    if args.json {
        print(&json!({ "applied": applied, "roles": args.roles, "tokens": tokens }));
    } else if !tokens.is_empty() {
        eprintln!("{} role token(s) can be used", tokens.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Each has its entry in the audit log, like every token.
async fn register(config: &Config, tokens: &[RoleToken]) -> Result<Vec<TokenId>> {
    let operator = Operator::connect(config).await?;
    let registered = role_tokens::register(&operator, tokens).await;
    operator.finish(ExitCode::SUCCESS).await?;
    registered
}

fn print(outcome: &Value) {
    say!("{outcome:#}");
}
