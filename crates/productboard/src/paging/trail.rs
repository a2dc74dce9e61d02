//! Which pages and rows one list has had: the guard against lists without end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{BadLink, Cursor, ListFlag, Way};
use crate::{
    Activity, Configuration, Configured, Document, Entity, Member, Note, Relationship, SelectValue, Team,
    TeamMember, UnreadableRow, Webhook,
};

/// A list longer than this is not a list.
const MOST_PAGES: u64 = 100_000;
/// So many pages in a row without anything new are the end of a list.
const MOST_BARREN: u32 = 5;
/// Of so many rows it is remembered that they came; what comes after them counts as new.
const MOST_ROWS: usize = 500_000;

/// What distinguishes a row from others, as one number.
pub(crate) trait Keyed {
    fn key(&self) -> u64;
}

macro_rules! keyed_by_id {
    ($($row:ty),*) => {
        $(impl Keyed for $row {
            fn key(&self) -> u64 {
                hash(&self.id)
            }
        })*
    };
}

keyed_by_id!(Member, Team, TeamMember, Entity, Note, SelectValue, Webhook);

impl Keyed for Activity {
    fn key(&self) -> u64 {
        hash(&(self.row.member_id, self.row.day))
    }
}

impl Keyed for Relationship {
    fn key(&self) -> u64 {
        hash(&(&self.kind, self.target.id))
    }
}

impl<T: Hash> Keyed for Configuration<T> {
    fn key(&self) -> u64 {
        hash(&self.kind)
    }
}

impl Keyed for Configured {
    fn key(&self) -> u64 {
        hash(&self.kind)
    }
}

impl<T: Keyed> Keyed for Document<T> {
    fn key(&self) -> u64 {
        self.row.key()
    }
}

impl Keyed for UnreadableRow {
    fn key(&self) -> u64 {
        hash(&(self.key.id, self.key.day, &self.raw))
    }
}

/// What one stream of pages has had, and what is known of those before it.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Hashes, since cursors can be long and lists can have many pages.
    cursors: HashSet<u64>,
    rows: HashSet<u64>,
    way: Way,
    /// Pages in a row that brought nothing new.
    barren: u32,
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
        let way = start.map(|start| start.way).unwrap_or_default();
        let cursors = start.map(|start| lasting_hash(&start.text)).into_iter().collect();
        Self { cursors, way, ..Self::default() }
    }

    /// Notes one page, by its link and the keys of its rows.
    pub(crate) fn advance(
        &mut self,
        link: Option<&str>,
        rows: impl Iterator<Item = u64>,
    ) -> Result<Step, BadLink> {
        let Some(next) = link.map_or(Ok(None), Cursor::in_link)? else { return Ok(Step::End) };
        let (mut is_empty, mut is_barren) = (true, true);
        for row in rows {
            is_empty = false;
            is_barren &= self.rows.len() < MOST_ROWS && !self.rows.insert(row);
        }
        self.barren = if is_barren { self.barren + 1 } else { 0 };
        let hash = lasting_hash(&next.text);
        if !self.cursors.insert(hash) || self.way.landmark == Some(hash) {
            return Ok(Step::Circle(ListFlag::RepeatedCursor));
        }
        if self.barren >= MOST_BARREN {
            return Ok(Step::Circle(if is_empty { ListFlag::EmptyPages } else { ListFlag::RepeatedRows }));
        }
        self.way.pages += 1;
        if self.way.pages.is_power_of_two() {
            self.way.landmark = Some(hash);
        }
        if self.way.pages >= MOST_PAGES {
            return Err(BadLink(format!("more than {MOST_PAGES} pages")));
        }
        Ok(Step::Next(Cursor { way: self.way, ..next }))
    }
}

fn hash(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a, the same in every process and version: what is kept is compared later.
fn lasting_hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const REPEATED: Result<Step, BadLink> = Ok(Step::Circle(ListFlag::RepeatedCursor));

    /// Steps to the page of that cursor, from one with that row.
    fn step(trail: &mut Trail, cursor: u64, row: Option<u64>) -> Result<Step, BadLink> {
        trail.advance(Some(&format!("?pageCursor={cursor}")), row.into_iter())
    }

    fn went_on(step: Result<Step, BadLink>) -> Cursor {
        match step {
            Ok(Step::Next(cursor)) => cursor,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cursor_that_came_before_ends_the_list() {
        let mut trail = Trail::default();
        went_on(step(&mut trail, 1, Some(1)));
        went_on(step(&mut trail, 2, Some(2)));
        assert_eq!(step(&mut trail, 1, Some(3)), REPEATED);
        assert_eq!(step(&mut Trail::new(Some(&Cursor::new("7"))), 7, Some(1)), REPEATED);
    }

    #[test]
    fn five_pages_in_a_row_without_anything_new_end_the_list_and_four_do_not() {
        for (barren, flag) in [(None, ListFlag::EmptyPages), (Some(0), ListFlag::RepeatedRows)] {
            let mut trail = Trail::default();
            went_on(step(&mut trail, 1_000, Some(0)));
            for page in 0..20 {
                let row = if page % 5 == 4 { Some(page) } else { barren };
                went_on(step(&mut trail, page, row));
            }
            for page in 20..24 {
                went_on(step(&mut trail, page, barren));
            }
            assert_eq!(step(&mut trail, 24, barren), Ok(Step::Circle(flag)));
        }
    }

    /// Every delivery begins a new stream, which reads fewer pages than the circle has.
    #[test]
    fn a_circle_longer_than_one_stream_is_seen_by_a_later_one() {
        for (length, lead, delivery) in [(10, 0, 1), (100, 7, 30), (1_000, 500, 64), (3, 2_000, 999)] {
            let page_at = |page: u64| if page < lead { page } else { lead + (page - lead) % length };
            let (mut page, mut place, mut is_over) = (0, None::<Cursor>, false);
            while !is_over {
                // As it is kept between them.
                let kept = place.as_ref().map(|place| Cursor::new(place.as_str()).after(&place.way()));
                let mut trail = Trail::new(kept.as_ref());
                for _ in 0..delivery {
                    page += 1;
                    match step(&mut trail, page_at(page), Some(page)) {
                        Ok(Step::Next(next)) => place = Some(next),
                        step => {
                            assert_eq!(step, REPEATED);
                            is_over = true;
                            break;
                        }
                    }
                }
                assert!(page < 4 * (length + lead) + 4, "{page} pages of a circle of {length} behind {lead}");
            }
            assert!(page > length, "every page of it was read");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let mut trail = Trail::default();
        let ending = (1..=MOST_PAGES).find(|page| step(&mut trail, *page, Some(*page)).is_err());
        assert_eq!(ending, Some(MOST_PAGES));
    }

    #[test]
    fn rows_are_told_apart_by_what_they_are_of() {
        let id = Uuid::from_u128(1);
        assert_ne!(hash(&(id, 1)), hash(&(id, 2)));
        assert_eq!(hash(&id), hash(&Uuid::from_u128(1)));
    }
}
