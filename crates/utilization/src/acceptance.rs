//! Recommendations that somebody takes on: who, so that two do not do the same. Nothing is done at the vendor from here.

use tidemark_domain::recommendation::Acceptance;
use tidemark_rpc::{parse, status::Refusal, utilization as wire};
use uuid::Uuid;

use crate::{
    service::{Desk, Fault},
    wire::acceptance,
};

const LONGEST_ACTOR: usize = 120;
const NO_RECOMMENDATION: &str =
    "recommendation of this action for this member: the newest numbers recommend something else, or nothing";
const NO_ACCEPTANCE: &str = "acceptance of this member's recommendation";

pub(crate) async fn accept(
    desk: &Desk,
    asked: wire::AcceptRecommendationRequest,
) -> Result<wire::AcceptRecommendationResponse, Fault> {
    let member_id: Uuid = parse("member_id", &asked.member_id)?;
    let by = asked.actor.trim();
    if by.is_empty() || by.chars().count() > LONGEST_ACTOR {
        return Err(Refusal::invalid("actor", "1 to 120 characters that say who").into());
    }
    let seat = desk.store.seat_row(&desk.connection, member_id).await?;
    let action = seat.and_then(|seat| seat.recommendation).map(|(_, action)| action);
    let action = action.filter(|action| action.as_str() == asked.action);
    let action = action.ok_or(Refusal::NotFound { what: NO_RECOMMENDATION })?;
    let accepted = Acceptance { member_id, action, by: by.to_owned(), at: desk.clock.now() };
    let tx = desk.store.begin().await?;
    tx.accept_recommendation(&desk.connection, &accepted).await?;
    tx.commit().await?;
    Ok(wire::AcceptRecommendationResponse { acceptance: Some(acceptance(&accepted)) })
}

pub(crate) async fn withdraw(
    desk: &Desk,
    asked: wire::WithdrawAcceptanceRequest,
) -> Result<wire::WithdrawAcceptanceResponse, Fault> {
    let member: Uuid = parse("member_id", &asked.member_id)?;
    let tx = desk.store.begin().await?;
    if !tx.withdraw_acceptance(&desk.connection, member).await? {
        return Err(Refusal::NotFound { what: NO_ACCEPTANCE }.into());
    }
    tx.commit().await?;
    Ok(wire::WithdrawAcceptanceResponse {})
}
