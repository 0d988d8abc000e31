//! The cloud contract: each documented fact is stated once, over the real SDKs' clients, and run against the loopback
//! cloud; the facts that moto gets right are run against moto as well. They could be run against a real account as they stand.

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
mod support;

#[cfg(test)]
#[path = "contract_cloud/dns.rs"]
mod dns;
#[cfg(test)]
#[path = "contract_cloud/dns_time.rs"]
mod dns_time;
#[cfg(test)]
#[path = "contract_cloud/elb.rs"]
mod elb;
#[cfg(test)]
#[path = "contract_cloud/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "contract_cloud/health.rs"]
mod health;
#[cfg(test)]
#[path = "contract_cloud/oracle.rs"]
mod oracle;
#[cfg(test)]
#[path = "contract_cloud/peers.rs"]
mod peers;

/// Facts that need nothing but the API: one test each on the loopback cloud, and a list of them for others.
macro_rules! facts {
    ($($module:ident::$fact:ident),* $(,)?) => {
        mod on_the_loopback_cloud {
            $(
                #[tokio::test]
                async fn $fact() {
                    let lab = crate::support::world::Lab::start().await;
                    crate::$module::$fact(lab.world).await;
                }
            )*
        }
    };
}

facts![
    dns::an_upsert_is_keyed_by_name_type_and_identifier,
    dns::all_upserts_of_a_batch_take_effect,
    dns::a_listing_of_345_records_comes_in_two_pages,
    dns::a_listing_starts_at_the_first_record_at_or_after_a_name,
    dns::more_than_1000_values_are_refused_and_upserts_count_twice,
    dns::zones_of_one_name_are_told_apart_by_being_private,
    dns::a_swap_can_be_swapped_back,
    dns::a_stale_delete_is_refused_whatever_the_difference,
    dns::a_refused_batch_changes_nothing,
    dns::a_create_over_an_existing_set_is_refused,
    dns::a_delete_of_what_is_not_there_is_refused,
    dns::a_delete_must_stand_before_the_create,
    dns::one_set_is_changed_once_in_a_batch_but_for_delete_then_create,
    dns::a_delete_by_identifier_leaves_other_names_alone,
    dns::an_upsert_cannot_change_the_routing_policy,
    dns::a_cname_stands_alone_and_not_at_the_apex,
    dns::weighted_sets_share_the_last_ttl,
    dns::a_listing_pages_inside_a_weighted_set,
    dns::names_are_lower_case_and_a_star_is_octal,
    dns::an_alias_has_no_ttl_and_must_lead_somewhere,
    dns::weights_end_at_255,
    dns::the_apex_keeps_its_ns_and_soa,
    dns::a_zone_names_its_servers,
    dns::what_does_not_exist_is_said_by_its_code,
    elb::modify_rule_replaces_all_actions_and_keeps_the_conditions,
    elb::omitted_default_actions_stay,
    elb::a_group_that_a_rule_names_at_weight_0_cannot_be_deleted,
    elb::a_deregistration_delay_beyond_3600_seconds_is_refused,
    elb::a_deregistration_delay_of_3600_seconds_is_accepted,
    elb::a_forward_to_one_group_is_shown_in_both_forms,
    elb::wrong_actions_are_refused_and_change_nothing,
    elb::a_group_that_does_not_exist_is_refused_by_both_calls,
    elb::the_default_rule_is_not_for_modify_rule,
    elb::a_group_belongs_to_one_balancer,
    elb::a_client_secret_is_never_read_out_and_can_be_kept,
    elb::rules_come_in_pages_by_priority_with_the_default_last,
    elb::attributes_have_defaults_and_unknown_ones_are_refused,
    elb::creating_a_group_again_is_idempotent,
    elb::a_created_rule_can_be_deleted,
    elb::tags_and_balancers_are_described,
    health::targets_are_keyed_by_id_and_port,
    health::deregistering_an_unknown_target_succeeds,
];
