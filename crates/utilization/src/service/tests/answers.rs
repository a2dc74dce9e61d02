//! Each answer over gRPC: what it says, what it refuses by which field, and what it hides from whom.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::utilization as wire;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;

/// A process whose sample has been rolled up.
async fn ready() -> (Sample, Process) {
    let sample = Sample::new(0..DAYS).await;
    let process = Process::start(sample.store(), InprocBus::new());
    process.announce(&sample.completed()).await;
    process.summary(&sample.connection).await;
    (sample, process)
}

fn id(sample: &Sample) -> String {
    sample.connection.to_string()
}

fn field(status: &Status) -> String {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    status.get_details_bad_request().unwrap().field_violations[0].field.clone()
}

fn cut(kind: &str, key: &str) -> Option<wire::Cut> {
    Some(wire::Cut { kind: kind.to_owned(), key: key.to_owned(), name: String::new() })
}

#[tokio::test]
async fn a_trend_ends_where_the_summary_stands() {
    let (sample, process) = ready().await;
    let ask = async |request: wire::GetTrendRequest| {
        process.client.clone().get_trend(request).await.map(Response::into_inner)
    };
    let asked = || wire::GetTrendRequest { connection_id: id(&sample), ..Default::default() };
    let trend = ask(asked()).await.unwrap();
    assert_eq!(trend.points.len(), 90, "90 days where nothing is said");
    let last = trend.points.last().unwrap();
    assert_eq!(last.window, Some(sample.expected().windows[2].clone()));
    assert_eq!(last.day, trend.basis.unwrap().as_of);
    let week =
        wire::GetTrendRequest { window_days: 7, from: at(3).to_string(), to: at(9).to_string(), ..asked() };
    assert_eq!(ask(week).await.unwrap().points.len(), 7);

    let wrong = [
        ("window_days", wire::GetTrendRequest { window_days: 5, ..asked() }),
        ("cut", wire::GetTrendRequest { cut: cut("team", "nobody"), ..asked() }),
        ("from", wire::GetTrendRequest { from: "2026-1-1".to_owned(), ..asked() }),
        ("to", wire::GetTrendRequest { to: "tomorrow".to_owned(), ..asked() }),
        ("from", wire::GetTrendRequest { from: at(9).to_string(), to: at(3).to_string(), ..asked() }),
        ("from", wire::GetTrendRequest { from: "1990-01-01".to_owned(), ..asked() }),
    ];
    for (name, request) in wrong {
        assert_eq!(field(&ask(request).await.unwrap_err()), name);
    }
    process.stop().await;
}

#[tokio::test]
async fn role_cuts_add_up_to_everybody() {
    let (sample, process) = ready().await;
    let request =
        wire::ListCutsRequest { connection_id: id(&sample), kind: "role".to_owned(), ..Default::default() };
    let cuts = process.client.clone().list_cuts(request).await.unwrap().into_inner().cuts;
    let expected = &sample.expected().windows[2];
    let sum = |number: fn(&wire::WindowUse) -> u32| {
        cuts.iter().map(|it| number(it.window.as_ref().unwrap())).sum::<u32>()
    };
    assert_eq!(sum(|it| it.assigned_seats), expected.assigned_seats);
    assert_eq!(sum(|it| it.active_members), expected.active_members);
    let request = wire::GetFeatureAdoptionRequest {
        connection_id: id(&sample),
        cut: cut("role", "maker"),
        ..Default::default()
    };
    let adoption = process.client.clone().get_feature_adoption(request).await.unwrap().into_inner();
    let maker = cuts.iter().find(|it| it.cut.as_ref().unwrap().key == "maker").unwrap();
    assert_eq!(adoption.windows[1], *maker.window.as_ref().unwrap());
    process.stop().await;
}

async fn pages(process: &Process, asked: wire::ListSeatsRequest) -> Vec<wire::Seat> {
    let (mut seats, mut asked) = (Vec::new(), asked);
    loop {
        let page = process.client.clone().list_seats(asked.clone()).await.unwrap().into_inner();
        seats.extend(page.seats);
        if page.next_page_token.is_empty() {
            assert_eq!(page.total as usize, seats.len());
            return seats;
        }
        asked.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn seats_come_filtered_sorted_and_each_once() {
    let (sample, process) = ready().await;
    let asked = || wire::ListSeatsRequest { connection_id: id(&sample), page_size: 37, ..Default::default() };
    let all = pages(&process, asked()).await;
    assert_eq!(all.len(), sample.expected().members as usize);
    assert_eq!(all.iter().map(|seat| &seat.member_id).collect::<BTreeSet<_>>().len(), all.len());

    let sort = wire::SeatSort::LastActive.into();
    let dormant = wire::ListSeatsRequest {
        states: vec!["dormant".to_owned(), "never_seen".to_owned()],
        paid_only: true,
        sort,
        descending: true,
        ..asked()
    };
    let idle = pages(&process, dormant.clone()).await;
    let states = &sample.expected().seat_states;
    let expected: u32 =
        states.iter().filter(|it| ["dormant", "never_seen"].contains(&&*it.state)).map(|it| it.seats).sum();
    assert_eq!(idle.len(), expected as usize);
    let days: Vec<_> = idle.iter().map(|seat| seat.last_active_day.clone()).collect();
    let mut sorted = days.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(days, sorted);

    let ask = async |request| process.client.clone().list_seats(request).await.map(Response::into_inner);
    let first = ask(dormant.clone()).await.unwrap();
    let token = || first.next_page_token.clone();
    for other in [
        asked(),
        wire::ListSeatsRequest { exempt_only: true, ..dormant.clone() },
        wire::ListSeatsRequest { member_id: all[0].member_id.clone(), ..dormant.clone() },
        wire::ListSeatsRequest { descending: false, ..dormant.clone() },
    ] {
        let other = wire::ListSeatsRequest { page_token: token(), ..other };
        assert_eq!(field(&ask(other).await.unwrap_err()), "page_token", "of another question");
    }

    let active = all.iter().find(|seat| seat.uses[0].active_days > 0).unwrap();
    let one = wire::ListSeatsRequest { member_id: active.member_id.clone(), weeks: true, ..asked() };
    let one = ask(one).await.unwrap();
    let [seat] = &one.seats[..] else { panic!("{one:?}") };
    assert_eq!(one.total, 1);
    assert_eq!(wire::Seat { active_days_by_week: Vec::new(), ..seat.clone() }, *active);
    let weeks = &seat.active_days_by_week;
    assert_eq!((weeks.len(), weeks[12]), (13, seat.uses[0].active_days));
    assert_eq!(weeks[9..].iter().sum::<u32>(), seat.uses[1].active_days);
    for (name, wrong) in [
        ("states", wire::ListSeatsRequest { states: vec!["lazy".to_owned()], ..asked() }),
        ("tiers", wire::ListSeatsRequest { tiers: vec!["maybe".to_owned()], ..asked() }),
        ("member_id", wire::ListSeatsRequest { member_id: "x".to_owned(), ..asked() }),
        ("team_id", wire::ListSeatsRequest { team_id: "x".to_owned(), ..asked() }),
        ("sort", wire::ListSeatsRequest { sort: 99, ..asked() }),
        ("page_token", wire::ListSeatsRequest { page_token: "x".to_owned(), ..asked() }),
    ] {
        assert_eq!(field(&ask(wrong).await.unwrap_err()), name);
    }
    process.stop().await;
}

fn contract(purchased: u32) -> wire::Contract {
    wire::Contract {
        purchased_seats: Some(purchased),
        price_per_seat_month: Some(wire::Money { minor: 2_000, currency: "eur".to_owned() }),
        minimum_seats: Some(100),
        renewal_date: at(DAYS + 300).to_string(),
        target_percent: None,
    }
}

#[tokio::test]
async fn a_contract_gives_every_number_its_price() {
    let (sample, process) = ready().await;
    let mut client = process.client.clone();
    let early = wire::PreviewRenewalRequest { connection_id: id(&sample), drop_seats: 10 };
    let refused = client.preview_renewal(early.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let set = wire::SetContractRequest { connection_id: id(&sample), contract: Some(contract(600)) };
    client.set_contract(set).await.unwrap();
    let asked = wire::GetContractRequest { connection_id: id(&sample) };
    let kept = client.get_contract(asked).await.unwrap().into_inner().contract.unwrap();
    assert_eq!(kept.price_per_seat_month.unwrap().currency, "EUR");

    let asked = GetSummaryRequest { connection_id: id(&sample) };
    let summary = client.get_summary(asked).await.unwrap().into_inner().summary.unwrap();
    let (month, savings) = (&summary.windows[2], summary.savings.as_ref().unwrap());
    assert_eq!(summary.allocation.as_ref().unwrap().denominator, Some(600));
    assert_eq!(month.purchased_utilization.as_ref().unwrap().denominator, Some(600));
    let idle = &summary.idle[1];
    assert_eq!(idle.cost_per_month.as_ref().unwrap().minor, u64::from(month.idle_seats) * 2_000);
    let cost = summary.cost_per_active_seat.as_ref().unwrap().minor;
    assert_eq!(cost, u64::from(month.assigned_seats) * 2_000 / u64::from(month.active_seats));
    let free = savings.certain + savings.probable;
    assert!(free > 0 && savings.reassignable_now == free);
    assert_eq!(savings.droppable_at_renewal, Some(free.min(500)));
    assert_eq!(savings.saving_at_renewal.as_ref().unwrap().minor, u64::from(free.min(500)) * 2_000 * 12);

    let what = client.preview_renewal(early).await.unwrap().into_inner();
    assert_eq!((what.dropped_seats, what.purchased_seats), (10, 590));
    assert_eq!(what.saving_per_year.unwrap().minor, 10 * 2_000 * 12);

    let listed = wire::ListRecommendationsRequest { connection_id: id(&sample), ..Default::default() };
    let list = client.list_recommendations(listed).await.unwrap().into_inner();
    assert_eq!(list.savings, summary.savings, "the same money on both screens");
    let seat = list.recommendations[0].seat.as_ref().unwrap();
    assert!(!seat.first_seen_day.is_empty() && seat.covered_days_90 == 90, "with its evidence");
    process.stop().await;
}

#[tokio::test]
async fn a_contract_that_makes_no_sense_is_refused_by_its_field() {
    let (sample, process) = ready().await;
    let right = contract(600);
    let money = |minor, currency: &str| Some(wire::Money { minor, currency: currency.to_owned() });
    for (name, wrong) in [
        ("contract.minimum_seats", wire::Contract { minimum_seats: Some(601), ..right.clone() }),
        ("contract.purchased_seats", wire::Contract { purchased_seats: Some(u32::MAX), ..right.clone() }),
        (
            "contract.price_per_seat_month",
            wire::Contract { price_per_seat_month: money(1, "EURO"), ..right.clone() },
        ),
        (
            "contract.price_per_seat_month",
            wire::Contract { price_per_seat_month: money(u64::MAX, "EUR"), ..right.clone() },
        ),
        ("contract.renewal_date", wire::Contract { renewal_date: "soon".to_owned(), ..right.clone() }),
        ("contract.target_percent", wire::Contract { target_percent: Some(0), ..right.clone() }),
    ] {
        let request = wire::SetContractRequest { connection_id: id(&sample), contract: Some(wrong) };
        assert_eq!(field(&process.client.clone().set_contract(request).await.unwrap_err()), name);
    }
    let nothing = wire::SetContractRequest { connection_id: id(&sample), contract: None };
    assert_eq!(field(&process.client.clone().set_contract(nothing).await.unwrap_err()), "contract");
    process.stop().await;
}

#[tokio::test]
async fn a_recommendation_is_accepted_by_somebody_until_it_is_undone() {
    let (sample, process) = ready().await;
    let mut client = process.client.clone();
    let listed = wire::ListRecommendationsRequest { connection_id: id(&sample), ..Default::default() };
    let first = async || {
        let list = process.client.clone().list_recommendations(listed.clone()).await.unwrap().into_inner();
        list.recommendations[0].seat.clone().unwrap()
    };
    let seat = first().await;
    assert_eq!(seat.acceptance, None);
    let accept = wire::AcceptRecommendationRequest {
        connection_id: id(&sample),
        member_id: seat.member_id.clone(),
        action: seat.action.clone(),
        actor: " Ada ".to_owned(),
    };
    let accepted = client.accept_recommendation(accept.clone()).await.unwrap().into_inner().acceptance;
    assert_eq!(accepted.as_ref().unwrap().by, "Ada");
    assert_eq!(first().await.acceptance, accepted);
    let asked = wire::ListSeatsRequest {
        connection_id: id(&sample),
        member_id: seat.member_id.clone(),
        ..Default::default()
    };
    let alone = client.list_seats(asked).await.unwrap().into_inner();
    assert_eq!((alone.total, alone.seats.len()), (1, 1), "one member is asked for");
    assert_eq!(alone.seats[0].acceptance, accepted);

    let withdraw =
        wire::WithdrawAcceptanceRequest { connection_id: id(&sample), member_id: seat.member_id.clone() };
    client.withdraw_acceptance(withdraw.clone()).await.unwrap();
    assert_eq!(first().await.acceptance, None);
    assert_eq!(client.withdraw_acceptance(withdraw).await.unwrap_err().code(), Code::NotFound);

    let other = wire::AcceptRecommendationRequest { action: "review_viewer".to_owned(), ..accept.clone() };
    let refused = client.accept_recommendation(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "another action than the one that was shown: {refused}");
    for (name, wrong) in [
        ("member_id", wire::AcceptRecommendationRequest { member_id: "x".to_owned(), ..accept.clone() }),
        ("actor", wire::AcceptRecommendationRequest { actor: " ".to_owned(), ..accept }),
    ] {
        assert_eq!(field(&client.accept_recommendation(wrong).await.unwrap_err()), name);
    }
    process.stop().await;
}

#[tokio::test]
async fn an_exempt_seat_is_shown_and_not_recommended() {
    let (sample, process) = ready().await;
    let mut client = process.client.clone();
    let listed = || wire::ListRecommendationsRequest { connection_id: id(&sample), ..Default::default() };
    let before = client.list_recommendations(listed()).await.unwrap().into_inner().recommendations;
    let member_id = before[0].seat.as_ref().unwrap().member_id.clone();
    let recommended = async |member: &str| {
        let list = process.client.clone().list_recommendations(listed()).await.unwrap().into_inner();
        list.recommendations.iter().any(|it| it.seat.as_ref().unwrap().member_id == member)
    };
    let set = wire::SetExemptionRequest {
        connection_id: id(&sample),
        member_id: member_id.clone(),
        reason: "on parental leave".to_owned(),
        until: at(DAYS + 30).to_string(),
    };
    client.set_exemption(set.clone()).await.unwrap();
    until(async || (!recommended(&member_id).await).then_some(())).await;
    let asked = wire::ListSeatsRequest { connection_id: id(&sample), page_size: 1_000, ..Default::default() };
    let seats = client.list_seats(asked).await.unwrap().into_inner().seats;
    let seat = seats.iter().find(|seat| seat.member_id == member_id).unwrap();
    assert_eq!(seat.exemption.as_ref().unwrap().reason, "on parental leave");
    assert_eq!((seat.tier.as_str(), seat.action.as_str()), ("", ""));
    let asked =
        wire::ListSeatsRequest { connection_id: id(&sample), exempt_only: true, ..Default::default() };
    let exempt = client.list_seats(asked).await.unwrap().into_inner().seats;
    assert_eq!(exempt.iter().map(|seat| &seat.member_id).collect::<Vec<_>>(), [&member_id]);

    let end = wire::EndExemptionRequest { connection_id: id(&sample), member_id: member_id.clone() };
    client.end_exemption(end.clone()).await.unwrap();
    until(async || recommended(&member_id).await.then_some(())).await;
    assert_eq!(client.end_exemption(end).await.unwrap_err().code(), Code::NotFound);
    let asked = wire::ListExemptionsRequest { connection_id: id(&sample), holding_only: false };
    let all = client.list_exemptions(asked).await.unwrap().into_inner().exemptions;
    assert!(matches!(&all[..], [one] if !one.holds && one.ended_at.is_some()), "{all:?}");

    for (name, wrong) in [
        ("member_id", wire::SetExemptionRequest { member_id: "x".to_owned(), ..set.clone() }),
        ("reason", wire::SetExemptionRequest { reason: " ".to_owned(), ..set.clone() }),
        ("until", wire::SetExemptionRequest { until: String::new(), ..set.clone() }),
        ("until", wire::SetExemptionRequest { until: at(DAYS - 1).to_string(), ..set.clone() }),
        ("until", wire::SetExemptionRequest { until: at(DAYS + 900).to_string(), ..set.clone() }),
    ] {
        assert_eq!(field(&client.set_exemption(wrong).await.unwrap_err()), name);
    }
    let stranger = wire::SetExemptionRequest { member_id: uuid::Uuid::from_u128(9_999).to_string(), ..set };
    assert_eq!(client.set_exemption(stranger).await.unwrap_err().code(), Code::NotFound);
    process.stop().await;
}

#[tokio::test]
async fn coverage_names_its_gaps() {
    let sample = Sample::new((0..DAYS).filter(|day| !(50..53).contains(day) && *day != 60)).await;
    let process = Process::start(sample.store(), InprocBus::new());
    process.announce(&sample.completed()).await;
    process.summary(&sample.connection).await;
    let asked = wire::GetCoverageRequest { connection_id: id(&sample) };
    let coverage = process.client.clone().get_coverage(asked).await.unwrap().into_inner();
    let gaps: Vec<_> = coverage.gaps.iter().map(|gap| (gap.from.clone(), gap.to.clone())).collect();
    let days = |from, to| (at(from).to_string(), at(to).to_string());
    assert_eq!(gaps, [days(50, 52), days(60, 60)]);
    let share = coverage.windows[2].coverage.as_ref().unwrap();
    assert_eq!((share.numerator, share.denominator), (86, Some(90)));
    assert_eq!(coverage.settled_until, at(DAYS - 3).to_string());
    process.stop().await;
}

#[tokio::test]
async fn old_numbers_say_so() {
    let (sample, process) = ready().await;
    let basis = async |today: u64| {
        let desk = Desk { clock: Arc::new(ManualClock::noon(at(today))), ..Desk::of(&sample) };
        desk.ground().await.unwrap().wire()
    };
    assert!(!basis(DAYS + 2).await.stale);
    let old = basis(DAYS + 3).await;
    assert!(old.stale && old.stale_reason.contains("no newer day"), "{old:?}");
    sample.lose_key().await;
    let lost = basis(DAYS).await;
    assert!(lost.stale && lost.stale_reason.contains("reconnected"), "{lost:?}");
    process.stop().await;
}

/// What a limited caller may not see is not there, whatever is asked.
#[tokio::test]
async fn another_organizations_numbers_are_not_there() {
    let sample = Sample::new(0..DAYS).await;
    let other = OrganizationId::generate(&sample.clock, &SeededEntropy::new(99));
    let caller = Identity::new("limited", Some(BTreeSet::from([other])));
    let refused = Desk::of(&sample).check_seen(&caller).await.unwrap_err();
    assert_eq!(refused.into_status(sample.connection.as_str()).code(), Code::NotFound);
    let own = sample.store().organization_of(&sample.connection).await.unwrap().unwrap();
    let caller = Identity::new("limited", Some(BTreeSet::from([own])));
    Desk::of(&sample).check_seen(&caller).await.unwrap();
}

/// The whole file, and the day it is as of.
pub(crate) async fn exported(
    process: &Process,
    sample: &Sample,
    table: wire::ExportTable,
    format: wire::ExportFormat,
) -> (Vec<u8>, NaiveDate) {
    let request = wire::ExportRequest {
        connection_id: id(sample),
        table: table.into(),
        format: format.into(),
        ..Default::default()
    };
    let mut stream = process.client.clone().export(request).await.unwrap().into_inner();
    let (mut bytes, mut as_of) = (Vec::new(), None);
    while let Some(part) = stream.message().await.unwrap() {
        assert!(part.chunk.len() <= 64 * 1024);
        as_of = as_of.or(part.basis.map(|basis| basis.as_of.parse().unwrap()));
        bytes.extend(part.chunk);
    }
    (bytes, as_of.unwrap())
}

#[tokio::test]
async fn an_export_without_a_table_is_refused() {
    let (sample, process) = ready().await;
    let asked = wire::ExportRequest { connection_id: id(&sample), ..Default::default() };
    let refused = process.client.clone().export(asked.clone()).await.unwrap_err();
    assert_eq!(field(&refused), "table");
    let request = wire::ExportRequest { table: 3, format: 9, ..asked };
    assert_eq!(field(&process.client.clone().export(request).await.unwrap_err()), "format");
    process.stop().await;
}

#[tokio::test]
async fn the_export_equals_the_screen() {
    let (sample, process) = ready().await;
    let asked = wire::ListSeatsRequest { connection_id: id(&sample), page_size: 1_000, ..Default::default() };
    let seats = pages(&process, asked).await;
    let (file, as_of) = exported(&process, &sample, wire::ExportTable::Seats, wire::ExportFormat::Csv).await;
    let mut reader = csv::Reader::from_reader(&file[..]);
    let rows: Vec<std::collections::HashMap<String, String>> =
        reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), seats.len());
    for (row, seat) in rows.iter().zip(&seats) {
        let depth = seat.uses[2].depth.as_ref().unwrap().value.map(|value| value.to_string());
        let shown = [
            ("member_id", seat.member_id.clone()),
            ("role", seat.role.clone()),
            ("state", seat.state.clone()),
            ("last_active_day", seat.last_active_day.clone()),
            ("active_days_28", seat.uses[1].active_days.to_string()),
            ("depth_90", depth.unwrap_or_default()),
            ("recommended_action", seat.action.clone()),
            ("as_of", as_of.to_string()),
        ];
        for (column, value) in shown {
            assert_eq!(row[column], value, "{column} of {}", seat.member_id);
        }
    }

    let request =
        wire::GetTrendRequest { connection_id: id(&sample), from: at(0).to_string(), ..Default::default() };
    let trend = process.client.clone().get_trend(request).await.unwrap().into_inner().points;
    let (file, _) = exported(&process, &sample, wire::ExportTable::Summary, wire::ExportFormat::Csv).await;
    let mut reader = csv::Reader::from_reader(&file[..]);
    let rows: Vec<std::collections::HashMap<String, String>> =
        reader.deserialize().collect::<Result<_, _>>().unwrap();
    let all: Vec<_> =
        rows.iter().filter(|row| row["cut_kind"] == "all" && row["window_days"] == "28").collect();
    assert_eq!(all.len(), trend.len());
    for (row, point) in all.iter().zip(&trend) {
        let window = point.window.as_ref().unwrap();
        assert_eq!(row["day"], point.day);
        assert_eq!(row["active_seats"], window.active_seats.to_string());
        assert_eq!(row["roadmaps_actions"], window.areas[1].actions.to_string());
    }

    let (file, _) = exported(&process, &sample, wire::ExportTable::MemberDays, wire::ExportFormat::Csv).await;
    let lines = csv::Reader::from_reader(&file[..]).records().count() as u64;
    assert_eq!(lines, sample.store().member_day_count(&sample.connection).await.unwrap());
    process.stop().await;
}

/// Both formats hold the same, cell by cell.
#[tokio::test]
async fn parquet_holds_what_csv_holds() {
    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::Field,
    };

    let (sample, process) = ready().await;
    for table in [
        wire::ExportTable::Summary,
        wire::ExportTable::MemberDays,
        wire::ExportTable::Seats,
        wire::ExportTable::Recommendations,
    ] {
        let (csv_file, _) = exported(&process, &sample, table, wire::ExportFormat::Csv).await;
        let (file, _) = exported(&process, &sample, table, wire::ExportFormat::Parquet).await;
        let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
        let mut lines = csv::Reader::from_reader(&csv_file[..]);
        let mut rows = reader.get_row_iter(None).unwrap();
        let mut count = 0;
        for line in lines.records() {
            let (line, row) = (line.unwrap(), rows.next().unwrap().unwrap());
            let cells: Vec<_> = row
                .get_column_iter()
                .map(|(_, field)| match field {
                    Field::Null => String::new(),
                    Field::Str(text) => text.clone(),
                    Field::Date(days) => {
                        (NaiveDate::default() + chrono::Days::new(u64::try_from(*days).unwrap())).to_string()
                    }
                    Field::Double(share) => share.to_string(),
                    other => other.to_string(),
                })
                .collect();
            assert_eq!(line.iter().collect::<Vec<_>>(), cells, "{table:?}");
            count += 1;
        }
        assert!(rows.next().is_none() && count > 0, "{table:?}");
    }
    process.stop().await;
}
