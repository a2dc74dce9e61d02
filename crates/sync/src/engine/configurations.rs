//! Which fields the workspace has for entities, and for notes where those are synced, replaced as a whole.

mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidemark_domain::{listing::Listing, stream, stream::Stream};
use tidemark_productboard::{Client, Configured, Document};
use tidemark_store::{Configuration, StreamProgress};

use super::{
    Engine, Step, collect,
    quarantine::{self, Bad},
};
use crate::decision::Failure;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let (store, connection, begun_at) = (&engine.cx.store, &engine.connection, engine.cx.now());
    let (mut all, mut unknown) = (Vec::new(), BTreeMap::new());
    let entities = engine.fetch(collect(client.entity_configuration_documents(&[], None))).await??;
    progress.pages += entities.pages;
    let (mut bad, mut flags) = (entities.bad, entities.flags);
    for mut document in entities.rows {
        note(&document, &mut unknown);
        progress.pages += engine.fetch(values::complete(client, &mut document)).await??;
        all.push(configuration("entity", &document.row.kind, document.json));
    }
    if store.sync_options(connection).await?.optional().any(|stream| stream == Stream::Notes) {
        let notes = engine.fetch(collect(client.note_configuration_documents(None))).await??;
        progress.pages += notes.pages;
        bad.extend(notes.bad);
        flags.extend(notes.flags);
        for document in notes.rows {
            note(&document, &mut unknown);
            all.push(configuration("note", &document.row.kind, document.json));
        }
    }
    progress.rows = all.len() as u64;
    let rows = Bad { bad: bad.len() as u64, rows: progress.rows + bad.len() as u64 };
    if rows.is_too_much() || (rows.bad > 0 && rows.bad == rows.rows) {
        let problem = bad.last().map(ToString::to_string).unwrap_or_default();
        engine.settle_suspect(progress, rows.sentence("configurations", &problem), None).await?;
        return Ok(Step::Settled);
    }
    let known = store.configurations(connection).await?.len() as u64;
    let listing = Listing { known, missing: known.saturating_sub(rows.rows), listed: progress.rows };
    if let Some(doubt) = listing.doubt("configurations")
        && !store.mark(connection, progress.stream).await?.accepts(begun_at)
    {
        engine.settle_suspect(progress, doubt, None).await?;
        return Ok(Step::Settled);
    }
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let write = engine.begin().await?;
    // One that is missing may be the one that cannot be read.
    progress.effect += write.replace_configurations(connection, &all, bad.is_empty()).await?;
    let (stream, now) = (progress.stream, engine.cx.now());
    let bad: Vec<_> = bad.into_iter().map(|row| quarantine::row(row, None)).collect();
    write.quarantine(connection, stream, &bad, &engine.run, now).await?;
    write.end_quarantine(connection, stream, &engine.run, now).await?;
    quarantine::put_flags(&write, connection, stream, &flags, now).await?;
    write.add_drift(connection, progress.stream, &unknown, engine.cx.now()).await?;
    write.forget_acceptance(connection, progress.stream, begun_at).await?;
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
