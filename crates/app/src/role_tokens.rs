//! The service tokens of a deployment's own roles: each may do what its role does, and no more. They are made with the
//! deployment's other secrets (`deploy/make-secrets`), and `tidemark migrate --token` enters them into the record.

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use tidemark_credentials::audit::Action;
use tidemark_domain::{Clock, id::TokenId};
use tidemark_rpc::{scope::Scope, token};
use tidemark_runtime::SystemClock;
use tidemark_store::ServiceToken;

use crate::{command::token::record, operator::Operator};

/// Who shows a token to the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A sync worker, to the credential service.
    Worker,
    /// The console, to all three.
    Console,
    /// A person with the command line: everything but secrets and the pages of strangers.
    Operator,
}

impl Role {
    const ALL: [Self; 3] = [Self::Worker, Self::Console, Self::Operator];

    fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Console => "console",
            Self::Operator => "operator",
        }
    }

    pub(crate) fn scopes(self) -> Vec<Scope> {
        let is_needed = |scope: &Scope| match self {
            Self::Worker => {
                matches!(scope, Scope::ConnectionsRead | Scope::CredentialsRelease | Scope::CredentialsReport)
            }
            Self::Console => !matches!(
                scope,
                Scope::CredentialsRelease
                    | Scope::CredentialsReport
                    | Scope::ConsoleMint
                    | Scope::WebhooksRead
                    | Scope::WebhooksWrite
            ),
            Self::Operator => !matches!(
                scope,
                Scope::CredentialsRelease | Scope::CredentialsReport | Scope::LinksUse | Scope::ConsoleUse
            ),
        };
        Scope::ALL.into_iter().filter(is_needed).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role, and the file that holds its token.
#[derive(Debug, Clone)]
pub(crate) struct RoleToken {
    role: Role,
    file: PathBuf,
}

impl FromStr for RoleToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, file) = text.split_once('=').unwrap_or((text, ""));
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role && !file.is_empty());
        let role = role.ok_or_else(|| {
            let roles = Role::ALL.map(Role::as_str).join(", ");
            format!("expected ROLE=FILE with one of the roles {roles}")
        })?;
        Ok(Self { role, file: file.into() })
    }
}

/// Enters the tokens into the record, each with the scopes that this version's role needs. What is there already stays as
/// it is. Returns the id of each.
pub(crate) async fn register(operator: &Operator, tokens: &[RoleToken]) -> Result<Vec<TokenId>> {
    let mut ids = Vec::new();
    for token in tokens {
        let registered = register_one(operator, token).await;
        ids.push(registered.with_context(|| format!("the token of the role {} is not usable", token.role))?);
    }
    Ok(ids)
}

async fn register_one(Operator { store, audit, .. }: &Operator, wanted: &RoleToken) -> Result<TokenId> {
    let path = wanted.file.display();
    let text = std::fs::read_to_string(&wanted.file).with_context(|| format!("cannot read {path}"))?;
    let text = SecretString::from(text);
    let Some((id, hash)) = token::read(text.expose_secret().trim_end()) else {
        bail!("{path} holds no service token: expected `tmk_…`, as deploy/make-secrets makes it");
    };
    let mut scopes: Vec<_> = wanted.role.scopes().into_iter().map(|scope| scope.to_string()).collect();
    scopes.sort_unstable();
    let known = store.service_token(&id).await?;
    if let Some(known) = &known {
        if known.hash != hash {
            bail!("{id} is in the record with another secret: make a new token");
        }
        if known.revoked_at.is_some() {
            bail!("{id} was revoked: put a new token into {path}");
        }
        if known.scopes == scopes {
            return Ok(id);
        }
    }
    let token = ServiceToken {
        id: id.clone(),
        name: format!("role {}", wanted.role),
        hash: hash.to_vec(),
        scopes,
        organizations: None,
        created_at: SystemClock.now(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    // First the entry: a token that nobody wrote down must not exist.
    record(audit, Action::CreateToken, &token).await?;
    match known {
        Some(_) => store.set_service_token_scopes(&id, &token.scopes).await?,
        None => store.insert_service_token(&token).await?,
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use tidemark_runtime::config::DEFAULTS;

    use super::*;

    #[test]
    fn only_a_worker_gets_secrets_and_the_console_has_the_documented_scopes() {
        for role in Role::ALL {
            assert_eq!(role.scopes().contains(&Scope::CredentialsRelease), role == Role::Worker, "{role}");
        }
        let section = DEFAULTS.split("\n[console]").nth(1).unwrap();
        let section = section.split("\ntoken = ").next().unwrap();
        let section = section.rsplit("\n\n").next().unwrap().replace("\n# ", " ");
        let (_, list) = section.rsplit_once("with the scopes ").unwrap();
        let list = list.split(';').next().unwrap().replace(" and ", ", ");
        let mut documented: Vec<Scope> = Vec::new();
        let mut resource = "";
        for word in list.split(", ") {
            let (before, right) = word.rsplit_once(':').unwrap();
            resource = if before.is_empty() { resource } else { before };
            documented.push(format!("{resource}:{right}").parse().unwrap());
        }
        documented.sort_unstable();
        let mut needed = Role::Console.scopes();
        needed.sort_unstable();
        assert_eq!(documented, needed);
    }

    #[test]
    fn a_role_token_names_a_role_and_a_file() {
        let token: RoleToken = "worker=/run/secrets/worker-token".parse().unwrap();
        assert_eq!((token.role, token.file.to_str()), (Role::Worker, Some("/run/secrets/worker-token")));
        for wrong in ["worker", "worker=", "aggregator=/x", "=/x", ""] {
            assert!(wrong.parse::<RoleToken>().unwrap_err().contains("operator"), "{wrong}");
        }
    }
}
