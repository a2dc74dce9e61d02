//! The end of whole lists: what they do not have is gone, if they can be believed and the vendor does not find it either.

use tidemark_domain::{listing, stream};
use tidemark_store::{Listing, Mark, Missing, StreamProgress};

use super::{super::Engine, keep_bad, source::Source, split, watermark};
use crate::decision::Failure;

/// Ids per question, as many as a page has rows.
const IDS: u64 = 100;
/// A type with fewer rows may well lose all of them at once.
const TYPE_COUNTS_FROM: u64 = 10;

pub(super) async fn close(
    engine: &Engine,
    source: &Source,
    progress: &mut StreamProgress,
    lists: &[Listing],
) -> Result<(), Failure> {
    let (store, connection, stream) = (&engine.cx.store, &engine.connection, progress.stream);
    let mark = store.mark(connection, stream).await?;
    let begun_at = lists[0].begun_at;
    let seen = Mark { watermark: watermark(lists).or(Some(begun_at)), ..mark };
    if !seen.accepts(begun_at)
        && let Some(doubt) = doubt(stream.as_str(), &store.missing(connection, stream).await?)
    {
        // What was received is in, so that changes may be asked for from here; but the lists are read again.
        return engine.settle_suspect(progress, doubt, Some(&seen)).await;
    }
    keep_found(engine, source, progress, lists).await?;
    // What is missing may be the row that does not say which it is.
    let is_nameless = store.quarantined_by(connection, stream, &engine.run).await?.contains(&None);
    let mark = Mark { swept_at: Some(begun_at), capture: lists[0].capture, ..seen };
    progress.state = stream::State::Complete;
    let write = engine.begin().await?;
    let now = engine.cx.now();
    write.end_quarantine(connection, stream, &engine.run, now).await?;
    if !is_nameless {
        progress.effect.removed += write.bury_missing(connection, stream, now).await?;
    }
    write.end_listings(connection, stream).await?;
    write.put_mark(connection, stream, &mark).await?;
    write.forget_acceptance(connection, stream, begun_at).await?;
    engine.commit(write, progress).await
}

/// Why the lists are not believed, as a whole or of one type.
fn doubt(what: &str, missing: &[Missing]) -> Option<String> {
    let sum = |count: fn(&Missing) -> u64| missing.iter().map(count).sum();
    let counted = |known: u64, missing| listing::Listing { known, missing, listed: known - missing };
    counted(sum(|it| it.known), sum(|it| it.missing)).doubt(what).or_else(|| {
        let large = missing.iter().filter(|it| it.known >= TYPE_COUNTS_FROM);
        large
            .filter_map(|it| counted(it.known, it.missing).doubt(&format!("{what} of type {}", it.kind)))
            .next()
    })
}

/// Asks for each row that is missing: one that is there all the same stays.
async fn keep_found(
    engine: &Engine,
    source: &Source,
    progress: &mut StreamProgress,
    lists: &[Listing],
) -> Result<(), Failure> {
    let (connection, stream) = (&engine.connection, progress.stream);
    let mut after = None;
    loop {
        let missing = engine.cx.store.missing_ids(connection, stream, after, IDS).await?;
        let Some((last, _)) = missing.last() else { return Ok(()) };
        after = Some(*last);
        let found = engine.fetch(source.find(&missing, lists[0].capture)).await??;
        progress.pages += 1;
        if found.items.is_empty() && found.unreadable.is_empty() {
            continue;
        }
        progress.rows += found.items.len() as u64;
        let (resources, unknown) = split(found.items);
        let write = engine.begin().await?;
        keep_bad(engine, &write, stream, &resources, found.unreadable).await?;
        let now = engine.cx.now();
        progress.effect += write.upsert_resources(connection, stream, &resources, &engine.run, now).await?;
        write.add_drift(connection, stream, &unknown, engine.cx.now()).await?;
        write.add_listed(connection, stream, resources.iter().map(|it| (it.id, None))).await?;
        engine.commit(write, progress).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, known: u64, missing: u64) -> Missing {
        Missing { kind: kind.to_owned(), known, missing }
    }

    #[test]
    fn the_whole_is_doubted_and_each_large_type() {
        assert_eq!(doubt("entities", &[]), None);
        assert_eq!(doubt("entities", &[of("feature", 90, 3), of("release", 5, 5)]), None, "a small type");
        let told = doubt("entities", &[of("feature", 90, 0), of("release", 12, 12)]).unwrap();
        assert!(told.contains("entities of type release where 12 were known"), "{told}");
        assert!(doubt("entities", &[of("feature", 3, 3)]).is_some(), "nothing is left");
        assert!(
            doubt("notes", &[of("textNote", 60, 10), of("conversationNote", 9, 9), of("x", 4, 4)]).is_some()
        );
    }
}
