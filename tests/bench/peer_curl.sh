#!/bin/sh
# The job with curl: lower the TTL, swap the record, swap the rule, read both back. No check, no way back.
set -eu
zone=$1 name=$2 rule=$3 blue=$4 green=$5
call() { curl -sS --fail-with-body --user test:test "$@"; }
put() {
    call --aws-sigv4 aws:amz:us-east-1:route53 -X POST -H 'Content-Type: application/xml' \
        "$AWS_ENDPOINT_URL/2013-04-01/hostedzone/$zone/rrset/" --data "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>$name</Name><Type>A</Type><TTL>$2</TTL><ResourceRecords><ResourceRecord><Value>$1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>" >/dev/null
}
elb() { call --aws-sigv4 aws:amz:eu-west-1:elasticloadbalancing "$AWS_ENDPOINT_URL/" --data-urlencode Version=2015-12-01 "$@"; }
put 203.0.113.10 30
put 203.0.113.20 30
t=Actions.member.1.ForwardConfig.TargetGroups.member
elb --data-urlencode Action=ModifyRule --data-urlencode "RuleArn=$rule" --data-urlencode Actions.member.1.Type=forward \
    --data-urlencode "$t.1.TargetGroupArn=$blue" --data-urlencode "$t.1.Weight=0" \
    --data-urlencode "$t.2.TargetGroupArn=$green" --data-urlencode "$t.2.Weight=100" >/dev/null
call --aws-sigv4 aws:amz:us-east-1:route53 "$AWS_ENDPOINT_URL/2013-04-01/hostedzone/$zone/rrset?maxitems=1&name=$name&type=A" | grep -q 203.0.113.20
elb --data-urlencode Action=DescribeRules --data-urlencode "RuleArns.member.1=$rule" | grep -q '<Weight>100</Weight>'
