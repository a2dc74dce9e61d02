//! A contract in words, as fields of a form, and back.

use tidemark_domain::contract::Currency;
use tidemark_rpc::utilization::{Contract as Wire, Money, PreviewRenewalResponse};

use super::{Moment, grouped, in_part, money, percent};

/// The fields of the form: texts as people write them, empty where something is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    pub(crate) purchased: String,
    pub(crate) price: String,
    pub(crate) currency: String,
    pub(crate) minimum: String,
    pub(crate) renewal: String,
    pub(crate) target: String,
}

/// A contract as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) purchased: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) minimum: Option<String>,
    pub(crate) renewal: Option<Moment>,
    pub(crate) target: Option<u32>,
}

impl Terms {
    /// Whether nothing of it is known.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&Wire> for Terms {
    fn from(contract: &Wire) -> Self {
        Self {
            purchased: contract.purchased_seats.map(|seats| grouped(seats.into())),
            price: money(contract.price_per_seat_month.as_ref()),
            minimum: contract.minimum_seats.map(|seats| grouped(seats.into())),
            renewal: Moment::day(&contract.renewal_date),
            target: contract.target_percent,
        }
    }
}

impl From<&Wire> for Fields {
    fn from(contract: &Wire) -> Self {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let price = contract.price_per_seat_month.as_ref();
        Self {
            purchased: number(contract.purchased_seats),
            price: price.and_then(amount).unwrap_or_default(),
            currency: price.map(|price| price.currency.clone()).unwrap_or_default(),
            minimum: number(contract.minimum_seats),
            renewal: contract.renewal_date.clone(),
            target: number(contract.target_percent),
        }
    }
}

/// A field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

impl Fields {
    /// As the service takes it. What is empty is not known.
    pub(crate) fn read(&self) -> Result<Wire, Unreadable> {
        Ok(Wire {
            purchased_seats: number("Purchased seats", &self.purchased)?,
            price_per_seat_month: price(&self.price, &self.currency)?,
            minimum_seats: number("The least seats", &self.minimum)?,
            renewal_date: self.renewal.trim().to_owned(),
            target_percent: number("The target", self.target.trim().trim_end_matches('%'))?,
        })
    }
}

fn number(what: &str, text: &str) -> Result<Option<u32>, Unreadable> {
    let plain = text.trim().replace(',', "");
    if plain.is_empty() {
        return Ok(None);
    }
    plain.parse().map(Some).map_err(|_| Unreadable(format!("{what}: a whole number, such as 120.")))
}

/// `12.50` and `EUR` are 1,250 of the smallest unit.
fn price(text: &str, currency: &str) -> Result<Option<Money>, Unreadable> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let currency: Currency = currency
        .trim()
        .parse()
        .map_err(|_| Unreadable("The currency: a code of three letters, such as EUR.".to_owned()))?;
    let digits = currency.digits() as usize;
    let wrong = || {
        let example = if digits == 0 { "20".to_owned() } else { format!("20.{:0digits$}", 0) };
        Unreadable(format!(
            "The price: an amount with at most {digits} digits behind a point, such as {example}."
        ))
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.replace(',', "");
    let plain = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !plain(&whole) || !plain(part) || part.len() > digits {
        return Err(wrong());
    }
    let minor = format!("{whole}{part:0<digits$}").parse().map_err(|_| wrong())?;
    Ok(Some(Money { minor, currency: currency.to_string() }))
}

/// `12.50`
fn amount(money: &Money) -> Option<String> {
    let digits = money.currency.parse::<Currency>().ok()?.digits();
    let unit = 10_u64.pow(digits);
    let whole = money.minor / unit;
    Some(if digits == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{:0width$}", money.minor % unit, width = digits as usize)
    })
}

/// What would follow from buying fewer seats.
#[derive(Debug, Clone)]
pub(crate) struct WhatIf {
    pub(crate) sentence: String,
    pub(crate) dropped: String,
    pub(crate) purchased: String,
    pub(crate) assigned: String,
    pub(crate) take_back: String,
    pub(crate) short: u32,
    pub(crate) saving: Option<String>,
    /// Seats used in 28 days, of those that would be left.
    pub(crate) utilization: Option<String>,
    /// How many of these days are covered; none where all are.
    pub(crate) covered_in_part: Option<u32>,
}

impl From<PreviewRenewalResponse> for WhatIf {
    fn from(preview: PreviewRenewalResponse) -> Self {
        Self {
            dropped: grouped(preview.dropped_seats.into()),
            purchased: grouped(preview.purchased_seats.into()),
            assigned: grouped(preview.assigned_seats.into()),
            take_back: grouped(preview.seats_to_take_back.into()),
            short: preview.seats_in_use_short,
            saving: money(preview.saving_per_year.as_ref()),
            utilization: percent(preview.utilization.as_ref()),
            covered_in_part: in_part(preview.covered_days, 28),
            sentence: preview.sentence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_reads_back_as_it_was_filled_in() {
        let contract = Wire {
            purchased_seats: Some(1_200),
            price_per_seat_month: Some(Money { minor: 2_050, currency: "EUR".to_owned() }),
            minimum_seats: None,
            renewal_date: "2027-03-01".to_owned(),
            target_percent: Some(80),
        };
        let fields = Fields::from(&contract);
        assert_eq!((fields.price.as_str(), fields.minimum.as_str()), ("20.50", ""));
        assert_eq!(fields.read(), Ok(contract));
        assert_eq!(Fields::default().read(), Ok(Wire::default()));
    }

    #[test]
    fn amounts_are_read_by_their_currency() {
        let minor = |text: &str, currency: &str| price(text, currency).map(|it| it.map(|it| it.minor));
        assert_eq!(minor("1,250.5", "eur"), Ok(Some(125_050)));
        assert_eq!(minor("20", "JPY"), Ok(Some(20)));
        assert_eq!(minor("1.234", "KWD"), Ok(Some(1_234)));
        assert_eq!(minor("", "EUR"), Ok(None));
        for (text, currency) in
            [("20.5", "JPY"), ("1.234", "EUR"), ("-1", "EUR"), (".5", "EUR"), ("5", ""), ("x", "EUR")]
        {
            assert!(minor(text, currency).is_err(), "{text} {currency}");
        }
        assert!(number("Seats", "12.5").is_err());
    }
}
