//! The console in a process: its settings, the services that it calls, and its port.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use secrecy::ExposeSecret;
use tidemark_console::{Console, Services, Settings};
use tidemark_rpc::client::Caller;
use tidemark_runtime::{Config, OsEntropy, Shutdown, server::Value};
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;

use crate::wiring;

/// What a process without `console.public_url` is told.
const NO_URL: &str = "the setting console.public_url is needed: it is where people reach the console, and every link \
                      begins with it";

/// Serves the console at its port, calling the services where the settings say.
pub(crate) async fn start(
    config: &Config,
    services: Services,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<Result<()>>,
) -> Result<()> {
    let listener = listen(config.console.listen).await?;
    serve(config, listener, services, shutdown, tasks)
}

/// Takes a port.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("the console cannot listen on {address}"))
}

/// Serves the console there.
pub(crate) fn serve(
    config: &Config,
    listener: TcpListener,
    services: Services,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<Result<()>>,
) -> Result<()> {
    let console = Console::new(settings(config)?, services, Arc::new(OsEntropy));
    let stop = shutdown.soft().clone();
    tracing::info!(address = ?listener.local_addr().ok(), "serving the console");
    tasks.spawn(async move { console.serve(listener, stop).await.context("the console failed") });
    Ok(())
}

fn settings(config: &Config) -> Result<Settings> {
    let oauth = config.oauth.as_ref();
    Ok(Settings {
        public_url: config.console.public_url.clone().context(NO_URL)?,
        frame_ancestors: config.console.frame_ancestors.clone(),
        consent_hosts: oauth
            .map(|oauth| vec![oauth.us_host.clone(), oauth.eu_host.clone()])
            .unwrap_or_default(),
        client_address_header: config.console.client_address_header.clone(),
    })
}

/// What the console refuses to start without.
pub(crate) fn check(config: &Config) -> Result<()> {
    settings(config)?;
    apart(config).map(drop)
}

/// The services, each where it listens.
pub(crate) fn apart(config: &Config) -> Result<Services> {
    let at = |url: &Url, said| wiring::caller_at(config, url, token(config), said);
    Ok(Services {
        credentials: at(&config.credentials.url, "credentials.url")?,
        syncs: at(&config.worker.url, "worker.url")?,
        utilization: at(&config.aggregator.url, "aggregator.url")?,
    })
}

/// The services, all where the credential service listens.
pub(crate) fn together(config: &Config) -> Result<Caller> {
    wiring::caller_at(config, &config.credentials.url, token(config), "credentials.url")
}

/// What the console shows to the services.
pub(crate) fn token(config: &Config) -> &Value {
    match &config.console.token {
        Value::Text(text) if text.expose_secret().is_empty() => &config.rpc_token,
        own => own,
    }
}
