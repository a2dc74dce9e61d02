//! Tests, against one workspace, what is assumed of the vendor: much of it is known second-hand. Reads only, sends at
//! most [`MOST_REQUESTS`] requests one after the other, and tells no name, address, domain or id of what it read.
//!
//! To add an assumption: a line in [`Assumption`] and its sentences, the check in the module of what it asks, and a
//! switch in the simulator that breaks it.

mod activities;
mod answers;
mod people;
mod plans;
mod survey;

use std::fmt;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use futures::TryStreamExt;
use secrecy::SecretString;
use url::Url;

use self::survey::Survey;
use crate::{Client, Error, MembersQuery, Options, metrics};

/// How many requests a whole check sends at most.
pub const MOST_REQUESTS: u32 = 60;
/// How many requests the cheap checks send at most.
pub const MOST_QUICK: u32 = 8;

macro_rules! assumptions {
    ($($(#[doc = $doc:literal])* $name:ident = $id:literal: $statement:literal, else $consequence:literal;)*) => {
        /// What is assumed of the vendor and decides a number or a verdict.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Assumption {
            $($(#[doc = $doc])* $name,)*
        }

        impl Assumption {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in JSON and in metrics.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What is assumed.
            pub fn statement(self) -> &'static str {
                match self { $(Self::$name => $statement,)* }
            }

            /// What the product does where it does not hold.
            pub fn consequence(self) -> &'static str {
                match self { $(Self::$name => $consequence,)* }
            }
        }
    };
}

assumptions! {
    /// Days.
    DateToInclusive = "date_to_inclusive": "dateTo is the last day of the answer",
        else "each request asks for one day more than it counts as read";
    /// Days.
    WindowObeyed = "window_obeyed": "dateFrom and dateTo decide which days come",
        else "rows of other days are dropped";
    /// Days.
    DefaultWindow = "default_window": "without dates, all days come",
        else "nothing: every request carries both dates";
    /// Days.
    RowsByDate = "rows_by_date": "activity comes in the order of its days",
        else "nothing: rows are read in any order";
    /// Pages.
    PageSize = "page_size": "a page of activity holds 100 rows",
        else "nothing: pages of any size are read";
    /// Pages.
    LimitIgnored = "limit_ignored": "the parameter limit changes nothing on analytics",
        else "nothing: the parameter is not sent";
    /// Pages.
    CursorsStable = "cursors_stable": "the same cursor gives the same page, and pages do not overlap",
        else "rows that come twice count once; a list that loses rows is not believed";
    /// Counters.
    BoardTotals = "board_totals": "the two board totals are the sums of the five kinds of boards",
        else "nothing: totals are summed from the kinds";
    /// Counters.
    OwnCounters = "own_counters": "each member's counters are the member's own",
        else "the flag repeated_totals is set and numbers per seat are withheld";
    /// People.
    RosterOldestFirst = "roster_oldest_first": "members are listed oldest first",
        else "joining dates are not derived from the order of the roster";
    /// People.
    RosterWhole = "roster_whole": "disabled and pending members come when they are asked for",
        else "members that stop being listed count as gone; disabled seats are not seen";
    /// People.
    ActivityOfMembers = "activity_of_members": "at least 95% of the people with activity are on the roster",
        else "rows of people who are not on the roster are kept and counted apart";
    /// People.
    RolesKnown = "roles_known": "every role is admin, maker (editor), contributor or viewer, in any case",
        else "members with another role are counted apart, and the flag unknown_role is set";
    /// Fields.
    FieldsKnown = "fields_known": "no row has fields that the reference does not name",
        else "unknown fields are ignored and listed under data quality";
    /// Searches.
    SearchByUpdated = "search_by_updated": "a search by updatedAt finds all that changed, and nothing older",
        else "a whole list is read when a search misses what is known to have changed";
    /// Searches.
    SearchWithoutType = "search_without_type": "a search without a type finds all types",
        else "nothing: each type is searched on its own";
    /// Searches.
    ObjectivesSearched = "objectives_searched": "a search finds objectives",
        else "nothing: objectives are always listed";
    /// Searches.
    NotesByUpdated = "notes_by_updated": "notes are listed by updatedFrom, and nothing older comes",
        else "a whole list is read when a filtered one misses what is known to have changed";
    /// Answers.
    UnknownRoute = "unknown_route": "an unknown path answers 404 route.notFound",
        else "a route that was taken away may be shown as not in the plan";
    /// Answers.
    UnknownResource = "unknown_resource": "an unknown id answers 404 resource.notFound",
        else "nothing: any 404 for an id means that it is gone";
    /// Answers.
    Refusals = "refusals": "a request without a valid key is answered 401 in a known form",
        else "the reason for a refused key is shown without the likely cause";
    /// Answers.
    RateHeaders = "rate_headers": "answers name a rate limit of 50 requests a second",
        else "the pace is 50 requests a second until the vendor answers 429, or as the headers say where that is less";
}

/// What was found of an assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds here.
    Holds,
    /// It does not hold here.
    Differs,
    /// The workspace shows neither.
    Unseen,
}

impl Outcome {
    /// For people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "does not hold",
            Self::Unseen => "could not be seen",
        }
    }

    /// Whether it holds, where that was seen.
    pub fn holds(self) -> Option<bool> {
        match self {
            Self::Holds => Some(true),
            Self::Differs => Some(false),
            Self::Unseen => None,
        }
    }
}

/// One assumption, held against a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was assumed.
    pub assumption: Assumption,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What was seen, in counts and words of the API; no personal data.
    pub detail: String,
}

/// What was seen; where the assumption does not hold, a sentence for a person.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { assumption, outcome, detail } = self;
        if *outcome != Outcome::Differs {
            return f.write_str(detail);
        }
        let (statement, consequence) = (assumption.statement(), assumption.consequence());
        write!(f, "Assumed of Productboard: {statement}. Here it does not hold ({detail}); {consequence}")
    }
}

impl Finding {
    /// What the rows of a sync prove of [`Assumption::DateToInclusive`].
    pub fn of_date_to(is_inclusive: bool) -> Self {
        let finding = if is_inclusive {
            Self::holds(Assumption::DateToInclusive, "rows of the last day came")
        } else {
            Self::differs(Assumption::DateToInclusive, "rows of the last day came only with a day more")
        };
        metrics::found(&finding);
        finding
    }

    fn holds(assumption: Assumption, detail: impl Into<String>) -> Self {
        Self { assumption, outcome: Outcome::Holds, detail: detail.into() }
    }

    fn differs(assumption: Assumption, detail: impl Into<String>) -> Self {
        Self { assumption, outcome: Outcome::Differs, detail: detail.into() }
    }

    fn unseen(assumption: Assumption, detail: impl Into<String>) -> Self {
        Self { assumption, outcome: Outcome::Unseen, detail: detail.into() }
    }
}

/// All findings about a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorReport {
    /// One for each assumption, in the order of [`Assumption::ALL`].
    pub findings: Vec<Finding>,
    /// How many requests it took.
    pub requests: u32,
}

/// Holds every assumption against the workspace of that token. `progress` hears what is asked next.
///
/// # Errors
///
/// Where the client cannot be set up, and [`Error::Rejected`] or [`Error::Unreachable`] where the first request says
/// that nothing can be learned.
pub async fn vendor_check(
    base_url: &Url,
    token: &SecretString,
    options: &Options,
    today: NaiveDate,
    progress: impl Fn(&'static str),
) -> Result<VendorReport, Error> {
    let mut survey = Survey::new(base_url, token, options)?;
    progress("members");
    first_request(base_url, token, options).await?;
    let people = people::read(&mut survey).await;
    progress("activity");
    let activities = activities::read(&mut survey, today).await;
    progress("activity of earlier months");
    let seen = activities::earliest(&mut survey, today).await;
    progress("answers to requests that cannot succeed");
    let mut findings = answers::check(&mut survey).await;
    progress("entities and notes");
    findings.extend(plans::check(&mut survey).await);
    findings.extend(activities.findings(&people));
    findings.extend(people.findings(&activities, &seen));
    findings.push(survey.fields_known());
    findings.sort_by_key(|finding| finding.assumption);
    Ok(VendorReport { findings, requests: survey.sent() + 1 })
}

/// The cheap checks, for every workspace that is connected, of what decides a number or a verdict: which days an answer
/// has, whether the roster is whole, and what an unknown path answers. [`MOST_QUICK`] requests at most, of a budget that is given or shared, and none longer
/// than `deadline` in all; what could not be asked could not be seen.
///
/// # Errors
///
/// Where the client cannot be set up.
pub async fn quick_check(
    base_url: &Url,
    token: &SecretString,
    options: &Options,
    today: NaiveDate,
    deadline: Duration,
) -> Result<Vec<Finding>, Error> {
    let mut survey = Survey::new(base_url, token, options)?.short(MOST_QUICK, deadline);
    let mut findings = activities::cheap(&mut survey, today).await;
    findings.push(people::cheap(&mut survey).await);
    findings.push(answers::cheap(&mut survey).await);
    findings.iter().for_each(metrics::found);
    Ok(findings)
}

/// Says with the client's own errors where nothing can be learned. What one list lacks, the findings say.
async fn first_request(base_url: &Url, token: &SecretString, options: &Options) -> Result<(), Error> {
    let client = Client::new(base_url, token.clone(), options.clone())?;
    match client.members(&MembersQuery::everyone(), None).try_next().await {
        Err(error @ (Error::Rejected { .. } | Error::Unreachable { .. } | Error::RateLimited { .. })) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn back(from: NaiveDate, days: u64) -> NaiveDate {
    from.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
}
