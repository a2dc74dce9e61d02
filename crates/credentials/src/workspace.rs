//! Whether a credential that is offered opens the workspace of the connection: nobody else's numbers may run on under its
//! name.
//!
//! The domain says so, or the members by whom the workspace is known (its anchors): a workspace that changed its domain
//! is proven by half of them, at least three, or all where there are fewer. A domain alone is not enough where none of
//! them is there any more: somebody else may have taken it.

use tidemark_domain::connection::{AuthScheme, CredentialKind};
use tidemark_productboard::{Client, Error};
use tidemark_store::Connection;
use uuid::Uuid;

use crate::{
    probe::{ANCHORS as MOST, Found, Identity},
    refusal::{Fault, wrong_workspace},
    secret::Secret,
    service::Parts,
};

/// As many prove a workspace, however few half of them are.
const FEWEST: usize = 3;

/// Which of the anchors the credential can see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Anchors {
    seen: usize,
    absent: usize,
    /// The vendor would not say, or could not be asked.
    hidden: usize,
}

/// Why it is not proven to be the connection's workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// Its domain and its members are others.
    Other,
    /// Its domain is another, and its members cannot be seen.
    Hidden,
    /// Its domain is the same, and its members are others.
    Strangers,
}

impl Parts {
    /// Refuses a credential that is not proven to belong to the connection's workspace.
    pub(crate) async fn same_workspace(
        &self,
        old: &Connection,
        (kind, scheme): (CredentialKind, AuthScheme),
        secret: &Secret,
        found: &Found,
    ) -> Result<(), Fault> {
        let is_first = old.generation == 0;
        if is_first {
            return Ok(());
        }
        let identity = &found.identity;
        let client = self.client(old.region, kind, scheme, secret)?;
        let anchors = look_for(&client, identity, old).await;
        let proof = proof(old.workspace.as_deref(), identity.workspace.as_deref(), anchors);
        proof.map_err(|unproven| {
            wrong_workspace(kind, old.workspace.as_deref(), identity.workspace.as_deref(), unproven).into()
        })
    }
}

/// Those that were not on the page that was read are asked for one by one, as far as they are needed.
async fn look_for(client: &Client, identity: &Identity, old: &Connection) -> Anchors {
    let (listed, others): (Vec<Uuid>, Vec<Uuid>) =
        old.anchors.iter().partition(|anchor| identity.has(anchor));
    let mut anchors = Anchors { seen: listed.len(), ..Anchors::default() };
    let is_same_domain = old.workspace.is_some() && identity.workspace == old.workspace;
    for anchor in others {
        if anchors.are_enough() || (anchors.seen > 0 && is_same_domain) {
            // Whoever is left is taken for absent, which changes nothing any more.
            anchors.absent += 1;
            continue;
        }
        match client.member(anchor).await {
            Ok(member) if member.id == anchor => anchors.seen += 1,
            Ok(_) | Err(Error::Invalid { status: 404, .. }) => anchors.absent += 1,
            Err(_) => anchors.hidden += 1,
        }
    }
    anchors
}

impl Anchors {
    fn all(self) -> usize {
        self.seen + self.absent + self.hidden
    }

    /// Whether more would prove nothing more.
    fn are_enough(self) -> bool {
        self.seen >= MOST.div_ceil(2).max(FEWEST)
    }

    fn are_most(self) -> bool {
        let all = self.all();
        all > 0 && self.seen >= all.div_ceil(2).max(FEWEST.min(all))
    }
}

fn proof(old: Option<&str>, new: Option<&str>, anchors: Anchors) -> Result<(), Unproven> {
    let is_proven = match (old, new) {
        (Some(old), Some(new)) if old == new => {
            let are_strangers = anchors.all() > 0 && anchors.absent == anchors.all();
            return if are_strangers { Err(Unproven::Strangers) } else { Ok(()) };
        }
        (Some(_), Some(_)) => anchors.are_most(),
        // A domain can stay unknown where nobody was active. Ids belong to one workspace: a common member decides.
        _ => anchors.seen > 0,
    };
    match is_proven {
        true => Ok(()),
        false if anchors.hidden > 0 || anchors.all() == 0 => Err(Unproven::Hidden),
        false => Err(Unproven::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(seen: usize, absent: usize, hidden: usize) -> Anchors {
        Anchors { seen, absent, hidden }
    }

    #[test]
    fn a_workspace_that_changed_its_domain_is_proven_by_most_of_its_members() {
        let changed =
            |seen, absent, hidden| proof(Some("acme"), Some("acme-labs"), anchors(seen, absent, hidden));
        for (seen, absent, hidden) in
            [(10, 0, 0), (5, 5, 0), (3, 3, 0), (3, 1, 2), (3, 0, 0), (2, 0, 0), (1, 0, 0)]
        {
            assert_eq!(changed(seen, absent, hidden), Ok(()), "{seen} of {}", seen + absent + hidden);
        }
        for (seen, absent) in [(4, 6), (2, 2), (2, 1), (1, 1), (0, 2), (0, 10)] {
            assert_eq!(changed(seen, absent, 0), Err(Unproven::Other), "{seen} of {}", seen + absent);
        }
        assert_eq!(changed(2, 0, 8), Err(Unproven::Hidden), "who cannot be seen proves nothing");
        assert_eq!(changed(0, 0, 2), Err(Unproven::Hidden));
        assert_eq!(changed(0, 0, 0), Err(Unproven::Hidden), "there is nobody to recognize it by");
    }

    #[test]
    fn a_domain_is_proof_unless_all_its_members_are_strangers() {
        let same = |seen, absent, hidden| proof(Some("acme"), Some("acme"), anchors(seen, absent, hidden));
        for (seen, absent, hidden) in [(10, 0, 0), (1, 9, 0), (0, 0, 0), (0, 0, 10), (0, 9, 1)] {
            assert_eq!(same(seen, absent, hidden), Ok(()), "{seen} {absent} {hidden}");
        }
        assert_eq!(same(0, 10, 0), Err(Unproven::Strangers));
        assert_eq!(same(0, 2, 0), Err(Unproven::Strangers), "however few");
    }

    #[test]
    fn where_a_domain_is_unknown_a_common_member_decides() {
        for (old, new) in [(None, Some("acme")), (Some("acme"), None), (None, None)] {
            assert_eq!(proof(old, new, anchors(1, 9, 0)), Ok(()));
            assert_eq!(proof(old, new, anchors(0, 10, 0)), Err(Unproven::Other));
            assert_eq!(proof(old, new, anchors(0, 0, 10)), Err(Unproven::Hidden));
            assert_eq!(proof(old, new, anchors(0, 0, 0)), Err(Unproven::Hidden), "nothing to compare with");
        }
    }
}
