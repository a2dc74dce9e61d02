//! The switches of a token over those of its workspace: what differs from the default is set, and the token's wins.

use std::sync::Arc;

use serde_json::Value;

use crate::Faults;

#[derive(Debug, Default)]
pub(super) struct Switches {
    faults: Arc<Faults>,
    /// Another one whenever somebody sets switches; not when counts are used up.
    setting: Arc<()>,
    /// Something is set. Nothing is the usual case, which must cost nothing.
    any: bool,
    merged: Option<Merged>,
}

/// A merge and the settings it was made of; it holds until either is another one.
#[derive(Debug)]
struct Merged {
    own: Arc<()>,
    shared: Arc<()>,
    both: Arc<Faults>,
}

impl Switches {
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Faults)) {
        change(Arc::make_mut(&mut self.faults));
        self.setting = Arc::default();
        self.any = *self.faults != Faults::default();
    }

    /// What is set.
    pub(super) fn set(&self) -> &Faults {
        &self.faults
    }

    /// What holds for a request of this token. Counts in it may be stale: only [`Self::take`] knows them.
    pub(super) fn over(&mut self, shared: &Self) -> Arc<Faults> {
        if !shared.any {
            return Arc::clone(&self.faults);
        }
        if !self.any {
            return Arc::clone(&shared.faults);
        }
        let fresh = self.merged.take().filter(|merged| {
            Arc::ptr_eq(&merged.own, &self.setting) && Arc::ptr_eq(&merged.shared, &shared.setting)
        });
        let merged = fresh.unwrap_or_else(|| Merged {
            own: Arc::clone(&self.setting),
            shared: Arc::clone(&shared.setting),
            both: Arc::new(merge(&self.faults, &shared.faults)),
        });
        Arc::clone(&self.merged.insert(merged).both)
    }

    /// Lets `from` take something that is used up by being taken, where it `is_there`: from the token's switches, else
    /// from the workspace's.
    pub(super) fn take<T>(
        &mut self,
        shared: &mut Self,
        is_there: impl Fn(&Faults) -> bool,
        from: impl Fn(&mut Faults) -> Option<T>,
    ) -> Option<T> {
        self.take_own(&is_there, &from).or_else(|| shared.take_own(&is_there, &from))
    }

    /// The same without a second level. Running requests hold the switches, so that writing to them is a copy: it is
    /// done for something only.
    pub(super) fn take_own<T>(
        &mut self,
        is_there: impl Fn(&Faults) -> bool,
        from: impl Fn(&mut Faults) -> Option<T>,
    ) -> Option<T> {
        if !self.any || !is_there(&self.faults) {
            return None;
        }
        from(Arc::make_mut(&mut self.faults))
    }
}

/// By way of JSON, so that a new switch needs no line here.
fn merge(own: &Faults, shared: &Faults) -> Faults {
    let json = |faults: &Faults| serde_json::to_value(faults).unwrap_or(Value::Null);
    let (own, default, mut both) = (json(own), json(&Faults::default()), json(shared));
    for (name, value) in own.as_object().into_iter().flatten() {
        if *value != default[name] {
            both[name] = value.clone();
        }
    }
    serde_json::from_value(both).expect("made of two of its own")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NextLink;

    fn switches(faults: Faults) -> Switches {
        let mut switches = Switches::default();
        switches.change(|now| *now = faults);
        switches
    }

    #[test]
    fn what_a_token_sets_wins_and_the_rest_is_the_workspaces() {
        let mut shared = switches(Faults { totals_zero: true, ..Faults::default() });
        let mut own = switches(Faults { next_link: NextLink::Relative, ..Faults::default() });
        let both = own.over(&shared);
        assert!(both.totals_zero && both.next_link == NextLink::Relative);
        assert!(Arc::ptr_eq(&both, &own.over(&shared)), "merged once");

        shared.change(|faults| faults.next_link = NextLink::WithoutDates);
        own.change(|faults| *faults = Faults { hide_zeros: true, ..Faults::default() });
        let both = own.over(&shared);
        assert!(both.hide_zeros && both.next_link == NextLink::WithoutDates);
        assert_eq!(Switches::default().over(&shared).next_link, NextLink::WithoutDates);
    }

    #[test]
    fn the_tokens_failures_come_before_the_workspaces() {
        let mut shared = switches(Faults { fail_next: [500].into(), ..Faults::default() });
        let mut own = switches(Faults { fail_next: [503].into(), ..Faults::default() });
        let mut next = || failure(&mut own, &mut shared);
        assert_eq!([next(), next(), next()], [Some(503), Some(500), None]);
    }

    fn failure(own: &mut Switches, shared: &mut Switches) -> Option<u16> {
        let is_there = |faults: &Faults| !faults.fail_next.is_empty();
        own.take(shared, is_there, |faults| faults.fail_next.pop_front())
    }

    #[test]
    fn requests_neither_merge_again_nor_copy_what_they_do_not_change() {
        let mut shared = switches(Faults { fail_next: [500].into(), ..Faults::default() });
        let mut own = switches(Faults { hide_zeros: true, ..Faults::default() });
        let (both, held) = (own.over(&shared), own.over(&Switches::default()));
        assert_eq!(failure(&mut own, &mut shared), Some(500));
        assert_eq!(failure(&mut own, &mut shared), None);
        assert!(Arc::ptr_eq(&both, &own.over(&shared)), "merged once");
        assert!(Arc::ptr_eq(&held, &own.faults), "nothing was taken, nothing copied");

        let other = switches(Faults { totals_zero: true, ..Faults::default() });
        assert!(own.over(&other).totals_zero, "the token moved to another workspace");
    }
}
