//! What customers enter: contracts and exemptions; and what would follow from a smaller contract.

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    contract::{Contract, Currency, Price, WhatIf},
    exemption::Exemption,
    rollup::Ratio,
};
use tidemark_rpc::{parse, status::Refusal, utilization as wire};
use uuid::Uuid;

use crate::{
    basis::Ground,
    service::{Desk, Fault},
    trend::day,
    wire::{contract as contract_message, exemption as exemption_message, money, share},
};

const MOST_SEATS: u32 = 10_000_000;
const MOST_MINOR: u64 = 100_000_000_000;
const REASON: std::ops::RangeInclusive<usize> = 3..=500;
const LONGEST_EXEMPTION_DAYS: u64 = 731;
const NO_EXEMPTION: &str = "exemption that holds for this member";

pub(crate) async fn get(desk: &Desk) -> Result<wire::GetContractResponse, Fault> {
    desk.check_exists().await?;
    let contract = desk.store.contract(&desk.connection).await?;
    Ok(wire::GetContractResponse { contract: Some(contract_message(&contract)) })
}

pub(crate) async fn set(
    desk: &Desk,
    asked: wire::SetContractRequest,
) -> Result<wire::SetContractResponse, Fault> {
    let asked = asked.contract.ok_or_else(|| Refusal::invalid("contract", "the whole contract"))?;
    let contract = read(&asked)?;
    desk.check_exists().await?;
    let tx = desk.store.begin().await?;
    tx.set_contract(&desk.connection, &contract, desk.clock.now()).await?;
    tx.commit().await?;
    desk.ring();
    Ok(wire::SetContractResponse { contract: Some(contract_message(&contract)) })
}

fn read(asked: &wire::Contract) -> Result<Contract, Refusal> {
    let seats = |field, seats: Option<u32>| match seats {
        Some(seats) if seats > MOST_SEATS => {
            Err(Refusal::invalid(field, format!("at most {MOST_SEATS} seats")))
        }
        seats => Ok(seats),
    };
    let purchased = seats("contract.purchased_seats", asked.purchased_seats)?;
    let minimum = seats("contract.minimum_seats", asked.minimum_seats)?;
    if let (Some(purchased), Some(minimum)) = (purchased, minimum)
        && minimum > purchased
    {
        let expected = format!("at most the {purchased} purchased seats");
        return Err(Refusal::invalid("contract.minimum_seats", expected));
    }
    let target_percent = asked.target_percent;
    if target_percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
        return Err(Refusal::invalid("contract.target_percent", "1 to 100"));
    }
    Ok(Contract {
        purchased,
        price: asked.price_per_seat_month.as_ref().map(price).transpose()?,
        minimum,
        renewal: day("contract.renewal_date", &asked.renewal_date)?,
        target_percent,
    })
}

fn price(asked: &wire::Money) -> Result<Price, Refusal> {
    let field = "contract.price_per_seat_month";
    if asked.minor > MOST_MINOR {
        return Err(Refusal::invalid(field, format!("at most {MOST_MINOR} of the smallest unit")));
    }
    let currency: Currency = asked
        .currency
        .parse()
        .map_err(|error: tidemark_domain::contract::NoCurrency| Refusal::invalid(field, error.to_string()))?;
    Ok(Price { minor: asked.minor, currency })
}

/// What the newest numbers stand on, if there are any yet.
async fn ground(desk: &Desk) -> Result<Option<Ground>, Fault> {
    Ok(Ground::read(&desk.store, &desk.connection, desk.clock.today()).await?)
}

pub(crate) async fn exemptions(
    desk: &Desk,
    asked: wire::ListExemptionsRequest,
) -> Result<wire::ListExemptionsResponse, Fault> {
    desk.check_exists().await?;
    let ground = ground(desk).await?;
    let all = desk.store.exemptions(&desk.connection).await?;
    let mut exemptions: Vec<_> = all.iter().map(|it| exemption_message(it, ground.as_ref())).collect();
    exemptions.retain(|exemption| exemption.holds || !asked.holding_only);
    Ok(wire::ListExemptionsResponse { exemptions })
}

pub(crate) async fn exempt(
    desk: &Desk,
    asked: wire::SetExemptionRequest,
) -> Result<wire::SetExemptionResponse, Fault> {
    let member_id: Uuid = parse("member_id", &asked.member_id)?;
    let reason = asked.reason.trim();
    if !REASON.contains(&reason.chars().count()) {
        return Err(Refusal::invalid("reason", "3 to 500 characters that say why").into());
    }
    let until = until(&asked.until, desk.clock.today())?;
    desk.check_exists().await?;
    if !desk.store.is_member(&desk.connection, member_id).await? {
        return Err(Refusal::NotFound { what: "member of this workspace" }.into());
    }
    let (reason, set_at) = (reason.to_owned(), desk.clock.now());
    let exemption = Exemption { member_id, reason, until, set_at, ended_at: None };
    let tx = desk.store.begin().await?;
    tx.set_exemption(&desk.connection, &exemption).await?;
    tx.commit().await?;
    desk.ring();
    let ground = ground(desk).await?;
    Ok(wire::SetExemptionResponse { exemption: Some(exemption_message(&exemption, ground.as_ref())) })
}

fn until(text: &str, today: NaiveDate) -> Result<NaiveDate, Refusal> {
    let until = day("until", text)?
        .ok_or_else(|| Refusal::invalid("until", "the last day it holds, as YYYY-MM-DD"))?;
    let last = today + Days::new(LONGEST_EXEMPTION_DAYS);
    if until < today || until > last {
        return Err(Refusal::invalid("until", format!("a day from today to {last}")));
    }
    Ok(until)
}

pub(crate) async fn end_exemption(
    desk: &Desk,
    asked: wire::EndExemptionRequest,
) -> Result<wire::EndExemptionResponse, Fault> {
    let member: Uuid = parse("member_id", &asked.member_id)?;
    desk.check_exists().await?;
    let tx = desk.store.begin().await?;
    if !tx.end_exemption(&desk.connection, member, desk.clock.now()).await? {
        return Err(Refusal::NotFound { what: NO_EXEMPTION }.into());
    }
    tx.commit().await?;
    desk.ring();
    Ok(wire::EndExemptionResponse {})
}

pub(crate) async fn preview(
    desk: &Desk,
    asked: wire::PreviewRenewalRequest,
) -> Result<wire::PreviewRenewalResponse, Fault> {
    let ground = desk.ground().await?;
    let contract = desk.store.contract(&desk.connection).await?;
    let windows = desk.store.windows_on(&desk.connection, ground.head.as_of).await?;
    let month =
        windows.into_iter().find(|(days, _)| *days == 28).map(|(_, window)| window).unwrap_or_default();
    let reclaimable = desk.store.reclaimable_seats(&desk.connection).await?;
    let what = WhatIf::new(&contract, asked.drop_seats, month.assigned, reclaimable).ok_or_else(|| {
        let sentence =
            "the purchased seats of this connection are not known; enter the contract first (SetContract)";
        Refusal::Precondition { reason: "CONTRACT_MISSING", sentence: sentence.to_owned() }
    })?;
    Ok(wire::PreviewRenewalResponse {
        basis: Some(ground.wire()),
        dropped_seats: what.dropped,
        purchased_seats: what.purchased,
        assigned_seats: month.assigned,
        seats_to_take_back: what.to_take_back,
        seats_in_use_short: what.in_use_short,
        saving_per_year: money(what.saving_per_year, contract.price),
        utilization: Some(share(Ratio::of(month.active_seats, what.purchased))),
        sentence: sentence(&what, asked.drop_seats),
        covered_days: month.covered_days,
    })
}

fn sentence(what: &WhatIf, asked: u32) -> String {
    let WhatIf { dropped, purchased, to_take_back, in_use_short, .. } = what;
    let mut text = format!("With {dropped} seats fewer, {purchased} are left.");
    if *dropped < asked {
        text.push_str(" The contract's minimum allows no more.");
    }
    if *to_take_back > 0 {
        text.push_str(&format!(" {to_take_back} assigned seats have to be taken back first."));
    }
    if *in_use_short > 0 {
        text.push_str(&format!(
            " For {in_use_short} of them nothing is recommended: somebody may be using them."
        ));
    }
    text
}
