//! The one place that chooses adapters, by the scheme of the configured URL.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use tidemark_bus_amqp::AmqpBus;
use tidemark_inproc::{InprocBus, InprocLeases};
use tidemark_leases_redis::RedisLeases;
use tidemark_ports::{Bus, Leases};
use tidemark_rpc::{
    client::Caller,
    tls::{ClientFiles, ServerFiles, ServerTls},
};
use tidemark_runtime::Config;
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
    let url = config.bus.url.expose_secret();
    if url.starts_with("inproc:") {
        return Ok(BusChoice::Inproc(InprocBus::new()));
    }
    let bus = AmqpBus::new(url, &config.bus.prefix).context("the setting bus.url cannot be used")?;
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

/// Calls the credential service.
pub(crate) fn caller(config: &Config) -> Result<Caller> {
    caller_at(config, &config.credentials.url, &config.rpc_token)
}

/// Calls a service at its address.
pub(crate) fn caller_at(config: &Config, url: &Url, token: &SecretString) -> Result<Caller> {
    let tls = &config.rpc.tls;
    if url.scheme() != "https" {
        return Ok(Caller::new(url.as_str(), token)?);
    }
    let ca = tls.ca.clone().context("the setting rpc.tls.ca_file is needed where services are at https")?;
    Ok(Caller::secured(url.as_str(), token, &ClientFiles { ca, own: tls.client.clone() })?)
}

pub(crate) fn leases(config: &Config) -> Result<LeasesChoice> {
    let url = config.leases.url.expose_secret();
    if url.starts_with("inproc:") {
        return Ok(LeasesChoice::Inproc(InprocLeases::new()));
    }
    let leases =
        RedisLeases::new(url, &config.leases.prefix).context("the setting leases.url cannot be used")?;
    Ok(LeasesChoice::Redis(Box::new(leases)))
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
