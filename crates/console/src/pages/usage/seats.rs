//! Seats: searched, filtered, sorted, in pages. All of it stands in the page's address.

use askama::Template;
use axum::extract::{Path, Query};
use serde::Deserialize;
use tidemark_domain::rollup::SeatState;
use tidemark_rpc::utilization::{ListCutsRequest, ListSeatsRequest, SeatSort};

use super::{Frame, Tab};
use crate::{
    page::{self, Answer, Chrome},
    view::{basis::Basis, grouped, seat::Seat, sentence, usage::Group},
    visitor::Visitor,
};

const PAGE: u32 = 50;
const ROLES: [&str; 4] = ["admin", "maker", "contributor", "viewer"];
const TIERS: [&str; 3] = ["certain", "probable", "review"];

/// What is asked for, as the address says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Search {
    text: String,
    state: String,
    role: String,
    tier: String,
    team: String,
    paid: String,
    sort: String,
    page: String,
    /// How many seats are on the pages before.
    before: u32,
}

/// A choice in a list.
struct Choice {
    value: String,
    name: String,
    is_chosen: bool,
}

/// A column by which seats are sorted.
struct Column {
    name: &'static str,
    /// To the same seats sorted by it, and the other way round where they are already.
    address: String,
    /// `ascending`, `descending`; empty where they are not sorted by it.
    order: &'static str,
}

#[derive(Template)]
#[template(path = "usage/seats.html")]
struct Seats {
    chrome: Chrome,
    frame: Frame,
    basis: Basis,
    search: Search,
    states: Vec<Choice>,
    roles: Vec<Choice>,
    tiers: Vec<Choice>,
    teams: Vec<Choice>,
    columns: Vec<Column>,
    seats: Vec<Seat>,
    /// Covered days of the 28 that seats are shown by; none where all are.
    covered_in_part: Option<u32>,
    total: String,
    first: String,
    last: String,
    start: String,
    /// Empty on the last page.
    next: String,
}

impl Search {
    fn is_empty(&self) -> bool {
        let Self { text, state, role, tier, team, paid, .. } = self;
        [text, state, role, tier, team, paid].iter().all(|field| field.is_empty())
    }

    fn is_paid_only(&self) -> bool {
        !self.paid.is_empty()
    }

    /// Name and direction: a `-` in front is largest first.
    fn order(&self) -> (&str, bool) {
        self.sort.strip_prefix('-').map_or((self.sort.as_str(), false), |name| (name, true))
    }

    fn request(&self, connection_id: String) -> ListSeatsRequest {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty()).into_iter().collect();
        let (by, descending) = self.order();
        let sort = match by {
            "name" => SeatSort::Name,
            "active" => SeatSort::LastActive,
            "days" => SeatSort::ActiveDays,
            "state" => SeatSort::State,
            _ => SeatSort::Unspecified,
        };
        ListSeatsRequest {
            connection_id,
            states: some(&self.state),
            roles: some(&self.role),
            team_id: self.team.clone(),
            paid_only: self.is_paid_only(),
            tiers: some(&self.tier),
            text: self.text.trim().to_owned(),
            sort: sort.into(),
            descending,
            page_size: PAGE,
            page_token: self.page.clone(),
            ..Default::default()
        }
    }

    /// The query of the same search: sorted by that, at that page.
    fn query(&self, sort: &str, page: &str, before: u32) -> String {
        let before = if before == 0 { String::new() } else { before.to_string() };
        let pairs = [
            ("text", self.text.as_str()),
            ("state", &self.state),
            ("role", &self.role),
            ("tier", &self.tier),
            ("team", &self.team),
            ("paid", &self.paid),
            ("sort", sort),
            ("page", page),
            ("before", &before),
        ];
        let given = pairs.iter().filter(|(_, value)| !value.is_empty());
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
    }

    fn column(&self, name: &'static str, sort: &'static str, home: &str) -> Column {
        let (by, descending) = self.order();
        let order = match (by == sort, descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        let next = if order == "ascending" { format!("-{sort}") } else { sort.to_owned() };
        Column { name, address: format!("{home}?{}", self.query(&next, "", 0)), order }
    }
}

fn choices<'a>(values: impl IntoIterator<Item = &'a str>, chosen: &str) -> Vec<Choice> {
    let choice =
        |value: &str| Choice { value: value.to_owned(), name: sentence(value), is_chosen: value == chosen };
    values.into_iter().map(choice).collect()
}

pub(crate) async fn list(visitor: Visitor, Path(id): Path<String>, Query(search): Query<Search>) -> Answer {
    let client = || visitor.services.utilization.utilization();
    let teams = async {
        let request =
            ListCutsRequest { connection_id: id.clone(), kind: "team".to_owned(), ..Default::default() };
        Ok(client().list_cuts(request).await?.into_inner().cuts)
    };
    let seats = async { Ok(client().list_seats(search.request(id.clone())).await?.into_inner()) };
    let (frame, teams, listed) = tokio::try_join!(Frame::of(&visitor, &id, Tab::Seats), teams, seats)?;
    let teams = teams.into_iter().map(Group::from).map(|team| Choice {
        is_chosen: team.key == search.team,
        value: team.key,
        name: team.name,
    });
    let home = frame.address(Tab::Seats);
    let columns =
        [("Name", "name"), ("State", "state"), ("Active days in 28", "days"), ("Last active", "active")];
    let columns = columns.map(|(name, sort)| search.column(name, sort, &home));
    let shown = u32::try_from(listed.seats.len()).unwrap_or(u32::MAX);
    let last = search.before.saturating_add(shown);
    let next = match listed.next_page_token.as_str() {
        "" => String::new(),
        token => format!("{home}?{}", search.query(&search.sort, token, last)),
    };
    let seats: Vec<_> = listed.seats.into_iter().map(Seat::from).collect();
    page::show(&Seats {
        chrome: frame.chrome(&visitor),
        basis: listed.basis.map(Basis::from).unwrap_or_default(),
        states: choices(SeatState::ALL.map(SeatState::as_str), &search.state),
        roles: choices(ROLES, &search.role),
        tiers: choices(TIERS, &search.tier),
        teams: teams.collect(),
        columns: columns.into(),
        covered_in_part: seats.first().and_then(|seat| seat.covered_in_part),
        seats,
        total: grouped(listed.total.into()),
        first: grouped(u64::from(search.before) + 1),
        last: grouped(last.into()),
        start: format!("{home}?{}", search.query(&search.sort, "", 0)),
        next,
        frame,
        search,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_keeps_what_was_asked_for_on_its_way_through_the_pages() {
        let search = Search { text: "a b".to_owned(), sort: "-days".to_owned(), ..Search::default() };
        assert_eq!(search.query(&search.sort, "token", 50), "text=a+b&sort=-days&page=token&before=50");
        let request = search.request("conn".to_owned());
        assert_eq!((request.sort(), request.descending), (SeatSort::ActiveDays, true));
        assert!(request.states.is_empty() && request.team_id.is_empty());
        assert!(Search::default().is_empty() && !search.is_empty());
    }

    #[test]
    fn a_column_turns_its_own_order_round() {
        let search = Search { sort: "name".to_owned(), ..Search::default() };
        let column = search.column("Name", "name", "/seats");
        assert_eq!((column.order, column.address.as_str()), ("ascending", "/seats?sort=-name"));
        let column = search.column("State", "state", "/seats");
        assert_eq!((column.order, column.address.as_str()), ("", "/seats?sort=state"));
    }
}
