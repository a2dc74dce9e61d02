//! `tidemark export`: a whole table of one connection as a file, from a running utilization service.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;
use indicatif::{ProgressBar, ProgressStyle};
use tidemark_domain::id::ConnectionId;
use tidemark_rpc::{
    client::Caller,
    utilization::{ExportFormat, ExportRequest, ExportTable},
};
use tidemark_runtime::Config;
use url::Url;

use crate::{cycle::sentence, wiring};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The connection, `conn_…`.
    connection: ConnectionId,
    /// What to export.
    #[arg(long, value_enum)]
    table: TableArg,
    /// As what.
    #[arg(long, value_enum, default_value_t = FormatArg::Csv)]
    format: FormatArg,
    /// Into which file. Without, CSV goes to standard output.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// The first day of a summary or of member days; without, the history's first.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// The last day; without, the as-of day.
    #[arg(long)]
    to: Option<NaiveDate>,
    /// Where the utilization service is. Without, on this host where `aggregator.listen` says.
    #[arg(long)]
    url: Option<Url>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum TableArg {
    Summary,
    Seats,
    Recommendations,
    MemberDays,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FormatArg {
    Csv,
    Parquet,
}

impl TableArg {
    pub(crate) const ALL: [Self; 4] = [Self::Summary, Self::Seats, Self::Recommendations, Self::MemberDays];

    /// As its file is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Seats => "seats",
            Self::Recommendations => "recommendations",
            Self::MemberDays => "member-days",
        }
    }

    /// The request for all of it.
    pub(crate) fn request(self, connection: &str, format: FormatArg) -> ExportRequest {
        let table = match self {
            Self::Summary => ExportTable::Summary,
            Self::Seats => ExportTable::Seats,
            Self::Recommendations => ExportTable::Recommendations,
            Self::MemberDays => ExportTable::MemberDays,
        };
        let format = match format {
            FormatArg::Csv => ExportFormat::Csv,
            FormatArg::Parquet => ExportFormat::Parquet,
        };
        let (table, format) = (table.into(), format.into());
        ExportRequest { connection_id: connection.to_owned(), table, format, ..Default::default() }
    }
}

pub(crate) async fn run(config: &Config, args: Args) -> Result<ExitCode> {
    if args.output.is_none() && args.format == FormatArg::Parquet && std::io::stdout().is_terminal() {
        bail!("Parquet is not for a terminal: name a file with --output");
    }
    let caller = wiring::utilization_caller(config, args.url.as_ref())?;
    let day = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    let request = ExportRequest {
        from: day(args.from),
        to: day(args.to),
        ..args.table.request(args.connection.as_str(), args.format)
    };
    let Some(path) = &args.output else {
        let bytes = write(&caller, request, &mut std::io::stdout().lock(), |_| {}).await?;
        eprintln!("{bytes} bytes");
        return Ok(ExitCode::SUCCESS);
    };
    let style = ProgressStyle::with_template("{spinner} {bytes} ({bytes_per_sec})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    let bytes = download(&caller, request, path, |bytes| bar.set_position(bytes)).await?;
    bar.finish_and_clear();
    eprintln!("Written: {} ({bytes} bytes).", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the file beside its place and puts it there when it is whole: what stops in the middle leaves no half a file.
pub(crate) async fn download(
    caller: &Caller,
    request: ExportRequest,
    path: &Path,
    progress: impl Fn(u64),
) -> Result<u64> {
    let partial = PathBuf::from(format!("{}.part", path.display()));
    let cannot = || format!("{} cannot be written", path.display());
    let mut file = std::fs::File::create(&partial).with_context(cannot)?;
    let written = write(caller, request, &mut file, progress).await;
    let moved = written.and_then(|bytes| {
        file.sync_all().with_context(cannot)?;
        std::fs::rename(&partial, path).with_context(cannot)?;
        Ok(bytes)
    });
    if moved.is_err() {
        // The reason is told already.
        let _ = std::fs::remove_file(&partial);
    }
    moved
}

async fn write(
    caller: &Caller,
    request: ExportRequest,
    out: &mut impl Write,
    progress: impl Fn(u64),
) -> Result<u64> {
    let answered = caller.utilization().export(request).await;
    let mut stream = answered.map_err(|status| sentence(&status))?.into_inner();
    let mut bytes = 0;
    while let Some(part) = stream.message().await.map_err(|status| sentence(&status))? {
        out.write_all(&part.chunk).context("the file cannot be written")?;
        bytes += part.chunk.len() as u64;
        progress(bytes);
    }
    out.flush().context("the file cannot be written")?;
    Ok(bytes)
}
