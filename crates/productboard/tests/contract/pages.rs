//! However a list is cut into pages, and wherever it is taken up again, the rows are the same.

use std::future::Future;

use futures::TryStreamExt;
use proptest::prelude::*;
use tidemark_productboard::{
    Client, Cursor, EntitiesQuery, EntitySearch, Error, MemberSearch, MembersQuery, NoteSearch, NotesQuery,
    Page, Pages, TeamsQuery,
};
use tidemark_productboard_sim as sim;

use crate::support::{DAYS, TOKEN, client_with, options, today};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn simulator(page_size: usize) -> sim::Simulator {
    let options = sim::Options { requests_per_second: 0, page_size };
    let simulator = sim::Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let spec = sim::WorkspaceSpec::new("acme", 40, today()).teams(9).days(20).entities(60).notes(60);
    simulator.add(sim::Workspace::generate(&spec), TOKEN);
    simulator
}

/// One of the lists, each row as text.
fn list(client: &Client, which: usize, start: Option<Cursor>) -> Pages<String> {
    fn told<T: std::fmt::Debug + Send + 'static>(pages: Pages<T>) -> Pages<String> {
        Box::pin(pages.map_ok(|page| Page {
            items: page.items.iter().map(|item| format!("{item:?}")).collect(),
            next: page.next,
            unreadable: page.unreadable,
            flags: page.flags,
        }))
    }
    match which {
        0 => told(client.members(&MembersQuery::everyone(), start)),
        1 => told(client.teams(&TeamsQuery::default(), start)),
        2 => told(client.member_activities(today() - chrono::Days::new(DAYS), today(), start)),
        3 => told(client.entities(&EntitiesQuery::default(), start)),
        4 => told(client.notes(&NotesQuery::default(), start)),
        5 => told(client.search_members(&MemberSearch::default(), start)),
        6 => told(client.search_entities(&EntitySearch::default(), start)),
        7 => told(client.search_notes(&NoteSearch::default(), start)),
        8 => told(client.field_values("status", &[], start)),
        _ => told(client.entity_configurations(&[], start)),
    }
}

async fn rest(client: &Client, which: usize, start: Option<Cursor>) -> Result<Vec<Page<String>>, Error> {
    list(client, which, start).try_collect().await
}

fn rows_of(rows: Vec<Page<String>>) -> Vec<String> {
    rows.into_iter().flat_map(|page| page.items).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_split_and_any_resumption_give_the_same_rows(
        page_size in 1_usize..70, which in 0_usize..10, cut: prop::sample::Index,
    ) {
        run(async {
            let whole = simulator(1_000).await;
            let expected = client_with(&whole.base_url(), TOKEN, options());
            let expected = rows_of(rest(&expected, which, None).await.unwrap());

            let split = simulator(page_size).await;
            let client = client_with(&split.base_url(), TOKEN, options());
            let pages = rest(&client, which, None).await.unwrap();
            assert_eq!(pages.len(), expected.len().div_ceil(page_size).max(1));
            let cut = cut.index(pages.len());
            let (before, cursor) = (pages[..=cut].to_vec(), pages[cut].next.clone());
            assert_eq!(rows_of(pages), expected);

            let mut rows = rows_of(before);
            if let Some(cursor) = cursor {
                // Another client, and the cursor as it would be kept in a database.
                let client = client_with(&split.base_url(), TOKEN, options());
                let kept = Cursor::new(cursor.as_str().to_owned());
                rows.extend(rows_of(rest(&client, which, Some(kept)).await.unwrap()));
            }
            assert_eq!(rows, expected);
        });
    }
}
