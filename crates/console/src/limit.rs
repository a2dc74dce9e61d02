//! How often keys may be tried: a bucket per session or link, and one per address, in each process.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderMap;
use tokio::time::Instant;

const TRIES: f64 = 10.0;
const ADDRESS_TRIES: f64 = 30.0;
const ONE_MORE_AFTER: Duration = Duration::from_secs(30);
/// Full buckets say nothing; with this many, they are cleared away.
const MOST: usize = 10_000;

/// The buckets.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<String, (f64, Instant)>>);

impl Tries {
    /// Takes a try of the holder's and one of the address's; otherwise tells how long to wait.
    pub(crate) fn take(&self, holder: &str, address: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST {
            levels.retain(|_, (level, at)| refilled(*level, *at, now) < TRIES);
        }
        take(&mut levels, format!("holder {holder}"), TRIES, now)?;
        take(&mut levels, format!("address {}", block(address)), ADDRESS_TRIES, now)
    }
}

fn refilled(level: f64, at: Instant, now: Instant) -> f64 {
    level + now.saturating_duration_since(at).as_secs_f64() / ONE_MORE_AFTER.as_secs_f64()
}

fn take(
    levels: &mut HashMap<String, (f64, Instant)>,
    key: String,
    most: f64,
    now: Instant,
) -> Result<(), Duration> {
    let level = levels.get(&key).map_or(most, |(level, at)| refilled(*level, *at, now).min(most));
    if level < 1.0 {
        return Err(ONE_MORE_AFTER.mul_f64(1.0 - level));
    }
    levels.insert(key, (level - 1.0, now));
    Ok(())
}

/// Whoever has one IPv6 address has 2⁶⁴ of them.
fn block(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
    }
}

/// Who asks: the last entry of the proxy's header, where there is a proxy, and else the other end.
pub(crate) fn address(headers: &HeaderMap, header: &str, peer: SocketAddr) -> IpAddr {
    if header.is_empty() {
        return peer.ip();
    }
    let said = headers.get_all(header).iter().next_back().and_then(|value| value.to_str().ok());
    let last = said.and_then(|text| text.rsplit(',').next()).map(str::trim);
    last.and_then(|text| text.parse().ok()).unwrap_or(peer.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_run_out_and_come_back() {
        let (tries, here) = (Tries::default(), IpAddr::from([192, 0, 2, 1]));
        for _ in 0..10 {
            tries.take("a", here).unwrap();
        }
        let wait = tries.take("a", here).unwrap_err();
        assert!(wait <= ONE_MORE_AFTER && wait > Duration::from_secs(29), "{wait:?}");
        tries.take("b", here).unwrap();
        tokio::time::advance(ONE_MORE_AFTER).await;
        tries.take("a", here).unwrap();
        assert!(tries.take("a", here).is_err());
        let many = (0..40).filter(|holder| tries.take(&format!("h{holder}"), here).is_ok()).count();
        assert!(many < 30, "an address with many sessions runs out, too: {many}");
    }

    #[test]
    fn the_proxy_is_believed_and_only_its_own_entry() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 5));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.7".parse().unwrap());
        assert_eq!(address(&headers, "", peer), peer.ip());
        assert_eq!(address(&headers, "x-forwarded-for", peer), IpAddr::from([198, 51, 100, 7]));
        headers.insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(address(&headers, "x-forwarded-for", peer), peer.ip());
    }
}
