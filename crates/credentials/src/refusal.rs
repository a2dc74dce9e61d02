//! From a fault to what the caller is told. What the caller cannot mend is logged here, once, and not told.

use std::{error::Error as StdError, fmt, time::Duration};

use tidemark_domain::{
    connection::{CredentialKind, Reason, Region},
    id::ConnectionId,
};
use tidemark_productboard::{Cause, Rejection, oauth};
use tidemark_rpc::status::{RECONNECT_REQUIRED, Refusal};
use tidemark_runtime::{
    metrics::{record, tasks as metrics},
    tasks,
};
use tidemark_store as store;
use tonic::Status;

use crate::{audit::Unwritten, probe::Unfit, vault::OpenError, workspace::Unproven};

/// What became of the key that was tried, for the end of a sentence's first half.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kept {
    /// A new connection was asked for.
    Nothing,
    /// A reconnect was asked for.
    Old,
}

/// Why a handler has no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller is told what to do.
    Refused(Status),
    /// The database.
    Store(store::Error),
    /// A credential that does not open.
    Sealed { connection: ConnectionId, error: OpenError },
    /// A connection whose credential is not in the database.
    Missing { connection: ConnectionId, generation: i64 },
    /// The audit log.
    Audit(Unwritten),
    /// Somebody else changed the connection first.
    Overtaken,
    /// The configured host cannot be used.
    Client(tidemark_productboard::Error),
    /// The vendor's OAuth server gave nothing.
    OAuth(oauth::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Unwritten> for Fault {
    fn from(error: Unwritten) -> Self {
        Self::Audit(error)
    }
}

impl Fault {
    /// Handles the fault: logs what has to be, and gives the caller's part.
    pub(crate) fn into_status(self, rpc: &'static str) -> Status {
        match self {
            Self::Refused(status) => status,
            Self::Overtaken => Refusal::Overtaken { what: "connection" }.into(),
            Self::Store(error) => {
                let unavailable = matches!(error, store::Error::Unavailable(..));
                let error: &(dyn StdError + 'static) = &error;
                if unavailable {
                    tracing::warn!(
                        rpc,
                        error,
                        "the database does not answer, the caller was told to try again"
                    );
                    return unavailable_for("the database", 2);
                }
                tracing::error!(rpc, error, "the database failed");
                Refusal::Internal.into()
            }
            Self::Audit(Unwritten) => unavailable_for("the audit log", 2),
            Self::Sealed { connection, error } => {
                // What the operator puts right by adding a key heals without the caller's doing.
                let heals = matches!(error, OpenError::UnknownKey { .. });
                let error: &(dyn StdError + 'static) = &error;
                tracing::error!(rpc, %connection, error, "a stored credential cannot be opened");
                if heals { unavailable_for("the vault", 60) } else { Refusal::Internal.into() }
            }
            Self::Missing { connection, generation } => {
                tracing::error!(rpc, %connection, generation, "the connection's credential is not in the database");
                Refusal::Internal.into()
            }
            Self::Client(error) => {
                let error: &(dyn StdError + 'static) = &error;
                tracing::error!(
                    rpc,
                    error,
                    "no client for the region: look at `productboard.us_url` and `eu_url`"
                );
                Refusal::Internal.into()
            }
            Self::OAuth(error) => {
                let told = refused_by_oauth(&error);
                let error: &(dyn StdError + 'static) = &error;
                tracing::warn!(rpc, error, "Productboard's OAuth server gave nothing");
                told.into()
            }
        }
    }
}

/// Does something for one of many in the background. What goes wrong is that one's, and keeps no other from its turn; it
/// comes again when its claim has run out.
pub(crate) async fn item(
    task: &'static str,
    id: &impl fmt::Display,
    attempt: impl Future<Output = Result<(), Fault>>,
) {
    match tasks::caught(attempt).await {
        Some(Ok(())) => return,
        Some(Err(Fault::Store(store::Error::Corrupt { what }))) => {
            // Another version's, as far as anybody here can tell.
            return record::unreadable(task, &id.to_string(), &what);
        }
        Some(Err(fault)) => {
            let _logged = fault.into_status(task);
            tracing::warn!(task, %id, "failed for one of many; it is tried again later");
        }
        None => tracing::error!(task, %id, "panicked for one of many; it is tried again later"),
    }
    metrics::failed(task);
}

/// What the person who wanted to consent is told.
fn refused_by_oauth(error: &oauth::Error) -> Refusal {
    match error {
        oauth::Error::InvalidGrant { .. } => Refusal::Precondition {
            reason: "CONSENT_REJECTED",
            sentence: "Productboard did not accept what the consent brought back: it is too old, or was used before. \
                       Start the consent again."
                .to_owned(),
        },
        oauth::Error::RateLimited { retry_after, .. } => {
            Refusal::Unavailable { what: "Productboard's login".into(), retry_after: *retry_after }
        }
        oauth::Error::InDoubt { .. } | oauth::Error::Unavailable { .. } | oauth::Error::Unreachable { .. } => {
            Refusal::Unavailable { what: "Productboard's login".into(), retry_after: Duration::from_secs(30) }
        }
        oauth::Error::InvalidClient { .. }
        | oauth::Error::Refused { .. }
        | oauth::Error::VendorChanged { .. }
        | oauth::Error::Configuration(_) => Refusal::Precondition {
            reason: "OAUTH_MISCONFIGURED",
            sentence: "Productboard refused this deployment's OAuth application; the details were logged. \
                       The operator should check the settings `oauth.*` against the application registered with \
                       Productboard."
                .to_owned(),
        },
    }
}

/// This deployment has no OAuth application.
pub(crate) fn not_configured() -> Refusal {
    Refusal::Precondition {
        reason: "OAUTH_NOT_CONFIGURED",
        sentence: "This deployment has no Productboard OAuth application, so that nobody can consent. Connect with an \
                   API key, or let the operator register an application and set `oauth.client_id`, \
                   `oauth.client_secret` and `oauth.redirect_url`."
            .to_owned(),
    }
}

fn unavailable_for(what: &'static str, seconds: u64) -> Status {
    Refusal::Unavailable { what: what.into(), retry_after: Duration::from_secs(seconds) }.into()
}

/// The connection has no working credential.
pub(crate) fn reconnect_required(reason: Reason) -> Refusal {
    let sentence = format!("{} {}", reason.sentence(), reason.next_step());
    Refusal::Precondition { reason: RECONNECT_REQUIRED, sentence }
}

/// The new key opens another workspace than the connection's, as far as can be proven.
pub(crate) fn wrong_workspace(
    kind: CredentialKind,
    old: Option<&str>,
    new: Option<&str>,
    why: Unproven,
) -> Refusal {
    let named = |name: Option<&str>| {
        name.map_or_else(|| "a workspace whose name is not known".to_owned(), |name| format!("`{name}`"))
    };
    let (noun, old, new, kept) = (kind.noun(), named(old), named(new), Kept::Old.sentence());
    let sentence = match why {
        Unproven::Other => format!(
            "This {noun} is for {new}, and nothing proves that this is the workspace of the connection, {old}. {kept} \
             Use one of the connection's own workspace, or connect the other one as a new connection."
        ),
        Unproven::Hidden => format!(
            "This {noun} is for {new}, the connection is for {old}, and the members that would prove that both are the \
             same workspace cannot be seen with it. {kept} Use an API key of an admin, who can list members; or \
             connect {new} as a new connection."
        ),
        Unproven::Strangers => format!(
            "This {noun} is for {new}, as the connection is, but none of the members by whom the workspace is known is \
             there: it is another workspace that has taken the domain. {kept} Connect it as a new connection."
        ),
    };
    Refusal::Precondition { reason: "WRONG_WORKSPACE", sentence }
}

impl Kept {
    fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "Nothing was stored.",
            Self::Old => "The connection and its stored credentials are as they were.",
        }
    }
}

impl Unfit {
    /// What the person who pasted the key is told: what happened, what was kept, what to do.
    pub(crate) fn refusal(self, region: Region, host: &str, kept: Kept) -> Refusal {
        let kept = kept.sentence();
        let (reason, sentence) = match self {
            Self::Rejected(rejection) => ("KEY_REJECTED", rejected(rejection, region, kept)),
            Self::WrongRegion => {
                let (here, there) = (region.as_str().to_uppercase(), region.other().as_str().to_uppercase());
                let sentence = format!(
                    "This API key works in Productboard's {there} region and not in the {here} region, where it was \
                     tried. {kept} Choose {there} as the region and paste the same key again."
                );
                ("WRONG_REGION", sentence)
            }
            Self::NotAdmin => {
                let sentence = format!(
                    "Productboard accepts this API key, but does not let it list members, and without them no seat \
                     can be counted: its maker is no admin. {kept} Create the key as an admin of the workspace \
                     (profile menu, Integrations, Public APIs) and paste that one."
                );
                ("NOT_AN_ADMIN_KEY", sentence)
            }
            Self::WithoutMembers => {
                let sentence = format!(
                    "Productboard accepts this API key, but it lacks the permission to list members, and without \
                     them no seat can be counted. {kept} Create a key with the permission `members:read` as an admin \
                     of the workspace (profile menu, Integrations, Public APIs) and paste that one."
                );
                ("KEY_WITHOUT_MEMBERS", sentence)
            }
            Self::WithoutApi => {
                let sentence = format!(
                    "The plan of this workspace does not let an API key read it. {kept} \
                     Connect a workspace on the Pro plan or higher, or upgrade the plan and try again."
                );
                ("PLAN_WITHOUT_API", sentence)
            }
            Self::NotUnderstood => {
                let sentence = format!(
                    "Productboard answered in a way that this version of Tidemark does not understand; the details \
                     were logged. {kept} The operator should check the configured Productboard host and update \
                     Tidemark."
                );
                ("VENDOR_NOT_UNDERSTOOD", sentence)
            }
            // A bad moment may be over soon; what somebody has to set right is named.
            Self::Cut(cause @ (Cause::Refused | Cause::TimedOut)) => {
                let what = format!("Productboard (host {host}: {})", cause.sentence()).into();
                return Refusal::Unavailable { what, retry_after: Duration::from_secs(30) };
            }
            Self::Cut(cause) => {
                let sentence =
                    format!("Productboard cannot be reached at {host}: {}. {kept}", cause.sentence());
                ("VENDOR_UNREACHABLE", sentence)
            }
            Self::Unreachable => {
                let what = format!("Productboard (host {host})").into();
                return Refusal::Unavailable { what, retry_after: Duration::from_secs(30) };
            }
        };
        Refusal::Precondition { reason, sentence }
    }
}

/// What the vendor says is wrong with a key, and what to do.
fn rejected(rejection: Rejection, region: Region, kept: &str) -> String {
    let (here, there) = (region.as_str().to_uppercase(), region.other().as_str().to_uppercase());
    match rejection {
        Rejection::Malformed => format!(
            "What was pasted is not a whole Productboard API key. {kept} Copy the key again from its first to its last \
             character; it is long, has two dots in it, and is shown only once. If it cannot be shown any more, an \
             admin makes a new one (profile menu, Integrations, Public APIs)."
        ),
        Rejection::Basic => format!(
            "Tidemark sent this API key by HTTP Basic, and Productboard takes keys only as bearer tokens. {kept} \
             Connect with the way of sending set to `Bearer`; `Basic` is for a gateway of your own that asks for it."
        ),
        Rejection::Missing => format!(
            "Productboard says that no API key arrived. {kept} The key may be as good as ever: a proxy or gateway \
             between Tidemark and Productboard removes the header `Authorization`. The operator should let it pass."
        ),
        Rejection::UnknownIssuer => format!(
            "Productboard does not know this API key in the {here} region: it was revoked, or it belongs to the {there} \
             region. {kept} If the workspace is in the {there} region, choose {there} and paste the same key again; \
             otherwise an admin makes a new key (profile menu, Integrations, Public APIs)."
        ),
        Rejection::Invalid | Rejection::Unsaid => format!(
            "Productboard does not accept this API key in the {here} region. {kept} \
             Check that the whole key was copied, that it was not revoked since, and that the region is \
             right: keys of EU workspaces work only on the EU host, all others only on the US host. \
             An admin makes keys in Productboard (profile menu, Integrations, Public APIs); \
             the Essentials plan has none."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(unfit: Unfit) -> String {
        let refusal = unfit.refusal(Region::Eu, "api.eu.productboard.com", Kept::Old);
        Status::from(refusal).message().to_owned()
    }

    #[test]
    fn each_rejection_has_its_own_next_step() {
        for (rejection, step) in [
            (Rejection::Malformed, "Copy the key again"),
            (Rejection::Basic, "set to `Bearer`"),
            (Rejection::Missing, "removes the header `Authorization`"),
            (Rejection::UnknownIssuer, "choose US and paste the same key"),
            (Rejection::Invalid, "that it was not revoked since"),
            (Rejection::Unsaid, "that it was not revoked since"),
        ] {
            let said = sentence(Unfit::Rejected(rejection));
            assert!(said.contains(step) && said.contains("are as they were"), "{rejection:?}: {said}");
        }
    }

    #[test]
    fn what_somebody_has_to_set_right_is_named_with_the_host() {
        for (cause, step) in [
            (Cause::UntrustedCertificate, "SSL_CERT_FILE"),
            (Cause::UnknownHost, "DNS"),
            (Cause::Refused, "nothing listens there"),
            (Cause::WebPage, "a web page came"),
            (Cause::Proxy, "HTTPS_PROXY"),
            (Cause::NoTls, "does not speak TLS"),
        ] {
            let said = sentence(Unfit::Cut(cause));
            assert!(said.contains(step) && said.contains("api.eu.productboard.com"), "{cause:?}: {said}");
        }
    }
}
