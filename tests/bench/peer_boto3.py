"""The job as a boto3 script does it: lower the TTL, swap the record, swap the rule, read both back. No check, no way back."""

import sys

import boto3

zone, name, rule, blue, green = sys.argv[1:]
r53, elb = boto3.client("route53"), boto3.client("elbv2")


def put(value, ttl):
    record = {"Name": name, "Type": "A", "TTL": ttl, "ResourceRecords": [{"Value": value}]}
    r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]})


put("203.0.113.10", 30)
put("203.0.113.20", 30)
groups = [{"TargetGroupArn": blue, "Weight": 0}, {"TargetGroupArn": green, "Weight": 100}]
elb.modify_rule(RuleArn=rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
read = r53.list_resource_record_sets(HostedZoneId=zone, StartRecordName=name, StartRecordType="A", MaxItems="1")
assert read["ResourceRecordSets"][0]["ResourceRecords"] == [{"Value": "203.0.113.20"}]
read = elb.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"]
assert {g["TargetGroupArn"]: g["Weight"] for g in read} == {blue: 0, green: 100}
