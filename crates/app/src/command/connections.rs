//! `tidemark connections`: how the connections stand, as the credential service tells it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::{Value, json};
use tidemark_domain::id::{ConnectionId, OrganizationId};
use tidemark_rpc::connections::{
    Availability, Capability, CapabilityFinding, Connection, Credential, GetConnectionRequest,
    ListConnectionsRequest, Reason,
};
use tidemark_runtime::Config;

use crate::{
    command::wire::{time, word},
    cycle::sentence,
    wiring,
};

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
    /// Lists the connections of an organization.
    List {
        /// `org_…`
        #[arg(long)]
        org: OrganizationId,
    },
    /// Shows a connection: what it can read, with which credentials, and what is to be done.
    Show {
        /// `conn_…`
        connection: ConnectionId,
    },
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    let mut client = wiring::caller(config)?.connections();
    match args.what {
        What::List { org } => {
            let mut request =
                ListConnectionsRequest { organization_id: org.to_string(), ..Default::default() };
            let mut found = Vec::new();
            loop {
                let page = client.list_connections(request.clone()).await;
                let page = page.map_err(|status| sentence(&status))?.into_inner();
                found.extend(page.connections);
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            list(&found, args.json);
        }
        What::Show { connection } => {
            let request = GetConnectionRequest { connection_id: connection.to_string() };
            let found = client.get_connection(request).await.map_err(|status| sentence(&status))?;
            let found = found.into_inner().connection.context("the service answered without a connection")?;
            show(&found, args.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(connections: &[Connection], as_json: bool) {
    if as_json {
        let list: Vec<_> = connections.iter().map(described).collect();
        return print(&format!("{:#}", Value::Array(list)));
    }
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["id", "workspace", "state", "why", "next step"]);
    for connection in connections {
        let reason = connection.reason.clone().unwrap_or_default();
        let state = word(connection.state().as_str_name(), "CONNECTION_STATE_");
        table.add_row([&connection.id, &connection.workspace, &state, &reason.sentence, &reason.next_step]);
    }
    print(&table.to_string());
}

fn show(connection: &Connection, as_json: bool) {
    if as_json {
        return print(&format!("{:#}", described(connection)));
    }
    let state = word(connection.state().as_str_name(), "CONNECTION_STATE_");
    let mut text = format!("{} {} {state}\n", connection.id, connection.workspace);
    if let Some(reason) = connection.reason.as_ref().filter(|reason| !reason.sentence.is_empty()) {
        text.push_str(&format!("  {}\n  do: {}\n", reason.sentence, reason.next_step));
    }
    for finding in &connection.capabilities {
        let (capability, availability) = names(finding);
        text.push_str(&format!("  {capability:<14} {availability:<12} {}\n", finding.consequence));
    }
    for credential in &connection.credentials {
        text.push_str(&format!("  {}\n", described_credential(credential)));
    }
    print(&text);
}

fn names(finding: &CapabilityFinding) -> (String, String) {
    let capability = word(Capability::as_str_name(&finding.capability()), "CAPABILITY_");
    (capability, word(Availability::as_str_name(&finding.availability()), "AVAILABILITY_"))
}

fn described(connection: &Connection) -> Value {
    let findings = connection.capabilities.iter().map(|finding| {
        let (capability, availability) = names(finding);
        json!({ "capability": capability, "availability": availability, "consequence": finding.consequence })
    });
    json!({
        "id": connection.id,
        "organization_id": connection.organization_id,
        "workspace": connection.workspace,
        "region": word(connection.region().as_str_name(), "REGION_"),
        "state": word(connection.state().as_str_name(), "CONNECTION_STATE_"),
        "reason": connection.reason.as_ref().map(described_reason),
        "generation": connection.generation,
        "capabilities": findings.collect::<Vec<_>>(),
        "credentials": connection.credentials.iter().map(described_credential).collect::<Vec<_>>(),
        "created_at": time(connection.created_at.as_ref()),
        "updated_at": time(connection.updated_at.as_ref()),
        "probed_at": time(connection.probed_at.as_ref()),
    })
}

fn described_reason(reason: &Reason) -> Value {
    json!({ "code": reason.code, "sentence": reason.sentence, "next_step": reason.next_step })
}

fn described_credential(credential: &Credential) -> Value {
    json!({
        "kind": word(credential.kind().as_str_name(), "CREDENTIAL_KIND_"),
        "generation": credential.generation,
        "created_at": time(credential.created_at.as_ref()),
        "access_expires_at": time(credential.access_expires_at.as_ref()),
        "refresh_expires_at": time(credential.refresh_expires_at.as_ref()),
        "rejected": credential.rejected.as_ref().map(described_reason),
        "renewal_failures": credential.renewal_failures,
        "next_renewal_at": time(credential.next_renewal_at.as_ref()),
        "renewal_in_doubt": credential.renewal_in_doubt,
    })
}

fn print(text: &str) {
    say!("{}", text.trim_end());
}
