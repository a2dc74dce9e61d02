//! Exports, which say what the screen says.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use tidemark_rpc::instant;

use super::{contract::contract, seats::pages, *};

/// A line of a file: what stands in which column.
pub(super) type Line = BTreeMap<String, String>;

/// The whole file, and what it stands on.
async fn exported(
    process: &Process,
    sample: &Sample,
    table: wire::ExportTable,
    format: wire::ExportFormat,
) -> (Vec<u8>, wire::Basis) {
    let request = wire::ExportRequest {
        connection_id: id(sample),
        table: table.into(),
        format: format.into(),
        ..Default::default()
    };
    let mut stream = process.client.clone().export(request).await.unwrap().into_inner();
    let (mut bytes, mut basis) = (Vec::new(), None);
    while let Some(part) = stream.message().await.unwrap() {
        assert!(part.chunk.len() <= 64 * 1024);
        basis = basis.or(part.basis);
        bytes.extend(part.chunk);
    }
    (bytes, basis.unwrap())
}

/// The lines of a CSV file, and what it stands on.
pub(super) async fn lines(
    process: &Process,
    sample: &Sample,
    table: wire::ExportTable,
) -> (Vec<Line>, wire::Basis) {
    let (file, basis) = exported(process, sample, table, wire::ExportFormat::Csv).await;
    (csv::Reader::from_reader(&file[..]).deserialize().collect::<Result<_, _>>().unwrap(), basis)
}

async fn recommendations(process: &Process, sample: &Sample) -> Vec<wire::Recommendation> {
    let asked = wire::ListRecommendationsRequest {
        connection_id: id(sample),
        page_size: 1_000,
        ..Default::default()
    };
    process.client.clone().list_recommendations(asked).await.unwrap().into_inner().recommendations
}

/// Somebody takes the first recommendation on.
async fn accept(process: &Process, sample: &Sample) {
    let seat = recommendations(process, sample).await.remove(0).seat.unwrap();
    let accept = wire::AcceptRecommendationRequest {
        connection_id: id(sample),
        member_id: seat.member_id,
        action: seat.action,
        actor: "Ada".to_owned(),
    };
    process.client.clone().accept_recommendation(accept).await.unwrap();
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn number(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// What every line ends with.
fn ground(basis: &wire::Basis) -> [(String, String); 3] {
    [
        ("as_of", basis.as_of.clone()),
        ("stale", basis.stale.to_string()),
        ("definition_version", basis.definition_version.to_string()),
    ]
    .map(|(name, cell)| (name.to_owned(), cell))
}

/// The line of a seat as the screen's message has it.
fn seat_line(seat: &wire::Seat, basis: &wire::Basis) -> Line {
    let (exemption, acceptance) = (seat.exemption.as_ref(), seat.acceptance.as_ref());
    let fixed = [
        ("member_id", seat.member_id.clone()),
        ("name", seat.name.clone()),
        ("email", seat.email.clone()),
        ("role", seat.role.clone()),
        ("paid", seat.paid.to_string()),
        ("state", seat.state.clone()),
        ("first_seen_day", seat.first_seen_day.clone()),
        ("last_active_day", seat.last_active_day.clone()),
        ("pending_since", seat.pending_since.clone()),
        ("areas_used", seat.areas_used.join(" ")),
        ("recommended_tier", seat.tier.clone()),
        ("recommended_action", seat.action.clone()),
        ("accepted_by", number(acceptance.map(|it| &it.by))),
        ("accepted_at", number(acceptance.map(|it| shown(instant(it.at.as_ref().unwrap()).unwrap())))),
        ("exempt_reason", number(exemption.map(|it| &it.reason))),
        ("exempt_until", number(exemption.map(|it| &it.until))),
    ];
    let uses = seat.uses.iter().flat_map(|used| {
        let (depth, views) = (used.depth.as_ref(), used.view_only_share.as_ref());
        [
            ("active_days", used.active_days.to_string()),
            ("breadth", number(used.breadth)),
            ("actions", number(depth.map(|share| share.numerator))),
            ("depth", number(depth.and_then(|share| share.value))),
            ("views", number(views.map(|share| share.numerator))),
            ("view_only_share", number(views.and_then(|share| share.value))),
            ("maker_actions", number(used.maker_actions)),
            ("covered_days", used.covered_days.to_string()),
        ]
        .map(|(name, cell)| (format!("{name}_{}", used.days), cell))
    });
    let fixed = fixed.map(|(name, cell)| (name.to_owned(), cell));
    fixed.into_iter().chain(uses).chain(ground(basis)).collect()
}

/// The line of a recommendation as the screen's message has it.
fn recommendation_line(advice: &wire::Recommendation, basis: &wire::Basis) -> Line {
    let mut line = seat_line(advice.seat.as_ref().unwrap(), basis);
    let cost = advice.cost_per_month.as_ref();
    let own = [
        ("tier", advice.tier.clone()),
        ("action", advice.action.clone()),
        ("sentence", advice.sentence.clone()),
        ("cost_per_month_minor", number(cost.map(|cost| cost.minor))),
        ("currency", number(cost.map(|cost| &cost.currency))),
    ];
    line.extend(own.map(|(name, cell)| (name.to_owned(), cell)));
    line
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

/// Every column of every line: with a price and without one, taken on and not, of a connection that is well and of one
/// whose numbers are old.
#[tokio::test]
async fn exported_seats_and_recommendations_equal_the_screen() {
    let (sample, process) = ready().await;
    let asked = wire::ListSeatsRequest { connection_id: id(&sample), page_size: 1_000, ..Default::default() };
    for is_stale in [false, true] {
        if is_stale {
            let set = wire::SetContractRequest { connection_id: id(&sample), contract: Some(contract(600)) };
            process.client.clone().set_contract(set).await.unwrap();
            accept(&process, &sample).await;
            sample.lose_key().await;
        }
        let (rows, basis) = lines(&process, &sample, wire::ExportTable::Seats).await;
        let seats = pages(&process, asked.clone()).await;
        assert_eq!(rows, seats.iter().map(|seat| seat_line(seat, &basis)).collect::<Vec<_>>());
        assert_eq!(seats.iter().filter(|seat| seat.acceptance.is_some()).count(), usize::from(is_stale));

        let (rows, basis) = lines(&process, &sample, wire::ExportTable::Recommendations).await;
        assert_eq!(basis.stale, is_stale);
        let all = recommendations(&process, &sample).await;
        assert_eq!(rows, all.iter().map(|one| recommendation_line(one, &basis)).collect::<Vec<_>>());
        let tiers: BTreeSet<_> = all.iter().map(|one| one.tier.as_str()).collect();
        assert_eq!(tiers, BTreeSet::from(["certain", "probable", "review"]), "the sample has all of them");
        for row in &rows {
            let costs = is_stale && row["tier"] != "review";
            let cost = if costs { ("2000", "EUR") } else { ("", "") };
            assert_eq!((&*row["cost_per_month_minor"], &*row["currency"]), cost);
        }
        let accepted = rows.iter().filter(|row| !row["accepted_at"].is_empty()).count();
        assert_eq!(accepted, usize::from(is_stale));
    }
    process.stop().await;
}

#[tokio::test]
async fn exported_numbers_equal_the_screen() {
    let (sample, process) = ready().await;
    sample.lose_key().await;
    let request =
        wire::GetTrendRequest { connection_id: id(&sample), from: at(0).to_string(), ..Default::default() };
    let trend = process.client.clone().get_trend(request).await.unwrap().into_inner();
    let (rows, basis) = lines(&process, &sample, wire::ExportTable::Summary).await;
    assert!(basis.stale);
    assert_eq!(basis, trend.basis.unwrap());
    let all: Vec<_> =
        rows.iter().filter(|row| row["cut_kind"] == "all" && row["window_days"] == "28").collect();
    assert_eq!(all.len(), trend.points.len());
    for (row, point) in all.iter().zip(&trend.points) {
        let window = point.window.as_ref().unwrap();
        assert_eq!(row["day"], point.day);
        assert_eq!(row["covered_days"], window.covered_days.to_string());
        assert_eq!(row["active_seats"], window.active_seats.to_string());
        assert_eq!(row["roadmaps_actions"], window.areas[1].actions.to_string());
        for (column, cell) in ground(&basis) {
            assert_eq!(row[&column], cell);
        }
    }

    let (rows, _) = lines(&process, &sample, wire::ExportTable::MemberDays).await;
    assert_eq!(rows.len() as u64, sample.store().member_day_count(&sample.connection).await.unwrap());
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
    accept(&process, &sample).await;
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
                    Field::TimestampMicros(micros) => {
                        shown(DateTime::from_timestamp_micros(*micros).unwrap())
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
