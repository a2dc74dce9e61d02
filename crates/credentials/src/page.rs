//! Page tokens: opaque, and the id after which a page begins.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidemark_rpc::status::Refusal;

/// Where a page begins.
pub(crate) fn start<T: FromStr>(token: &str) -> Result<Option<T>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|id| id.parse().ok());
    let expected = "send `next_page_token` of the page before unchanged, or nothing for the first page";
    id.map(Some).ok_or_else(|| Refusal::invalid("page_token", expected))
}

/// How many are asked for.
pub(crate) fn size(asked: u32, usual: u32, most: u32) -> usize {
    let size = if asked == 0 { usual } else { asked.min(most) };
    size as usize
}

/// Cuts what is more than a page, and gives the token of the next one; empty when there is none.
pub(crate) fn cut<T>(rows: &mut Vec<T>, size: usize, id: impl Fn(&T) -> String) -> String {
    let more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| more);
    last.map(|last| URL_SAFE_NO_PAD.encode(id(last))).unwrap_or_default()
}
