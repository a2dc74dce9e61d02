//! The floor: pages at an even pace, one day after the other with some under way at once, two writers per workspace, no
//! record of how far it came.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use tidemark_domain::{activity::MemberDay, id::ConnectionId};
use tidemark_productboard::{Client, LocalBudget, MembersQuery, Options};
use tidemark_store::Store;
use tokio::sync::{Mutex, mpsc};

use crate::{
    LIMIT, Size,
    vendor::{Vendor, today, token},
    world::World,
};

const DAYS_AT_ONCE: usize = 10;
const ROWS: usize = 1_000;

pub(crate) async fn sync_all(world: &World, vendor: &Vendor, size: Size) {
    let syncs = (0..vendor.workspaces).map(|number| {
        let (store, url) = (world.store.clone(), vendor.simulator.base_url());
        let connection = world.floors[number].clone();
        tokio::spawn(async move {
            let url = url.parse().unwrap();
            let budget = Arc::new(LocalBudget::even(LIMIT));
            let options = Options { budget, ..Options::default() }.trust(&url);
            let client = Client::new(&url, token("floor", number).into(), options).unwrap();
            sync(client, store, connection, size).await;
        })
    });
    for ended in join_all(syncs).await {
        ended.unwrap();
    }
}

async fn sync(client: Client, store: Store, connection: ConnectionId, size: Size) {
    let mut members = client.members(&MembersQuery::everyone(), None);
    while members.try_next().await.unwrap().is_some() {}
    let (send, receive) = mpsc::channel(8);
    let receive = Arc::new(Mutex::new(receive));
    let writers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(write(store.clone(), connection.clone(), Arc::clone(&receive))))
        .collect();
    let last = today() - chrono::Days::new(1);
    let days = (0..u64::from(size.days)).map(|age| last - chrono::Days::new(age));
    let fetch = |day| {
        let (client, send) = (client.clone(), send.clone());
        tokio::spawn(async move {
            let mut pages = client.member_activities(day, day, None);
            while let Some(page) = pages.try_next().await.unwrap() {
                let rows: Vec<_> = page.items.into_iter().map(|activity| activity.row).collect();
                send.send(rows).await.unwrap();
            }
        })
    };
    stream::iter(days).map(fetch).buffer_unordered(DAYS_AT_ONCE).for_each(async |ended| ended.unwrap()).await;
    drop(send);
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(store: Store, connection: ConnectionId, pages: Arc<Mutex<mpsc::Receiver<Vec<MemberDay>>>>) {
    let mut rows = Vec::new();
    loop {
        let page = pages.lock().await.recv().await;
        let is_last = page.is_none();
        rows.extend(page.into_iter().flatten());
        if rows.len() >= ROWS || is_last && !rows.is_empty() {
            let tx = store.begin().await.unwrap();
            tx.upsert_member_days(&connection, &rows).await.unwrap();
            tx.commit().await.unwrap();
            rows.clear();
        }
        if is_last {
            return;
        }
    }
}
