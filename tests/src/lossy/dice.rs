//! What becomes of a packet: thrown with a seed, so that the same packets meet the same fate in every run.

use std::time::Duration;

/// How much later than its time a packet comes that others overtake: more than one packet of speech.
const HELD_BACK: Duration = Duration::from_millis(30);

/// What is wrong with a network, in each of its directions alike. Nothing, by default.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Impairment {
    /// The share of packets that never come.
    pub loss: f64,
    /// The most that a packet is late: each by another part of it, but none overtakes another for that.
    pub jitter: Duration,
    /// The share of packets that come so late that others overtake them.
    pub reorder: f64,
    /// The share of packets that come twice.
    pub duplicate: f64,
    /// What the dice begin with.
    pub seed: u64,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It never comes.
    Lost,
    /// It comes.
    Sent {
        /// So much late.
        delay: Duration,
        /// Others may come before it.
        is_held_back: bool,
        /// Twice.
        is_doubled: bool,
    },
}

/// One direction's dice.
#[derive(Debug)]
pub(super) struct Dice {
    impairment: Impairment,
    state: u64,
}

impl Dice {
    /// Those of the two directions: what one of them throws changes nothing for the other.
    pub(super) fn pair(impairment: &Impairment) -> [Self; 2] {
        [0, u64::MAX].map(|direction| Self {
            impairment: *impairment,
            state: impairment.seed ^ direction,
        })
    }

    /// The fate of the next packet.
    pub(super) fn throw(&mut self) -> Fate {
        // Four numbers for every packet, so that changing one share does not change what the others hit.
        let [loss, reorder, duplicate, jitter] = [(); 4].map(|()| self.number());
        let Impairment {
            loss: lossy,
            jitter: latest,
            reorder: reordered,
            duplicate: doubled,
            ..
        } = self.impairment;
        if loss < lossy {
            return Fate::Lost;
        }
        let is_held_back = reorder < reordered;
        let held = if is_held_back {
            HELD_BACK
        } else {
            Duration::ZERO
        };
        Fate::Sent {
            delay: latest.mul_f64(jitter) + held,
            is_held_back,
            is_doubled: duplicate < doubled,
        }
    }

    /// From 0 up to but not including 1.
    fn number(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough for a network.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throws(impairment: Impairment, direction: usize) -> Vec<Fate> {
        let [up, down] = Dice::pair(&impairment);
        let mut dice = if direction == 0 { up } else { down };
        (0..10_000).map(|_| dice.throw()).collect()
    }

    fn share(fates: &[Fate], fits: impl Fn(&Fate) -> bool) -> f64 {
        fates.iter().filter(|fate| fits(fate)).count() as f64 / fates.len() as f64
    }

    #[test]
    fn the_shares_are_what_was_asked_and_the_seed_decides_whom_they_hit() {
        let bad = Impairment {
            loss: 0.2,
            jitter: Duration::from_millis(40),
            reorder: 0.1,
            duplicate: 0.05,
            seed: 1,
        };
        let fates = throws(bad, 0);
        assert_eq!(fates, throws(bad, 0));
        assert_ne!(fates, throws(bad, 1), "the directions differ");
        assert_ne!(fates, throws(Impairment { seed: 2, ..bad }, 0));

        let lost = share(&fates, |fate| *fate == Fate::Lost);
        assert!((0.18..0.22).contains(&lost), "{lost}");
        let came: Vec<Fate> = fates.into_iter().filter(|f| *f != Fate::Lost).collect();
        let held = share(&came, |f| {
            matches!(
                f,
                Fate::Sent {
                    is_held_back: true,
                    ..
                }
            )
        });
        assert!((0.08..0.12).contains(&held), "{held}");
        let doubled = share(&came, |f| {
            matches!(
                f,
                Fate::Sent {
                    is_doubled: true,
                    ..
                }
            )
        });
        assert!((0.04..0.06).contains(&doubled), "{doubled}");
        let late = share(&came, |fate| match fate {
            Fate::Sent {
                delay,
                is_held_back,
                ..
            } => {
                let most = if *is_held_back { 70 } else { 40 };
                assert!(*delay <= Duration::from_millis(most));
                *delay > Duration::from_millis(20)
            }
            Fate::Lost => false,
        });
        assert!((0.4..0.65).contains(&late), "{late}");
    }

    #[test]
    fn a_network_without_fault_sends_everything_at_once() {
        let at_once = Fate::Sent {
            delay: Duration::ZERO,
            is_held_back: false,
            is_doubled: false,
        };
        let fates = throws(Impairment::default(), 0);
        assert!(fates.iter().all(|fate| *fate == at_once));
    }
}
