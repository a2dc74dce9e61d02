//! Whole tables as files. They are passed on as they come: memory does not grow with the workspace.

use axum::{
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use tidemark_rpc::utilization::{ExportFormat, ExportRequest, ExportTable};
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::{Frame, Tab};
use crate::{failure::Failure, visitor::Visitor};

/// `seats.csv`
fn parse(file: &str) -> Option<(ExportTable, ExportFormat, &'static str)> {
    let (table, extension) = file.split_once('.')?;
    let table = match table {
        "seats" => ExportTable::Seats,
        "recommendations" => ExportTable::Recommendations,
        "summary" => ExportTable::Summary,
        "member-days" => ExportTable::MemberDays,
        _ => return None,
    };
    match extension {
        "csv" => Some((table, ExportFormat::Csv, "text/csv; charset=utf-8")),
        "parquet" => Some((table, ExportFormat::Parquet, "application/vnd.apache.parquet")),
        _ => None,
    }
}

pub(crate) async fn send(
    visitor: Visitor,
    Path((id, file)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let (table, format, kind) = parse(&file).ok_or_else(Failure::not_found)?;
    let frame = Frame::of(&visitor, &id, Tab::Seats).await?;
    let request =
        ExportRequest { connection_id: id, table: table.into(), format: format.into(), ..Default::default() };
    let mut parts = visitor.services.utilization.utilization().export(request).await?.into_inner();
    // What fails at once is told on a page.
    let first = parts.message().await?.ok_or_else(|| Status::internal("an export without a part"))?;
    let as_of = first.basis.map(|basis| basis.as_of).unwrap_or_default();
    let name = format!("{}-{as_of}-{file}", plain(&frame.card.workspace));
    let rest = parts.map(|part| part.map(|part| Bytes::from(part.chunk)));
    let all = tokio_stream::once(Ok(Bytes::from(first.chunk))).chain(rest);
    let disposition = format!("attachment; filename=\"{name}\"");
    let disposition = HeaderValue::try_from(disposition).expect("letters, digits, `-` and `.`");
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::from_stream(all)).into_response())
}

/// What any file system takes.
fn plain(workspace: &str) -> String {
    let kept = workspace.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-');
    let kept: String = kept.take(60).collect();
    if kept.is_empty() { "workspace".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_table_and_a_format() {
        assert!(matches!(parse("seats.csv"), Some((ExportTable::Seats, ExportFormat::Csv, _))));
        assert!(matches!(
            parse("member-days.parquet"),
            Some((ExportTable::MemberDays, ExportFormat::Parquet, _))
        ));
        for unknown in ["seats", "seats.exe", "secrets.csv", "", "seats.csv.csv"] {
            assert!(parse(unknown).is_none(), "{unknown}");
        }
        assert_eq!(plain("acme\"\r\n; x"), "acmex");
        assert_eq!(plain("“”"), "workspace");
    }
}
