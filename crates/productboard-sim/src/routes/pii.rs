//! Names and mail addresses as a call may see them. Every answer that shows a person goes through here.

use crate::access::Pii;
use crate::gate::Call;

/// A member's name, login or mail address.
pub(super) fn member<'a>(call: &Call, text: &'a str) -> &'a str {
    call.personal(text)
}

/// A customer's name or mail address.
pub(super) fn customer<'a>(call: &Call, text: &'a str) -> &'a str {
    if call.access.allows("users:pii:read") { text } else { Pii::word(&call.faults) }
}
