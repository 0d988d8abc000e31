//! Route 53's limit of five requests a second for all calls of an account together (DNSLimitations).

use jiff::Timestamp;

/// Requests a second, and how many may come at once.
const RATE: f64 = 5.0;

/// A token bucket on the world's clock; off until it is switched on.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    on: bool,
    tokens: f64,
    filled_at: Option<Timestamp>,
}

impl Throttle {
    pub(super) fn switch(&mut self, on: bool) {
        *self = Self { on, tokens: RATE, filled_at: None };
    }

    /// Whether one more request is within the limit.
    pub(super) fn admits(&mut self, now: Timestamp) -> bool {
        if !self.on {
            return true;
        }
        let waited = self.filled_at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.filled_at = Some(now);
        self.tokens = (self.tokens + waited * RATE).min(RATE);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_request_of_a_second_is_refused_and_one_of_the_next_is_not() {
        let start = Timestamp::UNIX_EPOCH;
        let mut throttle = Throttle::default();
        throttle.switch(true);
        let admitted = (0..6).filter(|_| throttle.admits(start)).count();
        assert_eq!(admitted, 5);
        assert!(!throttle.admits(start + jiff::SignedDuration::from_millis(100)));
        assert!(throttle.admits(start + jiff::SignedDuration::from_millis(300)));
    }
}
