//! Looks for due deliveries, claims them, and sends them: many at once, few to one endpoint, so that a slow one keeps
//! nobody else waiting.
//!
//! Endpoints take turns, the one that waited longest first. One whose last attempt failed gets one place, one that is new
//! here gets more only when all others have had their turn, and all of these together get three quarters of the places:
//! endpoints that hang, however many and however much waits for them, leave room for those that answer.

use std::{cmp::Reverse, collections::HashMap, error::Error as StdError, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::id::WebhookEndpointId;
use tidemark_runtime::metrics::credentials as metrics;
use tidemark_store as store;
use tokio::task::JoinSet;

use super::{
    Shared,
    attempt::{Answered, attempt},
};
use crate::rounds::{caught, setback};

const AT_ONCE: usize = 32;
const AT_ONCE_PER_ENDPOINT: usize = 4;
/// Of all places, so many for endpoints that have not just taken something.
const UNPROVEN_AT_ONCE: usize = 24;
/// Endpoints that are remembered between two deliveries.
const MOST_KNOWN: usize = 10_000;
/// Longer than an attempt: whoever has not finished by then is gone.
const CLAIM: Duration = Duration::from_secs(40);
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
/// What cannot be attempted here is left alone for so long.
const UNREADABLE: TimeDelta = TimeDelta::minutes(5);

/// What is known here of an endpoint.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    in_hand: usize,
    /// Whether it took the last one; nothing while it was not tried.
    takes: Option<bool>,
    /// When it had its last turn; the greater, the later.
    turn: u64,
}

#[derive(Default)]
struct Endpoints {
    known: HashMap<WebhookEndpointId, Known>,
    turns: u64,
}

struct Dispatcher {
    shared: Arc<Shared>,
    endpoints: Endpoints,
    attempts: JoinSet<(WebhookEndpointId, Option<bool>)>,
}

/// Runs until the shutdown, and then until the attempts in hand are done.
pub(super) async fn dispatch(shared: Arc<Shared>) {
    let (endpoints, attempts) = (Endpoints::default(), JoinSet::new());
    let mut dispatcher = Dispatcher { shared: Arc::clone(&shared), endpoints, attempts };
    loop {
        let pause = match caught("webhooks", dispatcher.round()).await {
            Some(Ok(())) => shared.settings.poll,
            Some(Err(error)) => {
                setback("webhooks", &error);
                AFTER_A_FAULT
            }
            None => AFTER_A_FAULT,
        };
        if !shared.shutdown.pause(pause).await {
            break;
        }
        dispatcher.reap();
    }
    while dispatcher.attempts.join_next().await.is_some() {}
}

impl Endpoints {
    /// In the order of their turns: what is known to take before what may hang, then those that nothing is being sent to,
    /// then those that waited longest.
    fn sort(&self, due: &mut [WebhookEndpointId]) {
        due.sort_by_key(|endpoint| {
            let known = self.known.get(endpoint).copied().unwrap_or_default();
            (Reverse(known.takes == Some(true)), known.takes == Some(false), known.in_hand, known.turn)
        });
    }

    /// How many deliveries it can be sent now, in the first turn or in the second.
    fn room(&self, endpoint: &WebhookEndpointId, is_first: bool) -> usize {
        let known = self.known.get(endpoint).copied().unwrap_or_default();
        let in_hand = |unproven: bool| -> usize {
            let some = self.known.values().filter(|known| !unproven || known.takes != Some(true));
            some.map(|known| known.in_hand).sum()
        };
        let free = AT_ONCE.saturating_sub(in_hand(false));
        let unproven = free.min(UNPROVEN_AT_ONCE.saturating_sub(in_hand(true)));
        let (most, free) = match known.takes {
            Some(true) => (AT_ONCE_PER_ENDPOINT, free),
            None if !is_first => (AT_ONCE_PER_ENDPOINT, unproven),
            None | Some(false) => (1, unproven),
        };
        most.saturating_sub(known.in_hand).min(free)
    }

    fn begin(&mut self, endpoint: &WebhookEndpointId, number: usize) {
        self.turns += 1;
        let known = self.known.entry(endpoint.clone()).or_default();
        (known.in_hand, known.turn) = (known.in_hand + number, self.turns);
    }

    /// Nothing is learned of an endpoint that could not be asked.
    fn end(&mut self, endpoint: &WebhookEndpointId, takes: Option<bool>) {
        let Some(known) = self.known.get_mut(endpoint) else { return };
        known.in_hand = known.in_hand.saturating_sub(1);
        known.takes = takes.or(known.takes);
    }
}

impl Dispatcher {
    async fn round(&mut self) -> store::Result<()> {
        let store = self.shared.parts().store.clone();
        let mut due = store.endpoints_with_due_deliveries(self.shared.parts().clock.now()).await?;
        self.endpoints.sort(&mut due);
        let turns =
            due.iter().map(|endpoint| (endpoint, true)).chain(due.iter().map(|endpoint| (endpoint, false)));
        for (endpoint, is_first) in turns {
            let room = self.endpoints.room(endpoint, is_first) as u64;
            if room == 0 {
                continue;
            }
            let now = self.shared.parts().clock.now();
            match store.claim_deliveries(endpoint, now, room, CLAIM).await {
                Ok(claimed) => {
                    self.endpoints.begin(endpoint, claimed.len());
                    claimed.into_iter().for_each(|delivery| self.spawn(delivery));
                }
                Err(error @ store::Error::Unavailable(_)) => return Err(error),
                Err(error) => setback("webhooks", &error),
            }
        }
        Ok(())
    }

    fn spawn(&mut self, due: store::DueDelivery) {
        let shared = Arc::clone(&self.shared);
        self.attempts.spawn(async move {
            let seen = due.delivery.clone();
            let answered = match caught("webhooks", attempt(&shared, due)).await {
                Some(Ok(answered)) => answered,
                Some(Err(error)) => {
                    not_written(&shared, &seen, &error).await;
                    Answered::Unknown
                }
                None => Answered::Unknown,
            };
            let takes = match answered {
                Answered::Taken => Some(true),
                Answered::Failed => Some(false),
                Answered::Unknown => None,
            };
            (seen.endpoint_id, takes)
        });
    }

    /// Forgets the tasks that are done, and the endpoints where it knows nothing of them, or of too many.
    fn reap(&mut self) {
        while let Some(done) = self.attempts.try_join_next() {
            if let Ok((endpoint, takes)) = done {
                self.endpoints.end(&endpoint, takes);
            }
        }
        let are_few = self.endpoints.known.len() <= MOST_KNOWN;
        self.endpoints.known.retain(|_, known| known.in_hand > 0 || (are_few && known.takes.is_some()));
    }
}

/// The claim runs out, and it is tried again. What this version cannot read is left alone for longer.
async fn not_written(shared: &Shared, seen: &store::Delivery, error: &store::Error) {
    metrics::setback("webhooks");
    tracing::warn!(delivery = %seen.id, error = error as &dyn StdError, "a webhook attempt was not written down");
    if matches!(error, store::Error::Corrupt { .. }) {
        let parts = shared.parts();
        let _postponed = parts.store.postpone_delivery(seen, parts.clock.now() + UNREADABLE).await;
    }
}

#[cfg(test)]
mod tests {
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    fn ids(number: usize) -> Vec<WebhookEndpointId> {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let entropy = SeededEntropy::new(7);
        (0..number).map(|_| WebhookEndpointId::generate(&clock, &entropy)).collect()
    }

    /// Gives everybody their turns, and says who got how many places.
    fn round(endpoints: &mut Endpoints, due: &[WebhookEndpointId]) -> Vec<(WebhookEndpointId, usize)> {
        let mut due = due.to_vec();
        endpoints.sort(&mut due);
        let mut given = Vec::new();
        for endpoint in due {
            let room = endpoints.room(&endpoint, true);
            if room > 0 {
                endpoints.begin(&endpoint, room);
                given.push((endpoint, room));
            }
        }
        given
    }

    #[test]
    fn endpoints_that_hang_leave_room_for_one_that_takes() {
        let due = ids(101);
        let (healthy, hanging) = due.split_last().unwrap();
        let mut endpoints = Endpoints::default();
        // It has taken something before. All the others hang, and their backlog never ends.
        endpoints.begin(healthy, 1);
        endpoints.end(healthy, Some(true));
        for _ in 0..50 {
            let given = round(&mut endpoints, &due);
            assert_eq!(given[0], (healthy.clone(), AT_ONCE_PER_ENDPOINT));
            let unproven: usize = given[1..].iter().map(|(_, places)| places).sum();
            assert!(unproven <= UNPROVEN_AT_ONCE, "{unproven}");
            for (endpoint, places) in given {
                let takes = Some(!hanging.contains(&endpoint));
                (0..places).for_each(|_| endpoints.end(&endpoint, takes));
            }
        }
    }

    #[test]
    fn all_endpoints_get_their_turn_however_many_fail() {
        let due = ids(100);
        let mut endpoints = Endpoints::default();
        let mut served: HashMap<WebhookEndpointId, usize> = HashMap::new();
        for _ in 0..10 {
            for (endpoint, places) in round(&mut endpoints, &due) {
                *served.entry(endpoint.clone()).or_default() += places;
                (0..places).for_each(|_| endpoints.end(&endpoint, Some(false)));
            }
        }
        assert_eq!(served.len(), due.len(), "each was tried");
        let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
        assert!(most - least <= 1, "{least} to {most} turns");
    }
}
