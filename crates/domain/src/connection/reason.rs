//! Why a connection stands where it stands: each reason with its sentence for a person and the next step.

use serde::{Deserialize, Serialize};

/// Why a connection needs a person, or has less than it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The vendor answered 401 twice for the same credential.
    KeyRejected,
    /// The vendor ended the grant of a consent.
    ConsentWithdrawn,
    /// A refresh was sent, its answer never came, and the token that was sent works no more.
    RefreshInDoubt,
    /// Nobody used the grant before its refresh token's last day.
    RefreshExpired,
    /// The workspace's plan has no API access.
    PlanWithoutApi,
    /// The key belongs to the other data centre.
    WrongRegion,
    /// The key was made by somebody who is no admin.
    NotAnAdminKey,
    /// The key may not list members.
    KeyWithoutMembers,
    /// Something that could be read cannot be read any more.
    CapabilityLost,
    /// The credential ends soon.
    ExpiresSoon,
    /// Somebody chose Disconnect.
    DisconnectedByPerson,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 11] = [
        Self::KeyRejected,
        Self::ConsentWithdrawn,
        Self::RefreshInDoubt,
        Self::RefreshExpired,
        Self::PlanWithoutApi,
        Self::WrongRegion,
        Self::NotAnAdminKey,
        Self::KeyWithoutMembers,
        Self::CapabilityLost,
        Self::ExpiresSoon,
        Self::DisconnectedByPerson,
    ];

    /// The code on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyRejected => "key_rejected",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::RefreshInDoubt => "refresh_in_doubt",
            Self::RefreshExpired => "refresh_expired",
            Self::PlanWithoutApi => "plan_without_api",
            Self::WrongRegion => "wrong_region",
            Self::NotAnAdminKey => "not_an_admin_key",
            Self::KeyWithoutMembers => "key_without_members",
            Self::CapabilityLost => "capability_lost",
            Self::ExpiresSoon => "expires_soon",
            Self::DisconnectedByPerson => "disconnected_by_person",
        }
    }

    /// The reason of that code.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// What happened and what it means for the data, in a sentence for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::KeyRejected => {
                "Productboard no longer accepts this API key: it was revoked, or its owner lost access. \
                 Data collected so far is kept; nothing new arrives until the workspace is reconnected."
            }
            Self::ConsentWithdrawn => {
                "Productboard ended the access that was consented to: somebody withdrew it, or who gave it left. \
                 Data collected so far is kept; nothing new arrives until the workspace is reconnected."
            }
            Self::RefreshInDoubt => {
                "Productboard's answer to a renewal of the access was lost on the way, and what was there before \
                 works no more. Data collected so far is kept; nothing new arrives until the workspace is reconnected."
            }
            Self::RefreshExpired => {
                "The access that was consented to has run out, since it could not be renewed in time. \
                 Data collected so far is kept; nothing new arrives until the workspace is reconnected."
            }
            Self::PlanWithoutApi => {
                "The workspace's plan does not let an API key read it. \
                 Data collected so far is kept; nothing new arrives."
            }
            Self::WrongRegion => {
                "The key belongs to Productboard's other data centre, and keys work only in their own. \
                 Nothing can be read with it here."
            }
            Self::NotAnAdminKey => {
                "The key was made by somebody who is no admin of the workspace, so that it may not list members. \
                 Without them no seat can be counted."
            }
            Self::KeyWithoutMembers => {
                "The credential may not list members any more. \
                 Data collected so far is kept; seats stay as they were last seen."
            }
            Self::CapabilityLost => {
                "Something that could be read before cannot be read any more: a permission was taken away, or the \
                 plan changed. Everything else goes on; what is missing is shown as unknown, not as unused."
            }
            Self::ExpiresSoon => {
                "The access to the workspace ends soon and could not be renewed by itself. \
                 Everything works until then; nothing new arrives afterwards."
            }
            Self::DisconnectedByPerson => {
                "Somebody chose to disconnect this workspace. Its credentials are deleted here, and nothing is \
                 fetched any more."
            }
        }
    }

    /// What the person should do next.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::KeyRejected => {
                "Create a new access token in Productboard (profile menu, Integrations, Public APIs) as an admin \
                 of the same workspace, then choose Reconnect and paste it."
            }
            Self::ConsentWithdrawn | Self::RefreshInDoubt | Self::RefreshExpired => {
                "Choose Reconnect, log in to Productboard as an admin of the same workspace, and consent again."
            }
            Self::PlanWithoutApi => "Move the workspace to the Pro plan or higher, then choose Reconnect.",
            Self::WrongRegion => "Choose the other region and paste the same key again.",
            Self::NotAnAdminKey | Self::KeyWithoutMembers => {
                "Ask an admin of the workspace to create an access token (profile menu, Integrations, Public APIs), \
                 then choose Reconnect and paste it."
            }
            Self::CapabilityLost => {
                "Look at the capabilities that are marked as missing; give the permission back, or choose Reconnect \
                 with a credential that has it."
            }
            Self::ExpiresSoon => "Choose Reconnect before that day; nothing is interrupted by it.",
            Self::DisconnectedByPerson => {
                "To use the workspace again, connect it as a new connection. An API key that is no longer needed \
                 should be deleted in Productboard as well."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_a_sentence_and_a_step_of_its_own() {
        let mut sentences = Vec::new();
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert!(reason.sentence().ends_with('.') && reason.next_step().ends_with('.'), "{reason:?}");
            sentences.push(reason.sentence());
        }
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), Reason::ALL.len());
    }
}
