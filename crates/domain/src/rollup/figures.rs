//! Shares made of counts. A numerator always comes with what it is a part of.

use super::WindowUse;

/// A share, kept as its two halves so that nothing is rounded before it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// The part.
    pub numerator: u64,
    /// The whole; unknown without a contract, say.
    pub denominator: Option<u64>,
}

impl Ratio {
    /// A part of a known whole.
    pub fn of(numerator: impl Into<u64>, denominator: impl Into<u64>) -> Self {
        Self { numerator: numerator.into(), denominator: Some(denominator.into()) }
    }

    /// A part of what may not be known.
    pub fn of_known(numerator: impl Into<u64>, denominator: Option<u32>) -> Self {
        Self { numerator: numerator.into(), denominator: denominator.map(u64::from) }
    }

    /// As a number; none over nothing.
    pub fn value(self) -> Option<f64> {
        let denominator = self.denominator.filter(|denominator| *denominator > 0)?;
        Some(self.numerator as f64 / denominator as f64)
    }

    /// Whether it is known and under so many percent. Exact.
    pub fn is_below(self, percent: u32) -> bool {
        self.denominator.is_some_and(|whole| {
            whole > 0 && u128::from(self.numerator) * 100 < u128::from(whole) * u128::from(percent)
        })
    }
}

/// Mean `dau` over 28 days ÷ `mau`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stickiness(Ratio);

impl Stickiness {
    /// From the 28-day window.
    pub fn of(window: &WindowUse) -> Self {
        Self(Ratio::of(window.daily_actives, u64::from(window.active_members) * 28))
    }

    /// Its halves: the daily actives of 28 days added up, and 28 × `mau`.
    pub fn ratio(self) -> Ratio {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_unknown_and_never_below() {
        assert_eq!(Ratio::of(1_u32, 4_u32).value(), Some(0.25));
        assert_eq!(Ratio::of(0_u32, 0_u32).value(), None);
        assert!(!Ratio::of(0_u32, 0_u32).is_below(80));
        assert!(!Ratio::of_known(3_u32, None).is_below(80));
        assert!(Ratio::of(79_u32, 100_u32).is_below(80) && !Ratio::of(80_u32, 100_u32).is_below(80));
    }

    #[test]
    fn everybody_every_day_is_a_stickiness_of_one() {
        let window = WindowUse { daily_actives: 280, active_members: 10, ..WindowUse::default() };
        assert_eq!(Stickiness::of(&window).ratio().value(), Some(1.0));
    }
}
