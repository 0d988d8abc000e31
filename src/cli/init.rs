//! `modelswap init`: a first plan, commented, from what exists; what is missing is marked `TODO`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::args::Common;
use super::desk::Desk;
use super::{Exit, Failure};
use crate::providers::ProviderError;
use crate::providers::aws::{AwsAccess, AwsClients};
use crate::providers::dns::route53;
use crate::providers::traffic::alb::survey::{Survey, survey};

mod record;

/// Options of `init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where to write the plan; a file that exists is never overwritten
    #[arg(default_value = "modelswap.yaml")]
    file: PathBuf,
    /// ARN of the load balancer's listener that serves now
    #[arg(long, value_name = "ARN", requires = "host")]
    from_listener: Option<String>,
    /// Zone (its name, or its id) and name of the record in Route 53 that serves now
    #[arg(long, num_args = 2, value_names = ["ZONE", "NAME"], conflicts_with_all = ["from_listener", "host"])]
    from_record: Option<Vec<String>>,
    /// The host name that clients type
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

/// The parts of an ARN that a plan needs.
struct Arn {
    region: String,
    account: String,
}

impl Init {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?;
        // Said before anything is asked, and made sure of when it is written.
        if self.file.exists() {
            return Err(self.exists());
        }
        let host = self.host.clone().unwrap_or_else(|| "TODO.example.com".to_owned());
        let text = match (&self.from_listener, self.from_record.as_deref()) {
            (_, Some([zone, name])) => {
                let endpoint = desk.world.as_ref().map(|world| world.cloud.clone());
                let found = route53::survey::survey(endpoint, zone, name).await.map_err(|e| not_written(&e))?;
                record::from_record(zone, name, &found)
            }
            (Some(listener), _) => {
                let arn = parse(listener)?;
                let found = self.look(&arn, listener, &host, &desk).await?;
                from_listener(&arn, listener, &host, &found)
            }
            (None, _) => blank(&host),
        };
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => self.exists(),
            _ => Failure::new(Exit::Usage, format!("cannot write {}: {error}", self.file.display()))
                .hint("name another file: modelswap init FILE"),
        })?;
        let missing: Vec<_> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("TODO"))
            .map(|(n, line)| (n + 1, line.trim().to_owned()))
            .collect();
        let file = self.file.display();
        desk.tell(&format!("wrote {file}; still missing, marked TODO:"));
        for (n, line) in &missing {
            desk.tell(&format!("  {file}:{n}   {line}"));
        }
        desk.tell(&format!("next: modelswap validate {file}   then   modelswap plan {file}{}", desk.state_option));
        desk.result(&json!({
            "type": "initialised", "file": file.to_string(), "exit": 0,
            "missing": missing.iter().map(|(n, line)| json!({ "line": n, "text": line })).collect::<Vec<_>>(),
        }));
        Ok(Exit::Done)
    }

    fn exists(&self) -> Failure {
        Failure::new(Exit::Usage, format!("{} exists already; nothing was written", self.file.display()))
            .hint("name another file: modelswap init FILE")
    }

    async fn look(&self, arn: &Arn, listener: &str, host: &str, desk: &Desk) -> Result<Survey, Failure> {
        let endpoint = desk.world.as_ref().map(|world| world.cloud.clone());
        let access = AwsAccess {
            account: Some(arn.account.clone()),
            region: Some(arn.region.clone()),
            profile: None,
            endpoint,
            scale: None,
        };
        let clients = Arc::new(AwsClients::new(access));
        let found = async {
            clients.check_account().await?;
            survey(&clients, listener, host).await
        };
        found.await.map_err(|error| not_written(&error))
    }
}

fn not_written(error: &ProviderError) -> Failure {
    let text = error.to_string();
    let (told, hint) = crate::providers::aws::split_hint(&text);
    let failure = Failure::new(Exit::Usage, told).detail("nothing was written");
    hint.map_or_else(|| failure.clone(), |hint| failure.clone().hint(hint))
}

/// `arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID`.
fn parse(listener: &str) -> Result<Arn, Failure> {
    let parts: Vec<_> = listener.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "elasticloadbalancing", region, account, tail] if tail.starts_with("listener/app/") => {
            Ok(Arn { region: (*region).to_owned(), account: (*account).to_owned() })
        }
        _ => Err(Failure::new(Exit::Usage, format!("{listener} is not the ARN of an Application Load Balancer's listener; nothing was written"))
            .hint("it looks like arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID; list them: aws elbv2 describe-listeners --load-balancer-arn ARN")),
    }
}

const HEAD: &str = "# yaml-language-server: $schema=./plan.schema.json
#
# A first plan. `modelswap schema > plan.schema.json` gives editors completion; `modelswap validate` checks the file alone,
# `modelswap plan` shows what a deploy would do. Nothing is changed before `modelswap deploy`.
version: 1
";

fn from_listener(arn: &Arn, listener: &str, host: &str, found: &Survey) -> String {
    let service = host.split('.').next().unwrap_or("service");
    let mut text = HEAD.to_owned();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("service: {service} # one journal, one run at a time"));
    line(format!(
        "aws: {{account: \"{}\", region: {}}} # credentials of any other account are refused",
        arn.account, arn.region
    ));
    line(String::new());
    line("release: {model: TODO-model} # the name under which the server says that it serves it".to_owned());
    line(String::new());
    line("environments: # two places where the model can run; they take turns".to_owned());
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        let group = found.groups.get(n);
        let targets =
            group.map_or_else(|| "TODO: no second group is on the rule yet".to_owned(), |g| targets(&g.targets));
        line(format!("  {name}: # {targets}"));
        line("    # TODO how it is started and stopped; without `runs` others do that, and `provision` and `teardown` are refused:".to_owned());
        line(format!(
            "    # runs: {{command: {{start: [./start, {name}], stop: [./stop, {name}], status: [./status, {name}]}}}}"
        ));
        line("    serves: {openai: {server: vllm}} # TODO which server: health, identity and metrics are asked in its way".to_owned());
        line("    endpoints: {target_group: balancer}".to_owned());
    }
    line(String::new());
    line("routers: # what moves traffic".to_owned());
    line("  balancer:".to_owned());
    line("    alb:".to_owned());
    if found.is_default {
        line(format!(
            "      # no rule of this listener names {host}: its default action answers, and everything else that no rule matches"
        ));
        line(format!("      listener: {listener}"));
        line("      rule: default".to_owned());
    } else {
        let path = found.path.as_ref().map(|path| format!(", path: \"{path}\"")).unwrap_or_default();
        line(format!("      rule: {{listener: \"{listener}\", host: {host}{path}}}"));
    }
    let group = |n: usize, letter: &str| {
        found.groups.get(n).map_or_else(|| format!("TODO-{service}-{letter}"), |g| g.name.clone())
    };
    let weights: Vec<_> = found.groups.iter().map(|g| format!("{} {}", g.name, g.weight)).collect();
    line(format!(
        "      target_groups: {{a: {}, b: {}}} # on the rule now: {}",
        group(0, "a"),
        group(1, "b"),
        weights.join(", ")
    ));
    if let Some(extra) = found.groups.get(2) {
        line(format!(
            "      # TODO the rule forwards to more than two groups ({} too): a plan has two environments",
            extra.name
        ));
    }
    if let Some(sticky_s) = found.sticky_s {
        line(format!("      # a cookie keeps clients where they are for {sticky_s} s, whatever the weights"));
    }
    let scheme = found.protocol.to_ascii_lowercase();
    let port = if matches!((scheme.as_str(), found.port), ("https", 443) | ("http", 80)) {
        String::new()
    } else {
        format!(":{}", found.port)
    };
    line(String::new());
    line(format!(
        "witness: {{url: \"{scheme}://{host}{port}/v1/chat/completions\"}} # asks through the front door during the whole run"
    ));
    line(String::new());
    line("steps:".to_owned());
    line("  # - provision: next # once `runs` says how".to_owned());
    line(
        "  - attach: {environment: next, router: balancer} # weight 0, so that its health is checked at all".to_owned(),
    );
    line("  - check: next # a completion from the right model, three times in a row".to_owned());
    line("  - swap: {router: balancer}".to_owned());
    line("  - verify: {router: balancer}".to_owned());
    line("  - bake: {for: 15m} # TODO name a gate that reads answers".to_owned());
    text
}

fn targets(targets: &[(String, String)]) -> String {
    let said: Vec<_> = targets.iter().map(|(target, health)| format!("{target} {health}")).collect();
    if said.is_empty() { "no targets registered".to_owned() } else { said.join(", ") }
}

fn blank(host: &str) -> String {
    let service = host.split('.').next().filter(|s| !s.contains("TODO")).unwrap_or("chat");
    format!(
        r#"{HEAD}service: {service} # one journal, one run at a time

release: {{model: TODO-model}} # the name under which the server says that it serves it

environments: # two places where the model can run; they take turns
  a: &environment
    # TODO how it is started and stopped; without `runs` others do that, and `provision` and `teardown` are refused:
    # runs: {{command: {{start: [./start, a], stop: [./stop, a], status: [./status, a]}}}}
    serves: {{openai: {{server: vllm}}}} # TODO which server: health, identity and metrics are asked in its way
    endpoints: ["http://203.0.113.10:8000"] # TODO where a answers directly
  b: {{<<: *environment, endpoints: ["http://203.0.113.20:8000"]}} # TODO where b answers directly

routers: # what moves traffic: here a name in Route 53; a load balancer's rule is `alb`
  record:
    route53:
      zone: TODO.example.com
      name: {host}
      values: {{a: [203.0.113.10], b: [203.0.113.20]}} # TODO the addresses that the name leads to

aws: {{account: "000000000000", region: TODO-region}} # TODO credentials of any other account are refused

witness: {{url: "https://{host}/v1/chat/completions"}} # asks through the front door during the whole run

steps:
  - lower_ttl: {{router: record, to: 60s}} # first, so that the old TTL runs out while the model loads
  # - provision: next # once `runs` says how
  - check: next # a completion from the right model, three times in a row
  - swap: {{router: record}}
  - verify: {{router: record}}
  - bake: {{for: 15m}} # TODO name a gate that reads answers
  - restore_ttl: record
"#
    )
}
