//! Teams and who is in them, replaced as a whole.

use futures::{StreamExt, TryStreamExt, stream as flow};
use tidemark_domain::stream;
use tidemark_productboard::{Client, Error, Team, TeamsQuery};
use tidemark_store::{StreamProgress, TeamRoster};

use super::{Engine, Step, collect};
use crate::decision::Failure;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let teams = engine.fetch(collect(client.teams(&TeamsQuery::default(), None))).await??;
    let client = client.clone();
    let rosters = flow::iter(teams.rows)
        .map(move |team| roster(client.clone(), team))
        .buffered(engine.fetches_at_once());
    let rosters: Vec<_> = engine.fetch(rosters.try_collect()).await??;
    progress.pages = teams.pages + rosters.iter().flatten().map(|(_, pages)| pages).sum::<u64>();
    let teams: Vec<_> = rosters.into_iter().flatten().map(|(team, _)| team).collect();
    progress.rows = teams.len() as u64;
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let write = engine.begin().await?;
    write.replace_teams(&engine.connection, &teams).await?;
    engine.commit(write, progress).await?;
    tracing::debug!(run = %engine.run, teams = teams.len(), "teams replaced");
    Ok(Step::Settled)
}

/// A team with its members, and how many pages that took; nothing where the team has gone since it was listed.
async fn roster(client: Client, team: Team) -> Result<Option<(TeamRoster, u64)>, Error> {
    match collect(client.team_members(team.id, None)).await {
        Ok(listing) => {
            let members = listing.rows.into_iter().map(|member| member.id).collect();
            let handle = team.handle.unwrap_or_default();
            let roster = TeamRoster { team_id: team.id, name: team.name, handle, members };
            Ok(Some((roster, listing.pages)))
        }
        Err(Error::Invalid { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
