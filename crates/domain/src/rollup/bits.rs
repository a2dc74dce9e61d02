//! A fixed row of bits with counting over ranges.

pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn new(length: usize) -> Self {
        Self(vec![0; length.div_ceil(64)])
    }

    pub(super) fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// How many bits of `from..to` are set.
    pub(super) fn count(&self, from: usize, to: usize) -> u32 {
        if from >= to {
            return 0;
        }
        let (first, last) = (from / 64, (to - 1) / 64);
        let head = u64::MAX << (from % 64);
        let tail = u64::MAX >> (63 - (to - 1) % 64);
        if first == last {
            return (self.0[first] & head & tail).count_ones();
        }
        let middle: u32 = self.0[first + 1..last].iter().map(|word| word.count_ones()).sum();
        (self.0[first] & head).count_ones() + middle + (self.0[last] & tail).count_ones()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bits;

    proptest! {
        #[test]
        fn counting_equals_looking_at_each_bit(
            set in prop::collection::btree_set(0_usize..300, 0..80), a in 0_usize..=300, b in 0_usize..=300,
        ) {
            let mut bits = Bits::new(300);
            set.iter().for_each(|at| bits.set(*at));
            prop_assert_eq!(bits.count(a, b) as usize, if a < b { set.range(a..b).count() } else { 0 });
        }
    }
}
