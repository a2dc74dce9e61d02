//! The one place that chooses adapters, by the scheme of the configured URL.

use std::sync::Arc;

use anyhow::{Context, Result};
use secrecy::ExposeSecret;
use tidemark_bus_amqp::AmqpBus;
use tidemark_inproc::{InprocBus, InprocLeases};
use tidemark_leases_redis::RedisLeases;
use tidemark_ports::{Bus, Leases};
use tidemark_runtime::Config;

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
