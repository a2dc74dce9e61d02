//! Why a key was not taken, above the form that asked for it: the person corrects it there and sends it again. The key
//! itself is never shown again.

use std::time::Duration;

use axum::http::StatusCode;
use tidemark_rpc::{connections::Region, status};
use tonic::{Code, Status};

use crate::failure::Failure;

/// What stands above a form.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) title: &'static str,
    pub(crate) sentence: String,
    pub(crate) status: StatusCode,
    /// The key works in the other region.
    pub(crate) other_region: bool,
}

/// What a person can correct is told at the form; everything else is a failure.
pub(crate) fn of(status: Status) -> Result<Refused, Failure> {
    let reason = status::reason(&status).unwrap_or_default();
    let (title, code) = match status.code() {
        Code::FailedPrecondition => (title(&reason), StatusCode::UNPROCESSABLE_ENTITY),
        Code::InvalidArgument => ("This cannot be used", StatusCode::UNPROCESSABLE_ENTITY),
        Code::Unavailable if status.message().contains("Productboard") => {
            ("Productboard does not answer", StatusCode::SERVICE_UNAVAILABLE)
        }
        Code::ResourceExhausted => ("That was too often", StatusCode::TOO_MANY_REQUESTS),
        _ => return Err(status.into()),
    };
    let sentence = match status.code() {
        // Names of fields are for callers.
        Code::InvalidArgument => after_field(status.message()),
        _ => status.message().to_owned(),
    };
    Ok(Refused { title, sentence, status: code, other_region: reason == "WRONG_REGION" })
}

/// Whoever tries too many keys.
pub(crate) fn too_many(wait: Duration) -> Refused {
    Refused {
        title: "Too many keys were tried",
        sentence: format!(
            "Nothing was sent to Productboard. Check the key and the region, and try again in {} seconds.",
            wait.as_secs() + 1
        ),
        status: StatusCode::TOO_MANY_REQUESTS,
        other_region: false,
    }
}

fn title(reason: &str) -> &'static str {
    match reason {
        "KEY_REJECTED" => "Productboard does not accept this key",
        "WRONG_REGION" => "The key is of the other region",
        "NOT_AN_ADMIN_KEY" => "The key is not an admin's",
        "KEY_WITHOUT_MEMBERS" => "The key may not list members",
        "PLAN_WITHOUT_API" => "The plan has no API access",
        "WRONG_WORKSPACE" => "The key is of another workspace",
        "CONSENT_REFUSED" => "The consent was refused",
        "CONSENT_FAILED" | "CONSENT_REJECTED" => "The consent did not come about",
        "OAUTH_NOT_CONFIGURED" | "OAUTH_MISCONFIGURED" => "Consents are not set up",
        _ => "This did not work",
    }
}

fn after_field(message: &str) -> String {
    let text = message.strip_prefix("field `").and_then(|rest| rest.split_once("`: "));
    let text = text.map_or(message, |(_, text)| text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `us` or `eu`, as forms send it.
pub(crate) fn region(text: &str) -> Region {
    if text == "eu" { Region::Eu } else { Region::Us }
}

#[cfg(test)]
mod tests {
    use tidemark_rpc::status::Refusal;

    use super::*;

    #[test]
    fn what_can_be_corrected_is_told_at_the_form() {
        let refused = of(Refusal::invalid("api_key", "there is no key; paste one").into()).unwrap();
        assert_eq!(refused.sentence, "There is no key; paste one");
        let sentence = "This API key works in Productboard's EU region.".to_owned();
        let wrong = Refusal::Precondition { reason: "WRONG_REGION", sentence };
        assert!(of(wrong.into()).unwrap().other_region);
        assert!(of(Refusal::NotFound { what: "connection" }.into()).is_err());
        let what = "the database".into();
        assert!(of(Refusal::Unavailable { what, retry_after: Duration::ZERO }.into()).is_err());
    }
}
