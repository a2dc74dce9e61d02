//! What is assumed of answers to requests that cannot succeed, and of the headers of all.

use uuid::Uuid;

use super::survey::{Answer, Sender, Survey, Unseen};
use super::{Assumption, Finding};
use crate::headers;

const USUAL_LIMIT: u32 = 50;

pub(super) async fn check(survey: &mut Survey) -> Vec<Finding> {
    let with_key = survey.ask(&["no-such-route"], Sender::Key).await;
    let without = survey.ask(&["no-such-route"], Sender::Nobody).await;
    let member = survey.ask(&["members", &Uuid::new_v4().to_string()], Sender::Key).await;
    let nobody = survey.ask(&["members"], Sender::Nobody).await;
    let stranger = survey.ask(&["members"], Sender::Stranger).await;
    vec![
        not_found(Assumption::UnknownRoute, "route.notFound", [&with_key, &without].as_slice()),
        not_found(Assumption::UnknownResource, "resource.notFound", &[&member]),
        refusals(&[&nobody, &stranger]),
        limit(survey.ask(&["members"], Sender::Key).await),
    ]
}

/// What one request shows.
pub(super) async fn cheap(survey: &mut Survey) -> Finding {
    let with_key = survey.ask(&["no-such-route"], Sender::Key).await;
    not_found(Assumption::UnknownRoute, "route.notFound", &[&with_key])
}

fn not_found(assumption: Assumption, code: &str, answers: &[&Result<Answer, Unseen>]) -> Finding {
    for answer in answers {
        match answer {
            Err(why) => return Finding::unseen(assumption, why.to_string()),
            Ok(answer) if answer.status == 404 && answer.code() == Some(code) => {}
            Ok(answer) if answer.status == 403 || answer.status == 401 => {
                return Finding::differs(
                    assumption,
                    format!("the answer was status {}", answer.status.as_u16()),
                );
            }
            Ok(answer) => {
                let code = answer.code().map_or("no code".to_owned(), |code| format!("code {}", word(code)));
                let detail = format!("the answer was status {} with {code}", answer.status.as_u16());
                return Finding::differs(assumption, detail);
            }
        }
    }
    Finding::holds(assumption, format!("status 404, {code}"))
}

/// The gateway's sentences, and the documented envelope.
fn refusals(answers: &[&Result<Answer, Unseen>]) -> Finding {
    let assumption = Assumption::Refusals;
    let mut forms = Vec::new();
    for answer in answers {
        match answer {
            Err(why) => return Finding::unseen(assumption, why.to_string()),
            Ok(answer) if answer.status != 401 => {
                return Finding::differs(
                    assumption,
                    format!("the answer was status {}", answer.status.as_u16()),
                );
            }
            Ok(answer) => match form(answer) {
                Some(form) => forms.push(form),
                None => return Finding::differs(assumption, "a 401 came in a form of its own"),
            },
        }
    }
    forms.dedup();
    Finding::holds(assumption, forms.join(" and "))
}

fn form(answer: &Answer) -> Option<&'static str> {
    if answer.code() == Some("auth.invalid") {
        return Some("the documented envelope");
    }
    let message = answer.body["message"].as_str()?;
    let known = ["Unauthorized", "Bad token; invalid JSON", "No credentials found for given 'iss'"];
    known.iter().any(|sentence| message.starts_with(sentence)).then_some("the gateway's sentence")
}

fn limit(answer: Result<Answer, Unseen>) -> Finding {
    let assumption = Assumption::RateHeaders;
    match answer.map(|answer| headers::limit(&answer.headers)) {
        Err(why) => Finding::unseen(assumption, why.to_string()),
        Ok(None) => Finding::differs(assumption, "no header names a limit"),
        Ok(Some(USUAL_LIMIT)) => Finding::holds(assumption, "50 a second"),
        Ok(Some(other)) => Finding::differs(assumption, format!("{other} a second")),
    }
}

fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).take(40).collect()
}
