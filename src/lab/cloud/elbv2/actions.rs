//! Reads the actions of a rule and refuses what ELB refuses.
//!
//! Sources: Action, ForwardActionConfig and AuthenticateOidcActionConfig in the API reference; "Listeners for your
//! Application Load Balancers" (weights 0 to 999, five groups), "Sticky sessions".

use std::collections::{BTreeMap, BTreeSet};

use super::super::form::Form;
use super::super::refusal::Refusal;
use super::usage;
use crate::lab::state::{Action, Cloud};

/// Target groups of one forward action.
const GROUPS_MAX: usize = 5;
/// The highest weight.
const WEIGHT_MAX: i64 = 999;
/// The longest group stickiness: seven days.
const STICKY_MAX_S: u32 = 604_800;

/// The actions of `name` (`Actions`, `DefaultActions`) for a rule of `balancer`, in their order.
/// `live` are those that they replace: a client secret may be kept from there.
pub(super) fn read(
    form: &Form,
    name: &str,
    cloud: &Cloud,
    balancer: &str,
    live: &[Action],
) -> Result<Option<Vec<Action>>, Refusal> {
    let Some(written) = form.list(name) else { return Ok(None) };
    let mut ordered = Vec::new();
    for (position, form) in (1u32..).zip(&written) {
        let order = form.number::<u32>("Order")?.unwrap_or(position);
        ordered.push((order, one(form, cloud, balancer, live)?));
    }
    ordered.sort_by_key(|(order, _)| *order);
    if ordered.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(bad_actions("Two actions have the same order"));
    }
    let actions: Vec<Action> = ordered.into_iter().map(|(_, action)| action).collect();
    let routing = |action: &Action| !matches!(action, Action::Authenticate { .. });
    match actions.iter().filter(|action| routing(action)).count() {
        0 => Err(bad_actions("The actions must contain one of forward, fixed-response or redirect")),
        1 if actions.last().is_some_and(routing) => Ok(Some(actions)),
        1 => Err(bad_actions("The forward, fixed-response or redirect action must be performed last")),
        _ => Err(bad_actions("You can specify only one forward, fixed-response or redirect action")),
    }
}

fn one(form: &Form, cloud: &Cloud, balancer: &str, live: &[Action]) -> Result<Action, Refusal> {
    match form.need("Type")? {
        "forward" => forward(form, cloud, balancer),
        "fixed-response" => fixed_response(&form.below("FixedResponseConfig")),
        "redirect" => redirect(&form.below("RedirectConfig")),
        "authenticate-oidc" => oidc(&form.below("AuthenticateOidcConfig"), live),
        "authenticate-cognito" => {
            let settings = form.below("AuthenticateCognitoConfig");
            for key in ["UserPoolArn", "UserPoolClientId", "UserPoolDomain"] {
                settings.need(key)?;
            }
            Ok(Action::Authenticate { kind: "authenticate-cognito".to_owned(), settings: with_defaults(&settings) })
        }
        "jwt-validation" => Err(Refusal::not_here("the action jwt-validation")),
        other => Err(Refusal::invalid(format!("'{other}' is not a valid action type"))),
    }
}

fn forward(form: &Form, cloud: &Cloud, balancer: &str) -> Result<Action, Refusal> {
    let config = form.below("ForwardConfig");
    let short = form.get("TargetGroupArn").filter(|arn| !arn.is_empty());
    let mut groups = Vec::new();
    for group in config.list("TargetGroups").unwrap_or_default() {
        let arn = group.need("TargetGroupArn")?.to_owned();
        let weight = group.number::<i64>("Weight")?.unwrap_or(1);
        if !(0..=WEIGHT_MAX).contains(&weight) {
            return Err(Refusal::invalid(format!("Weight '{weight}' must be between 0 and {WEIGHT_MAX}")));
        }
        groups.push((arn, u16::try_from(weight).unwrap_or(0)));
    }
    let only = |arn: &str| matches!(groups.as_slice(), [(one, _)] if one == arn);
    match short {
        None if groups.is_empty() => return Err(Refusal::invalid("A target group ARN must be specified")),
        Some(arn) if groups.is_empty() => groups.push((arn.to_owned(), 1)),
        Some(arn) if !only(arn) => {
            return Err(bad_actions(
                "If you specify both ForwardConfig and TargetGroupArn, you can specify only one target group using \
                 ForwardConfig and it must be the same target group specified in TargetGroupArn",
            ));
        }
        Some(_) | None => {}
    }
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::invalid(format!("A forward action can have at most {GROUPS_MAX} target groups")));
    }
    let unique: BTreeSet<&str> = groups.iter().map(|(arn, _)| arn.as_str()).collect();
    if unique.len() < groups.len() {
        return Err(Refusal::invalid("A target group is specified more than once in a forward action"));
    }
    let sticky_s = stickiness(&config.below("TargetGroupStickinessConfig"))?;
    for (arn, _) in &groups {
        let group = cloud.groups.get(arn).ok_or_else(|| no_such_group(arn))?;
        if usage::balancers_of(cloud, arn).into_iter().any(|other| other != balancer) {
            let why =
                format!("The following target groups cannot be associated with more than one load balancer: {arn}");
            return Err(Refusal::new(400, "TargetGroupAssociationLimit", why));
        }
        let sticky_targets = group.attributes.get("stickiness.enabled").is_some_and(|on| on == "true");
        if groups.len() > 1 && sticky_targets && sticky_s.is_none() {
            return Err(bad_actions(
                "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups",
            ));
        }
    }
    Ok(Action::Forward { groups, sticky_s })
}

fn stickiness(config: &Form) -> Result<Option<u32>, Refusal> {
    if config.get("Enabled") != Some("true") {
        return Ok(None);
    }
    match config.number::<u32>("DurationSeconds")? {
        Some(s) if (1..=STICKY_MAX_S).contains(&s) => Ok(Some(s)),
        Some(s) => Err(Refusal::invalid(format!("Stickiness duration '{s}' must be between 1 and {STICKY_MAX_S}"))),
        None => Err(Refusal::invalid("Stickiness duration must be specified when stickiness is enabled")),
    }
}

fn fixed_response(config: &Form) -> Result<Action, Refusal> {
    let status = config.need("StatusCode")?;
    let status = match status.parse::<u16>() {
        Ok(n) if matches!(n / 100, 2 | 4 | 5) && n < 600 => n,
        Ok(_) | Err(_) => return Err(Refusal::invalid(format!("'{status}' is not a 2XX, 4XX or 5XX status code"))),
    };
    let text = |key: &str| config.get(key).unwrap_or_default().to_owned();
    Ok(Action::FixedResponse { status, content_type: text("ContentType"), body: text("MessageBody") })
}

fn redirect(config: &Form) -> Result<Action, Refusal> {
    let status = match config.need("StatusCode")? {
        "HTTP_301" => 301,
        "HTTP_302" => 302,
        other => return Err(Refusal::invalid(format!("'{other}' is not one of HTTP_301, HTTP_302"))),
    };
    let defaults = [
        ("Protocol", "#{protocol}"),
        ("Port", "#{port}"),
        ("Host", "#{host}"),
        ("Path", "/#{path}"),
        ("Query", "#{query}"),
    ];
    let location =
        defaults.map(|(key, default)| (key.to_owned(), config.get(key).unwrap_or(default).to_owned())).into();
    Ok(Action::Redirect { status, location })
}

fn oidc(config: &Form, live: &[Action]) -> Result<Action, Refusal> {
    for key in ["Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "ClientId"] {
        config.need(key)?;
    }
    let mut settings = with_defaults(config);
    let keep = settings.remove("UseExistingClientSecret").is_some_and(|keep| keep == "true");
    match (keep, settings.contains_key("ClientSecret")) {
        (false, true) => {}
        (true, true) => {
            return Err(Refusal::invalid("ClientSecret must not be specified when UseExistingClientSecret is true"));
        }
        (true, false) => {
            let secret = live.iter().find_map(known_secret);
            let why = "UseExistingClientSecret is true but the rule has no client secret";
            settings.insert("ClientSecret".to_owned(), secret.ok_or_else(|| Refusal::invalid(why))?);
        }
        (false, false) => {
            return Err(Refusal::invalid("ClientSecret must be specified unless UseExistingClientSecret is true"));
        }
    }
    Ok(Action::Authenticate { kind: "authenticate-oidc".to_owned(), settings })
}

fn known_secret(action: &Action) -> Option<String> {
    match action {
        Action::Authenticate { settings, .. } => settings.get("ClientSecret").cloned(),
        Action::Forward { .. } | Action::FixedResponse { .. } | Action::Redirect { .. } => None,
    }
}

fn with_defaults(config: &Form) -> BTreeMap<String, String> {
    let defaults = [
        ("SessionCookieName", "AWSELBAuthSessionCookie"),
        ("SessionTimeout", "604800"),
        ("Scope", "openid"),
        ("OnUnauthenticatedRequest", "authenticate"),
    ];
    let mut settings: BTreeMap<_, _> = defaults.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    settings.extend(config.pairs().clone());
    settings
}

pub(super) fn no_such_group(arn: &str) -> Refusal {
    Refusal::new(400, "TargetGroupNotFound", format!("Target groups '{arn}' not found"))
}

fn bad_actions(why: &str) -> Refusal {
    Refusal::new(400, "InvalidLoadBalancerAction", why)
}
