use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(s: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + s)
}

fn resolver(ip: &str) -> Resolver {
    Resolver::new(Chosen { address: format!("{ip}:53").parse().unwrap(), label: ip.to_owned() })
}

fn said(s: i64, said: Said) -> Sample {
    Sample { at: at(s), said, shows: format!("{said:?}") }
}

fn old(s: i64, ttl_s: u32) -> Sample {
    said(s, Said::Old { ttl_s })
}

fn new(s: i64) -> Sample {
    said(s, Said::New { ttl_s: Some(60) })
}

/// Every name server has the new records since second 0; the old ones had a TTL of 20.
fn honest() -> Honest {
    Honest { since: at(0), until: at(21) }
}

fn class_of(resolver: &mut Resolver, samples: &[Sample]) -> Class {
    resolver.take(samples, Some(honest()), &Pace::default());
    resolver.line.class
}

#[test]
fn an_old_answer_is_fine_until_its_own_ttl_is_over() {
    let mut one = resolver("10.0.0.2");
    assert_eq!(class_of(&mut one, &[old(1, 15), old(1, 15)]), Class::Old);
    assert_eq!(one.due, Some(at(17)), "it is looked at again a second after it should have expired");
    assert_eq!(one.line.old_until, Some(at(16)));
    assert_eq!(class_of(&mut one, &[old(17, 0)]), Class::Old, "rounding is forgiven");
    assert_eq!(class_of(&mut one, &[old(19, 30)]), Class::OldPast);
    assert_eq!((one.line.violations, one.line.old_until), (1, Some(at(79))), "a violator is granted a minute");
    assert_eq!(class_of(&mut one, &[old(24, 300)]), Class::OldPast);
    assert_eq!((one.line.violations, one.line.old_until), (2, Some(at(324))), "or what it shows, if that is more");
    assert_eq!(class_of(&mut one, &[new(29)]), Class::New);
    assert_eq!(one.line.old_until, None);
}

#[test]
fn a_cache_that_serves_expired_answers_cannot_extend_its_word_forever() {
    let mut one = resolver("10.0.0.2");
    class_of(&mut one, &[old(0, 10), old(0, 10)]);
    let mut violations = 0;
    for s in (1..40).filter(|s| s % 2 == 0) {
        class_of(&mut one, &[old(s, 30)]); // shows a fresh TTL each time
        violations = one.line.violations;
    }
    assert!(violations > 10, "{violations}");
}

#[test]
fn a_clamped_ttl_is_taken_at_its_word_and_the_second_answer_counts() {
    let mut one = resolver("10.0.0.2");
    assert_eq!(class_of(&mut one, &[old(0, 20), old(0, 90)]), Class::Old);
    assert_eq!(class_of(&mut one, &[old(85, 5)]), Class::Old, "it said so");
    assert_eq!(one.line.violations, 0);
}

#[test]
fn while_a_name_server_lags_caches_may_fetch_the_old_records_again() {
    let mut one = resolver("10.0.0.2");
    let pace = Pace::default();
    one.take(&[old(0, 2), old(0, 2)], None, &pace);
    one.take(&[old(8, 20)], None, &pace);
    assert_eq!((one.line.class, one.line.violations), (Class::Old, 0));
    // The last name server followed at 9: what was fetched before that may live its TTL.
    let honest = Some(Honest { since: at(9), until: at(30) });
    one.take(&[old(25, 3)], honest, &pace);
    assert_eq!((one.line.class, one.line.violations), (Class::Old, 0));
    one.take(&[old(33, 20)], honest, &pace);
    assert_eq!((one.line.class, one.line.violations), (Class::OldPast, 1));
}

#[test]
fn behind_an_anycast_address_another_cache_may_have_it_longer_but_not_too_long() {
    let mut many = resolver("8.8.8.8");
    assert_eq!(class_of(&mut many, &[old(1, 3), old(1, 3), new(1)]), Class::Mixed);
    assert_eq!(class_of(&mut many, &[old(10, 9)]), Class::Mixed);
    assert_eq!(many.line.violations, 0);
    assert_eq!(class_of(&mut many, &[old(24, 9)]), Class::OldPast);
}

#[test]
fn three_clean_rounds_in_a_row_are_wanted_and_a_flip_back_starts_over() {
    let pace = Pace::default();
    let mut many = resolver("8.8.8.8");
    assert_eq!(many.questions(&pace, true), 4);
    class_of(&mut many, &[new(0)]);
    class_of(&mut many, &[new(2)]);
    assert_eq!(many.line.clean_rounds, 1, "rounds less than 5 s apart are one");
    class_of(&mut many, &[new(5)]);
    assert_eq!(many.questions(&pace, true), 21, "most questions in the last round");
    assert_eq!(class_of(&mut many, &[new(10), old(10, 5)]), Class::Mixed);
    assert_eq!((many.line.clean_rounds, many.line.flip_backs), (0, 1));
    for s in [15, 20, 25] {
        assert!(!many.is_done(&pace));
        class_of(&mut many, &[new(s)]);
    }
    assert!(many.is_done(&pace));
}

#[test]
fn an_error_or_a_stranger_never_counts_as_new() {
    let pace = Pace::default();
    let mut one = resolver("10.0.0.2");
    for s in 0..10 {
        assert_eq!(class_of(&mut one, &[said(s * 5, Said::Failed)]), Class::Error);
    }
    assert!(!one.is_done(&pace) && one.line.clean_rounds == 0);
    class_of(&mut one, &[new(50)]);
    class_of(&mut one, &[new(55)]);
    assert_eq!(class_of(&mut one, &[new(60), said(60, Said::Failed)]), Class::Error);
    assert!(!one.is_done(&pace));
    assert_eq!(class_of(&mut one, &[said(65, Said::Other)]), Class::Other);
    assert_eq!(one.line.clean_rounds, 0);
}

#[test]
fn what_was_learnt_before_the_swap_does_not_accuse_after_it() {
    let pace = Pace::default();
    let mut one = resolver("10.0.0.2");
    one.take(&[old(-600, 20), old(-600, 20)], None, &pace);
    assert_eq!(one.longest_ttl_s, Some(20));
    one.restart(at(0));
    assert_eq!(one.due, Some(at(0)));
    assert_eq!(class_of(&mut one, &[old(0, 19)]), Class::Old, "it fetched them again before the swap");
    one.restart(at(5)); // and what it still holds, it is held to
    assert_eq!(class_of(&mut one, &[old(22, 19)]), Class::OldPast);
}

#[test]
fn a_clamp_that_began_anew_before_the_swap_is_taken_at_its_word_again() {
    let pace = Pace::default();
    let mut one = resolver("10.0.0.2");
    one.take(&[old(-600, 300), old(-600, 300)], None, &pace);
    one.restart(at(0));
    assert_eq!(class_of(&mut one, &[old(0, 250)]), Class::Old);
    assert_eq!(class_of(&mut one, &[old(60, 190)]), Class::Old, "long past the TTL of 20, but it said so");
    assert_eq!(class_of(&mut one, &[old(253, 300)]), Class::OldPast);
}

proptest! {
    /// A cache that keeps TTLs is never called a violator, whenever it fetched and whenever it is asked.
    #[test]
    fn an_honest_cache_is_never_accused(
        ttl in 1_i64..300, fetched in 0.0_f64..1.0, gaps in prop::collection::vec(1_i64..30, 1..60),
        prefetches in any::<bool>(),
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers")]
        let mut fetched_at = -((ttl as f64 * fetched) as i64);
        let honest = Some(Honest { since: at(0), until: at(ttl + 1) });
        let pace = Pace { clean_gap: Duration::ZERO, ..Pace::default() };
        let mut one = resolver("10.0.0.2");
        one.take(&[old(fetched_at, u32::try_from(ttl).unwrap())], None, &pace);
        one.restart(at(0));
        if prefetches {
            fetched_at = 0; // just before the swap
        }
        let mut now = 0;
        for gap in gaps {
            let left = fetched_at + ttl - now;
            let sample = if left >= 0 { old(now, u32::try_from(left).unwrap()) } else { new(now) };
            one.take(&[sample], honest, &pace);
            prop_assert_eq!(one.line.violations, 0);
            now += gap;
        }
    }
}
