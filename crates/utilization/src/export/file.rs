//! The two formats. Each takes rows and gives the bytes that are ready.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use chrono::{Datelike, NaiveDate};
use parquet::{
    arrow::ArrowWriter, basic::Compression, errors::ParquetError, file::properties::WriterProperties,
};
use tidemark_rpc::utilization::ExportFormat;

use super::table::{Cell, Column, Kind, Row};

/// The time zone of moments, as Parquet's readers know it.
const ZONE: &str = "UTC";
/// Rows in memory until a row group is written.
const GROUP: usize = 50_000;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a line of CSV")]
    Csv(#[from] csv::Error),
    #[error("the bytes of a file")]
    Io(#[from] std::io::Error),
    #[error("a batch of columns")]
    Arrow(#[from] ArrowError),
    #[error("a part of a Parquet file")]
    Parquet(#[from] ParquetError),
}

/// A file that is being written.
pub(super) enum File {
    Csv {
        columns: Vec<Column>,
        begun: bool,
    },
    Parquet {
        schema: Arc<Schema>,
        columns: Vec<Column>,
        writer: Option<Box<ArrowWriter<Vec<u8>>>>,
        waiting: usize,
    },
}

impl File {
    pub(super) fn new(format: ExportFormat, columns: Vec<Column>) -> Self {
        if format != ExportFormat::Parquet {
            return Self::Csv { columns, begun: false };
        }
        let fields: Vec<_> =
            columns.iter().map(|column| Field::new(&column.name, data_type(column.kind), true)).collect();
        Self::Parquet { schema: Arc::new(Schema::new(fields)), columns, writer: None, waiting: 0 }
    }

    /// Takes rows; gives what is ready.
    pub(super) fn write(&mut self, rows: &[Row]) -> Result<Vec<u8>, Broken> {
        match self {
            Self::Csv { columns, begun } => {
                let mut lines =
                    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
                if !std::mem::replace(begun, true) {
                    lines.write_record(columns.iter().map(|column| &column.name))?;
                }
                for row in rows {
                    lines.write_record(row.iter().map(Cell::show))?;
                }
                lines.into_inner().map_err(|error| Broken::Io(error.into_error()))
            }
            Self::Parquet { schema, columns, writer, waiting } => {
                let batch = RecordBatch::try_new(Arc::clone(schema), arrays(columns, rows))?;
                let writer = open(writer, schema)?;
                writer.write(&batch)?;
                *waiting += rows.len();
                if *waiting >= GROUP {
                    writer.flush()?;
                    *waiting = 0;
                }
                Ok(std::mem::take(writer.inner_mut()))
            }
        }
    }

    /// What is left.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Broken> {
        match &mut self {
            // A file without rows still has its line of names.
            Self::Csv { begun: false, .. } => self.write(&[]),
            Self::Csv { .. } => Ok(Vec::new()),
            Self::Parquet { schema, writer, .. } => {
                open(writer, schema)?;
                Ok(writer.take().map(|writer| writer.into_inner()).transpose()?.unwrap_or_default())
            }
        }
    }
}

/// The writer, begun on first use: opening one may fail, making a `File` may not.
fn open<'a>(
    writer: &'a mut Option<Box<ArrowWriter<Vec<u8>>>>,
    schema: &Arc<Schema>,
) -> Result<&'a mut ArrowWriter<Vec<u8>>, Broken> {
    if writer.is_none() {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        *writer = Some(Box::new(ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?));
    }
    Ok(writer.as_deref_mut().expect("it was begun just now"))
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Count => DataType::Int64,
        Kind::Share => DataType::Float64,
        Kind::Flag => DataType::Boolean,
        Kind::Day => DataType::Date32,
        Kind::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())),
    }
}

fn arrays(columns: &[Column], rows: &[Row]) -> Vec<ArrayRef> {
    columns
        .iter()
        .enumerate()
        .map(|(at, column)| array(column.kind, rows.iter().map(move |row| &row[at])))
        .collect()
}

fn array<'a>(kind: Kind, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    match kind {
        Kind::Text => Arc::new(cells.map(text).collect::<StringArray>()),
        Kind::Count => Arc::new(cells.map(count).collect::<Int64Array>()),
        Kind::Share => Arc::new(cells.map(share).collect::<Float64Array>()),
        Kind::Flag => {
            Arc::new(cells.map(|cell| matches!(cell, Cell::Flag(true))).map(Some).collect::<BooleanArray>())
        }
        Kind::Day => Arc::new(cells.map(days).collect::<Date32Array>()),
        Kind::Moment => {
            Arc::new(cells.map(micros).collect::<TimestampMicrosecondArray>().with_timezone(ZONE))
        }
    }
}

fn text(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => text.as_deref(),
        _ => None,
    }
}

fn count(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Count(count) => count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        _ => None,
    }
}

fn share(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Share(share) => *share,
        _ => None,
    }
}

/// Microseconds since 1970.
fn micros(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Moment(at) => at.map(|at| at.timestamp_micros()),
        _ => None,
    }
}

/// Days since 1970.
fn days(cell: &Cell) -> Option<i32> {
    match cell {
        Cell::Day(day) => day.map(|day| day.num_days_from_ce() - NaiveDate::default().num_days_from_ce()),
        _ => None,
    }
}
