//! Another people's emulator, for the facts that it gets right.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use super::python;

/// Ends when its standard input does, so that it cannot outlive the test even if that is killed.
const SERVER: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
";

/// Builds as many worlds as are asked for, each like the one that the blueprint of the loopback world describes.
const SETUP: &str = r#"
import boto3, json, sys
r53, elb, ec2 = (boto3.client(s) for s in ("route53", "elbv2", "ec2"))
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"][:2]]
worlds = []
for n in range(int(sys.argv[1])):
    name = f"w{n}.example.com."
    zone = r53.create_hosted_zone(Name=name, CallerReference=f"pub{n}")["HostedZone"]["Id"]
    private = r53.create_hosted_zone(Name=name, CallerReference=f"priv{n}",
        VPC={"VPCRegion": "eu-west-1", "VPCId": vpc}, HostedZoneConfig={"PrivateZone": True})["HostedZone"]["Id"]
    lb = elb.create_load_balancer(Name=f"front-{n}", Subnets=subnets)["LoadBalancers"][0]
    groups = {}
    for g in ("blue", "green", "three", "four", "five", "six"):
        groups[g] = elb.create_target_group(Name=f"{g}-{n}", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": groups["blue"]}]
    listener = elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=forward)["Listeners"][0]["ListenerArn"]
    rule = elb.create_rule(ListenerArn=listener, Priority=10, Actions=forward,
        Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["chat.example.com"]}}])["Rules"][0]["RuleArn"]
    worlds.append({"zone": zone.split("/")[-1], "private_zone": private.split("/")[-1], "zone_name": name,
        "balancer": lb["LoadBalancerArn"], "listener": listener, "rule": rule, "groups": groups})
print(json.dumps(worlds))
"#;

#[derive(Debug)]
pub(crate) struct Moto {
    child: Child,
    pub(crate) url: String,
}

/// Names and ARNs of a world.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Names {
    pub(crate) zone: String,
    pub(crate) private_zone: String,
    /// With the trailing dot.
    pub(crate) zone_name: String,
    pub(crate) balancer: String,
    pub(crate) listener: String,
    pub(crate) rule: String,
    pub(crate) groups: std::collections::BTreeMap<String, String>,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(python::python())
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("moto did not start: {line:?}"));
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    pub(crate) fn worlds(&self, n: usize) -> Vec<Names> {
        serde_json::from_str(&python::boto3(SETUP, &self.url, &[&n.to_string()])).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
