#!/bin/sh
# The job with the AWS CLI: lower the TTL, swap the record, swap the rule, read both back. No check, no way back.
set -eu
zone=$1 name=$2 rule=$3 blue=$4 green=$5
put() {
    $AWS route53 change-resource-record-sets --hosted-zone-id "$zone" --change-batch \
        "{\"Changes\":[{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{\"Name\":\"$name\",\"Type\":\"A\",\"TTL\":$2,\"ResourceRecords\":[{\"Value\":\"$1\"}]}}]}" >/dev/null
}
put 203.0.113.10 30
put 203.0.113.20 30
$AWS elbv2 modify-rule --rule-arn "$rule" --actions \
    "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"$blue\",\"Weight\":0},{\"TargetGroupArn\":\"$green\",\"Weight\":100}]}}]" >/dev/null
$AWS route53 list-resource-record-sets --hosted-zone-id "$zone" --output json | grep -q 203.0.113.20
$AWS elbv2 describe-rules --rule-arns "$rule" --output json | grep -q '"Weight": 100'
