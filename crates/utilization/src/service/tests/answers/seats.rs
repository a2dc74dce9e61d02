//! Lists of seats.

use super::*;

pub(super) async fn pages(process: &Process, asked: wire::ListSeatsRequest) -> Vec<wire::Seat> {
    let (mut seats, mut asked) = (Vec::new(), asked);
    loop {
        let page = process.client.clone().list_seats(asked.clone()).await.unwrap().into_inner();
        seats.extend(page.seats);
        if page.next_page_token.is_empty() {
            assert_eq!(page.total as usize, seats.len());
            return seats;
        }
        asked.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn seats_come_filtered_sorted_and_each_once() {
    let (sample, process) = ready().await;
    let asked = || wire::ListSeatsRequest { connection_id: id(&sample), page_size: 37, ..Default::default() };
    let all = pages(&process, asked()).await;
    assert_eq!(all.len(), sample.expected().members as usize);
    assert_eq!(all.iter().map(|seat| &seat.member_id).collect::<BTreeSet<_>>().len(), all.len());

    let sort = wire::SeatSort::LastActive.into();
    let dormant = wire::ListSeatsRequest {
        states: vec!["dormant".to_owned(), "never_seen".to_owned()],
        paid_only: true,
        sort,
        descending: true,
        ..asked()
    };
    let idle = pages(&process, dormant.clone()).await;
    let states = &sample.expected().seat_states;
    let expected: u32 =
        states.iter().filter(|it| ["dormant", "never_seen"].contains(&&*it.state)).map(|it| it.seats).sum();
    assert_eq!(idle.len(), expected as usize);
    let days: Vec<_> = idle.iter().map(|seat| seat.last_active_day.clone()).collect();
    let mut sorted = days.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(days, sorted);

    let ask = async |request| process.client.clone().list_seats(request).await.map(Response::into_inner);
    let first = ask(dormant.clone()).await.unwrap();
    for other in [
        asked(),
        wire::ListSeatsRequest { exempt_only: true, ..dormant.clone() },
        wire::ListSeatsRequest { member_id: all[0].member_id.clone(), ..dormant.clone() },
        wire::ListSeatsRequest { descending: false, ..dormant.clone() },
    ] {
        let other = wire::ListSeatsRequest { page_token: first.next_page_token.clone(), ..other };
        assert_eq!(field(&ask(other).await.unwrap_err()), "page_token", "of another question");
    }
    for (name, wrong) in [
        ("states", wire::ListSeatsRequest { states: vec!["lazy".to_owned()], ..asked() }),
        ("tiers", wire::ListSeatsRequest { tiers: vec!["maybe".to_owned()], ..asked() }),
        ("member_id", wire::ListSeatsRequest { member_id: "x".to_owned(), ..asked() }),
        ("team_id", wire::ListSeatsRequest { team_id: "x".to_owned(), ..asked() }),
        ("sort", wire::ListSeatsRequest { sort: 99, ..asked() }),
        ("page_token", wire::ListSeatsRequest { page_token: "x".to_owned(), ..asked() }),
    ] {
        assert_eq!(field(&ask(wrong).await.unwrap_err()), name);
    }
    process.stop().await;
}

#[tokio::test]
async fn weeks_are_told_where_they_are_asked_for() {
    let (sample, process) = ready().await;
    let asked = wire::ListSeatsRequest { connection_id: id(&sample), page_size: 400, ..Default::default() };
    assert!(pages(&process, asked.clone()).await.iter().all(|seat| seat.active_days_by_week.is_empty()));
    let seats = pages(&process, wire::ListSeatsRequest { weeks: true, ..asked }).await;
    for seat in &seats {
        let weeks = &seat.active_days_by_week;
        assert_eq!(
            (weeks.len(), weeks[12]),
            (13, seat.uses[0].active_days),
            "the last week is the last 7 days"
        );
        assert_eq!(weeks[9..].iter().sum::<u32>(), seat.uses[1].active_days);
    }
    assert!(seats.iter().any(|seat| seat.active_days_by_week[0] > 0));
    process.stop().await;
}
