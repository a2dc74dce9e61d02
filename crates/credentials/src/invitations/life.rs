//! Steps in the life of a stored invitation, and what is said of one that has ended.

use chrono::{DateTime, Utc};
use tidemark_domain::invitation::{Entry, State, Step};
use tidemark_rpc::status::Refusal;
use tidemark_store::Invitation;

/// In the history: whoever follows a link is not known by name.
pub(crate) const HOLDER: &str = "the holder of the link";
/// In the history: what happens by itself.
pub(crate) const CLOCK: &str = "the clock";
/// In the history: what the mail task did.
pub(crate) const MAIL: &str = "the mail service";

/// Where it stands now; one whose days are over may not have been marked yet.
pub(crate) fn state_at(invitation: &Invitation, now: DateTime<Utc>) -> State {
    if invitation.state.is_open() && invitation.expires_at <= now { State::Expired } else { invitation.state }
}

/// Takes a step, or refuses it by the state.
pub(crate) fn step(
    invitation: &mut Invitation,
    step: Step,
    by: &str,
    note: Option<String>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let next = invitation.state.on(step).ok_or_else(|| ended(invitation.state))?;
    invitation.state = next;
    invitation.updated_at = now;
    invitation.history.push(Entry { at: now, step, by: by.to_owned(), note });
    Ok(())
}

/// Refuses what only an open invitation can do.
pub(crate) fn check_open(invitation: &Invitation, now: DateTime<Utc>) -> Result<(), Refusal> {
    let state = state_at(invitation, now);
    if state.is_open() { Ok(()) } else { Err(ended(state)) }
}

/// For whoever holds the link of an invitation that has ended.
pub(crate) fn ended(state: State) -> Refusal {
    let reason = match state {
        State::Accepted => "INVITATION_ACCEPTED",
        State::Expired => "INVITATION_EXPIRED",
        State::Revoked => "INVITATION_REVOKED",
        _ => "INVITATION_OPEN",
    };
    Refusal::Precondition { reason, sentence: sentence(state).to_owned() }
}

/// What happened and what to do, for whoever follows the link.
pub(crate) fn sentence(state: State) -> &'static str {
    match state {
        State::Accepted => {
            "This invitation was used: the connection has been made, and there is nothing left to do. \
             If that was not you, tell whoever invited you."
        }
        State::Expired => "This invitation has expired. Ask whoever sent it for a new one.",
        State::Revoked => {
            "This invitation was taken back. If you still expect to connect the workspace, ask whoever sent it."
        }
        State::Created | State::Sent | State::DeliveryFailed | State::Opened => {
            "This invitation is open and waits for somebody to accept it."
        }
    }
}
