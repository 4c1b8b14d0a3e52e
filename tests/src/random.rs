//! A small seeded generator (splitmix64), so that a scenario can be run again. Must not know what it decides.

/// Environment variable that sets the seed of every scenario of a run (hexadecimal or decimal).
const SEED_VARIABLE: &str = "DEVPOCKET_TEST_SEED";

/// Pseudo-random numbers from a seed (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator for one scenario; prints its seed, which comes from `DEVPOCKET_TEST_SEED` or from the system.
    #[expect(clippy::disallowed_methods, reason = "a test binary has no configuration but this variable")]
    pub fn for_scenario(name: &str) -> Self {
        let seed = match std::env::var(SEED_VARIABLE) {
            Ok(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).expect("a hexadecimal seed"),
                None => text.parse().expect("a decimal seed"),
            },
            Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
        };
        eprintln!("{name}: {SEED_VARIABLE}={seed:#x}");
        Self::new(seed)
    }

    /// A generator with this seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own, so that concurrent parts do not disturb each other's order.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self::new(self.number())
    }

    /// The next 64 bits.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high - low + 1)
    }

    /// A number from `low` to `high` whose magnitude is uniform: small ones are as likely as large ones.
    pub fn between_magnitudes(&mut self, low: u64, high: u64) -> u64 {
        let (low_bits, high_bits) = (low.max(1).ilog2(), high.max(1).ilog2());
        let bits = self.between(low_bits.into(), high_bits.into());
        self.between(1 << bits, (2 << bits) - 1).clamp(low, high)
    }

    /// True once in `of` times.
    pub fn one_in(&mut self, of: u64) -> bool {
        self.number().is_multiple_of(of)
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = usize::try_from(self.between(0, choices.len() as u64 - 1)).expect("an index");
        &choices[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_bounds() {
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        for _ in 0..1000 {
            let number = one.between_magnitudes(3, 70_000);
            assert_eq!(number, two.between_magnitudes(3, 70_000));
            assert!((3..=70_000).contains(&number));
        }
    }
}
