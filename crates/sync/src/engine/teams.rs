//! Teams and who is in them. Only complete and believable lists are applied, in one transaction.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream as flow};
use serde::{Deserialize, Serialize};
use tidemark_domain::{listing::Listing, stream};
use tidemark_productboard::{Client, Error, Team, TeamMember, TeamsQuery};
use tidemark_store::{StreamProgress, TeamRoster, Unread};
use uuid::Uuid;

use super::{Engine, Step, collect, pages, staged::Staged};
use crate::decision::Failure;

/// A team, before and after its members were listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StagedTeam {
    name: String,
    handle: String,
    members: Option<Vec<Uuid>>,
    /// Somebody in it cannot be told: who was in it before stays.
    #[serde(default)]
    keeps_others: bool,
}

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let mut staged = Staged::open(engine, progress.stream).await?;
    let mut pages = client.team_documents(&TeamsQuery::default(), staged.start());
    while !staged.is_whole() {
        match engine.fetch(pages.try_next()).await? {
            Ok(Some(page)) => {
                progress.rows += page.items.len() as u64;
                progress.pages += 1;
                let is_empty = page.items.is_empty() && page.unreadable.is_empty();
                page.items.iter().for_each(|document| staged.note(document));
                staged.note_bad(page.unreadable, page.flags);
                let goes_on = page.next.is_some();
                staged.take(page.items.into_iter().map(|document| team(document.row)), page.next);
                engine.say_if_empty(progress, is_empty && goes_on).await?;
            }
            Ok(None) => staged.end(),
            Err(error) => return refused(engine, progress, &mut staged, error).await,
        }
        if paused(engine, progress, &mut staged).await? {
            return Ok(Step::Paused);
        }
    }
    let open = staged.rows.iter().filter(|(_, team)| team.members.is_none()).map(|(id, _)| *id);
    let rosters = flow::iter(open.collect::<Vec<_>>()).map(|id| members(client, id));
    let mut rosters = rosters.buffer_unordered(engine.fetches_at_once());
    while let Some(roster) = engine.fetch(rosters.next()).await? {
        match roster {
            Ok((id, Some(listing))) => {
                progress.pages += listing.pages;
                let team = staged.rows.get(&id).cloned().expect("its members were asked for");
                // Whoever's id is legible is in the team, whatever else is not.
                let legible = listing.bad.iter().filter_map(|row| row.key.id);
                let members: Vec<_> = listing.rows.iter().map(|member| member.id).chain(legible).collect();
                let keeps_others = listing.bad.iter().any(|row| row.key.id.is_none());
                staged.take([(id, StagedTeam { members: Some(members), keeps_others, ..team })], None);
            }
            Ok((id, None)) => drop(staged.rows.remove(&id)),
            Err(error) => return refused(engine, progress, &mut staged, error).await,
        }
        if paused(engine, progress, &mut staged).await? {
            return Ok(Step::Paused);
        }
    }
    apply(engine, progress, staged).await?;
    Ok(Step::Settled)
}

async fn refused(
    engine: &Engine,
    progress: &mut StreamProgress,
    staged: &mut Staged<StagedTeam>,
    error: Error,
) -> Result<Step, Failure> {
    let detail = staged.refused(engine, progress, error).await?;
    engine.settle_suspect(progress, detail, None).await?;
    Ok(Step::Settled)
}

/// Puts aside what was read, when it is time to.
async fn paused(
    engine: &Engine,
    progress: &StreamProgress,
    staged: &mut Staged<StagedTeam>,
) -> Result<bool, Failure> {
    let pauses = engine.should_pause();
    if pauses || staged.is_worth_keeping() {
        staged.put_aside(engine, progress).await?;
    }
    Ok(pauses)
}

fn team(team: Team) -> (Uuid, StagedTeam) {
    // Nothing needs the handle.
    (
        team.id,
        StagedTeam {
            name: team.name,
            handle: team.handle.unwrap_or_default(),
            members: None,
            keeps_others: false,
        },
    )
}

/// A team's members; nothing where the team has gone since it was listed.
async fn members(client: &Client, team: Uuid) -> Result<(Uuid, Option<pages::Listing<TeamMember>>), Error> {
    match collect(client.team_members(team, None)).await {
        Ok(listing) => Ok((team, Some(listing))),
        Err(Error::Invalid { status: 404, .. }) => Ok((team, None)),
        Err(error) => Err(error),
    }
}

async fn apply(
    engine: &Engine,
    progress: &mut StreamProgress,
    mut staged: Staged<StagedTeam>,
) -> Result<(), Failure> {
    let (store, connection) = (&engine.cx.store, &engine.connection);
    if let Some(unreadable) = staged.unreadable("teams") {
        staged.put_aside(engine, progress).await?;
        return engine.settle_suspect(progress, unreadable, None).await;
    }
    let unread = staged.unread();
    let keeping = staged.rows.iter().filter(|(_, team)| team.keeps_others).map(|(id, _)| *id);
    let keeping: BTreeSet<_> = keeping.chain(unread.ids.iter().copied()).collect();
    let teams = std::mem::take(&mut staged.rows).into_iter().map(|(team_id, team)| {
        let StagedTeam { name, handle, members, .. } = team;
        TeamRoster { team_id, name, handle, members: members.unwrap_or_default() }
    });
    let teams: Vec<_> = teams.collect();
    let listed = teams.iter().map(|team| team.team_id).chain(unread.ids.iter().copied()).collect();
    let known = store.memberships(connection).await?;
    let kept = known.iter().filter(|(team, _)| keeping.contains(team)).copied();
    let memberships = teams.iter().flat_map(|team| team.members.iter().map(|member| (team.team_id, *member)));
    let memberships = memberships.chain(kept).collect();
    let doubt = compared(&store.team_ids(connection).await?, &listed).doubt("teams");
    let doubt = doubt.or_else(|| compared(&known, &memberships).doubt("memberships of teams"));
    if let Some(doubt) = doubt
        && !store.mark(connection, progress.stream).await?.accepts(staged.begun_at())
    {
        return engine.settle_suspect(progress, doubt, None).await;
    }
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let write = engine.begin().await?;
    progress.effect +=
        write.replace_legible_teams(connection, &teams, &Unread { ids: keeping, ..unread }).await?;
    staged.finish(engine, &write).await?;
    engine.commit(write, progress).await?;
    tracing::debug!(run = %engine.run, teams = teams.len(), "teams replaced");
    Ok(())
}

fn compared<T: Ord>(known: &BTreeSet<T>, listed: &BTreeSet<T>) -> Listing {
    let missing = known.difference(listed).count() as u64;
    Listing { known: known.len() as u64, missing, listed: listed.len() as u64 }
}
