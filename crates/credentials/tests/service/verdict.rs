//! Reported rejections: a connection ends on a confirmed 401, once, and on nothing else.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tidemark_domain::event::{Data, Event};
use tidemark_inproc::InprocLeases;
use tidemark_productboard_sim::Route;
use tidemark_rpc::{
    connections::ConnectionState,
    credentials::{ReportRejectedRequest, Verdict, credentials_service_server::CredentialsService as _},
    status,
};
use tonic::Code;

use crate::world::{ACME, World, from_inside, replica, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoked_key_is_found_out_once_however_often_it_is_reported() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.revoke(ACME);
    let before = world.simulator.requests(ACME);
    let verdicts = join_all((0..20).map(|_| world.report(&id, 1))).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Ok(Verdict::ReconnectRequired))), "{verdicts:?}");
    assert_eq!(world.simulator.requests(ACME) - before, 1, "one probe for all of them");
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnect_required"]);

    let asked = world.simulator.requests(ACME);
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::ReconnectRequired);
    assert_eq!(world.events(&id).await.len(), 2, "no second event");
    assert_eq!(world.simulator.requests(ACME), asked, "what is known is not asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reports_to_several_processes_make_one_probe_of_a_dead_key() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.revoke(ACME);
    let before = world.simulator.requests(ACME);
    let leases = Arc::new(InprocLeases::new());
    let url = world.simulator.base_url();
    let process = |seed| {
        replica(
            &world.store,
            leases.clone(),
            settings(&world.simulator, &url, &url),
            world.clock.clone(),
            seed,
        )
    };
    let replicas: Vec<_> = (20..23).map(process).collect();
    let reports = (0..30).map(|number| {
        let (service, id) = (&replicas[number % 3], id.clone());
        async move {
            let request = ReportRejectedRequest { connection_id: id, generation: 1 };
            service.report_rejected(from_inside(request)).await.unwrap().into_inner().verdict()
        }
    });
    let verdicts = join_all(reports).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::ReconnectRequired), "{verdicts:?}");
    assert_eq!(world.simulator.requests(ACME) - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_is_still_good_is_asked_about_once_for_all_that_doubt_it() {
    let world = World::new().await;
    let id = world.connected().await.id;
    // So slow that all reports are there before the answer.
    world.simulator.faults(ACME, |faults| faults.latency = Duration::from_millis(500));
    let before = world.simulator.requests(ACME);
    let verdicts = join_all((0..20).map(|_| world.report(&id, 1))).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Ok(Verdict::StillValid))), "{verdicts:?}");
    assert_eq!(world.simulator.requests(ACME) - before, 1);
}

#[tokio::test]
async fn a_lost_connection_says_why_and_what_to_do() {
    let world = World::new().await;
    let connection = world.lost().await;
    assert_eq!(connection.state(), ConnectionState::ReconnectRequired);
    let reason = connection.reason.unwrap();
    assert_eq!(reason.code, "key_rejected");
    assert_eq!((connection.workspace.as_str(), connection.generation), ("acme", 1));

    let refused = world.token(&connection.id).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(status::reason(&refused).as_deref(), Some(status::RECONNECT_REQUIRED));
    assert!(refused.message().contains(&reason.sentence) && refused.message().contains(&reason.next_step));

    let outgoing = world.store.outgoing_of(&connection.id.parse().unwrap()).await.unwrap();
    let event = Event::decode(&outgoing[1].body).unwrap();
    let Data::ReconnectRequired(data) = event.data else { panic!("{event:?}") };
    assert_eq!((data.organization_id, data.generation), (world.organization.clone(), 1));
}

#[tokio::test]
async fn a_401_that_does_not_repeat_is_not_believed() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.simulator.revoke(ACME);
    world.simulator.issue_token("acme", ACME);
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::StillValid);
    world.forbid(ACME, Route::Members);
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::StillValid, "a 403 recognizes the key");
    assert_eq!(world.events(&id).await, ["connection.connected"]);
    assert!(world.token(&id).await.is_ok());
}

#[tokio::test]
async fn a_bad_moment_of_the_vendor_decides_nothing() {
    let world = World::new().await;
    let id = world.connected().await.id;
    for status in [408, 425, 429, 500, 502, 503, 504, 400] {
        world.simulator.faults(ACME, |faults| faults.fail_next = [status, status].into());
        assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::Undecided, "{status}");
        world.simulator.faults(ACME, |faults| faults.fail_next.clear());
    }
    assert_eq!(world.events(&id).await, ["connection.connected"]);
    assert!(world.token(&id).await.is_ok());
}

#[tokio::test]
async fn an_unreachable_vendor_decides_nothing() {
    let mut world = World::new().await;
    let id = world.connected().await.id;
    let elsewhere = crate::world::simulator().await;
    std::mem::replace(&mut world.simulator, elsewhere).shutdown().await;
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::Undecided);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn a_generation_of_the_past_is_superseded_and_one_of_the_future_is_wrong() {
    let world = World::new().await;
    let id = world.connected().await.id;
    assert_eq!(world.report(&id, 0).await.unwrap(), Verdict::Superseded);
    let refused = world.report(&id, 2).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("field `generation`"), "{refused}");
}
