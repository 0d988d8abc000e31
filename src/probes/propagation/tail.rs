//! Until when an old answer may live: pure arithmetic, in whole seconds.
//!
//! ```text
//! E(L)   = max(L, c1) + c2 + ... + cn + n      the worst life of an answer of TTL L through n caches with clamps c
//! T_low  = t_lower + P0 + E(L0)                from here on no cache holds the old, long TTL
//! T_tail = max(t_swap + P1 + E(L1), T_low) + J the last moment at which a new connection should go to the old place
//! ```
//! P is the lag until the *last* authoritative server has a change; J is how long clients keep an address whatever its TTL.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Caches on a client's way that each round by up to a second: resolver, forwarder, the machine itself. Measured: 1.2 s at most.
pub const CACHES: u32 = 3;

/// What is granted to caches and clients beyond the TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// How far a cache further down may raise a short TTL, in seconds. 0 when all clients use resolvers that are known.
    pub clamp_s: u32,
    /// How long clients keep an address whatever its TTL, in seconds: browsers 60, the JVM 30.
    pub client_s: u32,
}

impl Default for Grant {
    fn default() -> Self {
        Self { clamp_s: 60, client_s: 60 }
    }
}

/// A change of the TTL to a shorter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lowered {
    /// When it was asked for.
    pub at: Timestamp,
    /// Seconds until the last authoritative server had it.
    pub lag_s: u32,
    /// The TTL in force before, in seconds; see [`old_ttl`].
    pub from_s: u32,
}

/// A change of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// When it was asked for.
    pub at: Timestamp,
    /// Seconds until the last authoritative server had it.
    pub lag_s: u32,
    /// The TTL of the old records at that time, in seconds.
    pub ttl_s: u32,
}

/// A last moment and the terms of its sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The last moment.
    pub until: Timestamp,
    /// For people: `60 s TTL + 60 s clamp + 60 s client + 3 s rounding`.
    pub why: String,
}

/// E(L): the worst life of an answer, in seconds. `clamps_s` are the caches' minimum TTLs, the first beside the authority.
pub fn life_s(ttl_s: u32, clamps_s: &[u32], caches: u32) -> u64 {
    let (first, further) = clamps_s.split_first().map_or((0, clamps_s), |(first, further)| (*first, further));
    // Only the first cache gets the full TTL; one further down may fetch when nothing of it is left and add its whole clamp.
    u64::from(ttl_s.max(first)) + further.iter().map(|c| u64::from(*c)).sum::<u64>() + u64::from(caches)
}

/// T_low: when no cache can hold the TTL from before [`Lowered`] any more.
pub fn low_at(lowered: &Lowered, grant: Grant) -> Tail {
    let until = after(lowered.at, u64::from(lowered.lag_s) + life_s(lowered.from_s, &[0, grant.clamp_s], CACHES));
    Tail { until, why: terms(lowered.from_s, "old TTL", lowered.lag_s, Grant { client_s: 0, ..grant }) }
}

/// T_tail: the last moment at which a new connection should go where the old records led.
pub fn tail(swapped: &Swapped, lowered: Option<&Lowered>, grant: Grant) -> Tail {
    let life = life_s(swapped.ttl_s, &[0, grant.clamp_s], CACHES);
    let own = after(swapped.at, u64::from(swapped.lag_s) + life);
    // Who fetched the record before it was lowered may hold it longer than who fetched it just before the swap.
    let earlier = lowered.map(|l| (l, low_at(l, grant))).filter(|(_, low)| low.until > own);
    match earlier {
        Some((lowered, low)) => Tail {
            until: after(low.until, u64::from(grant.client_s)),
            why: format!("{}, from {}", terms(lowered.from_s, "old TTL", lowered.lag_s, grant), lowered.at),
        },
        None => Tail {
            until: after(own, u64::from(grant.client_s)),
            why: terms(swapped.ttl_s, "TTL", swapped.lag_s, grant),
        },
    }
}

fn terms(ttl_s: u32, ttl: &str, lag_s: u32, grant: Grant) -> String {
    let mut terms = vec![format!("{ttl_s} s {ttl}")];
    for (length, what) in [(lag_s, "name server lag"), (grant.clamp_s, "clamp"), (grant.client_s, "client")] {
        if length > 0 {
            terms.push(format!("{length} s {what}"));
        }
    }
    terms.push(format!("{CACHES} s rounding"));
    terms.join(" + ")
}

/// The TTL that caches may still hold, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldTtl {
    /// Seconds.
    pub ttl_s: u32,
    /// For people.
    pub from: String,
}

/// L0: the authoritative TTL of now is not the whole truth when somebody lowered it recently. A resolver that shows more
/// than the authority gives it away; what nobody shows, only the plan can know.
pub fn old_ttl(authoritative_s: u32, seen: &[(u32, String)], assumed_s: Option<u32>) -> OldTtl {
    let mut old = OldTtl { ttl_s: authoritative_s, from: "the name servers' TTL".to_owned() };
    for (ttl_s, who) in seen {
        if *ttl_s > old.ttl_s {
            old = OldTtl { ttl_s: *ttl_s, from: format!("{who} still holds a longer TTL than the name servers give") };
        }
    }
    match assumed_s {
        Some(ttl_s) if ttl_s > old.ttl_s => OldTtl { ttl_s, from: "assume_old_ttl of the plan".to_owned() },
        Some(_) | None => old,
    }
}

/// How many questions meet each of `caches` behind one address at least once, but for a chance of `miss`.
pub fn questions(caches: u32, miss: f64) -> u32 {
    if caches <= 1 {
        return 1;
    }
    let k = f64::from(caches);
    let n = ((k / miss).ln() / -(1.0 - 1.0 / k).ln()).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred at most; saturates")]
    let n = n as u32;
    n
}

fn after(at: Timestamp, s: u64) -> Timestamp {
    at + SignedDuration::from_secs(i64::try_from(s).unwrap_or(i64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + s)
    }

    #[test]
    fn the_public_tail_of_a_minute_is_183_seconds() {
        let tail = tail(&Swapped { at: at(0), lag_s: 0, ttl_s: 60 }, None, Grant::default());
        assert_eq!(tail.until, at(183));
        assert_eq!(tail.why, "60 s TTL + 60 s clamp + 60 s client + 3 s rounding");
    }

    #[test]
    fn the_longer_of_both_tails_counts() {
        let grant = Grant { clamp_s: 0, client_s: 60 };
        let lowered = Lowered { at: at(0), lag_s: 5, from_s: 3600 };
        let early = tail(&Swapped { at: at(600), lag_s: 5, ttl_s: 60 }, Some(&lowered), grant);
        assert_eq!(early.until, at(3600 + 5 + 60 + 3));
        assert!(
            early.why.starts_with("3600 s old TTL + 5 s name server lag + 60 s client + 3 s rounding, from"),
            "{early:?}"
        );
        let settled = tail(&Swapped { at: at(3608), lag_s: 5, ttl_s: 60 }, Some(&lowered), grant);
        assert_eq!(settled.until, at(3608 + 5 + 60 + 60 + 3));
    }

    #[test]
    fn a_longer_ttl_that_is_still_about_counts_as_the_old_one() {
        let seen = [(250, "1.1.1.1".to_owned()), (3000, "8.8.8.8".to_owned())];
        assert_eq!(old_ttl(300, &[], None).ttl_s, 300);
        assert!(old_ttl(300, &seen, None).from.contains("8.8.8.8"));
        assert_eq!(old_ttl(300, &seen, Some(86_400)).from, "assume_old_ttl of the plan");
        assert_eq!(old_ttl(300, &seen, Some(60)).ttl_s, 3000);
    }

    #[test]
    fn the_number_of_questions_is_the_measured_one() {
        assert_eq!([1, 4, 8, 16].map(|k| questions(k, 0.01)), [1, 21, 51, 115]);
    }

    proptest! {
        /// Caches that keep their promise: each takes what is left of the one before, raises it to its clamp, and may
        /// fetch at any time while the one before still answers, which it does up to a second too long.
        #[test]
        fn no_chain_of_caches_outlives_the_bound(
            ttl in 0_u32..4000,
            chain in prop::collection::vec((0_u32..120, 0.0_f64..=1.0), 1..5),
        ) {
            let clamps: Vec<u32> = chain.iter().map(|c| c.0).collect();
            // The authority answers the old records, with their full TTL, until the swap at 0.
            let (mut from, mut end, mut nominal) = (-f64::from(ttl), 0.0, f64::NAN);
            for (clamp, when) in chain {
                let fetched: f64 = from + (end - from) * when;
                let left = if nominal.is_nan() { f64::from(ttl) } else { f64::max(nominal - fetched, 0.0) };
                nominal = fetched + left.max(f64::from(clamp));
                (from, end) = (fetched, nominal + 1.0);
            }
            let until = end;
            let bound = life_s(ttl, &clamps, u32::try_from(clamps.len()).unwrap());
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let bound = bound as f64;
            prop_assert!(until <= bound + 1e-6, "lives until {until}, bound {bound}");
        }

        #[test]
        fn more_of_anything_never_shortens_the_tail(
            ttl in 0_u32..100_000, lag in 0_u32..120, from in 0_u32..100_000, before in 0_i64..100_000,
            clamp in 0_u32..4000, client in 0_u32..4000,
        ) {
            let of = |ttl_s, lag_s, from_s, clamp_s, client_s| {
                let lowered = Lowered { at: at(-before), lag_s, from_s };
                tail(&Swapped { at: at(0), lag_s, ttl_s }, Some(&lowered), Grant { clamp_s, client_s }).until
            };
            let base = of(ttl, lag, from, clamp, client);
            prop_assert!(base >= at(i64::from(ttl) + i64::from(lag)));
            for more in [
                of(ttl + 1, lag, from, clamp, client), of(ttl, lag + 1, from, clamp, client),
                of(ttl, lag, from + 1, clamp, client), of(ttl, lag, from, clamp + 1, client),
                of(ttl, lag, from, clamp, client + 1),
            ] {
                prop_assert!(more >= base);
            }
        }
    }
}
