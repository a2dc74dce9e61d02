//! The roster. Only a complete and believable list is applied, in one transaction: who is missing from it has left.

use chrono::Days;
use futures::TryStreamExt;
use tidemark_domain::{listing::Listing, member::Standing, stream};
use tidemark_productboard::{Client, Member, MembersQuery};
use tidemark_store::{Effect, RosterMember, StreamProgress};

use super::{Engine, Step, staged::Staged};
use crate::decision::Failure;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let mut staged = Staged::open(engine, progress.stream).await?;
    let mut pages = client.member_documents(&MembersQuery::everyone(), staged.start());
    while !staged.is_whole() {
        match engine.fetch(pages.try_next()).await? {
            Ok(Some(page)) => {
                progress.rows += page.items.len() as u64;
                progress.pages += 1;
                page.items.iter().for_each(|document| staged.note(document));
                let rows = page.items.into_iter().map(|document| roster_member(document.row));
                staged.take(rows.map(|row| (row.member_id, row)), page.next);
            }
            Ok(None) => staged.end(),
            Err(error) => {
                let detail = staged.refused(engine, progress, error).await?;
                engine.settle_suspect(progress, detail, None).await?;
                return Ok(Step::Settled);
            }
        }
        let pauses = engine.should_pause() && !staged.is_whole();
        if pauses || staged.is_worth_keeping() {
            staged.put_aside(engine, progress).await?;
        }
        if pauses {
            return Ok(Step::Paused);
        }
    }
    apply(engine, progress, staged).await?;
    Ok(Step::Settled)
}

async fn apply(
    engine: &Engine,
    progress: &mut StreamProgress,
    mut staged: Staged<RosterMember>,
) -> Result<(), Failure> {
    let (store, connection) = (&engine.cx.store, &engine.connection);
    let known = store.member_ids(connection).await?;
    let missing = known.iter().filter(|id| !staged.rows.contains_key(id)).count() as u64;
    let listing = Listing { known: known.len() as u64, missing, listed: staged.rows.len() as u64 };
    if let Some(doubt) = listing.doubt("members")
        && !store.mark(connection, progress.stream).await?.accepts_shrink
    {
        return engine.settle_suspect(progress, doubt, None).await;
    }
    // What is seen today is how the roster stood at the end of the last whole day.
    let valid_from = engine.cx.clock.today() - Days::new(1);
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let roster: Vec<_> = std::mem::take(&mut staged.rows).into_values().collect();
    let write = engine.begin().await?;
    let change = write.apply_roster(connection, &roster, valid_from).await?;
    staged.finish(engine, &write).await?;
    let written = change.added + change.changed;
    let unchanged = listing.listed.saturating_sub(written);
    progress.effect += Effect { written, unchanged, removed: change.closed, late: 0 };
    engine.commit(write, progress).await?;
    tracing::debug!(
        run = %engine.run, listed = listing.listed, added = change.added, changed = change.changed,
        left = change.closed, "roster applied"
    );
    Ok(())
}

fn roster_member(member: Member) -> RosterMember {
    RosterMember {
        member_id: member.id,
        name: member.name.known().map(str::to_owned),
        email: member.email.known().map(str::to_owned),
        standing: Standing { role: member.role, disabled: member.disabled, pending: member.pending },
    }
}
