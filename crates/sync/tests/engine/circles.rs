//! Lists that have no end, and searches that are not as described.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidemark_domain::stream::{Capture, Stream};
use tidemark_inproc::InprocLeases;
use tidemark_productboard_sim::{Faults, Route, WorkspaceSpec};
use tidemark_rpc::syncs::RunState;
use tidemark_sync::Settings;

use crate::{
    planned::of,
    streams::{live_on, planned},
    support::{Harness, TOKEN, settings, today},
};

/// Each delivery reads a few pages; the way there is in the checkpoint.
#[tokio::test]
async fn a_circle_is_seen_although_no_delivery_reads_all_of_it() {
    let spec = WorkspaceSpec::new("acme", 300, today()).days(10).entities(200).notes(150);
    let settings = Settings { history_days: 3, delivery_budget: Duration::ZERO, ..settings() };
    let harness = Harness::over(settings, Arc::new(InprocLeases::new()), 10, &spec).await;
    harness.choose([Stream::Entities, Stream::Notes], Capture::Metadata).await;
    harness.simulator.faults(TOKEN, |faults| faults.last_page_links_to = Some(0));
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
    assert!(harness.sent("sync.run").await.len() > 5);
    harness.assert_planned(Capture::Metadata).await;
    assert_eq!(harness.store.member_count(&harness.connection).await.unwrap(), 300);
    let members = of(&run, Stream::Members).pages;
    assert!((30..=120).contains(&members), "{members} pages of 30");
    let flags = harness.store.data_flags(&harness.connection).await.unwrap();
    let flags: Vec<_> = flags.iter().map(|it| it.flag.as_str()).collect();
    for stream in ["members", "entities", "notes"] {
        assert!(flags.contains(&format!("repeated_cursor.{stream}").as_str()), "{flags:?}");
    }
    harness.finish().await;
}

/// What `vendor-check` looks for among searches and answers.
#[tokio::test]
async fn searches_that_are_not_as_described_lose_nothing() {
    let switches: [fn(&mut Faults); 5] = [
        |faults| faults.updated_filter_ignored = true,
        |faults| faults.untyped_search_empty = true,
        |faults| faults.objective_search_empty = true,
        |faults| faults.not_found_code = Some("gone.away".to_owned()),
        |faults| faults.same_page_again = [Route::Entities, Route::EntitiesSearch, Route::Notes].into(),
    ];
    for switch in switches {
        let harness = planned(Capture::Metadata).await;
        harness.simulator.faults(TOKEN, switch);
        // Whole lists, changes, and whole lists again, which also say what is gone.
        for days in [0, 1, 8] {
            live_on(&harness, days);
            let run = harness.sync().await;
            assert_eq!(run.state(), RunState::Succeeded, "{}", run.reason);
            let workspace = harness.simulator.workspace("acme").unwrap();
            let entities = workspace.entities.iter().map(|it| (it.id, it.updated_at));
            let notes = workspace.notes.iter().map(|it| (it.id, it.updated_at));
            for (stream, rows) in
                [(Stream::Entities, entities.collect::<Vec<_>>()), (Stream::Notes, notes.collect())]
            {
                let kept = harness.resources(stream).await;
                let kept: BTreeMap<_, _> = kept.iter().map(|it| (it.id, it.updated_at)).collect();
                for (id, updated_at) in rows {
                    assert_eq!(kept.get(&id), Some(&Some(updated_at)), "{stream:?} after {days} days");
                }
            }
        }
        harness.assert_planned(Capture::Metadata).await;
        harness.finish().await;
    }
}
