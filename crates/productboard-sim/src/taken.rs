//! Which rows filters take, remembered: facts do not change while they are served, so that a client that pages through
//! a filtered list has its rows looked through once, and not for every page.
//!
//! Memory is bounded: the last few lists are kept, as places.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Faults;

const MOST_LISTS: usize = 32;

/// All that decides what of a list is taken, besides the facts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// The fingerprint of a search's body.
    pub(crate) body: Option<u64>,
    /// Each may decide it, too.
    pub(crate) faults: Arc<Faults>,
}

/// The places of what was taken of the lists that were asked for last.
#[derive(Default)]
pub(crate) struct Taken {
    lists: Mutex<VecDeque<(Asked, Arc<[u32]>)>>,
}

impl Taken {
    /// The places of a list, which `take` finds where they are not known.
    pub(crate) fn of(&self, asked: Asked, take: impl FnOnce() -> Vec<u32>) -> Arc<[u32]> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, places)) = lists.iter().find(|(known, _)| *known == asked) {
            return Arc::clone(places);
        }
        if lists.len() == MOST_LISTS {
            lists.pop_front();
        }
        let places: Arc<[u32]> = take().into();
        lists.push_back((asked, Arc::clone(&places)));
        places
    }
}
