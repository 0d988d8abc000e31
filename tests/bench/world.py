"""Builds one fresh world in moto: a zone with a record, a balancer with a rule, two target groups. Prints its names."""

import json
import sys

import boto3

n = sys.argv[1]
r53, elb, ec2 = (boto3.client(s) for s in ("route53", "elbv2", "ec2"))
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"][:2]]
zone_name = f"w{n}.example.com."
zone = r53.create_hosted_zone(Name=zone_name, CallerReference=n)["HostedZone"]["Id"].split("/")[-1]
record = {"Name": f"chat.{zone_name}", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "203.0.113.10"}]}
r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]})
balancer = elb.create_load_balancer(Name=f"front-{n}", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
blue, green = (
    elb.create_target_group(Name=f"{g}-{n}", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
    for g in ("blue", "green")
)
forward = [{"Type": "forward", "TargetGroupArn": blue}]
listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)["Listeners"][0]["ListenerArn"]
rule = elb.create_rule(
    ListenerArn=listener, Priority=10, Actions=forward,
    Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["chat.example.com"]}}],
)["Rules"][0]["RuleArn"]
print(json.dumps({
    "zone": zone, "zone_name": zone_name, "name": f"chat.{zone_name}", "listener": listener, "rule": rule,
    "blue": blue, "green": green, "blue_name": f"blue-{n}", "green_name": f"green-{n}",
}))
