//! The providers' contract: what `Register` and `Router` promise, kept by each of them, on the loopback cloud and, where
//! moto can be trusted, on moto.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

// `cfg(test)` is always on here; it tells clippy that helpers are test code too.
#[cfg(test)]
mod access;
#[cfg(test)]
mod deploy_on_moto;
#[cfg(test)]
mod late;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod names;
#[cfg(test)]
mod register;
#[cfg(test)]
mod router;
#[cfg(test)]
mod subjects;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

/// Every clause of the contract, for every provider: one test each, in a world of its own.
macro_rules! contract {
    ($($subject:ident),* $(,)?) => {
        $(mod $subject {
            crate::clauses![$subject, register:
                what_was_swapped_settles_and_is_read,
                a_swap_is_one_write,
                a_swap_to_the_value_in_force_writes_nothing,
                doing_twice_is_doing_once,
                undoing_twice_is_undoing_once,
                someone_elses_write_is_never_overwritten,
                it_is_never_left_empty,
                a_recorded_value_survives_the_journal,
            ];
            crate::clauses![$subject, late:
                a_late_write_does_not_win_over_a_touched_value,
                what_was_announced_long_ago_is_not_sent,
            ];
            crate::clauses![$subject, lost:
                a_lost_answer_is_unknown_and_the_next_try_finds_out,
                an_answer_that_never_comes_is_unknown_and_the_next_try_finds_out,
                a_call_that_had_no_effect_is_made_by_the_next_try,
                a_busy_service_is_busy_and_nothing_changed,
                a_refusal_is_rejected_with_a_hint,
                a_write_that_is_delivered_twice_takes_effect_once,
                a_read_that_fails_once_is_tried_again,
            ];
        })*
    };
}

macro_rules! clauses {
    ($subject:ident, $of:ident: $($clause:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $clause() {
            crate::$of::$clause(crate::subjects::$subject).await;
        })*
    };
}
use clauses;

/// The clauses that hold for what moves traffic.
macro_rules! routers {
    ($($subject:ident),* $(,)?) => {
        mod routers {
            $(mod $subject {
                crate::clauses![$subject, router:
                    aiming_leads_there_and_back,
                    aiming_twice_is_aiming_once,
                    attaching_moves_nobody_and_detaching_takes_it_back,
                    a_ttl_is_set_or_refused_and_moves_nobody,
                    what_the_plan_does_not_name_is_not_explained,
                ];
            })*
        }
    };
}

contract![
    plain_a,
    dual_stack,
    cname,
    alias,
    weighted,
    capitals,
    far_down_the_zone,
    host_rule,
    host_and_path_rule,
    default_rule,
    rule_behind_a_login,
    sticky_rule,
    members,
];
routers![
    plain_a,
    dual_stack,
    cname,
    alias,
    weighted,
    capitals,
    far_down_the_zone,
    host_rule,
    host_and_path_rule,
    default_rule,
    rule_behind_a_login,
    sticky_rule,
];
