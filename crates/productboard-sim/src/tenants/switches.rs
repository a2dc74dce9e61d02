//! The switches of a token over those of its workspace: what differs from the default is set, and the token's wins.

use std::sync::Arc;

use serde_json::Value;

use crate::Faults;

#[derive(Debug, Default)]
pub(super) struct Switches {
    faults: Arc<Faults>,
    /// Something is set. Nothing is the usual case, which must cost nothing.
    any: bool,
    merged: Option<Merged>,
}

/// A merge and the two it was made of; it holds as long as neither changed, and whatever is held here changes by copy.
#[derive(Debug)]
struct Merged {
    own: Arc<Faults>,
    shared: Arc<Faults>,
    both: Arc<Faults>,
}

impl Switches {
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Faults)) {
        change(Arc::make_mut(&mut self.faults));
        self.any = *self.faults != Faults::default();
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
            Arc::ptr_eq(&merged.own, &self.faults) && Arc::ptr_eq(&merged.shared, &shared.faults)
        });
        let merged = fresh.unwrap_or_else(|| Merged {
            own: Arc::clone(&self.faults),
            shared: Arc::clone(&shared.faults),
            both: Arc::new(merge(&self.faults, &shared.faults)),
        });
        Arc::clone(&self.merged.insert(merged).both)
    }

    /// Lets `from` take something that is used up by being taken: from the token's switches, else from the workspace's.
    pub(super) fn take<T>(
        &mut self,
        shared: &mut Self,
        from: impl Fn(&mut Faults) -> Option<T>,
    ) -> Option<T> {
        self.take_own(&from).or_else(|| shared.take_own(&from))
    }

    /// The same without a second level.
    pub(super) fn take_own<T>(&mut self, from: impl Fn(&mut Faults) -> Option<T>) -> Option<T> {
        if !self.any {
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
        let mut next = || own.take(&mut shared, |faults| faults.fail_next.pop_front());
        assert_eq!([next(), next(), next()], [Some(503), Some(500), None]);
    }
}
