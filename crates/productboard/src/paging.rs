//! Pages. A next link is never followed: only the cursor is taken out of it, and the original request is made again
//! with that cursor. So a lost filter, a lost prefix or a foreign host in the link cannot hurt.
//!
//! A list that would go round in circles ends where nothing new comes: all that can be reached was read.

mod trail;

use std::fmt;

use futures::stream::BoxStream;
use serde::Deserialize;
use url::form_urlencoded;

pub(crate) use self::trail::{Keyed, Step, Trail};
use crate::{Error, UnreadableRow};

/// The query parameter of the cursor.
pub(crate) const CURSOR: &str = "pageCursor";
/// A longer cursor does not fit into a request.
const LONGEST_CURSOR: usize = 8_000;

/// A list, page by page. It ends after the last page or after the first error.
///
/// Waiting for the next page can be given up at any time: nothing is lost, and the wait goes on where it was when the
/// stream is asked again. To go on with another stream, give it the last page's [`Page::next`], which knows the way so far.
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
    /// Five pages in a row had only rows that had come before, and yet more were to come.
    RepeatedRows,
}

impl ListFlag {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RepeatedCursor, Self::EmptyPages, Self::RepeatedRows];

    /// A name to keep it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedCursor => "repeated_cursor",
            Self::EmptyPages => "empty_pages",
            Self::RepeatedRows => "repeated_rows",
        }
    }
}

/// A place between two pages, with the way there. It belongs to the request that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    text: String,
    way: Way,
}

impl Cursor {
    /// A cursor that was kept as text. Without the way there a circle is seen only once it has been gone round again.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), way: Way::default() }
    }

    /// The same, with the way there as [`Cursor::way`] gave it. One that cannot be read is none.
    #[must_use]
    pub fn after(self, way: &str) -> Self {
        Self { way: way.parse().unwrap_or_default(), ..self }
    }

    /// The vendor's text, to be kept and not to be read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The way there in at most 40 characters, to be kept beside the text.
    pub fn way(&self) -> String {
        self.way.to_string()
    }
}

/// How many pages lie behind a place, and one of the cursors there: the one behind the last page whose number is a power
/// of two. Whatever circle a list goes in, from some page on that cursor is on it, and comes again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Way {
    pages: u64,
    landmark: Option<u64>,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landmark {
            Some(landmark) => write!(f, "{}:{landmark:016x}", self.pages),
            None => write!(f, "{}", self.pages),
        }
    }
}

impl std::str::FromStr for Way {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pages, landmark) =
            text.split_once(':').map_or((text, None), |(pages, mark)| (pages, Some(mark)));
        let landmark = landmark.map(|landmark| u64::from_str_radix(landmark, 16)).transpose()?;
        Ok(Self { pages: pages.parse()?, landmark })
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
        Ok((!cursor.is_empty()).then(|| Self::new(cursor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Cursor::in_link(link), Ok(Some(Cursor::new(expected))), "{link}");
        }
        for link in ["/members?pageCursor=", ""] {
            assert_eq!(Cursor::in_link(link), Ok(None), "{link}");
        }
        for link in ["/members", "/members?includeDisabled=true", "abc"] {
            assert_eq!(Cursor::in_link(link), Err(BadLink("a link without a cursor".to_owned())), "{link}");
        }
    }

    #[test]
    fn a_cursor_that_cannot_be_sent_or_kept_is_none() {
        for link in
            [format!("?pageCursor={}", "c".repeat(LONGEST_CURSOR + 1)), "?pageCursor=a%00b".to_owned()]
        {
            assert!(Cursor::in_link(&link).is_err());
        }
    }

    #[test]
    fn the_way_to_a_cursor_can_be_kept() {
        for way in [
            Way::default(),
            Way { pages: 77, landmark: Some(5) },
            Way { pages: u64::MAX, landmark: Some(u64::MAX) },
        ] {
            let cursor = Cursor { text: "c".to_owned(), way };
            assert!(cursor.way().len() <= 40);
            assert_eq!(Cursor::new("c").after(&cursor.way()), cursor);
        }
        for none in ["", "x", "1:", "-1", "1:xyz", "99999999999999999999999", "1:2:3"] {
            assert_eq!(Cursor::new("c").after(none), Cursor::new("c"), "{none}");
        }
    }
}
