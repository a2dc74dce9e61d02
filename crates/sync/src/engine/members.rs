//! The roster. Only a complete and believable list is applied, in one transaction: who is missing from it has left.

use std::collections::HashSet;

use chrono::Days;
use tidemark_domain::{member::Standing, stream};
use tidemark_productboard::{Client, Member, MembersQuery};
use tidemark_store::{RosterMember, StreamProgress};

use super::{Engine, Step, collect};
use crate::decision::Failure;

/// Below this many known members half of them may well leave at once.
const SHRINK_COUNTS_FROM: u64 = 10;

pub(super) async fn sync(
    engine: &Engine,
    client: &Client,
    progress: &mut StreamProgress,
) -> Result<Step, Failure> {
    let listing = engine.fetch(collect(client.members(&MembersQuery::everyone(), None))).await??;
    let listed = listing.rows.iter().map(|member| member.id).collect::<HashSet<_>>().len() as u64;
    progress.rows = listing.rows.len() as u64;
    progress.pages = listing.pages;
    let known = engine.cx.store.member_count(&engine.connection).await?;
    if let Some(doubt) = doubt(known, listed) {
        engine.settle(progress.clone(), stream::State::Suspect, Some(doubt)).await?;
        return Ok(Step::Settled);
    }
    let roster: Vec<_> = listing.rows.into_iter().map(roster_member).collect();
    // What is seen today is how the roster stood at the end of the last whole day.
    let valid_from = engine.cx.clock.today() - Days::new(1);
    (progress.done, progress.total, progress.state) = (1, 1, stream::State::Complete);
    progress.detail = None;
    let write = engine.begin().await?;
    let change = write.apply_roster(&engine.connection, &roster, valid_from).await?;
    engine.commit(write, progress).await?;
    tracing::debug!(
        run = %engine.run, listed, added = change.added, changed = change.changed, left = change.closed,
        "roster applied"
    );
    Ok(Step::Settled)
}

fn roster_member(member: Member) -> RosterMember {
    RosterMember {
        member_id: member.id,
        name: member.name.known().map(str::to_owned),
        email: member.email.known().map(str::to_owned),
        standing: Standing { role: member.role, disabled: member.disabled, pending: member.pending },
    }
}

/// Why a list of that length is not believed, if it is not.
fn doubt(known: u64, listed: u64) -> Option<String> {
    let is_shrunken = known >= SHRINK_COUNTS_FROM && listed * 2 < known;
    if known > 0 && listed == 0 {
        Some(format!(
            "Productboard listed no member where {known} were known; the list was not believed and the seats \
             stay as they were"
        ))
    } else if is_shrunken {
        Some(format!(
            "Productboard listed {listed} members where {known} were known; a list that lost more than half was \
             not believed and the seats stay as they were"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_halved_list_is_doubted() {
        let believed = [(0, 0), (0, 60), (1, 1), (9, 1), (9, 4), (10, 5), (60, 30), (60, 900)];
        for (known, listed) in believed {
            assert_eq!(doubt(known, listed), None, "{known} known, {listed} listed");
        }
        for (known, listed) in [(1, 0), (60, 0), (10, 4), (60, 29), (61, 30)] {
            assert!(doubt(known, listed).is_some(), "{known} known, {listed} listed");
        }
    }
}
