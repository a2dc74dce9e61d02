//! How much is let in: a token bucket per caller, a tighter one per caller and organization for secrets, and so many
//! calls and streams at once. What is over is refused at once, with the time when it is worth trying again.
//!
//! Nobody has everything: a caller gets half of the places at most, an organization a quarter of the calls and an eighth
//! of the streams, no matter who calls for it. Calls for an organization by a caller that may see all of them (the
//! console, the platform) have a bucket per organization. Unknown callers take none of these places: methods that are
//! open to everybody have a few of their own, and no address more than a quarter of those.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidemark_domain::id::OrganizationId;
use tokio::time::Instant;

use crate::{identity::Identity, status::Refusal};

/// Buckets that are full again say nothing; with this many, they are cleared away.
const MOST_BUCKETS: usize = 10_000;
/// When it is worth trying again while all places are taken.
const FULL: Duration = Duration::from_millis(100);
/// The same for streams, which last.
const STREAMS_FULL: Duration = Duration::from_secs(5);
/// Streams at once; each holds a few kilobytes.
const STREAMS: usize = 1_000;
/// Calls and streams at once of methods that are open to everybody.
const OPEN: usize = 64;
/// Holders of places that are remembered although they hold none.
const MOST_HOLDERS: usize = 10_000;

/// A pace that a caller may keep, and how far it may run ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second in the long run; 0 for no limit.
    pub per_second: u32,
    /// Calls at once after a pause.
    pub burst: u32,
}

/// The limits of a process.
#[derive(Debug)]
pub struct Limits {
    calls: Buckets,
    releases: Buckets,
    places: Places,
    streams: Places,
    open: Places,
}

impl Limits {
    /// Limits of that many calls at once, `calls` per caller, and `releases` of secrets per caller and organization.
    pub fn new(at_once: u32, calls: Rate, releases: Rate) -> Self {
        Self {
            calls: Buckets::new(calls),
            releases: Buckets::new(releases),
            places: Places::new(at_once as usize),
            streams: Places::new(STREAMS),
            open: Places::new(OPEN),
        }
    }

    /// A place for a call of a known caller, given back when dropped.
    pub(crate) fn place(&self, identity: &Identity) -> Result<Place, Refusal> {
        let (caller, organization) = holders(identity);
        self.places.take([caller.map(|key| (key, 2)), organization.map(|key| (key, 4))]).map_err(|holder| {
            exhausted(
                [
                    "calls at once to this process",
                    "calls at once of this caller",
                    "calls at once for this organization",
                ][holder],
                FULL,
            )
        })
    }

    /// A place for a stream of a known caller, for as long as it lasts.
    pub(crate) fn stream(&self, identity: &Identity) -> Result<Place, Refusal> {
        let (caller, organization) = holders(identity);
        self.streams.take([caller.map(|key| (key, 2)), organization.map(|key| (key, 8))]).map_err(|holder| {
            exhausted(
                ["streams of this process", "streams of this caller", "streams for this organization"]
                    [holder],
                STREAMS_FULL,
            )
        })
    }

    /// A place for anybody, in a method that is open to everybody.
    pub(crate) fn open(&self, address: Option<IpAddr>) -> Result<Place, Refusal> {
        let address = address.map(network);
        self.open.take([address.as_deref().map(|key| (key, 4)), None]).map_err(|holder| {
            exhausted(
                ["calls at once of unknown callers", "calls at once from this address", ""][holder],
                FULL,
            )
        })
    }

    /// Counts a call. One for an organization by a caller that may see all of them counts for that organization.
    pub(crate) fn call(&self, identity: &Identity) -> Result<(), Refusal> {
        let now = Instant::now();
        let taken = match identity.narrowed_to() {
            Some(organization) if !identity.has_list() => {
                self.calls.take(&format!("{} {organization}", identity.actor()), now)
            }
            _ => self.calls.take(identity.actor(), now),
        };
        taken.map_err(|retry_after| exhausted("calls of this caller", retry_after))
    }

    pub(crate) fn release(&self, actor: &str, organization: &OrganizationId) -> Result<(), Refusal> {
        let taken = self.releases.take(&format!("{actor} {organization}"), Instant::now());
        let what = "secrets of one organization released to this caller";
        taken.map_err(|retry_after| exhausted(what, retry_after))
    }
}

/// Whose places a call takes: its caller's, unless that is one of our own services, and its organization's.
fn holders(identity: &Identity) -> (Option<&str>, Option<&str>) {
    let caller = (!identity.is_internal()).then(|| identity.actor());
    (caller, identity.narrowed_to().map(OrganizationId::as_str))
}

/// The part of an address that somebody holds: of IPv6 addresses, one has 2⁶⁴.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// So many places, of which each holder has a share at most.
#[derive(Debug)]
pub struct Places {
    most: usize,
    all: Arc<AtomicUsize>,
    by: Mutex<HashMap<String, Arc<AtomicUsize>>>,
}

/// A place that is taken, for its process and its holders, until it is dropped.
#[derive(Debug, Default)]
pub struct Place([Option<Arc<AtomicUsize>>; 3]);

impl Place {
    fn add(&mut self, nth: usize, taken: Arc<AtomicUsize>, most: usize) -> Result<(), usize> {
        let one_more = |number| (number < most).then_some(number + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).map_err(|_| nth)?;
        self.0[nth] = Some(taken);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for taken in self.0.iter().flatten() {
            taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Places {
    /// So many places, all free.
    pub fn new(most: usize) -> Self {
        Self { most, all: Arc::default(), by: Mutex::default() }
    }

    /// Takes a place for these holders, each with the part of all places that it may hold: 2 is a half. Otherwise says
    /// which limit is reached: 0 that of the process, then those of the holders.
    pub fn take(&self, holders: [Option<(&str, usize)>; 2]) -> Result<Place, usize> {
        let mut place = Place::default();
        place.add(0, Arc::clone(&self.all), self.most)?;
        for (nth, holder) in holders.into_iter().enumerate() {
            if let Some((key, part)) = holder {
                place.add(nth + 1, self.of(key), (self.most / part).max(1))?;
            }
        }
        Ok(place)
    }

    fn of(&self, key: &str) -> Arc<AtomicUsize> {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = by.get(key) {
            return Arc::clone(taken);
        }
        if by.len() >= MOST_HOLDERS {
            by.retain(|_, taken| Arc::strong_count(taken) > 1);
        }
        Arc::clone(by.entry(key.to_owned()).or_default())
    }
}

fn exhausted(what: &str, retry_after: Duration) -> Refusal {
    Refusal::Exhausted { sentence: format!("too many {what}; slow down, and try again"), retry_after }
}

#[derive(Debug)]
struct Buckets {
    rate: Rate,
    levels: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Buckets {
    fn new(rate: Rate) -> Self {
        Self { rate, levels: Mutex::default() }
    }

    /// Takes one; otherwise tells when there is one again.
    fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        if self.rate.per_second == 0 {
            return Ok(());
        }
        let (pace, burst) = (f64::from(self.rate.per_second), f64::from(self.rate.burst.max(1)));
        let refilled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.level + passed * pace).min(burst)
        };
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST_BUCKETS && !levels.contains_key(key) {
            levels.retain(|_, bucket| refilled(bucket) < burst);
        }
        let level = levels.get(key).map_or(burst, refilled);
        let (level, outcome) = if level >= 1.0 {
            (level - 1.0, Ok(()))
        } else {
            (level, Err(Duration::from_secs_f64((1.0 - level) / pace)))
        };
        let bucket = Bucket { level, at: now };
        match levels.get_mut(key) {
            Some(known) => *known = bucket,
            None => drop(levels.insert(key.to_owned(), bucket)),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_pass_and_then_the_pace() {
        let buckets = Buckets::new(Rate { per_second: 10, burst: 3 });
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", at(0)), Ok(()));
        }
        let wait = buckets.take("a", at(0)).unwrap_err();
        assert!(wait > Duration::from_millis(99) && wait <= Duration::from_millis(101), "{wait:?}");
        assert_eq!(buckets.take("b", at(0)), Ok(()), "others have a bucket of their own");
        assert_eq!(buckets.take("a", at(101)), Ok(()));
        assert!(buckets.take("a", at(101)).is_err());
        let after_a_pause = (0..10).filter(|_| buckets.take("a", at(10_000)).is_ok()).count();
        assert_eq!(after_a_pause, 3, "never more than the burst");
    }

    #[test]
    fn buckets_stay_bounded_and_nothing_is_forgotten_that_matters() {
        let buckets = Buckets::new(Rate { per_second: 1, burst: 2 });
        let start = Instant::now();
        for number in 0..MOST_BUCKETS {
            buckets.take(&number.to_string(), start).unwrap();
        }
        let later = start + Duration::from_secs(5);
        buckets.take("0", later).unwrap();
        buckets.take("0", later).unwrap();
        buckets.take("new", later).unwrap();
        assert_eq!(buckets.levels.lock().unwrap().len(), 2);
        assert!(buckets.take("0", later).is_err(), "its bucket is empty, not forgotten");
    }

    #[test]
    fn a_place_is_free_again_when_its_call_has_ended() {
        let places = Places::new(1);
        let place = places.take([None, None]).unwrap();
        assert_eq!(places.take([None, None]).unwrap_err(), 0);
        drop(place);
        drop(places.take([None, None]).unwrap());
    }

    #[test]
    fn nobody_holds_more_than_its_share() {
        let places = Places::new(8);
        let take = |caller, organization| places.take([Some((caller, 2)), Some((organization, 4))]);
        let held = [take("a", "x").unwrap(), take("a", "x").unwrap()];
        assert_eq!(take("a", "x").unwrap_err(), 2, "a quarter for an organization");
        let more = [take("a", "y").unwrap(), take("a", "y").unwrap()];
        assert_eq!(take("a", "z").unwrap_err(), 1, "half for a caller");
        // What was refused has taken nothing.
        let others: Vec<_> = (0..4).map(|_| places.take([None, None]).unwrap()).collect();
        assert_eq!(take("b", "z").unwrap_err(), 0);
        drop((held, more, others));
        assert_eq!(places.all.load(Ordering::Relaxed), 0);
        take("a", "x").unwrap();
    }

    #[test]
    fn an_address_is_what_somebody_holds() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2:ffff::1"), network("2001:db8:1:2::"));
    }
}
