//! The vendor's regions, as this process meets them. One that answers nothing at all leaves a share of the slots to workspaces
//! elsewhere; what it has finds out when it answers again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A region hangs that has answered nothing for so long, although it was asked.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);
/// One slot of so many is for other regions than one that hangs.
const SHARE: usize = 4;

#[derive(Debug)]
pub(crate) struct Regions {
    /// Slots that a region may have while it hangs.
    most: usize,
    known: Mutex<HashMap<String, State>>,
    /// Held from the look at what hangs until the slot is counted, so that no two take the last one.
    claims: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    at_work: usize,
    /// Since when it was asked and has not answered.
    asked: Option<Instant>,
}

/// A region, for those who ask it something.
#[derive(Debug, Clone)]
pub(crate) struct Region {
    regions: Arc<Regions>,
    name: String,
}

/// A delivery to a region. Dropped, its slot is free.
#[derive(Debug)]
pub(crate) struct AtWork(Region);

impl Regions {
    pub(crate) fn new(concurrency: u32) -> Self {
        let slots = concurrency as usize;
        let most = slots.saturating_sub((slots / SHARE).max(1)).max(1);
        Self { most, known: Mutex::default(), claims: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, State>> {
        // Every change is one statement, so a panic elsewhere leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Regions that hang and have all the slots that they may have then.
    fn full(&self) -> Vec<String> {
        let known = self.known();
        let full = known.iter().filter(|(_, state)| state.hangs() && state.at_work >= self.most);
        full.map(|(name, _)| name.clone()).collect()
    }

    /// Takes work that `claim` finds outside of the regions it is given, and counts it in its own.
    pub(crate) async fn claim<T, E>(
        self: &Arc<Self>,
        claim: impl AsyncFnOnce(Vec<String>) -> Result<Option<(T, String)>, E>,
    ) -> Result<Option<(T, AtWork)>, E> {
        let _turn = self.claims.lock().await;
        let Some((work, name)) = claim(self.full()).await? else { return Ok(None) };
        self.known().entry(name.clone()).or_default().at_work += 1;
        Ok(Some((work, AtWork(Region { regions: Arc::clone(self), name }))))
    }
}

impl State {
    fn hangs(&self) -> bool {
        self.asked.is_some_and(|asked| asked.elapsed() >= SILENCE)
    }
}

impl Region {
    /// A request is on its way.
    pub(crate) fn asked(&self) {
        self.with(|state| state.asked = state.asked.or_else(|| Some(Instant::now())));
    }

    /// The vendor answered something.
    pub(crate) fn answered(&self) {
        self.with(|state| state.asked = None);
    }

    /// Whether it hangs and has more slots than it may have then.
    pub(crate) fn has_too_many(&self) -> bool {
        let most = self.regions.most;
        self.with(|state| state.hangs() && state.at_work > most)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(self.regions.known().entry(self.name.clone()).or_default())
    }
}

impl AtWork {
    pub(crate) fn region(&self) -> Region {
        self.0.clone()
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.with(|state| state.at_work = state.at_work.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    async fn claimed(regions: &Arc<Regions>, from: &'static str) -> Option<AtWork> {
        let claim = async |full: Vec<String>| {
            Ok::<_, Infallible>((!full.contains(&from.to_owned())).then(|| ((), from.to_owned())))
        };
        regions.claim(claim).await.unwrap().map(|((), at_work)| at_work)
    }

    fn hang(at_work: &AtWork) {
        at_work.0.with(|state| state.asked = Instant::now().checked_sub(SILENCE));
    }

    #[test]
    fn the_share_of_others_is_a_slot_at_least_where_there_are_two() {
        let most = [0, 1, 2, 3, 4, 8, 16].map(|concurrency| Regions::new(concurrency).most);
        assert_eq!(most, [1, 1, 1, 2, 3, 6, 12]);
    }

    #[tokio::test]
    async fn a_region_that_hangs_leaves_a_quarter_of_the_slots_until_it_answers() {
        let regions = Arc::new(Regions::new(8));
        let mut us = Vec::new();
        for _ in 0..8 {
            us.push(claimed(&regions, "us").await.unwrap());
        }
        us[0].0.asked();
        assert!(!us[0].0.has_too_many(), "it was asked a moment ago");
        hang(&us[0]);
        assert!(us[7].0.has_too_many());
        assert!(claimed(&regions, "us").await.is_none());
        assert!(claimed(&regions, "eu").await.is_some(), "another one is not concerned");
        us.truncate(6);
        assert!(!us[0].0.has_too_many());
        assert!(claimed(&regions, "us").await.is_none());
        us.truncate(5);
        us.push(claimed(&regions, "us").await.unwrap());
        us[1].0.answered();
        us.push(claimed(&regions, "us").await.unwrap());
        assert!(!us[0].0.has_too_many());
        // A region that nobody works with any more is asked again.
        hang(&us[0]);
        us.clear();
        assert!(claimed(&regions, "us").await.is_some());
    }
}
