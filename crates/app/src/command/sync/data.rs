//! What is synced of a connection, what is odd about its data, and a shrink that a person knows to be real.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tidemark_rpc::{
    client::Caller,
    syncs::{
        AcceptShrinkRequest, Capture, GetDataQualityRequest, GetDataQualityResponse, GetSyncOptionsRequest,
        SetSyncOptionsRequest, SyncOptions,
    },
};

use super::told;
use crate::command::wire::{time, word};

#[derive(Debug, clap::Subcommand)]
pub(super) enum What {
    /// Shows or sets what is synced of a connection.
    Options {
        /// `conn_…`
        connection: String,
        /// Which of `entities`, `notes` and `configurations` are on, with commas between them, or `none`. The others
        /// always are.
        #[arg(long, value_delimiter = ',')]
        streams: Option<Vec<String>>,
        /// Whether the vendor's documents are kept, too: `metadata` or `full`.
        #[arg(long)]
        capture: Option<String>,
    },
    /// Shows what is odd about a connection's data.
    Quality {
        /// `conn_…`
        connection: String,
    },
    /// Believes a stream's next list whatever it lost. What the list does not have is removed then.
    AcceptShrink {
        /// `conn_…`
        connection: String,
        /// As the run names it: `members`, `teams`, `member_activities`, `entities`, `notes` or `configurations`.
        stream: String,
    },
}

pub(super) async fn run(caller: &Caller, what: What, as_json: bool) -> Result<()> {
    let mut client = caller.syncs();
    match what {
        What::Options { connection, streams, capture } => {
            let request = GetSyncOptionsRequest { connection_id: connection.clone() };
            let found = client.get_sync_options(request).await.map_err(told)?.into_inner().options;
            let mut options = found.unwrap_or_default();
            if streams.is_some() || capture.is_some() {
                options = chosen(options, streams, capture.as_deref())?;
                let request =
                    SetSyncOptionsRequest { connection_id: connection, options: Some(options.clone()) };
                client.set_sync_options(request).await.map_err(told)?;
            }
            print_options(&options, as_json);
        }
        What::Quality { connection } => {
            let request = GetDataQualityRequest { connection_id: connection };
            print_quality(&client.get_data_quality(request).await.map_err(told)?.into_inner(), as_json);
        }
        What::AcceptShrink { connection, stream } => {
            let request = AcceptShrinkRequest { connection_id: connection, stream: stream.clone() };
            client.accept_shrink(request).await.map_err(told)?;
            print_accepted(&stream, as_json);
        }
    }
    Ok(())
}

fn chosen(before: SyncOptions, streams: Option<Vec<String>>, capture: Option<&str>) -> Result<SyncOptions> {
    let optional_streams = match streams {
        Some(streams) if streams == ["none"] => Vec::new(),
        Some(streams) => streams,
        None => before.optional_streams,
    };
    let capture = match capture {
        None => before.capture,
        Some("metadata") => Capture::Metadata.into(),
        Some("full") => Capture::Full.into(),
        Some(other) => bail!("--capture is `{other}`; it is `metadata` or `full`"),
    };
    Ok(SyncOptions { optional_streams, capture })
}

fn print_options(options: &SyncOptions, as_json: bool) {
    let capture = word(options.capture().as_str_name(), "CAPTURE_");
    if as_json {
        say!("{}", json!({ "optional_streams": options.optional_streams, "capture": capture }));
        return;
    }
    let streams = match options.optional_streams.join(", ") {
        none if none.is_empty() => "no other stream".to_owned(),
        streams => streams,
    };
    say!("members, teams and member_activities always; {streams}; capture {capture}");
}

fn print_quality(quality: &GetDataQualityResponse, as_json: bool) {
    if as_json {
        say!("{}", described(quality));
        return;
    }
    for flag in &quality.flags {
        let since = time(flag.since.as_ref()).unwrap_or_default();
        say!("{} since {since}: {}", flag.flag, flag.detail);
    }
    for field in &quality.unknown_fields {
        let seen = time(field.last_seen_at.as_ref()).unwrap_or_default();
        say!("unknown field {}.{}: {} rows, last seen {seen}", field.stream, field.path, field.rows);
    }
    for rows in &quality.quarantine {
        let seen = time(rows.last_seen_at.as_ref()).unwrap_or_default();
        say!(
            "in quarantine of {}: {} rows, last seen {seen}, for example: {}",
            rows.stream,
            rows.rows,
            rows.problem
        );
    }
    if quality.flags.is_empty() && quality.unknown_fields.is_empty() && quality.quarantine.is_empty() {
        say!("nothing is odd");
    }
}

fn described(quality: &GetDataQualityResponse) -> Value {
    let flags = quality
        .flags
        .iter()
        .map(|it| json!({ "flag": it.flag, "detail": it.detail, "since": time(it.since.as_ref()) }));
    let fields = quality.unknown_fields.iter().map(|it| {
        json!({
            "stream": it.stream,
            "path": it.path,
            "rows": it.rows,
            "first_seen_at": time(it.first_seen_at.as_ref()),
            "last_seen_at": time(it.last_seen_at.as_ref()),
        })
    });
    let quarantine = quality.quarantine.iter().map(|it| {
        json!({
            "stream": it.stream,
            "rows": it.rows,
            "problem": it.problem,
            "first_seen_at": time(it.first_seen_at.as_ref()),
            "last_seen_at": time(it.last_seen_at.as_ref()),
        })
    });
    json!({
        "flags": flags.collect::<Vec<_>>(),
        "unknown_fields": fields.collect::<Vec<_>>(),
        "quarantine": quarantine.collect::<Vec<_>>(),
    })
}

fn print_accepted(stream: &str, as_json: bool) {
    if as_json {
        say!("{}", json!({ "accepted": stream }));
    } else {
        say!(
            "The next list of {stream} is believed whatever it lost; what it does not have is removed then. \
             `tidemark sync start` fetches it now."
        );
    }
}
