//! Whole tables as files, in chunks: read in pages and written as they come, so that memory does not grow with the
//! workspace. Seats and recommendations are made of the very messages that the screen shows.

mod file;
mod source;
mod table;

use tidemark_rpc::{status::Refusal, utilization as wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    basis::Ground,
    service::{Desk, Fault},
    trend::range,
};
use file::File;
use source::Source;

/// Bytes in a message.
const CHUNK: usize = 64 * 1024;
/// Messages that wait for a slow reader.
const AHEAD: usize = 4;

type Message = Result<wire::ExportResponse, Status>;

/// Begins an export; it ends when the reader goes away.
pub(crate) async fn start(desk: Desk, asked: wire::ExportRequest) -> Result<ReceiverStream<Message>, Fault> {
    let table = asked.table();
    if table == wire::ExportTable::Unspecified {
        return Err(Refusal::invalid("table", "which table to export").into());
    }
    let Ok(format) = wire::ExportFormat::try_from(asked.format) else {
        return Err(Refusal::invalid("format", "CSV or Parquet").into());
    };
    let ground = desk.ground().await?;
    let days = range((&asked.from, &asked.to), (ground.head.history_start, ground.head.as_of))?;
    let source = Source::open(&desk, &ground, table, days).await?;
    let file = File::new(format, source.columns());
    let (sender, receiver) = mpsc::channel(AHEAD);
    let connection = desk.connection.clone();
    tokio::spawn(async move {
        if let Err(fault) = send(&desk, &ground, source, file, &sender).await {
            // Whoever has gone away hears nothing.
            let _ = sender.send(Err(fault.into_status(connection.as_str()))).await;
        }
    });
    Ok(ReceiverStream::new(receiver))
}

async fn send(
    desk: &Desk,
    ground: &Ground,
    mut source: Source,
    mut file: File,
    sender: &mpsc::Sender<Message>,
) -> Result<(), Fault> {
    let mut basis = Some(ground.wire());
    while let Some(rows) = source.next(desk).await? {
        let bytes = file.write(&rows).map_err(|error| broken(&error))?;
        if !pass(&bytes, &mut basis, sender).await {
            return Ok(());
        }
    }
    let bytes = file.finish().map_err(|error| broken(&error))?;
    pass(&bytes, &mut basis, sender).await;
    Ok(())
}

/// False where nobody listens any more.
async fn pass(bytes: &[u8], basis: &mut Option<wire::Basis>, sender: &mpsc::Sender<Message>) -> bool {
    for chunk in bytes.chunks(CHUNK) {
        let message = wire::ExportResponse { chunk: chunk.to_vec(), basis: basis.take() };
        if sender.send(Ok(message)).await.is_err() {
            return false;
        }
    }
    true
}

fn broken(error: &file::Broken) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "an export could not be written");
    Refusal::Internal.into()
}
