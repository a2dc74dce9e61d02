//! Names and mail addresses as a call may see them. Every answer that shows a person goes through here.

use crate::gate::Call;

/// A member's name, login or mail address.
pub(super) fn member<'a>(_call: &Call, text: &'a str) -> &'a str {
    text
}

/// A customer's name or mail address.
pub(super) fn customer<'a>(_call: &Call, text: &'a str) -> &'a str {
    text
}
