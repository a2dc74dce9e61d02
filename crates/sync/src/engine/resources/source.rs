//! Where the rows come from: which of the vendor's lists and searches each of a run's lists is.

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use tidemark_domain::stream::{Capture, Stream};
use tidemark_productboard::{
    Client, Cursor, Document, EntitiesQuery, Entity, EntitySearch, EntityType, Error, FieldSelection,
    ListFlag, Note, NoteSearch, NotesQuery, Page, Pages, Period, UnreadableRow,
};
use tidemark_store::Listing;
use uuid::Uuid;

use super::{
    super::pages::place_of,
    plan, related,
    row::{self, Received},
};

/// Of so many rows of a page the relationships that did not come along are asked for at the same time.
const AT_ONCE: usize = 8;

/// Rows, page by page.
pub(super) type Rows = BoxStream<'static, Result<Page<Received>, Error>>;

#[derive(Debug)]
pub(super) struct Source {
    client: Client,
    stream: Stream,
}

impl Source {
    /// Of entities or of notes.
    pub(super) fn new(client: Client, stream: Stream) -> Self {
        Self { client, stream }
    }

    /// The list, from its place on.
    pub(super) fn rows(&self, list: &Listing) -> Rows {
        let start = place_of(list);
        if self.stream == Stream::Entities { self.entities(list, start) } else { self.notes(list, start) }
    }

    fn entities(&self, list: &Listing, start: Option<Cursor>) -> Rows {
        let (client, capture) = (self.client.clone(), list.capture);
        let pages = match list.updated_from {
            Some(from) if list.part == plan::CHANGES => {
                let search = EntitySearch { updated: Period::since(from), ..EntitySearch::default() };
                self.search_entities(search, start, capture)
            }
            _ => {
                let query = EntitiesQuery::of(EntityType::from(list.part.as_str()));
                let fields = row::entity_fields(capture, query.types.first());
                let (filled, place) = (query.clone(), start.clone());
                let first = client.entity_documents(&EntitiesQuery { fields, ..query }, start);
                let client = client.clone();
                or_filled(first, move || client.entity_documents(&filled, place))
            }
        };
        pages.and_then(move |page| entity_page(client.clone(), page, capture)).boxed()
    }

    fn search_entities(
        &self,
        search: EntitySearch,
        start: Option<Cursor>,
        capture: Capture,
    ) -> Pages<Document<Entity>> {
        let fields = row::entity_fields(capture, None);
        let (client, filled, place) = (self.client.clone(), search.clone(), start.clone());
        let first = self.client.search_entity_documents(&EntitySearch { fields, ..search }, start);
        or_filled(first, move || client.search_entity_documents(&filled, place))
    }

    fn notes(&self, list: &Listing, start: Option<Cursor>) -> Rows {
        let (client, capture) = (self.client.clone(), list.capture);
        let mut query = NotesQuery { fields: row::note_fields(capture), ..NotesQuery::default() };
        match list.updated_from {
            Some(from) => query.updated = Period::since(from),
            None => {
                let (from, to) = plan::made(list);
                query.created = Period { from, to };
            }
        }
        let pages = self.client.note_documents(&query, start);
        pages.and_then(move |page| note_page(client.clone(), page, capture)).boxed()
    }

    /// Those of the rows, given with their types, that are there all the same. A list that changed while it was read
    /// may have left them out.
    pub(super) async fn find(
        &self,
        missing: &[(Uuid, String)],
        capture: Capture,
    ) -> Result<Page<Received>, Error> {
        let (alone, ids): (Vec<_>, Vec<_>) =
            missing.iter().partition(|(_, kind)| self.stream == Stream::Entities && kind == plan::OBJECTIVE);
        let ids: Vec<Uuid> = ids.iter().map(|(id, _)| *id).collect();
        let mut found = Page::default();
        if !ids.is_empty() {
            let mut rows = self.search(ids, capture);
            while let Some(page) = rows.try_next().await? {
                found.items.extend(page.items);
                found.unreadable.extend(page.unreadable);
            }
        }
        // Searches do not find these.
        let fields = row::entity_fields(capture, Some(&EntityType::Objective));
        for (id, _) in alone {
            match self.client.entity_document(*id, &fields).await {
                Ok(document) => {
                    let page = Page { items: vec![document], ..Page::default() };
                    let page = entity_page(self.client.clone(), page, capture).await?;
                    found.items.extend(page.items);
                    found.unreadable.extend(page.unreadable);
                }
                Err(Error::Invalid { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn search(&self, ids: Vec<Uuid>, capture: Capture) -> Rows {
        let client = self.client.clone();
        if self.stream == Stream::Entities {
            let search = EntitySearch { ids, ..EntitySearch::default() };
            let pages = self.search_entities(search, None, capture);
            return pages.and_then(move |page| entity_page(client.clone(), page, capture)).boxed();
        }
        let fields = match row::note_fields(capture) {
            FieldSelection::Only(names) => names,
            FieldSelection::Filled | FieldSelection::All => Vec::new(),
        };
        let search = NoteSearch { ids, fields, ..NoteSearch::default() };
        let pages = self.client.search_note_documents(&search, None);
        pages.and_then(move |page| note_page(client.clone(), page, capture)).boxed()
    }
}

/// Pages with the fields that are named, or with all where the workspace refuses these: a type may have others.
fn or_filled<T: std::marker::Send + 'static>(
    mut named: Pages<T>,
    filled: impl FnOnce() -> Pages<T> + std::marker::Send + 'static,
) -> Pages<T> {
    let pages = async move {
        match named.next().await {
            Some(Err(Error::Invalid { status: 400, .. })) => filled(),
            first => stream::iter(first).chain(named).boxed(),
        }
    };
    stream::once(pages).flatten().boxed()
}

async fn entity_page(
    client: Client,
    page: Page<Document<Entity>>,
    capture: Capture,
) -> Result<Page<Received>, Error> {
    let received = async |mut document: Document<Entity>| {
        if capture == Capture::Full {
            related::complete_entity(&client, &mut document).await?;
        }
        let parent = related::parent(&client, &document.row, capture).await?;
        Ok(row::entity(&document, parent, capture)
            .map_err(|error| UnreadableRow::of_document(&document, &error)))
    };
    let rows = stream::iter(page.items).map(received).buffered(AT_ONCE).try_collect().await?;
    Ok(sorted(rows, (page.next, page.unreadable, page.flags)))
}

/// A page of rows, of which some turned out to be unreadable.
fn sorted(
    rows: Vec<Result<Received, UnreadableRow>>,
    (next, mut unreadable, flags): (Option<Cursor>, Vec<UnreadableRow>, Vec<ListFlag>),
) -> Page<Received> {
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(row) => items.push(row),
            Err(bad) => unreadable.push(bad),
        }
    }
    Page { items, next, unreadable, flags }
}

async fn note_page(
    client: Client,
    page: Page<Document<Note>>,
    capture: Capture,
) -> Result<Page<Received>, Error> {
    let received = async |mut document: Document<Note>| {
        if capture == Capture::Full {
            related::complete_note(&client, &mut document).await?;
        }
        Ok(row::note(&document, capture).map_err(|error| UnreadableRow::of_document(&document, &error)))
    };
    let rows = stream::iter(page.items).map(received).buffered(AT_ONCE).try_collect().await?;
    Ok(sorted(rows, (page.next, page.unreadable, page.flags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(pages: Vec<Result<u32, u16>>) -> Pages<u32> {
        let page = |page: Result<u32, u16>| {
            let refused = |status| Error::Invalid {
                attempted: "list entities",
                status,
                detail: "status is no field".to_owned(),
                vendor_id: None,
            };
            page.map(|row| Page { items: vec![row], ..Page::default() }).map_err(refused)
        };
        stream::iter(pages.into_iter().map(page).collect::<Vec<_>>()).boxed()
    }

    #[tokio::test]
    async fn what_a_workspace_refuses_is_asked_for_with_all_fields() {
        for (named, expected) in [
            (vec![Ok(1), Ok(2)], Some(vec![1, 2])),
            (vec![Err(400)], Some(vec![7, 8])),
            (vec![], Some(vec![])),
            (vec![Err(422)], None),
            (vec![Ok(1), Err(400)], None),
        ] {
            let read = or_filled(pages(named), || pages(vec![Ok(7), Ok(8)]));
            let read: Result<Vec<_>, _> = read.try_collect().await;
            let rows =
                read.ok().map(|pages| pages.into_iter().flat_map(|page| page.items).collect::<Vec<_>>());
            assert_eq!(rows, expected);
        }
    }
}
