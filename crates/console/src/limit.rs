//! How much one person, one organization and one address may take, in each process.
//!
//! Keys: a bucket per session or link, and one per address. Pages: so many at once for a session and an organization.
//! People who have shown neither a session nor a link that counts: a bucket per address and a few places of their own, so
//! that they cost the services little and nobody else anything. A session that has counted within ten minutes is no
//! stranger, however many come from its address.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use sha2::{Digest as _, Sha256};
use tidemark_rpc::limit::{Place, Places, network};
use tokio::time::Instant;

use crate::{failure::Failure, server::Console};

const TRIES: f64 = 10.0;
const ADDRESS_TRIES: f64 = 30.0;
const ONE_MORE_AFTER: Duration = Duration::from_secs(30);
/// Full buckets say nothing; with this many, they are cleared away.
const MOST: usize = 10_000;

/// Pages at once, whose answers are still being sent among them.
const PAGES: usize = 256;
/// Pages that are kept up to date at once.
const LIVE: usize = 512;
/// Strangers' requests at once.
const STRANGERS: usize = 32;
/// Strangers' requests from one address at once after a pause, and how soon it has one more.
const STRANGERS_TRIES: f64 = 60.0;
const STRANGERS_ONE_MORE: Duration = Duration::from_secs(1);
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// Places and buckets of the pages.
#[derive(Debug)]
pub(crate) struct Limits {
    pages: Places,
    live: Places,
    strangers: Places,
    addresses: Mutex<HashMap<String, (f64, Instant)>>,
    /// Digests of the sessions that counted, and when they did last.
    known: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: Places::new(PAGES),
            live: Places::new(LIVE),
            strangers: Places::new(STRANGERS),
            addresses: Mutex::default(),
            known: Mutex::default(),
        }
    }
}

impl Limits {
    /// A place for a page of a session, which has a sixteenth of them at most, and its organization a quarter; one that is
    /// kept up to date holds its place for long.
    pub(crate) fn page(&self, session: &str, organization: &str, is_live: bool) -> Result<Place, Failure> {
        let (places, parts) = if is_live { (&self.live, (64, 8)) } else { (&self.pages, (16, 4)) };
        let taken = places.take([Some((session, parts.0)), Some((organization, parts.1))]);
        taken.map_err(|_| Failure::too_often("too many pages at once"))
    }

    /// A place for somebody who has shown nothing that counts.
    pub(crate) fn stranger(&self, address: IpAddr) -> Result<Place, Failure> {
        let address = network(address);
        let (now, rate) = (Instant::now(), (STRANGERS_TRIES, STRANGERS_ONE_MORE));
        let mut levels = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST {
            levels.retain(|_, (level, at)| refilled(*level, *at, rate.1, now) < rate.0);
        }
        let taken = take(&mut levels, address.clone(), rate, now);
        drop(levels);
        taken.map_err(|_| Failure::too_often("too many requests from this address"))?;
        let place = self.strangers.take([Some((&address, 4)), None]);
        place.map_err(|_| Failure::too_often("too many people are at the door"))
    }

    /// Whether the session counted a short time ago.
    pub(crate) fn is_known(&self, session: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&digest(session)).is_some_and(|at| at.elapsed() < KNOWN_FOR)
    }

    /// The session counts.
    pub(crate) fn knows(&self, session: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, at| at.elapsed() < KNOWN_FOR);
        }
        if known.len() < MOST {
            known.insert(digest(session), Instant::now());
        }
    }
}

fn digest(session: &str) -> [u8; 32] {
    Sha256::digest(session).into()
}

/// Lets people without a session in, a few at once.
pub(crate) async fn strangers(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let address = address(request.headers(), &console.settings().client_address_header, peer);
    let _place = console.limits().stranger(address)?;
    Ok(next.run(request).await)
}

/// The buckets of keys.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<String, (f64, Instant)>>);

impl Tries {
    /// Takes a try of the holder's and one of the address's; otherwise tells how long to wait.
    pub(crate) fn take(&self, holder: &str, address: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST {
            levels.retain(|_, (level, at)| refilled(*level, *at, ONE_MORE_AFTER, now) < TRIES);
        }
        take(&mut levels, format!("holder {holder}"), (TRIES, ONE_MORE_AFTER), now)?;
        take(&mut levels, format!("address {}", network(address)), (ADDRESS_TRIES, ONE_MORE_AFTER), now)
    }
}

fn refilled(level: f64, at: Instant, one_more_after: Duration, now: Instant) -> f64 {
    level + now.saturating_duration_since(at).as_secs_f64() / one_more_after.as_secs_f64()
}

fn take(
    levels: &mut HashMap<String, (f64, Instant)>,
    key: String,
    (most, one_more_after): (f64, Duration),
    now: Instant,
) -> Result<(), Duration> {
    let level =
        levels.get(&key).map_or(most, |(level, at)| refilled(*level, *at, one_more_after, now).min(most));
    if level < 1.0 {
        return Err(one_more_after.mul_f64(1.0 - level));
    }
    levels.insert(key, (level - 1.0, now));
    Ok(())
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

    #[tokio::test(start_paused = true)]
    async fn strangers_run_out_by_address_and_a_session_that_counts_is_none() {
        let limits = Limits::default();
        let [here, there] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let entered = (0..100).filter(|_| limits.stranger(here).is_ok()).count();
        assert_eq!(entered, 60);
        assert_eq!(limits.stranger(here).unwrap_err().status, 429);
        drop(limits.stranger(there).unwrap());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((0..9).filter(|_| limits.stranger(here).is_ok()).count(), 3);
        // At once: a quarter of the places for an address.
        let held: Vec<_> = (0..STRANGERS).filter_map(|_| limits.stranger(there).ok()).collect();
        assert_eq!(held.len(), STRANGERS / 4);

        assert!(!limits.is_known("s"));
        limits.knows("s");
        assert!(limits.is_known("s") && !limits.is_known("t"));
        tokio::time::advance(KNOWN_FOR).await;
        assert!(!limits.is_known("s"));
    }

    #[test]
    fn a_session_and_an_organization_have_their_share_of_the_pages() {
        let limits = Limits::default();
        for (is_live, of_session, of_organization) in [(false, 16, 64), (true, 8, 64)] {
            let session = |name: &str| -> Vec<_> {
                (0..100).map_while(|_| limits.page(name, "org", is_live).ok()).collect()
            };
            let held: Vec<_> = (0..20).map(|number| session(&number.to_string())).collect();
            assert_eq!(held[0].len(), of_session);
            assert_eq!(held.iter().map(Vec::len).sum::<usize>(), of_organization);
            limits.page("another", "another", is_live).unwrap();
        }
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
