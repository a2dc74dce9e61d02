//! A connection in words: its card, its credentials, and what they can read.

use tidemark_rpc::connections::{
    Availability, Capability, CapabilityFinding, Connection, ConnectionState, Credential, CredentialKind,
    Region,
};

use super::{Moment, Tone, moment};

/// One connected workspace.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) workspace: String,
    pub(crate) region: &'static str,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) reason: String,
    pub(crate) next_step: String,
    /// Whether its workspace is known: it was connected once.
    pub(crate) is_begun: bool,
    /// Whether another credential can be given to it.
    pub(crate) is_open: bool,
    /// Whether it has a credential that works.
    pub(crate) is_working: bool,
    /// Whether nothing but a credential helps.
    pub(crate) is_urgent: bool,
    pub(crate) lost: Vec<&'static str>,
    pub(crate) since: Option<Moment>,
    pub(crate) probed: Option<Moment>,
    pub(crate) matrix: Vec<Line>,
    pub(crate) credentials: Vec<Held>,
}

/// One line of the capability matrix.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) found: &'static str,
    pub(crate) tone: Tone,
    pub(crate) consequence: String,
}

/// One credential, without its secret.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) kind: &'static str,
    pub(crate) stored: Option<Moment>,
    pub(crate) access_ends: Option<Moment>,
    pub(crate) renewable_until: Option<Moment>,
    pub(crate) rejected: Option<String>,
}

impl From<Connection> for Card {
    fn from(connection: Connection) -> Self {
        let (state, tone) = state(connection.state());
        let region = region(connection.region());
        let current = connection.state();
        let is_awaiting = current == ConnectionState::AwaitingConsent;
        let is_working = matches!(
            current,
            ConnectionState::Connected | ConnectionState::Degraded | ConnectionState::Expiring
        );
        let lost = connection.lost().map(capability).collect();
        let (mut reason, mut next_step) = connection
            .reason
            .as_ref()
            .map(|reason| (reason.sentence.clone(), reason.next_step.clone()))
            .unwrap_or_default();
        if is_awaiting && reason.is_empty() {
            "Somebody began to consent at Productboard and has not finished.".clone_into(&mut reason);
            "Begin the consent again, or connect with an API key.".clone_into(&mut next_step);
        }
        let held = |credential| Held::of(credential, &reason);
        Self {
            credentials: connection.credentials.iter().map(held).collect(),
            workspace: workspace(&connection),
            region,
            state,
            tone,
            reason,
            next_step,
            is_begun: !is_awaiting,
            is_open: current != ConnectionState::Disconnected,
            is_working,
            is_urgent: matches!(
                current,
                ConnectionState::ReconnectRequired | ConnectionState::AwaitingConsent
            ),
            lost,
            since: moment!(connection.updated_at),
            probed: moment!(connection.probed_at),
            matrix: connection.capabilities.iter().map(|found| Line::of(found, is_working)).collect(),
            id: connection.id,
        }
    }
}

/// What a workspace is called, while it is not known, too.
pub(crate) fn workspace(connection: &Connection) -> String {
    if connection.workspace.is_empty() {
        "Workspace not known yet".to_owned()
    } else {
        connection.workspace.clone()
    }
}

pub(crate) fn region(region: Region) -> &'static str {
    if region == Region::Eu { "EU" } else { "US" }
}

fn state(state: ConnectionState) -> (&'static str, Tone) {
    match state {
        ConnectionState::Connected => ("Connected", Tone::Good),
        ConnectionState::Degraded => ("Reads less than before", Tone::Warn),
        ConnectionState::Expiring => ("Ends soon", Tone::Warn),
        ConnectionState::ReconnectRequired => ("Needs a reconnect", Tone::Bad),
        ConnectionState::AwaitingConsent => ("Waiting for consent", Tone::Warn),
        ConnectionState::Disconnected => ("Disconnected", Tone::Quiet),
        ConnectionState::Unspecified => ("Unknown", Tone::Quiet),
    }
}

fn capability(capability: Capability) -> &'static str {
    match capability {
        Capability::Members => "Members",
        Capability::Teams => "Teams",
        Capability::Activity => "Daily activity",
        Capability::PersonalData => "Names and e-mail addresses",
        Capability::Notes => "Notes",
        Capability::Entities => "Features and hierarchy",
        Capability::Unspecified => "Something newer than this console",
    }
}

impl Line {
    /// What was found is of the past where the connection no longer works.
    fn of(finding: &CapabilityFinding, is_working: bool) -> Self {
        let (found, tone) = match finding.availability() {
            Availability::Available if is_working => ("Can be read", Tone::Good),
            Availability::Available => ("Could be read", Tone::Quiet),
            Availability::Forbidden => ("Not permitted", Tone::Warn),
            Availability::NotInPlan => ("Not in the plan", Tone::Warn),
            Availability::Unknown | Availability::Unspecified => ("Could not be asked", Tone::Quiet),
        };
        Self { what: capability(finding.capability()), found, tone, consequence: finding.consequence.clone() }
    }
}

impl Held {
    /// What is said of the connection is not said of its credential again.
    fn of(credential: &Credential, said: &str) -> Self {
        let kind = match credential.kind() {
            CredentialKind::ApiKey => "API key",
            CredentialKind::Oauth => "Consent (OAuth)",
            CredentialKind::Assertion => "Signed assertion",
            CredentialKind::Unspecified => "Credential",
        };
        let rejected = credential.rejected.as_ref().map(|reason| match reason.sentence.as_str() {
            sentence if sentence == said => "It is no longer accepted.".to_owned(),
            sentence => format!("{sentence} {}", reason.next_step),
        });
        Self {
            kind,
            stored: moment!(credential.created_at),
            access_ends: moment!(credential.access_expires_at),
            renewable_until: moment!(credential.refresh_expires_at),
            rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_rpc::connections::Reason;

    use super::*;

    #[test]
    fn a_card_says_what_is_the_matter_and_what_to_do() {
        let reason = Reason {
            code: "key_rejected".to_owned(),
            sentence: "The key was revoked.".to_owned(),
            next_step: "Paste a new one.".to_owned(),
        };
        let found = CapabilityFinding {
            capability: Capability::Members.into(),
            availability: Availability::Available.into(),
            ..Default::default()
        };
        let connection = Connection {
            state: ConnectionState::ReconnectRequired.into(),
            workspace: "acme".to_owned(),
            credentials: vec![Credential { rejected: Some(reason.clone()), ..Default::default() }],
            capabilities: vec![found],
            reason: Some(reason),
            region: Region::Eu.into(),
            ..Default::default()
        };
        let card = Card::from(connection);
        assert_eq!((card.state, card.tone, card.region), ("Needs a reconnect", Tone::Bad, "EU"));
        assert_eq!(
            (card.reason.as_str(), card.next_step.as_str()),
            ("The key was revoked.", "Paste a new one.")
        );
        assert!(card.is_urgent && card.is_open && card.is_begun && !card.is_working);
        assert_eq!(card.matrix[0].found, "Could be read", "nothing is read now");
        assert_eq!(card.credentials[0].rejected.as_deref(), Some("It is no longer accepted."));
        let gone = Connection { state: ConnectionState::Disconnected.into(), ..Default::default() };
        assert!(!Card::from(gone).is_open);
    }
}
