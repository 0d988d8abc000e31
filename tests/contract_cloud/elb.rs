//! Facts about ELBv2 that need nothing but the API.
//! Sources: API reference (ModifyRule, ModifyListener, ForwardActionConfig, TargetGroupAttribute), "Listeners for your ALB".

use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, FixedResponseActionConfig, ForwardActionConfig,
    HostHeaderConditionConfig, ProtocolEnum, RuleCondition, TargetGroupAttribute, TargetGroupStickinessConfig,
    TargetGroupTuple, TargetTypeEnum,
};

use crate::support::world::World;

/// A forward with weights.
pub(crate) fn forward(groups: &[(&str, i32)]) -> Action {
    let tuple =
        |(arn, weight): &(&str, i32)| TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build();
    let config = ForwardActionConfig::builder().set_target_groups(Some(groups.iter().map(tuple).collect())).build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

/// The same with group stickiness.
fn sticky(mut action: Action, duration_s: Option<i32>) -> Action {
    let stickiness = TargetGroupStickinessConfig::builder().enabled(true).set_duration_seconds(duration_s).build();
    action.forward_config.as_mut().unwrap().target_group_stickiness_config = Some(stickiness);
    action
}

/// Target groups with weights, in order.
pub(crate) fn weights(action: &Action) -> Vec<(String, i32)> {
    let groups = action.forward_config().map(ForwardActionConfig::target_groups).unwrap_or_default();
    groups.iter().map(|g| (g.target_group_arn().unwrap().to_owned(), g.weight().unwrap())).collect()
}

/// Replaces the actions of the world's rule; the code of the refusal.
pub(crate) async fn modify(w: &World, actions: Vec<Action>) -> Result<(), String> {
    let sent = w.elb.modify_rule().rule_arn(&w.names.rule).set_actions(Some(actions)).send().await;
    sent.map(|_| ()).map_err(|e| e.code().unwrap_or("none").to_owned())
}

pub(crate) async fn actions(w: &World) -> Vec<Action> {
    let found = w.elb.describe_rules().rule_arns(&w.names.rule).send().await.unwrap();
    found.rules()[0].actions().to_vec()
}

fn owned(groups: &[(&str, i32)]) -> Vec<(String, i32)> {
    groups.iter().map(|(arn, weight)| ((*arn).to_owned(), *weight)).collect()
}

pub(crate) async fn modify_rule_replaces_all_actions_and_keeps_the_conditions(w: World) {
    let both = [(w.group("blue"), 90), (w.group("green"), 10)];
    modify(&w, vec![sticky(forward(&both), Some(600))]).await.unwrap();
    let found = w.elb.describe_rules().rule_arns(&w.names.rule).send().await.unwrap().rules()[0].clone();
    assert_eq!(weights(&found.actions()[0]), owned(&both));
    let stickiness = found.actions()[0].forward_config().unwrap().target_group_stickiness_config().unwrap();
    assert_eq!((stickiness.enabled(), stickiness.duration_seconds()), (Some(true), Some(600)));
    assert_eq!(found.conditions()[0].host_header_config().unwrap().values(), ["chat.example.com"]);

    let turned = [(w.group("green"), 100), (w.group("blue"), 0)];
    modify(&w, vec![forward(&turned)]).await.unwrap();
    let found = actions(&w).await;
    assert_eq!((found.len(), weights(&found[0])), (1, owned(&turned)));
    let stickiness = found[0].forward_config().unwrap().target_group_stickiness_config();
    assert!(
        stickiness.and_then(TargetGroupStickinessConfig::enabled) != Some(true),
        "what the new list does not say is gone"
    );
}

pub(crate) async fn omitted_default_actions_stay(w: World) {
    let both = [(w.group("blue"), 9), (w.group("green"), 1)];
    let set = w.elb.modify_listener().listener_arn(&w.names.listener).default_actions(forward(&both));
    set.send().await.unwrap();
    w.elb.modify_listener().listener_arn(&w.names.listener).send().await.unwrap();
    let found = w.elb.describe_listeners().listener_arns(&w.names.listener).send().await.unwrap();
    assert_eq!(weights(&found.listeners()[0].default_actions()[0]), owned(&both));
}

pub(crate) async fn a_group_that_a_rule_names_at_weight_0_cannot_be_deleted(w: World) {
    modify(&w, vec![forward(&[(w.group("blue"), 1), (w.group("green"), 0)])]).await.unwrap();
    let delete = || w.elb.delete_target_group().target_group_arn(w.group("green")).send();
    assert!(delete().await.unwrap_err().into_service_error().is_resource_in_use_exception());
    modify(&w, vec![forward(&[(w.group("blue"), 1)])]).await.unwrap();
    delete().await.unwrap();
}

pub(crate) async fn a_deregistration_delay_beyond_3600_seconds_is_refused(w: World) {
    assert_eq!(set_delay(&w, "3601").await, Err("ValidationError".to_owned()));
    for delay in ["0", "3599"] {
        set_delay(&w, delay).await.unwrap();
        let found = w.elb.describe_target_group_attributes().target_group_arn(w.group("blue")).send().await.unwrap();
        let live = found.attributes().iter().find(|a| a.key() == Some(DELAY));
        assert_eq!(live.unwrap().value(), Some(delay));
    }
}

/// moto 5.2.5 refuses it, with a message that says it is allowed.
pub(crate) async fn a_deregistration_delay_of_3600_seconds_is_accepted(w: World) {
    set_delay(&w, "3600").await.unwrap();
}

const DELAY: &str = "deregistration_delay.timeout_seconds";

async fn set_delay(w: &World, seconds: &str) -> Result<(), String> {
    let attribute = TargetGroupAttribute::builder().key(DELAY).value(seconds).build();
    let set = w.elb.modify_target_group_attributes().target_group_arn(w.group("blue")).attributes(attribute);
    set.send().await.map(|_| ()).map_err(|e| e.code().unwrap_or("none").to_owned())
}

pub(crate) async fn a_forward_to_one_group_is_shown_in_both_forms(w: World) {
    let short = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(w.group("green")).build();
    for action in [short, forward(&[(w.group("green"), 1)])] {
        modify(&w, vec![action]).await.unwrap();
        let found = actions(&w).await;
        assert_eq!(found[0].target_group_arn(), Some(w.group("green")));
        assert_eq!(weights(&found[0]), owned(&[(w.group("green"), 1)]));
        let stickiness = found[0].forward_config().unwrap().target_group_stickiness_config().unwrap();
        assert_eq!(stickiness.enabled(), Some(false));
    }
    modify(&w, vec![forward(&[(w.group("blue"), 1), (w.group("green"), 1)])]).await.unwrap();
    assert_eq!(actions(&w).await[0].target_group_arn(), None);
}

pub(crate) async fn wrong_actions_are_refused_and_change_nothing(w: World) {
    let before = actions(&w).await;
    let (blue, green) = (w.group("blue"), w.group("green"));
    let six: Vec<_> = w.names.groups.values().map(|arn| (arn.as_str(), 1)).collect();
    assert_eq!(six.len(), 6);
    let mut torn = forward(&[(blue, 1)]);
    torn.target_group_arn = Some(green.to_owned());
    let fixed = FixedResponseActionConfig::builder().status_code("503").build();
    let fixed = Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(fixed).build();
    let wrong = [
        ("weight 1000", vec![forward(&[(blue, 1000), (green, 1)])]),
        ("weight -1", vec![forward(&[(blue, -1), (green, 1)])]),
        ("six groups", vec![forward(&six)]),
        ("one group twice", vec![forward(&[(blue, 1), (blue, 2)])]),
        ("no duration", vec![sticky(forward(&[(blue, 1), (green, 1)]), None)]),
        ("duration beyond seven days", vec![sticky(forward(&[(blue, 1), (green, 1)]), Some(604_801))]),
        ("two different groups in the two forms", vec![torn]),
        ("two forwards", vec![forward(&[(blue, 1)]), forward(&[(green, 1)])]),
        ("a forward and a fixed response", vec![forward(&[(blue, 1)]), fixed]),
        ("no action", vec![]),
    ];
    for (what, list) in wrong {
        let code = modify(&w, list).await.expect_err(what);
        assert!(["ValidationError", "InvalidLoadBalancerAction"].contains(&code.as_str()), "{what}: {code}");
        assert_eq!(actions(&w).await, before, "{what}");
    }
    modify(&w, vec![forward(&six[..5])]).await.unwrap();
    modify(&w, vec![sticky(forward(&[(blue, 999), (green, 0)]), Some(604_800))]).await.unwrap();
}

pub(crate) async fn a_group_that_does_not_exist_is_refused_by_both_calls(w: World) {
    let gone = format!("{}0", w.group("blue"));
    assert_eq!(modify(&w, vec![forward(&[(&gone, 1)])]).await, Err("TargetGroupNotFound".to_owned()));
    let listener = w.elb.modify_listener().listener_arn(&w.names.listener).default_actions(forward(&[(&gone, 1)]));
    assert!(listener.send().await.unwrap_err().into_service_error().is_target_group_not_found_exception());
    let health = w.elb.describe_target_health().target_group_arn(&gone).send().await;
    assert!(health.unwrap_err().into_service_error().is_target_group_not_found_exception());
    let rule = w.elb.modify_rule().rule_arn(format!("{}0", w.names.rule)).actions(forward(&[(w.group("blue"), 1)]));
    assert!(rule.send().await.unwrap_err().into_service_error().is_rule_not_found_exception());
    let listener = w.elb.describe_listeners().listener_arns(format!("{}0", w.names.listener)).send().await;
    assert!(listener.unwrap_err().into_service_error().is_listener_not_found_exception());
    let balancer = w.elb.describe_load_balancers().names("no-such").send().await;
    assert!(balancer.unwrap_err().into_service_error().is_load_balancer_not_found_exception());
}

pub(crate) async fn the_default_rule_is_not_for_modify_rule(w: World) {
    let rules = w.elb.describe_rules().listener_arn(&w.names.listener).send().await.unwrap();
    let default = rules.rules().iter().find(|rule| rule.is_default() == Some(true)).unwrap();
    let modify = w.elb.modify_rule().rule_arn(default.rule_arn().unwrap()).actions(forward(&[(w.group("green"), 1)]));
    assert!(modify.send().await.unwrap_err().into_service_error().is_operation_not_permitted_exception());
    let delete = w.elb.delete_rule().rule_arn(default.rule_arn().unwrap()).send().await;
    assert!(delete.unwrap_err().into_service_error().is_operation_not_permitted_exception());
}

pub(crate) async fn a_group_belongs_to_one_balancer(w: World) {
    let other = w.elb.describe_load_balancers().names("other").send().await.unwrap();
    let other = other.load_balancers()[0].load_balancer_arn().unwrap();
    let listener = w.elb.describe_listeners().load_balancer_arn(other).send().await.unwrap();
    let listener = listener.listeners()[0].listener_arn().unwrap();
    let attach = async |group: &str| {
        w.elb.modify_listener().listener_arn(listener).default_actions(forward(&[(group, 1)])).send().await
    };
    let refused = attach(w.group("blue")).await.unwrap_err().into_service_error();
    assert!(refused.is_target_group_association_limit_exception(), "{refused}");
    attach(w.group("six")).await.unwrap();
    let described = w.elb.describe_target_groups().target_group_arns(w.group("six")).send().await.unwrap();
    assert_eq!(described.target_groups()[0].load_balancer_arns(), [other]);
}

pub(crate) async fn a_client_secret_is_never_read_out_and_can_be_kept(w: World) {
    let oidc = |secret: Option<&str>, keep: Option<bool>| {
        let config = AuthenticateOidcActionConfig::builder()
            .issuer("https://id.example.com")
            .authorization_endpoint("https://id.example.com/auth")
            .token_endpoint("https://id.example.com/token")
            .user_info_endpoint("https://id.example.com/me")
            .client_id("lab & co")
            .authentication_request_extra_params("prompt", "login")
            .set_client_secret(secret.map(str::to_owned))
            .set_use_existing_client_secret(keep);
        let config = config.build();
        let kind = ActionTypeEnum::AuthenticateOidc;
        Action::builder().r#type(kind).order(1).authenticate_oidc_config(config).build()
    };
    let mut forward = forward(&[(w.group("green"), 1)]);
    forward.order = Some(2);
    let both = |first: Action| vec![first, forward.clone()];
    assert_eq!(modify(&w, both(oidc(None, Some(true)))).await, Err("ValidationError".to_owned()), "none is there yet");
    modify(&w, both(oidc(Some("hunter2"), None))).await.unwrap();
    for _ in 0..2 {
        let raw = format!("{:?}", actions(&w).await);
        assert!(!raw.contains("hunter2"), "{raw}");
        let found = actions(&w).await;
        let config = found[0].authenticate_oidc_config().unwrap();
        assert_eq!((config.client_id(), config.client_secret()), (Some("lab & co"), None));
        assert_eq!(config.authentication_request_extra_params().unwrap()["prompt"], "login");
        assert_eq!((found[0].order(), found[1].order()), (Some(1), Some(2)));
        // What was read cannot be written back as it is: the secret is missing.
        assert_eq!(modify(&w, found).await, Err("ValidationError".to_owned()));
        modify(&w, both(oidc(None, Some(true)))).await.unwrap();
    }
}

pub(crate) async fn rules_come_in_pages_by_priority_with_the_default_last(w: World) {
    for priority in [30, 5, 20] {
        create_rule(&w, priority).await.unwrap();
    }
    assert_eq!(create_rule(&w, 5).await, Err("PriorityInUse".to_owned()));
    let (mut marker, mut pages, mut seen) = (None, 0, Vec::new());
    loop {
        let list = w.elb.describe_rules().listener_arn(&w.names.listener).page_size(2).set_marker(marker);
        let page = list.send().await.unwrap();
        pages += 1;
        seen.extend(page.rules().iter().map(|rule| rule.priority().unwrap().to_owned()));
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (3, ["5", "10", "20", "30", "default"].map(str::to_owned).to_vec()));
}

async fn create_rule(w: &World, priority: i32) -> Result<String, String> {
    let host = HostHeaderConditionConfig::builder().values(format!("p{priority}.example.com")).build();
    let condition = RuleCondition::builder().field("host-header").host_header_config(host).build();
    let create = w.elb.create_rule().listener_arn(&w.names.listener).priority(priority).conditions(condition);
    let sent = create.actions(forward(&[(w.group("blue"), 1)])).send().await;
    let answer = sent.map_err(|e| e.code().unwrap_or("none").to_owned())?;
    Ok(answer.rules()[0].rule_arn().unwrap().to_owned())
}

pub(crate) async fn a_created_rule_can_be_deleted(w: World) {
    let arn = create_rule(&w, 7).await.unwrap();
    w.elb.delete_rule().rule_arn(&arn).send().await.unwrap();
    let gone = w.elb.describe_rules().rule_arns(&arn).send().await.unwrap_err().into_service_error();
    assert!(gone.is_rule_not_found_exception());
}

pub(crate) async fn attributes_have_defaults_and_unknown_ones_are_refused(w: World) {
    let balancer = w.elb.describe_load_balancer_attributes().load_balancer_arn(&w.names.balancer).send().await.unwrap();
    let value = |key: &str| balancer.attributes().iter().find(|a| a.key() == Some(key)).and_then(|a| a.value());
    assert_eq!((value("idle_timeout.timeout_seconds"), value("client_keep_alive.seconds")), (Some("60"), Some("3600")));
    let group = w.elb.describe_target_group_attributes().target_group_arn(w.group("blue")).send().await.unwrap();
    let value = |key: &str| group.attributes().iter().find(|a| a.key() == Some(key)).and_then(|a| a.value());
    assert_eq!(
        (value("deregistration_delay.timeout_seconds"), value("stickiness.enabled")),
        (Some("300"), Some("false"))
    );
    for (key, bad) in [("no.such.key", "1"), ("slow_start.duration_seconds", "29"), ("stickiness.enabled", "maybe")] {
        let attribute = TargetGroupAttribute::builder().key(key).value(bad).build();
        let set = w.elb.modify_target_group_attributes().target_group_arn(w.group("blue")).attributes(attribute);
        assert_eq!(set.send().await.unwrap_err().code(), Some("ValidationError"), "{key}={bad}");
    }
}

pub(crate) async fn creating_a_group_again_is_idempotent(w: World) {
    let create = |port| {
        let create = w.elb.create_target_group().name("fresh").protocol(ProtocolEnum::Http).port(port);
        create.target_type(TargetTypeEnum::Ip).vpc_id("vpc-0lab").send()
    };
    let arn = |answer: aws_sdk_elasticloadbalancingv2::operation::create_target_group::CreateTargetGroupOutput| {
        answer.target_groups()[0].target_group_arn().unwrap().to_owned()
    };
    let first = arn(create(8000).await.unwrap());
    assert_eq!(arn(create(8000).await.unwrap()), first);
    let other = create(8001).await.unwrap_err().into_service_error();
    assert!(other.is_duplicate_target_group_name_exception());
    w.elb.delete_target_group().target_group_arn(first).send().await.unwrap();
}

pub(crate) async fn tags_and_balancers_are_described(w: World) {
    let found = w.elb.describe_load_balancers().names("front").send().await.unwrap();
    let found = &found.load_balancers()[0];
    assert_eq!(found.load_balancer_arn(), Some(w.names.balancer.as_str()));
    assert_eq!(found.state().unwrap().code().unwrap().as_str(), "active");
    let tags = w.elb.describe_tags().resource_arns(w.group("blue")).resource_arns(&w.names.rule).send().await.unwrap();
    let arns: Vec<_> = tags.tag_descriptions().iter().map(|tags| tags.resource_arn().unwrap()).collect();
    assert_eq!(arns, [w.group("blue"), w.names.rule.as_str()]);
}
