//! The machine under any sequence of signals.

use proptest::prelude::*;

use super::*;

fn capability() -> impl Strategy<Value = Capability> {
    prop::sample::select(Capability::ALL.to_vec())
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Consented),
        Just(Signal::Replaced),
        Just(Signal::Refreshed),
        prop::sample::select(Reason::ALL.to_vec()).prop_map(Signal::Rejected),
        capability().prop_map(Signal::Lost),
        capability().prop_map(Signal::Regained),
        prop::sample::select(vec![14, 7, 1]).prop_map(Signal::ExpiryNear),
        Just(Signal::Disconnected),
    ]
}

fn signals() -> impl Strategy<Value = Vec<Signal>> {
    prop::collection::vec(signal(), 0..60)
}

/// Which state may follow which; what is not here is illegal.
fn may_follow(from: State) -> &'static [State] {
    use State::{AwaitingConsent, Connected, Degraded, Disconnected, Expiring, ReconnectRequired};
    match from {
        AwaitingConsent => &[Connected, Disconnected],
        Connected => &[Degraded, Expiring, ReconnectRequired, Disconnected],
        Degraded => &[Connected, Expiring, ReconnectRequired, Disconnected],
        Expiring => &[Connected, Degraded, ReconnectRequired, Disconnected],
        ReconnectRequired => &[Connected, Degraded, Disconnected],
        Disconnected => &[],
    }
}

/// What a consumer of the events alone believes.
#[derive(Debug, Default)]
struct Listener {
    is_connected: bool,
    lost: BTreeSet<Capability>,
    is_expiring: bool,
    needs_a_person: bool,
    is_gone: bool,
}

impl Listener {
    fn hear(&mut self, change: Change) {
        match change {
            Change::Connected => self.is_connected = true,
            Change::Reconnected => (self.needs_a_person, self.is_expiring) = (false, false),
            Change::Expiring(_) => self.is_expiring = true,
            Change::Degraded(capability) => drop(self.lost.insert(capability)),
            Change::Recovered(Some(capability)) => drop(self.lost.remove(&capability)),
            Change::Recovered(None) => self.is_expiring = false,
            Change::ReconnectRequired(_) => (self.needs_a_person, self.is_expiring) = (true, false),
            Change::Disconnected => self.is_gone = true,
        }
    }

    fn state(&self) -> State {
        if self.is_gone {
            State::Disconnected
        } else if !self.is_connected {
            State::AwaitingConsent
        } else if self.needs_a_person {
            State::ReconnectRequired
        } else if self.is_expiring {
            State::Expiring
        } else if self.lost.is_empty() {
            State::Connected
        } else {
            State::Degraded
        }
    }
}

proptest! {
    #[test]
    fn no_transition_is_illegal_and_one_change_is_announced_for_each(signals in signals()) {
        let mut standing = Standing::awaiting();
        for signal in signals {
            let (next, change) = standing.on(signal);
            prop_assert_eq!(change.is_some(), next != standing || matches!(change, Some(Change::Reconnected)));
            if next.state != standing.state {
                prop_assert!(change.is_some());
                prop_assert!(may_follow(standing.state).contains(&next.state), "{:?} {signal:?}", standing);
            }
            standing = next;
        }
    }

    #[test]
    fn whoever_hears_every_event_knows_the_state(signals in signals()) {
        let (mut standing, mut listener) = (Standing::awaiting(), Listener::default());
        for signal in signals {
            let (next, change) = standing.on(signal);
            change.into_iter().for_each(|change| listener.hear(change));
            prop_assert_eq!(listener.state(), next.state);
            standing = next;
        }
    }

    #[test]
    fn getting_well_is_always_announced(signals in signals()) {
        let mut standing = Standing::connected();
        for signal in signals {
            let (next, change) = standing.on(signal);
            if next.state == State::Connected && standing.state != State::Connected {
                prop_assert!(matches!(change, Some(Change::Recovered(_) | Change::Reconnected)), "{change:?}");
            }
            standing = next;
        }
    }

    #[test]
    fn of_an_episode_each_warning_is_given_once(signals in signals()) {
        let (mut standing, mut given) = (Standing::connected(), Vec::new());
        for signal in signals {
            let (next, change) = standing.on(signal);
            match change {
                Some(Change::Expiring(days)) => {
                    prop_assert!(given.iter().all(|earlier| days < *earlier));
                    given.push(days);
                }
                Some(Change::Recovered(None) | Change::Reconnected | Change::ReconnectRequired(_)) => given.clear(),
                _ => {}
            }
            standing = next;
        }
    }

    #[test]
    fn a_reason_stands_exactly_where_something_is_wrong(signals in signals()) {
        let mut standing = Standing::awaiting();
        for signal in signals {
            standing = standing.on(signal).0;
            let is_well = matches!(standing.state, State::AwaitingConsent | State::Connected);
            prop_assert_eq!(standing.reason.is_none(), is_well);
        }
    }
}

#[test]
fn what_was_lost_shows_again_after_a_warning_passed() {
    let (standing, change) = Standing::connected().on(Signal::Lost(Capability::Teams));
    assert_eq!((standing.state, change), (State::Degraded, Some(Change::Degraded(Capability::Teams))));
    let (standing, _) = standing.on(Signal::ExpiryNear(14));
    assert_eq!(standing.state, State::Expiring);
    let (standing, change) = standing.on(Signal::Refreshed);
    assert_eq!((standing.state, change), (State::Degraded, Some(Change::Recovered(None))));
    let (standing, change) = standing.on(Signal::Regained(Capability::Teams));
    assert_eq!((standing, change), (Standing::connected(), Some(Change::Recovered(Some(Capability::Teams)))));
}

#[test]
fn names_survive_the_wire() {
    for state in State::ALL {
        assert_eq!(State::parse(state.as_str()), Some(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}
