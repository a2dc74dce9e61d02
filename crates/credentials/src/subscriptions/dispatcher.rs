//! Looks for due deliveries, claims them, and sends them: many at once, few to one endpoint, so that a slow one keeps
//! nobody else waiting.
//!
//! Endpoints take turns, the one that waited longest first. One whose last attempt failed gets one place, one that is new
//! here gets more only when all others have had their turn, and all of these together get three quarters of the places:
//! endpoints that hang, however many and however much waits for them, leave room for those that answer. The endpoints of
//! one organization together get half of the places, and a quarter while they are such, as long as others wait, too: an
//! organization holds up itself.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::id::{OrganizationId, WebhookEndpointId};
use tidemark_runtime::tasks::{attempted, item, setback};
use tidemark_store as store;
use tokio::task::JoinSet;

use super::{
    Shared,
    attempt::{Answered, attempt},
};

const AT_ONCE: usize = 32;
const AT_ONCE_PER_ENDPOINT: usize = 4;
/// Of all places, so many for endpoints that have not just taken something.
const UNPROVEN_AT_ONCE: usize = 24;
const AT_ONCE_PER_ORGANIZATION: usize = 16;
const UNPROVEN_PER_ORGANIZATION: usize = 8;
/// Endpoints that are remembered between two deliveries.
const MOST_KNOWN: usize = 10_000;
/// Longer than an attempt: whoever has not finished by then is gone.
const CLAIM: Duration = Duration::from_secs(40);
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
/// What cannot be attempted here is left alone for so long.
const UNREADABLE: TimeDelta = TimeDelta::minutes(5);

/// An endpoint that something is due for, and whose it is.
type Due = (WebhookEndpointId, OrganizationId);

/// What is known here of an endpoint.
#[derive(Debug, Clone)]
struct Known {
    organization: OrganizationId,
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
        let round = attempted("webhooks", dispatcher.round()).await;
        let pause = round.map_or(AFTER_A_FAULT, |()| shared.settings.poll);
        if !shared.shutdown.pause(pause).await {
            break;
        }
        dispatcher.reap();
    }
    while dispatcher.attempts.join_next().await.is_some() {}
}

impl Endpoints {
    /// In the order of their turns: what is known to take before what may hang, then those of organizations that little
    /// is being sent to, then those that waited longest.
    fn sort(&self, due: &mut [Due]) {
        due.sort_by_cached_key(|(endpoint, organization)| {
            let (takes, in_hand, turn) = match self.known.get(endpoint) {
                Some(known) => (known.takes, known.in_hand, known.turn),
                None => (None, 0, 0),
            };
            let of_organization = self.in_hand(|known| known.organization == *organization);
            (Reverse(takes == Some(true)), takes == Some(false), of_organization, in_hand, turn)
        });
    }

    fn in_hand(&self, which: impl Fn(&Known) -> bool) -> usize {
        self.known.values().filter(|known| which(known)).map(|known| known.in_hand).sum()
    }

    /// How many deliveries it can be sent now, in the first turn or in the second; `is_alone` where only its organization
    /// waits for something.
    fn room(&self, (endpoint, organization): &Due, is_first: bool, is_alone: bool) -> usize {
        let (takes, in_hand) =
            self.known.get(endpoint).map_or((None, 0), |known| (known.takes, known.in_hand));
        let unproven = |known: &Known| known.takes != Some(true);
        let own = |known: &Known| known.organization == *organization;
        let [all, all_unproven] = if is_alone {
            [AT_ONCE, UNPROVEN_AT_ONCE]
        } else {
            [AT_ONCE_PER_ORGANIZATION, UNPROVEN_PER_ORGANIZATION]
        };
        let free = AT_ONCE.saturating_sub(self.in_hand(|_| true)).min(all.saturating_sub(self.in_hand(own)));
        let unproven = free
            .min(UNPROVEN_AT_ONCE.saturating_sub(self.in_hand(unproven)))
            .min(all_unproven.saturating_sub(self.in_hand(|known| own(known) && unproven(known))));
        let (most, free) = match takes {
            Some(true) => (AT_ONCE_PER_ENDPOINT, free),
            None if !is_first => (AT_ONCE_PER_ENDPOINT, unproven),
            None | Some(false) => (1, unproven),
        };
        most.saturating_sub(in_hand).min(free)
    }

    fn begin(&mut self, (endpoint, organization): &Due, number: usize) {
        self.turns += 1;
        let new = || Known { organization: organization.clone(), in_hand: 0, takes: None, turn: 0 };
        let known = self.known.entry(endpoint.clone()).or_insert_with(new);
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
        let is_alone = due.windows(2).all(|two| two[0].1 == two[1].1);
        let turns =
            due.iter().map(|endpoint| (endpoint, true)).chain(due.iter().map(|endpoint| (endpoint, false)));
        for (due, is_first) in turns {
            let room = self.endpoints.room(due, is_first, is_alone) as u64;
            if room == 0 {
                continue;
            }
            let now = self.shared.parts().clock.now();
            match store.claim_deliveries(&due.0, now, room, CLAIM).await {
                Ok(claimed) => {
                    self.endpoints.begin(due, claimed.len());
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
            let attempted = async {
                let answered = attempt(&shared, due).await;
                if let Err(error) = &answered {
                    leave_unreadable(&shared, &seen, error).await;
                }
                answered
            };
            let answered = item("webhooks", &seen.id, attempted).await.unwrap_or(Answered::Unknown);
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

/// A delivery is tried again when its claim has run out. What this version cannot read is left alone for longer.
async fn leave_unreadable(shared: &Shared, seen: &store::Delivery, error: &store::Error) {
    if matches!(error, store::Error::Corrupt { .. }) {
        let parts = shared.parts();
        let _postponed = parts.store.postpone_delivery(seen, parts.clock.now() + UNREADABLE).await;
    }
}

#[cfg(test)]
mod tests {
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    /// Endpoints of organizations that have so many each.
    fn endpoints(of: &[usize]) -> Vec<Due> {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let entropy = SeededEntropy::new(7);
        let organizations = of.iter().map(|number| (OrganizationId::generate(&clock, &entropy), *number));
        let each = organizations.flat_map(|(organization, number)| vec![organization; number]);
        each.map(|organization| (WebhookEndpointId::generate(&clock, &entropy), organization)).collect()
    }

    /// Gives everybody their turns, and says who got how many places.
    fn round(endpoints: &mut Endpoints, due: &[Due]) -> Vec<(Due, usize)> {
        let mut due = due.to_vec();
        endpoints.sort(&mut due);
        let is_alone = due.windows(2).all(|two| two[0].1 == two[1].1);
        let mut given = Vec::new();
        for endpoint in due {
            let room = endpoints.room(&endpoint, true, is_alone);
            if room > 0 {
                endpoints.begin(&endpoint, room);
                given.push((endpoint, room));
            }
        }
        given
    }

    #[test]
    fn endpoints_that_hang_leave_room_for_one_that_takes() {
        let due = endpoints(&[1; 101]);
        let (healthy, hanging) = due.split_last().unwrap();
        let mut endpoints = Endpoints::default();
        // It has taken something before. All the others hang, and their backlog never ends.
        endpoints.begin(healthy, 1);
        endpoints.end(&healthy.0, Some(true));
        for _ in 0..50 {
            let given = round(&mut endpoints, &due);
            assert_eq!(given[0], (healthy.clone(), AT_ONCE_PER_ENDPOINT));
            let unproven: usize = given[1..].iter().map(|(_, places)| places).sum();
            assert!(unproven <= UNPROVEN_AT_ONCE, "{unproven}");
            for (endpoint, places) in given {
                let takes = Some(!hanging.contains(&endpoint));
                (0..places).for_each(|_| endpoints.end(&endpoint.0, takes));
            }
        }
    }

    #[test]
    fn an_organization_with_many_endpoints_that_hang_holds_up_only_itself() {
        // A hundred of one organization hang, one each of sixteen others has not been tried yet.
        let due = endpoints(&[&[100][..], &[1; 16][..]].concat());
        let (hanging, others) = due.split_at(100);
        let mut endpoints = Endpoints::default();
        let given = round(&mut endpoints, &due);
        let of_others = given.iter().filter(|(endpoint, _)| others.contains(endpoint)).count();
        assert_eq!(
            (of_others, given.len()),
            (16, UNPROVEN_AT_ONCE),
            "each of the others has a place at once"
        );
        // Alone, it may have all that is for such endpoints; then what takes has the rest.
        let mut endpoints = Endpoints::default();
        assert_eq!(round(&mut endpoints, hanging).len(), UNPROVEN_AT_ONCE);
        endpoints.begin(&others[0], 1);
        endpoints.end(&others[0].0, Some(true));
        assert_eq!(round(&mut endpoints, &due)[0], (others[0].clone(), AT_ONCE_PER_ENDPOINT));
        // And one organization whose endpoints answer leaves places to others, too.
        let mut endpoints = Endpoints::default();
        for endpoint in hanging {
            endpoints.begin(endpoint, 1);
            endpoints.end(&endpoint.0, Some(true));
        }
        let given = round(&mut endpoints, &due);
        let own: usize =
            given.iter().filter(|((_, of), _)| *of == hanging[0].1).map(|(_, places)| places).sum();
        assert_eq!(own, AT_ONCE_PER_ORGANIZATION);
    }

    #[test]
    fn all_endpoints_get_their_turn_however_many_fail() {
        let due = endpoints(&[1; 100]);
        let mut endpoints = Endpoints::default();
        let mut served: HashMap<WebhookEndpointId, usize> = HashMap::new();
        for _ in 0..10 {
            for ((endpoint, _), places) in round(&mut endpoints, &due) {
                *served.entry(endpoint.clone()).or_default() += places;
                (0..places).for_each(|_| endpoints.end(&endpoint, Some(false)));
            }
        }
        assert_eq!(served.len(), due.len(), "each was tried");
        let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
        assert!(most - least <= 1, "{least} to {most} turns");
    }
}
