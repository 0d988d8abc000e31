//! What the register holds: the forward action, normalised, and what stands beside it, to notice that somebody changed it.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, TargetGroupStickinessConfig, TargetGroupTuple,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The actions of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Where it forwards; none when it does not.
    pub forward: Option<Forward>,
    /// Its other actions (authentication, redirect, fixed answer) as far as a read returns them. They are compared, and
    /// written back as they were read, never from here: a client secret is not in any read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Value>,
}

/// A forward action. One group and several, with or without a configuration, look the same here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Weight by target group ARN, 0 to 999.
    pub groups: BTreeMap<String, u16>,
    /// Seconds for which a cookie keeps a client on its group; none when off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky_s: Option<u32>,
}

impl Rule {
    /// What the API returned, normalised.
    pub fn from_sdk(actions: &[Action]) -> Self {
        let forward = actions.iter().find(|a| is_forward(a)).map(Forward::from_sdk);
        let others = actions.iter().filter(|a| !is_forward(a)).map(describe).collect();
        Self { forward, others }
    }

    /// The same rule with other weights.
    #[must_use]
    pub fn forwarding(&self, groups: BTreeMap<String, u16>) -> Self {
        let sticky_s = self.forward.as_ref().and_then(|f| f.sticky_s);
        Self { forward: Some(Forward { groups, sticky_s }), ..self.clone() }
    }
}

impl Forward {
    fn from_sdk(action: &Action) -> Self {
        let config = action.forward_config();
        let mut groups: BTreeMap<String, u16> = BTreeMap::new();
        for tuple in config.map(ForwardActionConfig::target_groups).unwrap_or_default() {
            if let Some(arn) = tuple.target_group_arn() {
                groups.insert(arn.to_owned(), tuple.weight().and_then(|w| u16::try_from(w).ok()).unwrap_or(1));
            }
        }
        if groups.is_empty()
            && let Some(arn) = action.target_group_arn()
        {
            groups.insert(arn.to_owned(), 1);
        }
        let sticky =
            config.and_then(ForwardActionConfig::target_group_stickiness_config).filter(|s| s.enabled() == Some(true));
        let sticky_s =
            sticky.and_then(TargetGroupStickinessConfig::duration_seconds).and_then(|s| u32::try_from(s).ok());
        Self { groups, sticky_s }
    }

    fn to_sdk(&self) -> ForwardActionConfig {
        let tuple = |(arn, weight): (&String, &u16)| {
            TargetGroupTuple::builder().target_group_arn(arn).weight(i32::from(*weight)).build()
        };
        let stickiness = self.sticky_s.map(|s| {
            let seconds = i32::try_from(s).unwrap_or(i32::MAX);
            TargetGroupStickinessConfig::builder().enabled(true).duration_seconds(seconds).build()
        });
        ForwardActionConfig::builder()
            .set_target_groups(Some(self.groups.iter().map(tuple).collect()))
            .set_target_group_stickiness_config(stickiness)
            .build()
    }
}

/// `actions` as they were read, with another forward. What a read does not return is kept by saying so.
pub fn with_forward(actions: Vec<Action>, forward: &Forward) -> Vec<Action> {
    let edit = |mut action: Action| {
        if is_forward(&action) {
            action.forward_config = Some(forward.to_sdk());
            // Beside a configuration it must name the same single group, or nothing.
            action.target_group_arn = None;
        }
        if let Some(oidc) = action.authenticate_oidc_config.as_mut() {
            oidc.use_existing_client_secret = Some(true);
            oidc.client_secret = None;
        }
        action
    };
    actions.into_iter().map(edit).collect()
}

/// `chat-a` of `arn:...:targetgroup/chat-a/0123`.
pub fn short_name(arn: &str) -> &str {
    arn.split(":targetgroup/").nth(1).and_then(|tail| tail.split('/').next()).unwrap_or(arn)
}

fn is_forward(action: &Action) -> bool {
    action.r#type() == Some(&ActionTypeEnum::Forward)
}

/// Enough of another action to notice a change. Spelled out, so that it stays the same from one SDK to the next.
fn describe(action: &Action) -> Value {
    let kind = action.r#type().map(ActionTypeEnum::as_str);
    let redirect = action.redirect_config().map(|r| {
        let code = r.status_code().map(aws_sdk_elasticloadbalancingv2::types::RedirectActionStatusCodeEnum::as_str);
        json!([r.protocol(), r.port(), r.host(), r.path(), r.query(), code])
    });
    let fixed = action.fixed_response_config().map(|f| json!([f.status_code(), f.content_type(), f.message_body()]));
    let oidc = action.authenticate_oidc_config().map(|o| {
        json!([
            o.issuer(),
            o.authorization_endpoint(),
            o.token_endpoint(),
            o.user_info_endpoint(),
            o.client_id(),
            o.scope(),
            o.session_timeout()
        ])
    });
    let cognito = action.authenticate_cognito_config().map(|c| {
        json!([c.user_pool_arn(), c.user_pool_client_id(), c.user_pool_domain(), c.scope(), c.session_timeout()])
    });
    let settings = redirect.or(fixed).or(oidc).or(cognito);
    json!({ "type": kind, "order": action.order(), "settings": settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(arn: Option<&str>, tuples: &[(&str, i32)]) -> Action {
        let tuples: Vec<_> = tuples
            .iter()
            .map(|(arn, w)| TargetGroupTuple::builder().target_group_arn(*arn).weight(*w).build())
            .collect();
        let config =
            (!tuples.is_empty()).then(|| ForwardActionConfig::builder().set_target_groups(Some(tuples)).build());
        Action::builder()
            .r#type(ActionTypeEnum::Forward)
            .set_target_group_arn(arn.map(str::to_owned))
            .set_forward_config(config)
            .build()
    }

    #[test]
    fn the_three_shapes_of_a_one_group_forward_are_one_value() {
        let shapes = [forward(Some("a"), &[]), forward(None, &[("a", 1)]), forward(Some("a"), &[("a", 1)])];
        for shape in &shapes {
            assert_eq!(Rule::from_sdk(std::slice::from_ref(shape)), Rule::from_sdk(&shapes[..1]));
        }
    }

    #[test]
    fn writing_back_keeps_what_stands_beside_the_forward_and_never_sends_a_secret() {
        let oidc =
            aws_sdk_elasticloadbalancingv2::types::AuthenticateOidcActionConfig::builder().issuer("https://id").build();
        let auth =
            Action::builder().r#type(ActionTypeEnum::AuthenticateOidc).order(1).authenticate_oidc_config(oidc).build();
        let before = Rule::from_sdk(&[auth.clone(), forward(None, &[("a", 100), ("b", 0)])]);
        let after = before.forwarding(BTreeMap::from([("a".to_owned(), 0), ("b".to_owned(), 100)]));
        let written = with_forward(vec![auth, forward(None, &[("a", 100), ("b", 0)])], after.forward.as_ref().unwrap());
        assert_eq!(Rule::from_sdk(&written), after);
        let oidc = written[0].authenticate_oidc_config().unwrap();
        assert_eq!((oidc.use_existing_client_secret(), oidc.client_secret()), (Some(true), None));
    }
}
