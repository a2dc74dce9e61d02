//! Tries a key at the vendor: what it can read, whose workspace it is, whether it is still accepted.
//!
//! Nothing is guessed: what the vendor could not be asked stays unknown. A caller holds no transaction meanwhile.

use std::{error::Error as StdError, time::Duration};

use chrono::{Days, NaiveDate};
use futures::TryStreamExt;
use secrecy::SecretString;
use tidemark_domain::capability::{Availability, Capability, Finding};
use tidemark_productboard::{Client, Error, LocalBudget, Member, MembersQuery, Options, Pages, TeamsQuery};
use tidemark_store::Connection;
use url::Url;
use uuid::Uuid;

/// Two attempts of this length leave a caller with a deadline of 20 s an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// How many members a connection is recognized by.
const ANCHORS: usize = 10;
const ACTIVITY_DAYS: u64 = 7;

/// What a key was found to be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    pub(crate) identity: Identity,
}

/// Which workspace a key belongs to, as far as it shows.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// Its domain at the vendor.
    pub(crate) workspace: Option<String>,
    /// The first members, oldest first.
    members: Vec<Uuid>,
}

/// Why a key cannot carry a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The vendor does not accept it.
    Rejected,
    /// It may not list members, and without those nothing can be counted.
    MembersForbidden,
    /// The workspace's plan does not let a key list members.
    MembersNotInPlan,
    /// The vendor's answer makes no sense to this version.
    NotUnderstood,
    /// The vendor could not be asked enough to know whose key it is.
    Unreachable,
}

/// Whether a key is still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acceptance {
    Accepted,
    Rejected,
    Undecided,
}

/// What one request said about a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Available,
    Forbidden,
    NotInPlan,
    Rejected,
    NotUnderstood,
    Unreachable,
}

/// A client for a few quick requests.
pub(crate) fn client(base_url: &Url, key: &SecretString, requests_per_second: u32) -> Result<Client, Error> {
    let options = Options {
        request_timeout: REQUEST_TIMEOUT,
        max_attempts: ATTEMPTS,
        budget: std::sync::Arc::new(LocalBudget::new(requests_per_second)),
        ..Options::default()
    };
    Client::new(base_url, key.clone(), options.trust(base_url))
}

/// Asks for one page of everything a connection lives on.
pub(crate) async fn examine(client: &Client, today: NaiveDate) -> Result<Found, Unfit> {
    let (from, to) = (today - Days::new(ACTIVITY_DAYS), today - Days::new(1));
    let (members, teams, activities) = tokio::join!(
        first_page(client.members(&MembersQuery::everyone(), None)),
        first_page(client.teams(&TeamsQuery::default(), None)),
        first_page(client.member_activities(from, to, None)),
    );
    let answers = [
        answer(Capability::Members, &members),
        answer(Capability::Teams, &teams),
        answer(Capability::Activity, &activities),
    ];
    let active = activities.unwrap_or_default();
    let identity = Identity::of(active.first().and_then(|row| row.domain()), &members.unwrap_or_default());
    if let Some(unfit) = unfit(answers, identity.is_known()) {
        return Err(unfit);
    }
    let finding = |(capability, answer): (Capability, Answer)| Finding {
        capability,
        availability: answer.availability(),
    };
    Ok(Found { findings: Capability::ALL.into_iter().zip(answers).map(finding).collect(), identity })
}

fn unfit(answers: [Answer; 3], identified: bool) -> Option<Unfit> {
    // A single 401 beside an answer with data is the vendor's bad moment, not a verdict on the key.
    if answers.contains(&Answer::Rejected) && !answers.contains(&Answer::Available) {
        return Some(Unfit::Rejected);
    }
    match answers[0] {
        Answer::Available => None,
        Answer::Forbidden => Some(Unfit::MembersForbidden),
        Answer::NotInPlan => Some(Unfit::MembersNotInPlan),
        Answer::NotUnderstood => Some(Unfit::NotUnderstood),
        // A connection that nothing is known of could never be reconnected.
        Answer::Rejected | Answer::Unreachable => (!identified).then_some(Unfit::Unreachable),
    }
}

/// Tries a key once more after a reported 401. Only another 401 is a verdict against it.
pub(crate) async fn acceptance(client: &Client) -> Acceptance {
    match answer(Capability::Members, &first_page(client.members(&MembersQuery::everyone(), None)).await) {
        Answer::Rejected => Acceptance::Rejected,
        // Who is told what they may not do was recognized first.
        Answer::Available | Answer::Forbidden | Answer::NotInPlan => Acceptance::Accepted,
        Answer::NotUnderstood | Answer::Unreachable => Acceptance::Undecided,
    }
}

async fn first_page<T>(mut pages: Pages<T>) -> Result<Vec<T>, Error> {
    Ok(pages.try_next().await?.map_or_else(Vec::new, |page| page.items))
}

/// Sorts an outcome, and logs what is a fault and not an answer.
fn answer<T>(capability: Capability, outcome: &Result<Vec<T>, Error>) -> Answer {
    let error = match outcome {
        Ok(_) => return Answer::Available,
        Err(Error::Rejected { .. }) => return Answer::Rejected,
        Err(Error::Forbidden { .. }) => return Answer::Forbidden,
        Err(Error::NotAvailable { .. }) => return Answer::NotInPlan,
        Err(error) => error,
    };
    let capability = capability.as_str();
    tracing::warn!(
        capability,
        error = error as &(dyn StdError + 'static),
        "a key could not be tried at Productboard"
    );
    match error {
        Error::VendorChanged { .. } | Error::Invalid { .. } | Error::Configuration(_) => {
            Answer::NotUnderstood
        }
        _ => Answer::Unreachable,
    }
}

impl Answer {
    fn availability(self) -> Availability {
        match self {
            Self::Available => Availability::Available,
            Self::Forbidden => Availability::Forbidden,
            Self::NotInPlan => Availability::NotInPlan,
            Self::Rejected | Self::NotUnderstood | Self::Unreachable => Availability::Unknown,
        }
    }
}

impl Identity {
    fn of(active_domain: Option<&str>, members: &[Member]) -> Self {
        let linked = || members.iter().find_map(|member| member.workspace.as_deref());
        let domain = active_domain.map(str::trim).filter(|domain| !domain.is_empty()).or_else(linked);
        Self {
            workspace: domain.map(str::to_lowercase),
            members: members.iter().map(|member| member.id).collect(),
        }
    }

    fn is_known(&self) -> bool {
        self.workspace.is_some() || !self.members.is_empty()
    }

    /// By whom to recognize the workspace later.
    pub(crate) fn anchors(&self) -> Vec<Uuid> {
        self.members.iter().take(ANCHORS).copied().collect()
    }

    /// Whether it is proven to be the workspace of that connection. Domains decide where both are known; a domain can
    /// stay unknown where nobody was active, and then a common member decides.
    pub(crate) fn is_of(&self, connection: &Connection) -> bool {
        match (&self.workspace, &connection.workspace) {
            (Some(new), Some(old)) => new == old,
            _ => connection.anchors.iter().any(|anchor| self.members.contains(anchor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::connection::{Region, State};
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    fn connection(workspace: Option<&str>, anchors: &[u128]) -> Connection {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let entropy = SeededEntropy::new(1);
        Connection {
            id: tidemark_domain::id::ConnectionId::generate(&clock, &entropy),
            organization_id: tidemark_domain::id::OrganizationId::generate(&clock, &entropy),
            region: Region::Us,
            workspace: workspace.map(str::to_owned),
            anchors: anchors.iter().copied().map(Uuid::from_u128).collect(),
            state: State::Connected,
            reason: None,
            generation: 1,
            capabilities: Vec::new(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    fn identity(workspace: Option<&str>, members: &[u128]) -> Identity {
        Identity {
            workspace: workspace.map(str::to_owned),
            members: members.iter().copied().map(Uuid::from_u128).collect(),
        }
    }

    #[test]
    fn the_same_workspace_is_proven_and_not_assumed() {
        let old = connection(Some("acme"), &[1, 2]);
        assert!(identity(Some("acme"), &[]).is_of(&old));
        assert!(!identity(Some("globex"), &[1, 2]).is_of(&old), "domains decide");
        assert!(identity(None, &[9, 2]).is_of(&old), "a common member");
        assert!(!identity(None, &[9]).is_of(&old));
        assert!(!identity(None, &[]).is_of(&old));
        assert!(identity(Some("acme"), &[1]).is_of(&connection(None, &[1])));
        assert!(!identity(Some("acme"), &[1]).is_of(&connection(None, &[])), "nothing to compare with");
    }

    #[test]
    fn at_most_ten_anchors_are_kept_and_the_domain_has_one_spelling() {
        let many: Vec<u128> = (0..40).collect();
        assert_eq!(identity(None, &many).anchors().len(), ANCHORS);
        assert_eq!(Identity::of(Some(" Acme "), &[]).workspace.as_deref(), Some("acme"));
        assert_eq!(Identity::of(Some(" "), &[]).workspace, None);
    }

    #[test]
    fn what_makes_a_key_unfit() {
        use Answer::{Available, Forbidden, NotInPlan, NotUnderstood, Rejected, Unreachable};
        let cases = [
            ([Available, Available, NotInPlan], true, None),
            ([Available, Rejected, Unreachable], true, None),
            ([Rejected, Rejected, Rejected], false, Some(Unfit::Rejected)),
            ([Unreachable, Rejected, Unreachable], false, Some(Unfit::Rejected)),
            ([Rejected, Available, NotInPlan], false, Some(Unfit::Unreachable)),
            ([Forbidden, Available, Available], true, Some(Unfit::MembersForbidden)),
            ([NotInPlan, NotInPlan, NotInPlan], false, Some(Unfit::MembersNotInPlan)),
            ([NotUnderstood, Available, Available], true, Some(Unfit::NotUnderstood)),
            ([Unreachable, Unreachable, Unreachable], false, Some(Unfit::Unreachable)),
            ([Unreachable, Available, NotInPlan], false, Some(Unfit::Unreachable)),
            ([Unreachable, Available, Available], true, None),
        ];
        for (answers, identified, expected) in cases {
            assert_eq!(unfit(answers, identified), expected, "{answers:?}");
        }
    }
}
