use super::*;
use crate::{
    sample::{DAYS, Sample, at},
    summary,
};

async fn recomputed(sample: &Sample, event: &Event) -> Outcome {
    recompute(&sample.store(), &sample.clock, &sample.entropy, event).await.unwrap()
}

#[tokio::test]
async fn the_summary_equals_the_definitions_read_aloud() {
    let sample = Sample::new(0..DAYS).await;
    let outcome = recomputed(&sample, &sample.completed()).await;
    let expected = sample.expected();
    assert_eq!(outcome, Outcome::Written { as_of: at(DAYS - 1), members: u64::from(expected.members) });
    let summary = summary::read(&sample.store(), &sample.connection).await.unwrap().unwrap();
    assert_eq!(summary, expected);
    let states: Vec<_> = summary.seat_states.iter().map(|count| count.state.as_str()).collect();
    assert_eq!(
        states,
        ["new", "never_seen", "dormant", "occasional", "engaged"],
        "the sample has all of them"
    );
}

#[tokio::test]
async fn the_same_event_twice_has_one_effect() {
    let sample = Sample::new(0..DAYS).await;
    let event = sample.completed();
    assert!(matches!(recomputed(&sample, &event).await, Outcome::Written { .. }));
    sample.add_activity(1, DAYS - 1).await;
    let before = summary::read(&sample.store(), &sample.connection).await.unwrap();
    assert_eq!(recomputed(&sample, &event).await, Outcome::Duplicate);
    assert_eq!(summary::read(&sample.store(), &sample.connection).await.unwrap(), before);
    assert_eq!(sample.announced("utilization.updated").await, 1);
}

#[tokio::test]
async fn recomputing_gives_the_same_rows() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let digest = sample.store().facts_digest(&sample.connection).await.unwrap();
    assert!(matches!(recomputed(&sample, &sample.completed()).await, Outcome::Written { .. }));
    assert_eq!(sample.store().facts_digest(&sample.connection).await.unwrap(), digest);
    assert_eq!(sample.announced("utilization.updated").await, 2, "one per completed sync");
}

#[tokio::test]
async fn a_day_that_is_not_covered_makes_seats_unknown_and_never_dormant() {
    let sample = Sample::new((0..DAYS).filter(|offset| *offset != DAYS - 10)).await;
    recomputed(&sample, &sample.completed()).await;
    let summary = summary::read(&sample.store(), &sample.connection).await.unwrap().unwrap();
    assert_eq!(summary, sample.expected());
    let states: Vec<_> = summary.seat_states.iter().map(|count| count.state.as_str()).collect();
    assert_eq!(states, ["unknown"]);
    assert_eq!(summary.windows[2].covered_days, 27);
}

#[tokio::test]
async fn without_a_covered_day_there_is_no_rollup() {
    let sample = Sample::new([]).await;
    assert_eq!(recomputed(&sample, &sample.completed()).await, Outcome::NothingCovered);
    assert_eq!(summary::read(&sample.store(), &sample.connection).await.unwrap(), None);
    assert_eq!(sample.announced("utilization.updated").await, 0);
}

#[tokio::test]
async fn a_rollup_of_an_older_day_does_not_replace_a_newer_one() {
    let sample = Sample::new(0..DAYS).await;
    recomputed(&sample, &sample.completed()).await;
    let digest = sample.store().facts_digest(&sample.connection).await.unwrap();
    // Another aggregator read the coverage the day before, and comes to write only now.
    let (store, connection) = (sample.store(), &sample.connection);
    let coverage: Coverage = (0..DAYS - 1).map(at).collect();
    let (first, last, run_id) = (at(0), at(DAYS - 2), sample.run.clone());
    let late = fold(&store, connection, &Span { coverage, first, last, run_id }).await.unwrap();
    let head = store.rollup_head(connection).await.unwrap().unwrap();
    let head = RollupHead { as_of: last, ..head };
    let (event, updated) = (sample.completed(), sample.completed());
    let outcome = write(&store, &event, &head, &late, &updated).await.unwrap();
    assert_eq!(outcome, Outcome::Superseded { as_of: last });
    assert_eq!(store.facts_digest(connection).await.unwrap(), digest);
    assert_eq!(sample.announced("utilization.updated").await, 1);
    let again = write(&store, &event, &head, &late, &updated).await.unwrap();
    assert_eq!(again, Outcome::Duplicate, "the message is remembered all the same");
}

#[tokio::test]
async fn a_connection_that_was_never_seen_has_nothing_to_tell() {
    let sample = Sample::new([]).await;
    let other = ConnectionId::generate(&sample.clock, &sample.entropy);
    let event = Event { connection_id: other.clone(), ..sample.completed() };
    assert_eq!(recomputed(&sample, &event).await, Outcome::NothingCovered);
    assert_eq!(summary::read(&sample.store(), &other).await.unwrap(), None);
}
