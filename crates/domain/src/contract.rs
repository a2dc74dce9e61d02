//! What a customer pays for, as the customer entered it: every part of it may be unknown.

use std::{fmt, str::FromStr};

use chrono::NaiveDate;

/// Currencies whose smallest unit is not a hundredth.
const WHOLE: [&str; 8] = ["CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF"];
const THOUSANDTHS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// An ISO 4217 code, three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three capital letters")
    }

    /// Digits behind the point of an amount.
    pub fn digits(&self) -> u32 {
        match self.as_str() {
            code if WHOLE.contains(&code) => 0,
            code if THOUSANDTHS.contains(&code) => 3,
            _ => 2,
        }
    }

    /// An amount in the smallest unit, as a person writes it: `1,250.00 EUR`.
    pub fn show(&self, minor: u64) -> String {
        let unit = 10_u64.pow(self.digits());
        let whole = (minor / unit).to_string();
        let mut text = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if unit > 1 {
            text.push_str(&format!(".{:0width$}", minor % unit, width = self.digits() as usize));
        }
        format!("{text} {}", self.as_str())
    }
}

/// Not three letters.
#[derive(Debug, thiserror::Error)]
#[error("a currency is a code of three letters, such as EUR")]
pub struct NoCurrency;

impl FromStr for Currency {
    type Err = NoCurrency;

    fn from_str(text: &str) -> Result<Self, NoCurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| NoCurrency)?;
        if !code.iter().all(u8::is_ascii_alphabetic) {
            return Err(NoCurrency);
        }
        Ok(Self(code.map(|letter| letter.to_ascii_uppercase())))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The price of one seat for one month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// In the currency's smallest unit.
    pub minor: u64,
    /// The currency.
    pub currency: Currency,
}

impl Price {
    /// Of so many seats for so many months.
    pub fn times(self, seats: u64, months: u64) -> u64 {
        self.minor.saturating_mul(seats).saturating_mul(months)
    }
}

/// The contract of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contract {
    /// Seats that are paid for.
    pub purchased: Option<u32>,
    /// The price.
    pub price: Option<Price>,
    /// Seats that have to be bought in any case.
    pub minimum: Option<u32>,
    /// The first day of the next term.
    pub renewal: Option<NaiveDate>,
    /// The utilization in percent under which somebody wants to know.
    pub target_percent: Option<u32>,
}

impl Contract {
    /// How many seats fewer can be bought at renewal.
    pub fn droppable(&self) -> Option<u32> {
        self.purchased.map(|purchased| purchased.saturating_sub(self.minimum.unwrap_or(0)))
    }
}

/// What would follow from buying fewer seats at renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhatIf {
    /// Seats that would be dropped: what was asked for, as far as the contract's minimum lets it.
    pub dropped: u32,
    /// Seats that would be left.
    pub purchased: u32,
    /// Assigned seats that would have to be taken back, since there are more of them than would be left.
    pub to_take_back: u32,
    /// Of them, seats somebody works with: more than idle ones would have to be taken.
    pub in_use_short: u32,
    /// What a year would cost less, in the smallest unit, where the price is known.
    pub saving_per_year: Option<u64>,
}

impl WhatIf {
    /// Dropping `seats`, with `assigned` paid seats of which `reclaimable` can be taken back. None without a contract.
    pub fn new(contract: &Contract, seats: u32, assigned: u32, reclaimable: u32) -> Option<Self> {
        let purchased = contract.purchased?;
        let dropped = seats.min(contract.droppable()?);
        let left = purchased - dropped;
        let to_take_back = assigned.saturating_sub(left);
        Some(Self {
            dropped,
            purchased: left,
            to_take_back,
            in_use_short: to_take_back.saturating_sub(reclaimable),
            saving_per_year: contract.price.map(|price| price.times(dropped.into(), 12)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_in_its_currency() {
        let show = |code: &str, minor| code.parse::<Currency>().unwrap().show(minor);
        assert_eq!(show("eur", 125_000_050), "1,250,000.50 EUR");
        assert_eq!(show("USD", 5), "0.05 USD");
        assert_eq!(show("JPY", 1_234), "1,234 JPY");
        assert_eq!(show("KWD", 1_234), "1.234 KWD");
        for wrong in ["", "EU", "EURO", "E1R", "€"] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_more_seats_are_dropped_than_the_minimum_allows() {
        let price = Price { minor: 2_000, currency: "USD".parse().unwrap() };
        let contract =
            Contract { purchased: Some(50), minimum: Some(40), price: Some(price), ..Contract::default() };
        let what = WhatIf::new(&contract, 20, 45, 3).unwrap();
        assert_eq!((what.dropped, what.purchased), (10, 40));
        assert_eq!((what.to_take_back, what.in_use_short), (5, 2));
        assert_eq!(what.saving_per_year, Some(10 * 2_000 * 12));
        assert_eq!(WhatIf::new(&Contract::default(), 1, 1, 1), None);
    }
}
