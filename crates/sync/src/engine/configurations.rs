//! Which fields the workspace has for entities, and for notes where those are synced, replaced as a whole.

mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidemark_domain::{listing::Listing, stream, stream::Stream};
use tidemark_productboard::{Client, Configured, Document};
use tidemark_store::{Configuration, StreamProgress};

use super::{Engine, Step, collect};
use crate::decision::Failure;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let (store, connection) = (&engine.cx.store, &engine.connection);
    let (mut all, mut unknown) = (Vec::new(), BTreeMap::new());
    let entities = engine.fetch(collect(client.entity_configuration_documents(&[], None))).await??;
    progress.pages += entities.pages;
    for mut document in entities.rows {
        note(&document, &mut unknown);
        progress.pages += engine.fetch(values::complete(client, &mut document)).await??;
        all.push(configuration("entity", &document.row.kind, document.json));
    }
    if store.sync_options(connection).await?.optional().any(|stream| stream == Stream::Notes) {
        let notes = engine.fetch(collect(client.note_configuration_documents(None))).await??;
        progress.pages += notes.pages;
        for document in notes.rows {
            note(&document, &mut unknown);
            all.push(configuration("note", &document.row.kind, document.json));
        }
    }
    progress.rows = all.len() as u64;
    let known = store.configurations(connection).await?.len() as u64;
    let listing = Listing { known, missing: known.saturating_sub(progress.rows), listed: progress.rows };
    if let Some(doubt) = listing.doubt("configurations")
        && !store.mark(connection, progress.stream).await?.accepts_shrink
    {
        engine.settle_suspect(progress, doubt, None).await?;
        return Ok(Step::Settled);
    }
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let write = engine.begin().await?;
    progress.effect += write.replace_configurations(connection, &all).await?;
    write.add_drift(connection, progress.stream, &unknown, engine.cx.now()).await?;
    write.forget_acceptance(connection, progress.stream).await?;
    engine.commit(write, progress).await?;
    Ok(Step::Settled)
}

fn note(document: &Document<Configured>, unknown: &mut BTreeMap<String, u64>) {
    document.unknown().for_each(|path| *unknown.entry(path).or_default() += 1);
}

/// Without the links, which say where it was asked for.
fn configuration(family: &str, kind: &str, mut json: Map<String, Value>) -> Configuration {
    json.remove("links");
    let document = Value::Object(json).to_string();
    Configuration { family: family.to_owned(), kind: kind.to_owned(), document }
}
