//! A broker that answers and takes no messages: its alarms are seen at once, and nothing is lost or doubled by them.

use std::{collections::BTreeMap, time::Duration};

use tidemark_bus_amqp::{AmqpBus, Sounder};
use tidemark_ports::{Bus, Message, Receipt, Route, Verdict, topology::SYNC_RUN};
use tidemark_testkit::servers::{Authority, RabbitServer};
use tokio::time::{Instant, sleep, timeout};

fn command(id: &str) -> Message {
    let route = Route::Command("sync.run".to_owned());
    Message { id: id.to_owned(), route, headers: BTreeMap::new(), body: "{}".into() }
}

/// Asks until the answer is that.
async fn becomes(sounder: &Sounder, expected: Option<&str>) {
    let asked = async {
        loop {
            let why = sounder.blocked().await.expect("the broker answers");
            if why.as_deref().map(|why| why.contains(expected.unwrap_or("?"))) == expected.map(|_| true) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(10), asked).await.unwrap_or_else(|_| panic!("not {expected:?} within 10 s"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_is_named_at_once_and_what_was_published_meanwhile_arrives_once_it_is_over() {
    let rabbit = RabbitServer::start(&Authority::new(), false).await;
    let bus = AmqpBus::new(&rabbit.plain_url(), "t").unwrap();
    let mut runs = bus.subscribe(&SYNC_RUN, 100).await;
    assert_eq!(bus.publish(vec![command("before")]).await, [Receipt::Accepted]);
    runs.next().await.settle(Verdict::Ack).await.unwrap();
    let sounder = bus.sounder();
    becomes(&sounder, None).await;

    let alarms = [
        (["set_disk_free_limit", "5000GB"], ["set_disk_free_limit", "1MB"], "disk"),
        (["set_vm_memory_high_watermark", "0.00001"], ["set_vm_memory_high_watermark", "0.6"], "memory"),
    ];
    for (raise, clear, word) in alarms {
        rabbit.control(&raise).await;
        becomes(&sounder, Some(word)).await;
        assert_eq!(sounder.depths().await.expect("it answers questions").len(), 3);
        // Each batch has its answer at once, however long it lasts, and only the first one is on its way.
        for round in 0..20 {
            let asked = Instant::now();
            let receipts = bus.publish(vec![command(word)]).await;
            assert_eq!(receipts, [Receipt::Unknown]);
            assert!(asked.elapsed() < Duration::from_secs(5), "round {round} took {:?}", asked.elapsed());
        }
        rabbit.control(&clear).await;
        becomes(&sounder, None).await;
        let accepted = async {
            while bus.publish(vec![command(word)]).await != [Receipt::Accepted] {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(20), accepted).await.expect("it takes messages again");
        let mut copies = 0;
        while let Ok(delivery) = timeout(Duration::from_secs(1), runs.next()).await {
            assert_eq!(delivery.message.id, word);
            delivery.settle(Verdict::Ack).await.unwrap();
            copies += 1;
        }
        assert!((1..=2).contains(&copies), "{copies} copies of one message");
    }
}
