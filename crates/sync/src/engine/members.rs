//! The roster. Only a complete and believable list is applied, in one transaction: who is missing from it has left.
//!
//! The first list of a workspace is judged by the activity of the same run, and waits for it: rows of activity prove
//! members. Later ones are also judged by what was known before.

use chrono::Days;
use futures::TryStreamExt;
use tidemark_domain::{
    listing::{self, Listing, Proof},
    member::Standing,
    quality::{self, UNKNOWN_ROLE},
    stream::{self, Stream},
};
use tidemark_productboard::{Client, Member, MembersQuery};
use tidemark_store::{Effect, RosterMember, StreamProgress};
use uuid::Uuid;

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
                let is_empty = page.items.is_empty() && page.unreadable.is_empty();
                page.items.iter().for_each(|document| staged.note(document));
                staged.note_bad(page.unreadable, page.flags);
                let rows = page.items.into_iter().map(|document| roster_member(document.row));
                let goes_on = page.next.is_some();
                staged.take(rows.map(|row| (row.member_id, row)), page.next);
                engine.say_if_empty(progress, is_empty && goes_on).await?;
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
    if awaits_activity(engine, progress).await? {
        if progress.done == 0 {
            (progress.done, progress.total, progress.state) = (1, 1, stream::State::Running);
            staged.put_aside(engine, progress).await?;
        }
        return Ok(Step::Paused);
    }
    apply(engine, progress, staged).await?;
    Ok(Step::Settled)
}

/// Whether nothing is known that the list could be judged by, and something is still to come.
async fn awaits_activity(engine: &Engine, progress: &StreamProgress) -> Result<bool, Failure> {
    let is_first = engine.cx.store.roster_start(&engine.connection).await?.is_none();
    Ok(is_first && !engine.writer.is_settled(Stream::MemberActivities).await && !progress.state.is_settled())
}

async fn apply(
    engine: &Engine,
    progress: &mut StreamProgress,
    mut staged: Staged<RosterMember>,
) -> Result<(), Failure> {
    let (store, connection) = (&engine.cx.store, &engine.connection);
    if let Some(unreadable) = staged.unreadable("members") {
        staged.put_aside(engine, progress).await?;
        return engine.settle_suspect(progress, unreadable, None).await;
    }
    let (known, unread) = (store.member_ids(connection).await?, staged.unread());
    let is_listed = |id: &&Uuid| staged.rows.contains_key(*id) || unread.ids.contains(*id);
    let missing = known.iter().filter(|id| !is_listed(id)).count() as u64;
    let listing = Listing { known: known.len() as u64, missing, listed: staged.rows.len() as u64 };
    if let Some(doubt) = doubt(engine, listing, &staged).await? {
        let accepts = store.mark(connection, progress.stream).await?.accepts(staged.begun_at());
        if !accepts || listing.listed == 0 {
            return engine.settle_suspect(progress, doubt, None).await;
        }
    }
    // What is seen today is how the roster stood at the end of the last whole day.
    let valid_from = engine.cx.clock.today() - Days::new(1);
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let roster: Vec<_> = std::mem::take(&mut staged.rows).into_values().collect();
    let write = engine.begin().await?;
    let change = write.apply_partial_roster(connection, &roster, &unread, valid_from).await?;
    staged.finish(engine, &write).await?;
    let unknown = quality::unknown_roles(roster.iter().map(|member| &member.standing));
    write.put_data_flag(connection, UNKNOWN_ROLE, unknown.as_deref(), engine.cx.now()).await?;
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

/// Why the list is not believed, by what was known of it and by the latest activity.
async fn doubt(
    engine: &Engine,
    listing: Listing,
    staged: &Staged<RosterMember>,
) -> Result<Option<String>, Failure> {
    if let Some(doubt) = listing.doubt("members") {
        return Ok(Some(doubt));
    }
    let today = engine.cx.clock.today();
    let days = (listing::proof_from(today), today);
    let rows = engine.cx.store.maker_rows(&engine.connection, days).await?;
    let unread = staged.unread().ids;
    let is_listed = |member: &Uuid| staged.rows.contains_key(member) || unread.contains(member);
    Ok(Proof::of(rows, is_listed).doubt(listing.listed))
}

fn roster_member(member: Member) -> RosterMember {
    RosterMember {
        member_id: member.id,
        name: member.name.known().map(str::to_owned),
        email: member.email.known().map(str::to_owned),
        standing: Standing { role: member.role, disabled: member.disabled, pending: member.pending },
    }
}
