//! Pages. A next link is never followed: only the cursor is taken out of it, and the original request is made again
//! with that cursor. So a lost filter, a lost prefix or a foreign host in the link cannot hurt.
//!
//! A list that would go round in circles ends where nothing new comes: all that can be reached was read.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::stream::BoxStream;
use serde::Deserialize;
use url::form_urlencoded;

use crate::{Error, UnreadableRow};

/// The query parameter of the cursor.
pub(crate) const CURSOR: &str = "pageCursor";
/// A list longer than this is not a list.
const MOST_PAGES: u32 = 100_000;
/// So many empty pages in a row are the end of a list.
const MOST_EMPTY: u32 = 5;
/// A longer cursor does not fit into a request.
const LONGEST_CURSOR: usize = 8_000;

/// A list, page by page. It ends after the last page or after the first error.
///
/// Waiting for the next page can be given up at any time: nothing is lost, and the wait goes on where it was when the
/// stream is asked again. A loop is noticed within one stream only. To go on with another stream, give it the last page's [`Page::next`].
pub type Pages<T> = BoxStream<'static, Result<Page<T>, Error>>;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows that can be read.
    pub items: Vec<T>,
    /// What to resume with after this page; nothing after the last one.
    pub next: Option<Cursor>,
    /// The rows that cannot.
    pub unreadable: Vec<UnreadableRow>,
    /// What was odd about the list; of its last page only. The list is complete all the same.
    pub flags: Vec<ListFlag>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None, unreadable: Vec::new(), flags: Vec::new() }
    }
}

/// Something odd about a list that ended all the same: all that can be reached was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListFlag {
    /// The last page names itself, or a page before it, as the next one.
    RepeatedCursor,
    /// Five pages in a row were empty, and yet more were to come.
    EmptyPages,
}

impl ListFlag {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RepeatedCursor, Self::EmptyPages];

    /// A name to keep it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedCursor => "repeated_cursor",
            Self::EmptyPages => "empty_pages",
        }
    }
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
        if cursor.len() > LONGEST_CURSOR {
            return Err(BadLink(format!("a cursor of more than {LONGEST_CURSOR} bytes")));
        }
        if cursor.chars().any(char::is_control) {
            return Err(BadLink("a cursor with control characters".to_owned()));
        }
        Ok((!cursor.is_empty()).then(|| Self(cursor.into_owned())))
    }
}

/// Which pages one stream has seen: the guard against lists without end.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Hashes, since cursors can be long and lists can have many pages.
    seen: HashSet<u64>,
    pages: u32,
    /// Empty pages in a row.
    empty: u32,
}

/// What comes behind a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Next(Cursor),
    End,
    /// There would be a next page, and it would bring nothing new.
    Circle(ListFlag),
}

impl Trail {
    /// A trail that begins at the start of the list or at a cursor.
    pub(crate) fn new(start: Option<&Cursor>) -> Self {
        let mut trail = Self::default();
        trail.seen.extend(start.map(hash));
        trail
    }

    /// Notes one page, by its link and whether it was empty.
    pub(crate) fn advance(&mut self, link: Option<&str>, is_empty: bool) -> Result<Step, BadLink> {
        let Some(next) = link.map_or(Ok(None), Cursor::in_link)? else { return Ok(Step::End) };
        self.pages += 1;
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        if !self.seen.insert(hash(&next)) {
            return Ok(Step::Circle(ListFlag::RepeatedCursor));
        }
        if self.empty >= MOST_EMPTY {
            return Ok(Step::Circle(ListFlag::EmptyPages));
        }
        if self.pages >= MOST_PAGES {
            return Err(BadLink(format!("more than {MOST_PAGES} pages")));
        }
        Ok(Step::Next(next))
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

    fn next(cursor: &str) -> Result<Step, BadLink> {
        Ok(Step::Next(Cursor::new(cursor)))
    }

    #[test]
    fn the_cursor_is_taken_out_of_any_link() {
        for (link, expected) in [
            ("https://api.productboard.com/v2/members?includeDisabled=true&pageCursor=a%3D%2F", "a=/"),
            ("/member-activities?pageCursor=abc", "abc"),
            ("?pageCursor=abc#top", "abc"),
            ("https://api.eu.productboard.com/x?pageCursor=abc&pageCursor=def", "abc"),
            ("http://pb-backend.internal:8080/v2/members?pageCursor=abc", "abc"),
            ("//evil.example/v2/members?pageCursor=abc", "abc"),
            ("http://[::1]:0/?pageCursor=abc", "abc"),
            ("not a url at all?pageCursor=abc", "abc"),
        ] {
            assert_eq!(Trail::default().advance(Some(link), false), next(expected), "{link}");
        }
        for link in ["/members?pageCursor=", ""] {
            assert_eq!(Trail::default().advance(Some(link), false), Ok(Step::End), "{link}");
        }
        for link in ["/members", "/members?includeDisabled=true", "abc"] {
            let step = Trail::default().advance(Some(link), false);
            assert_eq!(step, Err(BadLink("a link without a cursor".to_owned())), "{link}");
        }
    }

    #[test]
    fn a_cursor_that_cannot_be_sent_or_kept_is_none() {
        for link in
            [format!("?pageCursor={}", "c".repeat(LONGEST_CURSOR + 1)), "?pageCursor=a%00b".to_owned()]
        {
            assert!(Trail::default().advance(Some(&link), false).is_err());
        }
    }

    #[test]
    fn a_cursor_that_came_before_ends_the_list() {
        let circle = Ok(Step::Circle(ListFlag::RepeatedCursor));
        let mut trail = Trail::default();
        assert_eq!(trail.advance(Some("?pageCursor=a"), false), next("a"));
        assert_eq!(trail.advance(Some("?pageCursor=b"), false), next("b"));
        assert_eq!(trail.advance(Some("?pageCursor=a"), false), circle);
        let start = Cursor::new("a");
        assert_eq!(Trail::new(Some(&start)).advance(Some("?pageCursor=a"), false), circle);
    }

    #[test]
    fn five_empty_pages_in_a_row_end_the_list_and_four_do_not() {
        let mut trail = Trail::default();
        let mut advance = |page: u32, is_empty| trail.advance(Some(&format!("?pageCursor={page}")), is_empty);
        for page in (0..20).filter(|page| page % 5 != 4) {
            assert_eq!(advance(page, true), next(&page.to_string()));
            if page % 5 == 3 {
                assert_eq!(advance(page + 1, false), next(&(page + 1).to_string()));
            }
        }
        for page in 20..24 {
            assert_eq!(advance(page, true), next(&page.to_string()));
        }
        assert_eq!(advance(24, true), Ok(Step::Circle(ListFlag::EmptyPages)));
    }

    #[test]
    fn a_list_has_an_end() {
        let mut trail = Trail::default();
        let ending =
            (1..=MOST_PAGES).find(|page| trail.advance(Some(&format!("?pageCursor={page}")), false).is_err());
        assert_eq!(ending, Some(MOST_PAGES));
    }
}
