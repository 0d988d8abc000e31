//! A whole deploy on the wire against moto, and what boto3 and the AWS CLI read of it afterwards.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::moto::{Moto, Names};
use crate::support::python::{aws, boto3};

const RECORD: &str = r#"
import boto3, sys
boto3.client("route53").change_resource_record_sets(HostedZoneId=sys.argv[1], ChangeBatch={"Changes": [{"Action": "CREATE",
    "ResourceRecordSet": {"Name": sys.argv[2], "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "203.0.113.10"}]}}]})
"#;

const READ: &str = r#"
import boto3, json, sys
r53, elb = boto3.client("route53"), boto3.client("elbv2")
zone, rule, group = sys.argv[1:]
print(json.dumps({
    "sets": [s for s in r53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] if s["Type"] == "A"],
    "rule": elb.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"],
    "targets": [t["Target"] for t in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]],
}))
"#;

fn plan(names: &Names, ports: (u16, u16)) -> String {
    format!(
        r#"
version: 1
service: chat
aws: {{account: "123456789012", region: eu-west-1}}
release: {{model: chat-v2}}
environments:
  a: {{serves: {{tcp: {{}}}}, endpoints: ["http://127.0.0.1:{}"]}}
  b: {{serves: {{tcp: {{}}}}, endpoints: ["http://127.0.0.1:{}"]}}
routers:
  record:
    route53: {{zone: {}, name: chat.{}, values: {{a: [203.0.113.10], b: [203.0.113.20]}}}}
  balancer:
    alb:
      rule: {{listener: "{}", host: chat.example.com}}
      target_groups: {{a: blue-0, b: green-0}}
steps:
  - lower_ttl: {{router: record, to: 30s}}
  - swap: {{router: record}}
  - swap: {{router: balancer}}
"#,
        ports.0,
        ports.1,
        names.zone_name.trim_end_matches('.'),
        names.zone_name.trim_end_matches('.'),
        names.listener
    )
}

#[test]
fn lower_ttl_swap_record_and_swap_rule_are_read_by_boto3_and_the_aws_cli() {
    let moto = Moto::start();
    let names = moto.worlds(1).remove(0);
    let name = format!("chat.{}", names.zone_name);
    boto3(RECORD, &moto.url, &[&names.zone, &name]);
    // What answers in A and B: their kernel accepts, and that is all that `tcp` asks.
    let (a, b) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (a, b) = (a.local_addr().unwrap().port(), (b.local_addr().unwrap().port(), b, a));
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("plan.yaml");
    std::fs::write(&file, plan(&names, (a, b.0))).unwrap();
    let deploy = Command::new(env!("CARGO_BIN_EXE_modelswap"))
        .arg("deploy")
        .arg(&file)
        .args(["--yes", "--output", "json", "--state"])
        .arg(home.path().join("state"))
        .env_clear()
        .envs([("HOME", home.path().to_str().unwrap()), ("AWS_ENDPOINT_URL", &moto.url)])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&deploy.stderr);
    assert!(deploy.status.success(), "{said}");

    let read: Value =
        serde_json::from_str(&boto3(READ, &moto.url, &[&names.zone, &names.rule, &names.groups["green"]])).unwrap();
    let record = json!({ "Name": name, "Type": "A", "TTL": 30, "ResourceRecords": [{ "Value": "203.0.113.20" }] });
    assert_eq!(read["sets"], json!([record]), "{said}");
    let (blue, green) = (&names.groups["blue"], &names.groups["green"]);
    let tuple = |arn: &str, weight: u32| json!({ "TargetGroupArn": arn, "Weight": weight });
    assert_eq!(weights(&read["rule"]), sorted(vec![tuple(blue, 0), tuple(green, 100)]));
    assert_eq!(read["targets"], json!([{ "Id": "127.0.0.1", "Port": b.0 }]));

    let sets = aws(
        &moto.url,
        &[
            "route53",
            "list-resource-record-sets",
            "--hosted-zone-id",
            &names.zone,
            "--query",
            "ResourceRecordSets[?Type=='A']",
        ],
    );
    assert_eq!(serde_json::from_str::<Value>(&sets).unwrap(), json!([record]));
    let rule = aws(&moto.url, &["elbv2", "describe-rules", "--rule-arns", &names.rule, "--query", "Rules[0].Actions"]);
    assert_eq!(weights(&serde_json::from_str(&rule).unwrap()), weights(&read["rule"]));
}

fn weights(actions: &Value) -> Vec<Value> {
    assert_eq!(actions.as_array().unwrap().len(), 1, "{actions}");
    sorted(actions[0]["ForwardConfig"]["TargetGroups"].as_array().unwrap().clone())
}

fn sorted(mut groups: Vec<Value>) -> Vec<Value> {
    groups.sort_by_key(ToString::to_string);
    groups
}
