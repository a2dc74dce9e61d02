//! Trends, cuts and coverage.

use super::*;

fn cut(kind: &str, key: &str) -> Option<wire::Cut> {
    Some(wire::Cut { kind: kind.to_owned(), key: key.to_owned(), name: String::new() })
}

#[tokio::test]
async fn a_trend_ends_where_the_summary_stands() {
    let (sample, process) = ready().await;
    let ask = async |request: wire::GetTrendRequest| {
        process.client.clone().get_trend(request).await.map(Response::into_inner)
    };
    let asked = || wire::GetTrendRequest { connection_id: id(&sample), ..Default::default() };
    let trend = ask(asked()).await.unwrap();
    assert_eq!(trend.points.len(), 90, "90 days where nothing is said");
    let last = trend.points.last().unwrap();
    assert_eq!(last.window, Some(sample.expected().windows[2].clone()));
    assert_eq!(last.day, trend.basis.unwrap().as_of);
    let week =
        wire::GetTrendRequest { window_days: 7, from: at(3).to_string(), to: at(9).to_string(), ..asked() };
    assert_eq!(ask(week).await.unwrap().points.len(), 7);

    let wrong = [
        ("window_days", wire::GetTrendRequest { window_days: 5, ..asked() }),
        ("cut", wire::GetTrendRequest { cut: cut("team", "nobody"), ..asked() }),
        ("from", wire::GetTrendRequest { from: "2026-1-1".to_owned(), ..asked() }),
        ("to", wire::GetTrendRequest { to: "tomorrow".to_owned(), ..asked() }),
        ("from", wire::GetTrendRequest { from: at(9).to_string(), to: at(3).to_string(), ..asked() }),
        ("from", wire::GetTrendRequest { from: "1990-01-01".to_owned(), ..asked() }),
    ];
    for (name, request) in wrong {
        assert_eq!(field(&ask(request).await.unwrap_err()), name);
    }
    process.stop().await;
}

#[tokio::test]
async fn role_cuts_add_up_to_everybody() {
    let (sample, process) = ready().await;
    let request =
        wire::ListCutsRequest { connection_id: id(&sample), kind: "role".to_owned(), ..Default::default() };
    let cuts = process.client.clone().list_cuts(request).await.unwrap().into_inner().cuts;
    let expected = &sample.expected().windows[2];
    let sum = |number: fn(&wire::WindowUse) -> u32| {
        cuts.iter().map(|it| number(it.window.as_ref().unwrap())).sum::<u32>()
    };
    assert_eq!(sum(|it| it.assigned_seats), expected.assigned_seats);
    assert_eq!(sum(|it| it.active_members), expected.active_members);
    let request = wire::GetFeatureAdoptionRequest {
        connection_id: id(&sample),
        cut: cut("role", "maker"),
        ..Default::default()
    };
    let adoption = process.client.clone().get_feature_adoption(request).await.unwrap().into_inner();
    let maker = cuts.iter().find(|it| it.cut.as_ref().unwrap().key == "maker").unwrap();
    assert_eq!(adoption.windows[1], *maker.window.as_ref().unwrap());
    process.stop().await;
}

#[tokio::test]
async fn coverage_names_its_gaps() {
    let covered = (0..DAYS).filter(|day| !(50..53).contains(day) && *day != 60);
    let (sample, process) = ready_with(covered).await;
    let asked = wire::GetCoverageRequest { connection_id: id(&sample) };
    let coverage = process.client.clone().get_coverage(asked).await.unwrap().into_inner();
    let gaps: Vec<_> = coverage.gaps.iter().map(|gap| (gap.from.clone(), gap.to.clone())).collect();
    let days = |from, to| (at(from).to_string(), at(to).to_string());
    assert_eq!(gaps, [days(50, 52), days(60, 60)]);
    let share = coverage.windows[2].coverage.as_ref().unwrap();
    assert_eq!((share.numerator, share.denominator), (86, Some(90)));
    assert_eq!(coverage.settled_until, at(DAYS - 3).to_string());
    process.stop().await;
}
