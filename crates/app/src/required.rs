//! What a role needs and refuses to start without, all of it at once: for `config check`.

use std::sync::Arc;

use anyhow::{Context, Result};
use tidemark_credentials::{Vault, audit::AuditKey};
use tidemark_runtime::{Config, OsEntropy, config::Fault};

use crate::{console, node, wiring};

/// A role, as its command is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    Credentials,
    Worker,
    Aggregator,
    Console,
    All,
}

/// The settings that the role would refuse, each with the reason. Reads the files that they name, and asks no server.
pub(crate) fn missing(config: &Config, role: Role) -> Vec<Fault> {
    let listen = match role {
        Role::Credentials | Role::All => Some(config.credentials.listen),
        Role::Worker => Some(config.worker.listen),
        Role::Aggregator => Some(config.aggregator.listen),
        Role::Console => None,
    };
    let mut faults = Vec::new();
    let mut check = |key: &str, outcome: Result<()>| {
        if let Err(error) = outcome {
            let source = format!("needed by the role {role:?}").to_lowercase();
            faults.push(Fault { key: key.to_owned(), problem: format!("{error:#}"), source });
        }
    };
    if let Some(listen) = listen {
        let calls = matches!(role, Role::Worker | Role::All);
        check("rpc.token", node::check_token(&config.rpc_token, calls));
        check("audit.key", AuditKey::parse(&config.audit_key).map(drop).context("it cannot be used"));
        check("bus.url", wiring::bus(config).map(drop));
        check("leases.url", wiring::leases(config).map(drop));
        check("rpc.tls.certificate_file", wiring::server_tls(config).map(drop));
        check("rpc.plaintext", node::check_privacy(config, listen));
    } else {
        check("console.public_url", console::check(config));
    }
    if matches!(role, Role::Credentials | Role::All) {
        let keys = Vault::from_keys(&config.credentials.keys, Arc::new(OsEntropy));
        check("credentials.keys", keys.map(drop).context("they cannot be used"));
        check("mail.smtp_url", node::invitation_settings(config).map(drop));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(role: Role, overrides: &[(&str, String)]) -> Vec<String> {
        let config = Config::load(None, overrides).unwrap();
        missing(&config, role).into_iter().map(|fault| fault.key).collect()
    }

    #[tokio::test]
    async fn an_empty_configuration_names_everything_that_a_role_needs() {
        assert_eq!(keys(Role::All, &[]), ["rpc.token", "audit.key", "credentials.keys"]);
        assert_eq!(keys(Role::Credentials, &[]), ["audit.key", "credentials.keys"]);
        assert_eq!(keys(Role::Worker, &[]), ["rpc.token", "audit.key"]);
        assert_eq!(keys(Role::Console, &[]), ["console.public_url"]);
    }

    #[tokio::test]
    async fn what_only_looks_like_a_value_is_named_and_not_repeated() {
        let overrides = [
            ("rpc.token", "canary".to_owned()),
            ("credentials.keys", "k1:canary".to_owned()),
            ("audit.key", "canary!".to_owned()),
            ("credentials.listen", "0.0.0.0:7401".to_owned()),
        ];
        let expected = ["rpc.token", "audit.key", "rpc.plaintext", "credentials.keys"];
        assert_eq!(keys(Role::All, &overrides), expected);
        let config = Config::load(None, &overrides).unwrap();
        assert!(!format!("{:?}", missing(&config, Role::All)).contains("canary"));
    }
}
