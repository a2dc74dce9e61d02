//! Connections to the vendor, shared by all clients of one host: a client per stream and delivery that opened its own
//! would spend more on that than on its requests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidemark_productboard::{Error, Transport};
use url::Url;

#[derive(Debug, Default)]
pub(crate) struct Transports(Mutex<BTreeMap<Url, Transport>>);

impl Transports {
    pub(crate) fn to(&self, base: &Url, request_timeout: Duration) -> Result<Transport, Error> {
        let mut transports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = transports.get(base) {
            return Ok(transport.clone());
        }
        let transport = Transport::new(base, request_timeout)?;
        transports.insert(base.clone(), transport.clone());
        Ok(transport)
    }
}
