//! Pages. A next link is never followed: only the cursor is taken out of it, and the original request is made again
//! with that cursor. So a lost filter or a lost prefix in the link cannot hurt; a foreign host ends the list.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::stream::BoxStream;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{Error, host};

/// The query parameter of the cursor.
pub(crate) const CURSOR: &str = "pageCursor";
/// A list longer than this is not a list.
const MOST_PAGES: u32 = 100_000;

/// A list, page by page. It ends after the last page or after the first error.
///
/// Waiting for the next page can be given up at any time: nothing is lost, and the wait goes on where it was when the
/// stream is asked again. A loop is noticed within one stream only. To go on with another stream, give it the last page's [`Page::next`].
pub type Pages<T> = BoxStream<'static, Result<Page<T>, Error>>;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to resume with after this page; nothing after the last one.
    pub next: Option<Cursor>,
}

/// A place between two pages. It belongs to the request that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor that was kept as text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The vendor's text, to be kept and not to be read.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a next link.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadLink(pub(crate) String);

/// The links of a page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Links {
    next: Option<String>,
}

impl Links {
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The cursor of the next page, for a page inside another thing: the request is never made by this link.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, BadLink> {
        self.next().map_or(Ok(None), Cursor::in_link)
    }
}

impl Cursor {
    /// Takes the cursor out of a next link, absolute or relative. An empty link or an empty cursor is the end; a link
    /// without any cursor is not: ending there would quietly lose the rest of the list.
    pub(crate) fn in_link(link: &str) -> Result<Option<Self>, BadLink> {
        let link = link.split_once('#').map_or(link, |(link, _)| link);
        if link.is_empty() {
            return Ok(None);
        }
        let query = link.split_once('?').map_or("", |(_, query)| query);
        let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == CURSOR);
        let (_, cursor) = found.ok_or_else(|| BadLink("a link without a cursor".to_owned()))?;
        Ok((!cursor.is_empty()).then(|| Self(cursor.into_owned())))
    }
}

/// A link to anybody but the host that was asked, or the vendor behind it, did not come from the vendor.
fn same_house(link: &str, asked: &Url) -> Result<(), BadLink> {
    let foreign = asked.join(link).ok().is_some_and(|link| {
        let host = link.host_str().unwrap_or_default();
        link.host_str() != asked.host_str() && !host::is_vendor(host)
    });
    if foreign { Err(BadLink("a link to a foreign host".to_owned())) } else { Ok(()) }
}

/// Which pages one stream has seen: the guard against lists without end.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Hashes, since cursors can be long and lists can have many pages.
    seen: HashSet<u64>,
    pages: u32,
}

impl Trail {
    /// A trail that begins at the start of the list or at a cursor.
    pub(crate) fn new(start: Option<&Cursor>) -> Self {
        let mut trail = Self::default();
        trail.seen.extend(start.map(hash));
        trail
    }

    /// Notes one page and gives the cursor of the next one. `asked` is the request's own URL.
    pub(crate) fn advance(&mut self, link: Option<&str>, asked: &Url) -> Result<Option<Cursor>, BadLink> {
        let Some(link) = link else { return Ok(None) };
        same_house(link, asked)?;
        let Some(next) = Cursor::in_link(link)? else { return Ok(None) };
        self.pages += 1;
        if self.pages >= MOST_PAGES {
            return Err(BadLink(format!("more than {MOST_PAGES} pages")));
        }
        if !self.seen.insert(hash(&next)) {
            return Err(BadLink("a repeated cursor".to_owned()));
        }
        Ok(Some(next))
    }
}

fn hash(cursor: &Cursor) -> u64 {
    let mut hasher = DefaultHasher::new();
    cursor.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Url {
        Url::parse("https://api.productboard.com/v2/members?includeDisabled=true").unwrap()
    }

    #[test]
    fn the_cursor_is_taken_out_of_any_link() {
        let cases = [
            ("https://api.productboard.com/v2/members?includeDisabled=true&pageCursor=a%3D%2F", Some("a=/")),
            ("/member-activities?pageCursor=abc", Some("abc")),
            ("?pageCursor=abc#top", Some("abc")),
            ("https://api.eu.productboard.com/x?pageCursor=abc&pageCursor=def", Some("abc")),
            ("/members?pageCursor=", None),
            ("", None),
        ];
        for (link, expected) in cases {
            let next = Trail::default().advance(Some(link), &asked());
            assert_eq!(next.unwrap().as_ref().map(Cursor::as_str), expected, "{link}");
        }
        for link in ["/members", "/members?includeDisabled=true", "abc"] {
            let next = Trail::default().advance(Some(link), &asked());
            assert_eq!(next, Err(BadLink("a link without a cursor".to_owned())), "{link}");
        }
    }

    #[test]
    fn a_link_to_a_foreign_host_is_refused() {
        for link in
            ["https://elsewhere.example/v2/members?pageCursor=a", "//evil.example/v2/members?pageCursor=a"]
        {
            let next = Trail::default().advance(Some(link), &asked());
            assert_eq!(next, Err(BadLink("a link to a foreign host".to_owned())), "{link}");
        }
        let gateway = Url::parse("http://gateway:8080/pb/v2/members").unwrap();
        let link = "https://api.productboard.com/v2/members?pageCursor=a";
        assert!(Trail::default().advance(Some(link), &gateway).is_ok(), "the vendor behind a gateway");
    }

    #[test]
    fn a_cursor_comes_once() {
        let mut trail = Trail::default();
        let mut advance = |link: &str| trail.advance(Some(link), &asked());
        assert_eq!(advance("?pageCursor=a"), Ok(Some(Cursor::new("a"))));
        assert_eq!(advance("?pageCursor=b"), Ok(Some(Cursor::new("b"))));
        assert_eq!(advance("?pageCursor=a"), Err(BadLink("a repeated cursor".to_owned())));
        let start = Cursor::new("a");
        assert!(Trail::new(Some(&start)).advance(Some("?pageCursor=a"), &asked()).is_err());
    }

    #[test]
    fn a_list_has_an_end() {
        let mut trail = Trail::default();
        let ending = (1..=MOST_PAGES)
            .find(|page| trail.advance(Some(&format!("?pageCursor={page}")), &asked()).is_err());
        assert_eq!(ending, Some(MOST_PAGES));
    }
}
