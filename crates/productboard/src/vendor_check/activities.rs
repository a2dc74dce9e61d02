//! What is assumed of `GET /v2/analytics/member-activities`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::Value;
use tidemark_domain::activity::{COUNTER_TABLE, Kind};
use uuid::Uuid;

use super::people::People;
use super::survey::{Answer, Survey, Unseen};
use super::{Assumption, Finding, back};

const PATH: [&str; 2] = ["analytics", "member-activities"];
/// The days that are looked at closely.
const RECENT_DAYS: u64 = 28;
/// Wide enough for all that a workspace has.
const WIDE_DAYS: u64 = 1_000;
/// One day in each of so many months tells who was there when.
const MONTHS: u64 = 12;
const DAYS_A_MONTH: u64 = 30;
const USUAL_PAGE: usize = 100;
/// Portal voters and deleted accounts have activity, too: one in so many people is no surprise.
const STRANGERS: usize = 20;
const ROW: [&str; 5] = ["date", "domain", "memberId", "role", "activeFlag"];

/// The first days on which members were seen, among the days that were looked at.
pub(super) type Earliest = BTreeMap<Uuid, NaiveDate>;

/// The first page of the last weeks, and what asking in other ways gave.
pub(super) struct Activities {
    recent: Result<Answer, Unseen>,
    date_to: Finding,
    window: Finding,
    others: Vec<Finding>,
}

/// A row, as far as it is needed here.
struct Row<'a>(&'a Value);

impl Row<'_> {
    fn day(&self) -> Option<NaiveDate> {
        self.0["date"].as_str()?.parse().ok()
    }

    fn member(&self) -> Option<Uuid> {
        Uuid::try_parse(self.0["memberId"].as_str()?).ok()
    }

    fn key(&self) -> Option<(NaiveDate, Uuid)> {
        Some((self.day()?, self.member()?))
    }

    fn count(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or(0)
    }
}

fn rows(answer: &Answer) -> impl Iterator<Item = Row<'_>> {
    answer.rows().iter().map(Row)
}

fn dates(from: NaiveDate, to: NaiveDate) -> Vec<(&'static str, String)> {
    vec![("dateFrom", from.to_string()), ("dateTo", to.to_string())]
}

fn days(answer: &Answer) -> BTreeSet<NaiveDate> {
    rows(answer).filter_map(|row| row.day()).collect()
}

fn keys(answer: &Answer) -> Vec<(NaiveDate, Uuid)> {
    rows(answer).filter_map(|row| row.key()).collect()
}

/// The first page of the last weeks.
async fn recent(survey: &mut Survey, today: NaiveDate) -> Result<Answer, Unseen> {
    let answer = survey.get(&PATH, &dates(back(today, RECENT_DAYS), back(today, 1))).await?;
    let names: Vec<_> = ROW.into_iter().chain(COUNTER_TABLE.iter().map(|counter| counter.field)).collect();
    survey.look_for("activity", &names, None, &answer);
    Ok(answer)
}

pub(super) async fn read(survey: &mut Survey, today: NaiveDate) -> Activities {
    let recent = recent(survey, today).await;
    let (date_to, window) = date_to(survey, recent.as_ref().ok()).await;
    let others = match &recent {
        Ok(recent) => vec![
            default_window(survey, today).await,
            limit(survey, today, recent).await,
            cursors(survey, today, recent).await,
            page_size(recent),
            by_date(recent),
            totals(recent),
        ],
        Err(unseen) => [
            Assumption::DefaultWindow,
            Assumption::LimitIgnored,
            Assumption::CursorsStable,
            Assumption::PageSize,
            Assumption::RowsByDate,
            Assumption::BoardTotals,
        ]
        .map(|assumption| Finding::unseen(assumption, unseen.to_string()))
        .into(),
    };
    Activities { recent, date_to, window, others }
}

/// What two or three requests show.
pub(super) async fn cheap(survey: &mut Survey, today: NaiveDate) -> Vec<Finding> {
    match recent(survey, today).await {
        Ok(recent) => <[Finding; 2]>::from(date_to(survey, Some(&recent)).await).into(),
        Err(unseen) => [Assumption::DateToInclusive, Assumption::WindowObeyed]
            .map(|assumption| Finding::unseen(assumption, unseen.to_string()))
            .into(),
    }
}

/// Asks for one day that has rows: as the last day of a window, and as the last but one.
async fn date_to(survey: &mut Survey, recent: Option<&Answer>) -> (Finding, Finding) {
    let (of_end, of_window) = (Assumption::DateToInclusive, Assumption::WindowObeyed);
    let unseen = |why: &str| (Finding::unseen(of_end, why), Finding::unseen(of_window, why));
    let Some(day) = recent.and_then(|recent| days(recent).into_iter().next_back()) else {
        return unseen("no day with activity in the last four weeks");
    };
    let alone = match survey.get(&PATH, &dates(day, day)).await {
        Ok(answer) => answer,
        Err(why) => return unseen(&why.to_string()),
    };
    if days(&alone).contains(&day) {
        return (Finding::holds(of_end, "a window of one day has its rows"), window(&alone, day, day));
    }
    let next = day.succ_opt().unwrap_or(day);
    match survey.get(&PATH, &dates(day, next)).await {
        Ok(answer) if days(&answer).contains(&day) => {
            let detail = "a window of one day is empty, and one that ends a day later has that day's rows";
            (Finding::differs(of_end, detail), window(&answer, day, next))
        }
        Ok(_) => unseen("the rows of a day did not come again"),
        Err(why) => unseen(&why.to_string()),
    }
}

fn window(answer: &Answer, from: NaiveDate, to: NaiveDate) -> Finding {
    let outside = rows(answer).filter(|row| row.day().is_none_or(|day| day < from || day > to)).count();
    let (assumption, all) = (Assumption::WindowObeyed, answer.rows().len());
    if outside == 0 {
        return Finding::holds(assumption, format!("{all} rows, all of the days asked for"));
    }
    Finding::differs(assumption, format!("{outside} of {all} rows are of other days"))
}

async fn default_window(survey: &mut Survey, today: NaiveDate) -> Finding {
    let assumption = Assumption::DefaultWindow;
    let open = survey.get(&PATH, &[]).await;
    let wide = survey.get(&PATH, &dates(back(today, WIDE_DAYS), today)).await;
    let (open, wide) = match (open, wide) {
        (Ok(open), Ok(wide)) => (open, wide),
        (Err(why), _) | (_, Err(why)) => return Finding::unseen(assumption, why.to_string()),
    };
    if wide.rows().is_empty() {
        return Finding::unseen(assumption, "no activity at all");
    }
    if keys(&open) == keys(&wide) && open.next().is_some() == wide.next().is_some() {
        return Finding::holds(assumption, "the first page is that of the last 1,000 days");
    }
    let first = days(&open).into_iter().next().map_or("no day".to_owned(), |day| day.to_string());
    Finding::differs(assumption, format!("the earliest day of the first page without dates is {first}"))
}

async fn limit(survey: &mut Survey, today: NaiveDate, recent: &Answer) -> Finding {
    let assumption = Assumption::LimitIgnored;
    let usual = recent.rows().len();
    if recent.next().is_none() {
        return Finding::unseen(assumption, "all rows fit on one page");
    }
    let mut query = dates(back(today, RECENT_DAYS), back(today, 1));
    query.push(("limit", "1000".to_owned()));
    match survey.get(&PATH, &query).await {
        Ok(answer) if answer.rows().len() == usual => {
            Finding::holds(assumption, format!("{usual} rows with it and without it"))
        }
        Ok(answer) => Finding::differs(
            assumption,
            format!("{} rows with limit=1000, {usual} without", answer.rows().len()),
        ),
        Err(why) => Finding::unseen(assumption, why.to_string()),
    }
}

async fn cursors(survey: &mut Survey, today: NaiveDate, recent: &Answer) -> Finding {
    let assumption = Assumption::CursorsStable;
    let Some(cursor) = recent.next() else {
        return Finding::unseen(assumption, "all rows fit on one page");
    };
    let query = dates(back(today, RECENT_DAYS), back(today, 1));
    let once = survey.page(&PATH, &query, &cursor).await;
    let again = survey.page(&PATH, &query, &cursor).await;
    let (once, again) = match (once, again) {
        (Ok(once), Ok(again)) => (keys(&once), keys(&again)),
        (Err(why), _) | (_, Err(why)) => return Finding::unseen(assumption, why.to_string()),
    };
    let first: BTreeSet<_> = keys(recent).into_iter().collect();
    let twice = once.iter().filter(|key| first.contains(key)).count();
    if once != again {
        return Finding::differs(assumption, "one cursor gave two different pages");
    }
    if twice > 0 {
        return Finding::differs(assumption, format!("{twice} rows of the second page were on the first"));
    }
    Finding::holds(assumption, "the second page came twice and was the same")
}

fn page_size(recent: &Answer) -> Finding {
    let (assumption, size) = (Assumption::PageSize, recent.rows().len());
    match recent.next() {
        None => Finding::unseen(assumption, format!("all {size} rows fit on one page")),
        Some(_) if size == USUAL_PAGE => Finding::holds(assumption, "the first page holds 100 rows"),
        Some(_) => Finding::differs(assumption, format!("the first page holds {size} rows")),
    }
}

fn by_date(recent: &Answer) -> Finding {
    let assumption = Assumption::RowsByDate;
    let days: Vec<_> = rows(recent).filter_map(|row| row.day()).collect();
    if days.iter().collect::<BTreeSet<_>>().len() < 2 {
        return Finding::unseen(assumption, "fewer than two days on the first page");
    }
    if days.is_sorted() {
        return Finding::holds(assumption, "oldest day first");
    }
    let newest_first = days.iter().rev().is_sorted();
    Finding::differs(assumption, if newest_first { "newest day first" } else { "days are mixed" })
}

fn totals(recent: &Answer) -> Finding {
    let assumption = Assumption::BoardTotals;
    let boards = |suffix: &str| -> Vec<&str> {
        let kinds = COUNTER_TABLE.iter().filter(|counter| counter.kind != Kind::VendorTotal);
        kinds.map(|counter| counter.field).filter(|field| field.ends_with(suffix)).collect()
    };
    let (created, opened) = (boards("BoardCreatedCount"), boards("BoardOpenedCount"));
    let (mut told, mut wrong) = (0, 0);
    for row in rows(recent) {
        for (total, kinds) in [("boardCreatedCount", &created), ("boardOpenedCount", &opened)] {
            let sum: u64 = kinds.iter().map(|kind| row.count(kind)).fold(0, u64::saturating_add);
            if sum > 0 {
                told += 1;
                wrong += u32::from(row.count(total) != sum);
            }
        }
    }
    match (told, wrong) {
        (0, _) => Finding::unseen(assumption, "no board was opened or created"),
        (_, 0) => Finding::holds(assumption, format!("{told} totals compared")),
        _ => Finding::differs(assumption, format!("{wrong} of {told} totals are not the sum")),
    }
}

/// Who was seen on one day of each month, and how early.
pub(super) async fn earliest(survey: &mut Survey, today: NaiveDate) -> Earliest {
    let mut seen = Earliest::new();
    for month in 0..MONTHS {
        let day = back(today, 2 + month * DAYS_A_MONTH);
        // Three days: one of them is a weekday, and the last may not be included.
        let Ok(answer) = survey.get(&PATH, &dates(back(day, 2), day)).await else { continue };
        for (day, member) in keys(&answer) {
            seen.entry(member).and_modify(|first| *first = day.min(*first)).or_insert(day);
        }
    }
    seen
}

impl Activities {
    pub(super) fn findings(&self, people: &People) -> Vec<Finding> {
        let mut findings = vec![self.date_to.clone(), self.window.clone(), self.own_counters()];
        findings.extend(self.others.iter().cloned());
        findings.push(self.of_members(people));
        findings
    }

    /// The roles that rows name.
    pub(super) fn roles(&self) -> BTreeSet<String> {
        let recent = self.recent.as_ref().ok();
        let roles =
            recent.into_iter().flat_map(|recent| recent.rows()).filter_map(|row| row["role"].as_str());
        roles.map(str::to_owned).collect()
    }

    fn of_members(&self, people: &People) -> Finding {
        let assumption = Assumption::ActivityOfMembers;
        let Ok(recent) = &self.recent else { return Finding::unseen(assumption, "no activity was read") };
        let active: BTreeSet<_> = rows(recent).filter_map(|row| row.member()).collect();
        if active.is_empty() || !people.is_whole() {
            return Finding::unseen(
                assumption,
                "there is no activity, or the roster is longer than a check reads",
            );
        }
        let strangers = active.iter().filter(|member| !people.has(member)).count();
        if strangers * STRANGERS <= active.len() {
            let known = active.len() - strangers;
            return Finding::holds(
                assumption,
                format!("{known} of {} people are on the roster", active.len()),
            );
        }
        Finding::differs(assumption, format!("{strangers} of {} people are not on the roster", active.len()))
    }

    fn own_counters(&self) -> Finding {
        let assumption = Assumption::OwnCounters;
        let Ok(recent) = &self.recent else { return Finding::unseen(assumption, "no activity was read") };
        let mut sums: BTreeMap<NaiveDate, Vec<u64>> = BTreeMap::new();
        for row in rows(recent) {
            let sum =
                COUNTER_TABLE.iter().map(|counter| row.count(counter.field)).fold(0, u64::saturating_add);
            if let (Some(day), true) = (row.day(), sum > 0) {
                sums.entry(day).or_default().push(sum);
            }
        }
        sums.retain(|_, sums| sums.len() > 1);
        let same = sums.values().filter(|sums| sums.iter().all(|sum| *sum == sums[0])).count();
        match (sums.len(), same) {
            (0, _) => Finding::unseen(assumption, "no day with two active people"),
            (all, same) if same == all => {
                Finding::differs(assumption, format!("on all {all} days everybody has the same sum"))
            }
            (all, _) => Finding::holds(assumption, format!("sums differ on {} days", all - same)),
        }
    }
}
