//! `tidemark console`: the console alone, which needs no database, no broker and no keys; and a link into one, for
//! whoever has no platform that makes them.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::{
    client::Caller,
    connections::{ConsoleRole, CreateConsoleLinkRequest},
};
use tidemark_runtime::{Config, OsEntropy, Shutdown, SystemClock};
use tokio::task::JoinSet;

use crate::{console, cycle::sentence, health, node, wiring};

/// As long as a link can be redeemed at most.
const LINK_MINUTES: u32 = 60;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Makes a link into a console that runs: it opens one session, within the hour.
    Link {
        /// `org_…`; a new organization where it is left out.
        #[arg(long)]
        org: Option<OrganizationId>,
        /// What the organization is called.
        #[arg(long, default_value = "Your organization")]
        org_name: String,
        /// What the person is called.
        #[arg(long, default_value = "An operator")]
        person: String,
        /// Somebody who may look, and change nothing.
        #[arg(long)]
        viewer: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    let Some(What::Link { org, org_name, person, viewer, json }) = args.what else {
        return serve(config).await;
    };
    let org = org.unwrap_or_else(|| OrganizationId::generate(&SystemClock, &OsEntropy));
    let role = if viewer { ConsoleRole::Viewer } else { ConsoleRole::Admin };
    let url = link(&wiring::caller(config)?, (&org, &org_name), &person, role).await?;
    if json {
        print(&format!("{:#}", json!({ "organization_id": org.to_string(), "url": url })));
    } else {
        print(&format!("{url}\nof {org}, for one visit within the hour"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &Config) -> Result<ExitCode> {
    node::check_token(console::token(config), true)?;
    let shutdown = Shutdown::on_signals(config.lame_duck)?;
    let mut tasks = JoinSet::new();
    if let Some(health) = health::open_port(config, &shutdown, &mut tasks).await? {
        let (config, stop) = (config.clone(), shutdown.clone());
        tasks.spawn(async move {
            health::of_console(&config, &health, &stop).await;
            Ok(())
        });
    }
    console::start(config, console::apart(config)?, &shutdown, &mut tasks).await?;
    node::finish(tasks, &shutdown).await
}

/// A link into the console of that service.
pub(crate) async fn link(
    caller: &Caller,
    (organization, organization_name): (&OrganizationId, &str),
    person: &str,
    role: ConsoleRole,
) -> Result<String> {
    let request = CreateConsoleLinkRequest {
        organization_id: organization.to_string(),
        organization_name: organization_name.to_owned(),
        person: person.to_owned(),
        role: role.into(),
        ttl_minutes: LINK_MINUTES,
        ..Default::default()
    };
    let made = caller.console().create_console_link(request).await.map_err(|status| sentence(&status));
    Ok(made.context("the link into the console was not made")?.into_inner().url)
}

fn print(text: &str) {
    say!("{text}");
}
