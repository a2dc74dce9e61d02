//! Exports, which say what the screen says.

use chrono::NaiveDate;

use super::{seats::pages, *};

/// The whole file, and the day it is as of.
async fn exported(
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
