//! A row of bits, one per day: a window is a mask and a count.

/// Bits of the days from an origin on. Bits past the length are never set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    pub(super) fn new(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    pub(super) fn set(&mut self, at: usize) {
        debug_assert!(at < self.length, "a day of the range");
        self.words[at / 64] |= 1 << (at % 64);
    }

    pub(super) fn clear(&mut self) {
        self.words.fill(0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The same days as another row of the same length.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.words.copy_from_slice(&other.words);
    }

    /// Adds the days of another row.
    pub(super) fn or(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Sets each day that has a set day among it and the `window − 1` days before it: "active in the window that ends
    /// here", for all days at once, in as many steps as the window has binary digits.
    pub(super) fn smear(&mut self, window: u32) {
        let mut reached = 1;
        while reached < window as usize {
            let step = reached.min(window as usize - reached);
            self.or_shifted(step);
            reached += step;
        }
        let spare = self.words.len() * 64 - self.length;
        if let Some(last) = self.words.last_mut() {
            *last &= u64::MAX >> spare;
        }
    }

    /// Adds every day moved later by `step`. From the last word down, so that what is read was not yet changed.
    fn or_shifted(&mut self, step: usize) {
        let (words, bits) = (step / 64, step % 64);
        for at in (words..self.words.len()).rev() {
            let low = self.words[at - words] << bits;
            let carried = if bits > 0 && at > words { self.words[at - words - 1] >> (64 - bits) } else { 0 };
            self.words[at] |= low | carried;
        }
    }

    /// Calls `run(from, to)` for each run of set days within `start..end`, half open.
    pub(super) fn runs(&self, start: usize, end: usize, mut run: impl FnMut(usize, usize)) {
        let mut at = start;
        while let Some(from) = self.next(at, end, false) {
            let to = self.next(from, end, true).unwrap_or(end);
            run(from, to);
            at = to;
        }
    }

    /// The first set day of `at..end`, or the first that is not set.
    fn next(&self, at: usize, end: usize, inverted: bool) -> Option<usize> {
        let flip = if inverted { u64::MAX } else { 0 };
        let mut word = at / 64;
        if at >= end {
            return None;
        }
        let mut rest = (self.words[word] ^ flip) & (u64::MAX << (at % 64));
        loop {
            if rest != 0 {
                let found = word * 64 + rest.trailing_zeros() as usize;
                return (found < end).then_some(found);
            }
            word += 1;
            if word * 64 >= end {
                return None;
            }
            rest = self.words[word] ^ flip;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Bits;

    proptest! {
        #[test]
        fn smearing_and_runs_equal_looking_at_each_day(
            set in prop::collection::btree_set(0_usize..300, 0..80),
            window in 1_u32..=130, a in 0_usize..=300, b in 0_usize..=300,
        ) {
            let mut bits = Bits::new(300);
            set.iter().for_each(|at| bits.set(*at));
            let mut seen = BTreeSet::new();
            bits.runs(0, 300, |from, to| seen.extend(from..to));
            prop_assert_eq!(&seen, &set);
            bits.smear(window);
            let near = |day: usize| set.range((day + 1).saturating_sub(window as usize)..=day).next().is_some();
            let mut seen = BTreeSet::new();
            bits.runs(a, b, |from, to| seen.extend(from..to));
            prop_assert_eq!(seen, (a..b).filter(|day| near(*day)).collect::<BTreeSet<_>>());
        }
    }
}
