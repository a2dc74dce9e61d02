//! Contracts, what they make of the numbers, what is done about recommendations, and exemptions.

use super::*;

/// With a price.
pub(super) fn contract(purchased: u32) -> wire::Contract {
    wire::Contract {
        purchased_seats: Some(purchased),
        price_per_seat_month: Some(wire::Money { minor: 2_000, currency: "eur".to_owned() }),
        minimum_seats: Some(100),
        renewal_date: at(DAYS + 300).to_string(),
        target_percent: None,
    }
}

#[tokio::test]
async fn a_contract_gives_every_number_its_price() {
    let (sample, process) = ready().await;
    let mut client = process.client.clone();
    let early = wire::PreviewRenewalRequest { connection_id: id(&sample), drop_seats: 10 };
    let refused = client.preview_renewal(early.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let set = wire::SetContractRequest { connection_id: id(&sample), contract: Some(contract(600)) };
    client.set_contract(set).await.unwrap();
    let asked = wire::GetContractRequest { connection_id: id(&sample) };
    let kept = client.get_contract(asked).await.unwrap().into_inner().contract.unwrap();
    assert_eq!(kept.price_per_seat_month.as_ref().unwrap().currency, "EUR");

    let asked = GetSummaryRequest { connection_id: id(&sample) };
    let summary = client.get_summary(asked).await.unwrap().into_inner().summary.unwrap();
    let (month, savings) = (&summary.windows[2], summary.savings.as_ref().unwrap());
    assert_eq!(summary.allocation.as_ref().unwrap().denominator, Some(600));
    assert_eq!(month.purchased_utilization.as_ref().unwrap().denominator, Some(600));
    let idle = &summary.idle[1];
    assert_eq!(idle.cost_per_month.as_ref().unwrap().minor, u64::from(month.idle_seats) * 2_000);
    let cost = summary.cost_per_active_seat.as_ref().unwrap().minor;
    assert_eq!(cost, u64::from(month.assigned_seats) * 2_000 / u64::from(month.active_seats));
    assert_eq!(summary.price_per_seat_month, kept.price_per_seat_month);
    let free = savings.certain + savings.probable;
    assert!(free > 0 && savings.reassignable_now == free);
    assert_eq!(savings.droppable_at_renewal, Some(free.min(500)));
    assert_eq!(savings.saving_at_renewal.as_ref().unwrap().minor, u64::from(free.min(500)) * 2_000 * 12);

    let what = client.preview_renewal(early).await.unwrap().into_inner();
    assert_eq!((what.dropped_seats, what.purchased_seats), (10, 590));
    assert_eq!(what.saving_per_year.unwrap().minor, 10 * 2_000 * 12);

    let listed = wire::ListRecommendationsRequest { connection_id: id(&sample), ..Default::default() };
    let list = client.list_recommendations(listed).await.unwrap().into_inner();
    assert_eq!(list.savings, summary.savings, "the same money on both screens");
    let seat = list.recommendations[0].seat.as_ref().unwrap();
    assert!(!seat.first_seen_day.is_empty() && seat.covered_days_90 == 90, "with its evidence");
    process.stop().await;
}

#[tokio::test]
async fn a_contract_that_makes_no_sense_is_refused_by_its_field() {
    let (sample, process) = ready().await;
    let right = contract(600);
    let money = |minor, currency: &str| Some(wire::Money { minor, currency: currency.to_owned() });
    for (name, wrong) in [
        ("contract.minimum_seats", wire::Contract { minimum_seats: Some(601), ..right.clone() }),
        ("contract.purchased_seats", wire::Contract { purchased_seats: Some(u32::MAX), ..right.clone() }),
        (
            "contract.price_per_seat_month",
            wire::Contract { price_per_seat_month: money(1, "EURO"), ..right.clone() },
        ),
        (
            "contract.price_per_seat_month",
            wire::Contract { price_per_seat_month: money(u64::MAX, "EUR"), ..right.clone() },
        ),
        ("contract.renewal_date", wire::Contract { renewal_date: "soon".to_owned(), ..right.clone() }),
        ("contract.target_percent", wire::Contract { target_percent: Some(0), ..right.clone() }),
    ] {
        let request = wire::SetContractRequest { connection_id: id(&sample), contract: Some(wrong) };
        assert_eq!(field(&process.client.clone().set_contract(request).await.unwrap_err()), name);
    }
    let nothing = wire::SetContractRequest { connection_id: id(&sample), contract: None };
    assert_eq!(field(&process.client.clone().set_contract(nothing).await.unwrap_err()), "contract");
    process.stop().await;
}

#[tokio::test]
async fn a_recommendation_is_accepted_by_somebody_until_it_is_undone() {
    let (sample, process) = ready().await;
    let mut client = process.client.clone();
    let listed = wire::ListRecommendationsRequest { connection_id: id(&sample), ..Default::default() };
    let first = async || {
        let list = process.client.clone().list_recommendations(listed.clone()).await.unwrap().into_inner();
        list.recommendations[0].seat.clone().unwrap()
    };
    let seat = first().await;
    assert_eq!(seat.acceptance, None);
    let accept = wire::AcceptRecommendationRequest {
        connection_id: id(&sample),
        member_id: seat.member_id.clone(),
        action: seat.action.clone(),
        actor: " Ada ".to_owned(),
    };
    let accepted = client.accept_recommendation(accept.clone()).await.unwrap().into_inner().acceptance;
    assert_eq!(accepted.as_ref().unwrap().by, "Ada");
    assert_eq!(first().await.acceptance, accepted);
    let asked = wire::ListSeatsRequest {
        connection_id: id(&sample),
        member_id: seat.member_id.clone(),
        ..Default::default()
    };
    let alone = client.list_seats(asked).await.unwrap().into_inner();
    assert_eq!((alone.total, alone.seats.len()), (1, 1), "one member is asked for");
    assert_eq!(alone.seats[0].acceptance, accepted);

    let withdraw =
        wire::WithdrawAcceptanceRequest { connection_id: id(&sample), member_id: seat.member_id.clone() };
    client.withdraw_acceptance(withdraw.clone()).await.unwrap();
    assert_eq!(first().await.acceptance, None);
    assert_eq!(client.withdraw_acceptance(withdraw).await.unwrap_err().code(), Code::NotFound);

    let other = wire::AcceptRecommendationRequest { action: "review_viewer".to_owned(), ..accept.clone() };
    let refused = client.accept_recommendation(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "another action than the one that was shown: {refused}");
    for (name, wrong) in [
        ("member_id", wire::AcceptRecommendationRequest { member_id: "x".to_owned(), ..accept.clone() }),
        ("actor", wire::AcceptRecommendationRequest { actor: " ".to_owned(), ..accept }),
    ] {
        assert_eq!(field(&client.accept_recommendation(wrong).await.unwrap_err()), name);
    }
    process.stop().await;
}

#[tokio::test]
async fn an_exempt_seat_is_shown_and_not_recommended() {
    let (sample, process) = ready().await;
    let mut client = process.client.clone();
    let listed = || wire::ListRecommendationsRequest { connection_id: id(&sample), ..Default::default() };
    let before = client.list_recommendations(listed()).await.unwrap().into_inner().recommendations;
    let member_id = before[0].seat.as_ref().unwrap().member_id.clone();
    let recommended = async |member: &str| {
        let list = process.client.clone().list_recommendations(listed()).await.unwrap().into_inner();
        list.recommendations.iter().any(|it| it.seat.as_ref().unwrap().member_id == member)
    };
    let set = wire::SetExemptionRequest {
        connection_id: id(&sample),
        member_id: member_id.clone(),
        reason: "on parental leave".to_owned(),
        until: at(DAYS + 30).to_string(),
    };
    client.set_exemption(set.clone()).await.unwrap();
    until(async || (!recommended(&member_id).await).then_some(())).await;
    let asked = wire::ListSeatsRequest { connection_id: id(&sample), page_size: 1_000, ..Default::default() };
    let seats = client.list_seats(asked).await.unwrap().into_inner().seats;
    let seat = seats.iter().find(|seat| seat.member_id == member_id).unwrap();
    assert_eq!(seat.exemption.as_ref().unwrap().reason, "on parental leave");
    assert_eq!((seat.tier.as_str(), seat.action.as_str()), ("", ""));
    let asked =
        wire::ListSeatsRequest { connection_id: id(&sample), exempt_only: true, ..Default::default() };
    let exempt = client.list_seats(asked).await.unwrap().into_inner().seats;
    assert_eq!(exempt.iter().map(|seat| &seat.member_id).collect::<Vec<_>>(), [&member_id]);

    let end = wire::EndExemptionRequest { connection_id: id(&sample), member_id: member_id.clone() };
    client.end_exemption(end.clone()).await.unwrap();
    until(async || recommended(&member_id).await.then_some(())).await;
    assert_eq!(client.end_exemption(end).await.unwrap_err().code(), Code::NotFound);
    let asked = wire::ListExemptionsRequest { connection_id: id(&sample), holding_only: false };
    let all = client.list_exemptions(asked).await.unwrap().into_inner().exemptions;
    assert!(matches!(&all[..], [one] if !one.holds && one.ended_at.is_some()), "{all:?}");

    for (name, wrong) in [
        ("member_id", wire::SetExemptionRequest { member_id: "x".to_owned(), ..set.clone() }),
        ("reason", wire::SetExemptionRequest { reason: " ".to_owned(), ..set.clone() }),
        ("until", wire::SetExemptionRequest { until: String::new(), ..set.clone() }),
        ("until", wire::SetExemptionRequest { until: at(DAYS - 1).to_string(), ..set.clone() }),
        ("until", wire::SetExemptionRequest { until: at(DAYS + 900).to_string(), ..set.clone() }),
    ] {
        assert_eq!(field(&client.set_exemption(wrong).await.unwrap_err()), name);
    }
    let stranger = wire::SetExemptionRequest { member_id: uuid::Uuid::from_u128(9_999).to_string(), ..set };
    assert_eq!(client.set_exemption(stranger).await.unwrap_err().code(), Code::NotFound);
    process.stop().await;
}
