//! What a connection is made with beside the key. It is used up in the transaction that makes the connection: two people
//! with one link make one connection, and a key that is refused costs nothing.

use chrono::{DateTime, Utc};
use tidemark_domain::{id::ConnectionId, invitation::Step};
use tidemark_rpc::status::Refusal;
use tidemark_store::Tx;

use crate::{invitations::life, refusal::Fault, token::Hash};

/// Where a caller's right to make this one connection comes from.
#[derive(Debug)]
pub(crate) enum Ticket {
    /// From the caller itself.
    None,
    /// From the link of an invitation.
    Invitation(Hash),
    /// From the session of a connect link.
    Session(Hash),
}

impl Ticket {
    pub(crate) async fn spend(
        &self,
        tx: &Tx,
        connection: &ConnectionId,
        now: DateTime<Utc>,
    ) -> Result<(), Fault> {
        match self {
            Self::None => Ok(()),
            Self::Invitation(hash) => accept(tx, hash, connection, now).await,
            Self::Session(hash) => {
                let used = tx.use_connect_session(hash, connection, now).await?;
                if used { Ok(()) } else { Err(Refusal::NotFound { what: "connect session" }.into()) }
            }
        }
    }
}

async fn accept(tx: &Tx, hash: &Hash, connection: &ConnectionId, now: DateTime<Utc>) -> Result<(), Fault> {
    let taken = tx.take_invitation_of_token(hash).await?;
    let mut invitation = taken.ok_or(Refusal::NotFound { what: "invitation" })?;
    life::check_open(&invitation, now)?;
    life::step(&mut invitation, Step::Accepted, life::HOLDER, None, now)?;
    invitation.made_connection_id = Some(connection.clone());
    tx.drop_invitation_mail(&invitation.id).await?;
    if tx.update_invitation(&invitation).await? { Ok(()) } else { Err(Fault::Overtaken) }
}
