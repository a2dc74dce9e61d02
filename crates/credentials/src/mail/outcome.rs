//! What a mail server's answer means, in words for whoever invited. The server's own words are left out: they may quote
//! the mail, and the mail holds a link.

use lettre::transport::smtp::Error;

use super::InvalidMail;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A server has it.
    Taken,
    /// It may work later.
    Later(Problem),
    /// It will not work.
    Refused(Problem),
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The server's answer, where there was one.
    pub(super) code: Option<u16>,
    /// What it means.
    pub(super) sentence: String,
    /// For the operator's log: the fault of a network or of this machine. Never a server's words.
    pub(super) cause: Option<String>,
}

impl Outcome {
    pub(super) fn of(error: &Error) -> Self {
        let Some(code) = error.status().map(u16::from) else {
            // An answer that could not be read is quoted in its error.
            let cause = (!error.is_response()).then(|| error.to_string());
            let sentence = "The mail server could not be reached, or the talk with it broke off.".to_owned();
            return Self::Later(Problem { code: None, sentence, cause });
        };
        let problem =
            Problem { code: Some(code), sentence: format!("{} ({code}).", meaning(code)), cause: None };
        if is_final(code) { Self::Refused(problem) } else { Self::Later(problem) }
    }

    /// The setting cannot be used just now: it was replaced since the start.
    pub(super) fn unusable(problem: &InvalidMail) -> Self {
        let sentence = "The mail server of this installation is not set up right just now.".to_owned();
        Self::Later(Problem { code: None, sentence, cause: Some(problem.to_string()) })
    }

    /// The server did not finish in time.
    pub(super) fn silent() -> Self {
        let sentence = "The mail server did not answer in time.".to_owned();
        Self::Later(Problem { code: None, sentence, cause: None })
    }

    /// There is no such mail.
    pub(super) fn unwritable() -> Self {
        let sentence = "No mail can be written to this address.".to_owned();
        Self::Refused(Problem { code: None, sentence, cause: None })
    }
}

/// What is about the recipient or the mail is final. What is about us (commands, log in, TLS) is for the operator to put
/// right, and worth another attempt.
fn is_final(code: u16) -> bool {
    matches!(code, 521 | 541 | 550..=556)
}

fn meaning(code: u16) -> &'static str {
    match code {
        421 => "The mail server is not available just now",
        450 => "The recipient's mailbox is busy, or its server makes strangers wait",
        451 => "The mail server had an error of its own",
        452 => "The mail server is short of storage, or was given too much at once",
        454 => "The mail server cannot do TLS or log in just now",
        530 | 534 | 535 | 538 => "The mail server did not accept the log-in of this installation",
        521 | 556 => "The recipient's domain takes no mail",
        550 => "There is no such mailbox, or its server refuses mails like this one",
        551 => "The recipient is not at this server any more",
        552 => "The recipient's mailbox is full",
        553 => "The mail server does not allow this address",
        541 | 554 => "The recipient's mail server refused the mail",
        555 => "The mail server does not understand the address",
        400..=499 => "The mail server asks to try again later",
        _ => "The mail server refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_recipient_is_final() {
        for code in [521, 550, 551, 552, 553, 554, 556] {
            assert!(is_final(code), "{code}");
        }
        for code in [421, 450, 451, 452, 454, 500, 502, 530, 535] {
            assert!(!is_final(code), "{code}");
        }
    }
}
