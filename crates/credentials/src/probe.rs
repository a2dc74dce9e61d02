//! Tries a credential at the vendor: what it can read, whose workspace it is, whether it is still accepted.
//!
//! Nothing is guessed: what the vendor could not be asked stays unknown. A caller holds no transaction meanwhile.

#[cfg(test)]
mod tests;

use std::{error::Error as StdError, time::Duration};

use chrono::{Days, NaiveDate};
use futures::TryStreamExt;
use tidemark_domain::{
    capability::{Availability, Capability, Finding},
    connection::CredentialKind,
};
use tidemark_productboard::{
    AuthScheme, Cause, Client, EntitiesQuery, Error, LocalBudget, Member, MembersQuery, NotesQuery, Options,
    Pages, Rejection, TeamsQuery, Transport,
};
use tidemark_store::VendorFinding;
use url::Url;
use uuid::Uuid;

/// Two attempts of this length leave a caller with a deadline of 20 s an answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// How many members a connection is recognized by.
pub(crate) const ANCHORS: usize = 10;
const ACTIVITY_DAYS: u64 = 7;

/// What a credential was found to be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    pub(crate) identity: Identity,
    /// What is assumed of the vendor, held against its workspace.
    pub(crate) assumed: Vec<VendorFinding>,
}

/// Which workspace a credential belongs to, as far as it shows.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// Its domain at the vendor.
    pub(crate) workspace: Option<String>,
    /// The members of the first page, the active ones first.
    members: Vec<Uuid>,
}

/// Why a credential cannot carry a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The vendor does not accept it.
    Rejected(Rejection),
    /// The vendor accepts it in its other data centre.
    WrongRegion,
    /// Its maker may not list members, and without those nothing can be counted.
    NotAdmin,
    /// It lacks the permission to list members.
    WithoutMembers,
    /// The workspace's plan does not let a key read anything.
    WithoutApi,
    /// The vendor's answer makes no sense to this version.
    NotUnderstood,
    /// Somebody else than the vendor answers, or nobody, and it shows why.
    Cut(Cause),
    /// The vendor could not be asked enough to know whose credential it is.
    Unreachable,
}

/// Whether a credential is still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acceptance {
    Accepted,
    Rejected,
    Undecided,
}

/// What one request said about a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Available,
    /// 403 that names no permission: the maker lacks the role.
    Forbidden,
    /// 403 that names the permission.
    LacksScope,
    NotInPlan,
    Rejected(Rejection),
    NotUnderstood,
    /// Somebody else than the vendor answers, or nobody, and it shows why.
    Cut(Cause),
    Unreachable,
}

/// What all requests said.
#[derive(Debug)]
pub(crate) struct Look {
    /// In the order of [`Capability::ALL`].
    answers: [Answer; 6],
    pub(crate) identity: Identity,
}

/// How a few quick requests are sent.
pub(crate) fn options(
    base_url: &Url,
    auth_scheme: AuthScheme,
    requests_per_second: u32,
    transport: Transport,
) -> Options {
    let options = Options {
        request_timeout: REQUEST_TIMEOUT,
        max_attempts: ATTEMPTS,
        budget: std::sync::Arc::new(LocalBudget::new(requests_per_second)),
        auth_scheme,
        transport: Some(transport),
        ..Options::default()
    };
    options.trust(base_url)
}

/// Asks for one page of everything.
pub(crate) async fn look(client: &Client, today: NaiveDate) -> Look {
    let (from, to) = week(today);
    let (members, teams, activities, notes, entities) = tokio::join!(
        first_page(client.members(&MembersQuery::everyone(), None)),
        first_page(client.teams(&TeamsQuery::default(), None)),
        first_page(client.member_activities(from, to, None)),
        first_page(client.notes(&NotesQuery::default(), None)),
        first_page(client.entities(&EntitiesQuery::default(), None)),
    );
    let answers = [
        answer(Capability::Members, &members),
        answer(Capability::Teams, &teams),
        answer(Capability::Activity, &activities),
        names(&members),
        answer(Capability::Notes, &notes),
        answer(Capability::Entities, &entities),
    ];
    let active = activities.unwrap_or_default();
    let identity = Identity::of(active.first().and_then(|row| row.domain()), &members.unwrap_or_default());
    Look { answers, identity }
}

/// Asks once more about one capability.
pub(crate) async fn ask(client: &Client, capability: Capability, today: NaiveDate) -> Answer {
    let (from, to) = week(today);
    match capability {
        Capability::Members => {
            answer(capability, &first_page(client.members(&MembersQuery::everyone(), None)).await)
        }
        Capability::PersonalData => names(&first_page(client.members(&MembersQuery::everyone(), None)).await),
        Capability::Teams => {
            answer(capability, &first_page(client.teams(&TeamsQuery::default(), None)).await)
        }
        Capability::Activity => {
            answer(capability, &first_page(client.member_activities(from, to, None)).await)
        }
        Capability::Notes => {
            answer(capability, &first_page(client.notes(&NotesQuery::default(), None)).await)
        }
        Capability::Entities => {
            answer(capability, &first_page(client.entities(&EntitiesQuery::default(), None)).await)
        }
    }
}

/// Tries a credential once more after a reported 401. Only another 401 is a verdict against it.
pub(crate) async fn acceptance(client: &Client) -> Acceptance {
    ask(client, Capability::Members, NaiveDate::MIN).await.acceptance()
}

fn week(today: NaiveDate) -> (NaiveDate, NaiveDate) {
    let back = |days| today.checked_sub_days(Days::new(days)).unwrap_or(today);
    (back(ACTIVITY_DAYS), back(1))
}

impl Look {
    /// With what the vendor's OAuth server says of the workspace.
    pub(crate) fn told(self, workspace: Option<&str>) -> Self {
        Self { identity: self.identity.told(workspace), ..self }
    }

    /// Whether the vendor refuses the credential as a whole. A single 401 beside an answer with data is the vendor's bad
    /// moment, not a verdict.
    pub(crate) fn is_rejected(&self) -> bool {
        self.rejection().is_some() && !self.answers.contains(&Answer::Available)
    }

    /// What the vendor says is wrong with it: the first answer that says anything.
    fn rejection(&self) -> Option<Rejection> {
        let rejections = || {
            self.answers.iter().filter_map(|answer| match answer {
                Answer::Rejected(rejection) => Some(*rejection),
                _ => None,
            })
        };
        rejections().find(|rejection| *rejection != Rejection::Unsaid).or_else(|| rejections().next())
    }

    /// Whether the vendor accepts it, as far as the answers tell.
    pub(crate) fn is_accepted(&self) -> bool {
        self.answers.iter().any(|answer| answer.acceptance() == Acceptance::Accepted)
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        let lines = Capability::ALL.into_iter().zip(self.answers);
        lines.map(|(capability, answer)| answer.finding(capability)).collect()
    }

    /// What it was found to be, unless it cannot carry a connection. A consent need not list members: the vendor does
    /// not let every grant do so, and a key beside it can.
    pub(crate) fn judged(self, kind: CredentialKind) -> Result<Found, Unfit> {
        match self.unfit(kind) {
            Some(unfit) => Err(unfit),
            None => Ok(Found { findings: self.findings(), identity: self.identity, assumed: Vec::new() }),
        }
    }

    fn unfit(&self, kind: CredentialKind) -> Option<Unfit> {
        if let Some(rejection) = self.rejection().filter(|_| self.is_rejected()) {
            return Some(Unfit::Rejected(rejection));
        }
        let known = self.identity.is_known();
        match self.answers[0] {
            Answer::Available => None,
            Answer::Forbidden | Answer::LacksScope | Answer::NotInPlan if kind != CredentialKind::ApiKey => {
                (!known).then_some(Unfit::Unreachable)
            }
            Answer::Forbidden => Some(Unfit::NotAdmin),
            Answer::LacksScope => Some(Unfit::WithoutMembers),
            Answer::NotInPlan => Some(Unfit::WithoutApi),
            Answer::NotUnderstood => Some(Unfit::NotUnderstood),
            // A connection that nothing is known of could never be reconnected.
            Answer::Cut(cause) => (!known).then_some(Unfit::Cut(cause)),
            Answer::Rejected(_) | Answer::Unreachable => (!known).then_some(Unfit::Unreachable),
        }
    }
}

/// A page on which nothing can be read is not understood.
async fn first_page<T>(mut pages: Pages<T>) -> Result<Vec<T>, Error> {
    let Some(page) = pages.try_next().await? else { return Ok(Vec::new()) };
    match page.unreadable.first().filter(|_| page.items.is_empty()) {
        None => Ok(page.items),
        Some(row) => Err(Error::VendorChanged {
            attempted: "read a first page",
            path: row.path.clone(),
            problem: row.problem.clone(),
            vendor_id: None,
        }),
    }
}

/// Sorts an outcome, and logs what is a fault and not an answer.
fn answer<T>(capability: Capability, outcome: &Result<Vec<T>, Error>) -> Answer {
    let error = match outcome {
        Ok(_) => return Answer::Available,
        Err(Error::Rejected { reason, .. }) => return Answer::Rejected(*reason),
        Err(Error::Forbidden { missing_scope: Some(_), .. }) => return Answer::LacksScope,
        Err(Error::Forbidden { .. }) => return Answer::Forbidden,
        Err(Error::NotAvailable { .. }) => return Answer::NotInPlan,
        Err(error) => error,
    };
    let capability = capability.as_str();
    tracing::warn!(
        capability,
        error = error as &(dyn StdError + 'static),
        "a credential could not be tried at Productboard"
    );
    match error {
        Error::VendorChanged { .. } | Error::Invalid { .. } | Error::Configuration(_) => {
            Answer::NotUnderstood
        }
        Error::Unreachable { cause, .. } if *cause != Cause::Other => Answer::Cut(*cause),
        _ => Answer::Unreachable,
    }
}

/// Whether people can be named: a list without a single name or mail address is one that hides them.
fn names(members: &Result<Vec<Member>, Error>) -> Answer {
    match members {
        Ok(members) if members.is_empty() => Answer::Unreachable,
        Ok(members) => {
            let shown = |member: &Member| member.name.known().or(member.email.known()).is_some();
            if members.iter().any(shown) { Answer::Available } else { Answer::LacksScope }
        }
        Err(Error::Rejected { reason, .. }) => Answer::Rejected(*reason),
        Err(Error::Forbidden { .. }) => Answer::Forbidden,
        Err(Error::NotAvailable { .. }) => Answer::NotInPlan,
        Err(_) => Answer::Unreachable,
    }
}

impl Answer {
    pub(crate) fn finding(self, capability: Capability) -> Finding {
        let availability = match self {
            Self::Available => Availability::Available,
            Self::Forbidden | Self::LacksScope => Availability::Forbidden,
            Self::NotInPlan => Availability::NotInPlan,
            Self::Rejected(_) | Self::NotUnderstood | Self::Cut(_) | Self::Unreachable => {
                Availability::Unknown
            }
        };
        Finding { capability, availability }
    }

    pub(crate) fn acceptance(self) -> Acceptance {
        match self {
            Self::Rejected(_) => Acceptance::Rejected,
            // Who is told what they may not do was recognized first.
            Self::Available | Self::Forbidden | Self::LacksScope | Self::NotInPlan => Acceptance::Accepted,
            Self::NotUnderstood | Self::Cut(_) | Self::Unreachable => Acceptance::Undecided,
        }
    }
}

impl Identity {
    fn of(active_domain: Option<&str>, members: &[Member]) -> Self {
        let linked = || members.iter().find_map(|member| member.workspace.as_deref());
        let domain = active_domain.map(str::trim).filter(|domain| !domain.is_empty()).or_else(linked);
        // A workspace is recognized by those who work in it, as long as there are enough.
        let (active, others): (Vec<_>, Vec<_>) =
            members.iter().partition(|member| !member.disabled && !member.pending);
        let members = active.into_iter().chain(others).map(|member| member.id).collect();
        Self { workspace: domain.map(spelled), members }
    }

    /// With what the vendor's OAuth server says, which knows best.
    pub(crate) fn told(self, workspace: Option<&str>) -> Self {
        let told = workspace.filter(|domain| !domain.trim().is_empty()).map(spelled);
        Self { workspace: told.or(self.workspace), ..self }
    }

    fn is_known(&self) -> bool {
        self.workspace.is_some() || !self.members.is_empty()
    }

    /// By whom to recognize the workspace later.
    pub(crate) fn anchors(&self) -> Vec<Uuid> {
        self.members.iter().take(ANCHORS).copied().collect()
    }

    /// Whether that member was on the first page.
    pub(crate) fn has(&self, member: &Uuid) -> bool {
        self.members.contains(member)
    }
}

fn spelled(domain: &str) -> String {
    domain.trim().to_lowercase()
}
