//! The one place that chooses adapters, by the scheme of the configured URL.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, bail};
use tidemark_bus_amqp::AmqpBus;
use tidemark_inproc::{InprocBus, InprocLeases, InprocRateLimits};
use tidemark_leases_redis::{RedisLeases, RedisRateLimits};
use tidemark_ports::{Bus, Leases, RateLimits};
use tidemark_rpc::{
    client::Caller,
    internal::InternalToken,
    tls::{ClientFiles, ServerFiles, ServerTls},
};
use tidemark_runtime::{Config, config::here, server::Value};
use url::Url;

/// A bus and what `doctor` needs to know of it.
pub(crate) enum BusChoice {
    Amqp(Box<AmqpBus>),
    Inproc(InprocBus),
}

/// Leases and what `doctor` needs to know of them.
pub(crate) enum LeasesChoice {
    Redis(Box<RedisLeases>),
    Inproc(InprocLeases),
}

pub(crate) fn bus(config: &Config) -> Result<BusChoice> {
    let server = &config.bus.server;
    if server.is_inproc() {
        return Ok(BusChoice::Inproc(InprocBus::new()));
    }
    let bus =
        AmqpBus::new(server.clone(), &config.bus.prefix).context("the setting bus.url cannot be used")?;
    Ok(BusChoice::Amqp(Box::new(bus)))
}

/// What this process's server speaks.
pub(crate) fn server_tls(config: &Config) -> Result<Option<ServerTls>> {
    let tls = &config.rpc.tls;
    let Some((certificate, key)) = tls.server.clone() else {
        if tls.client_ca.is_some() {
            bail!("the setting rpc.tls.client_ca_file is of no use without rpc.tls.certificate_file");
        }
        return Ok(None);
    };
    let files = ServerFiles { certificate, key, client_ca: tls.client_ca.clone() };
    ServerTls::watch(files).map(Some).context("the settings in rpc.tls cannot be used")
}

/// What a setting says that internal services show each other; one in a file may be replaced there at any time.
pub(crate) fn internal_token(setting: &Value) -> Result<InternalToken> {
    match setting {
        Value::Text(text) => Ok(text.into()),
        Value::File(file) => InternalToken::in_file(file)
            .with_context(|| format!("the service token in {} cannot be read", file.display())),
    }
}

/// Calls the credential service.
pub(crate) fn caller(config: &Config) -> Result<Caller> {
    caller_at(config, &config.credentials.url, &config.rpc_token, "credentials.url")
}

/// Calls the sync service, at that address or on this host.
pub(crate) fn sync_caller(config: &Config, url: Option<&Url>) -> Result<Caller> {
    caller_beside(config, url, config.worker.listen, "worker.listen")
}

/// Calls the utilization service, at that address or on this host.
pub(crate) fn utilization_caller(config: &Config, url: Option<&Url>) -> Result<Caller> {
    caller_beside(config, url, config.aggregator.listen, "aggregator.listen")
}

fn caller_beside(config: &Config, url: Option<&Url>, listen: SocketAddr, said: &str) -> Result<Caller> {
    if let Some(url) = url {
        return caller_at(config, url, &config.rpc_token, "--url");
    }
    let here = here(listen, config.rpc.tls.server.is_some());
    caller_at(config, &here, &config.rpc_token, said)
}

/// Calls a service at its address, which some setting or option named.
pub(crate) fn caller_at(config: &Config, url: &Url, token: &Value, said: &str) -> Result<Caller> {
    let (tls, token) = (&config.rpc.tls, internal_token(token)?);
    if url.scheme() != "https" {
        return Ok(Caller::new(url.as_str(), token)?);
    }
    let ca = tls.ca.clone();
    let ca = ca.with_context(|| format!("the setting rpc.tls.ca_file is needed where {said} is https"))?;
    Ok(Caller::secured(url.as_str(), token, &ClientFiles { ca, own: tls.client.clone() })?)
}

pub(crate) fn leases(config: &Config) -> Result<LeasesChoice> {
    let server = &config.leases.server;
    if server.is_inproc() {
        return Ok(LeasesChoice::Inproc(InprocLeases::new()));
    }
    let leases = RedisLeases::new(server.clone(), &config.leases.prefix);
    let leases = leases.context("the setting leases.url cannot be used")?;
    Ok(LeasesChoice::Redis(Box::new(leases)))
}

/// Rate limits are kept where the leases are.
pub(crate) fn rate_limits(config: &Config) -> Result<Arc<dyn RateLimits>> {
    let server = &config.leases.server;
    if server.is_inproc() {
        return Ok(Arc::new(InprocRateLimits::new()));
    }
    let limits = RedisRateLimits::new(server.clone(), &config.leases.prefix);
    Ok(Arc::new(limits.context("the setting leases.url cannot be used")?))
}

impl BusChoice {
    pub(crate) fn port(self) -> Arc<dyn Bus> {
        match self {
            Self::Amqp(bus) => Arc::from(bus as Box<dyn Bus>),
            Self::Inproc(bus) => Arc::new(bus),
        }
    }
}

impl LeasesChoice {
    pub(crate) fn port(self) -> Arc<dyn Leases> {
        match self {
            Self::Redis(leases) => Arc::from(leases as Box<dyn Leases>),
            Self::Inproc(leases) => Arc::new(leases),
        }
    }
}
