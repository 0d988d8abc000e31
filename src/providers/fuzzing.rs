//! Doors to what the cloud answers, for the fuzzer and for its short form in the tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::aws::AwsClients;
use super::dns::route53::value::Records;
use super::dns::route53::{Form, Route53};
use super::traffic::alb::value::Rule;
use super::traffic::alb::{Alb, Which};
use super::{ProviderError, Ready, Register, Router, Split};
use crate::ids::EnvironmentName;

const NAME: &str = "chat.example.com";
const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/edge/50dc6c495c0c9188/f2f7dc8e";

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::new(name).expect("BUG: a good name")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("BUG: a runtime starts").block_on(work)
}

/// The records of a name, as the answers to all that is asked tell them.
pub(crate) fn records(status: u16, body: &[u8]) -> Result<Records, ProviderError> {
    let addresses = |address: &str| BTreeMap::from([("A".to_owned(), vec![address.to_owned()])]);
    let values = [("a", "192.0.2.1"), ("b", "192.0.2.2")].map(|(e, address)| (environment(e), addresses(address)));
    let clients = Arc::new(AwsClients::answering(status, body));
    let register = Route53::new(clients, ("Z1", false), NAME, Form::Values(values.into()), None);
    let records = run(Register::read(&register))?;
    // Pure functions on what was read.
    let (_, _, _) = (register.split(&records), register.answers(&records), register.ttl_s(&records));
    let (_, _) = (register.with_ttl(&records, 60), register.aim(&records, &Split::all_to(&environment("b"))));
    register.show(&records);
    Ok(records)
}

/// The default rule of a listener and the health of the groups, as the answers to all that is asked tell them.
pub(crate) fn rule(status: u16, body: &[u8]) -> (Result<Rule, ProviderError>, Result<Ready, ProviderError>) {
    let group = |e: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/chat-{e}/0123");
    let groups = ["a", "b"].map(|e| (environment(e), group(e)));
    let clients = Arc::new(AwsClients::answering(status, body));
    let register = Alb::new(clients, LISTENER.to_owned(), Which::Default, groups.into(), 1, None);
    run(async {
        let rule = Register::read(&register).await;
        if let Ok(rule) = &rule {
            let _ = (register.split(rule), register.attach(rule, &environment("b")));
            let _ = (register.detach(rule, &environment("a")), register.aim(rule, &Split::all_to(&environment("b"))));
            register.show(rule);
        }
        drop(register.targets(&environment("a")).await);
        (rule, register.ready(&environment("a")).await)
    })
}

/// Whatever is answered, reading ends, and what is no answer of the service is never taken for "nothing there".
pub fn cloud(status: u16, body: &[u8]) {
    let holds = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
    if let Ok(records) = records(status, body) {
        assert!(
            !records.sets.is_empty() || holds("ListResourceRecordSetsResponse"),
            "no answer was taken for no records"
        );
    }
    let (rule, ready) = rule(status, body);
    if let Ok(rule) = rule {
        assert!(rule.forward.is_none() || holds("forward"), "{rule:?} was made up");
    }
    if let Ok(Ready::Yes(why)) = ready {
        assert!(holds("healthy"), "{why} was made up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a name with two addresses, as Route 53 writes it.
    const RECORDS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets><ResourceRecordSet><Name>chat.example.com.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet><ResourceRecordSet><Name>chat.example.com.</Name><Type>AAAA</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>2001:db8::1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListResourceRecordSetsResponse>"#;

    /// The list is said to go on, and not where.
    const GOES_ON: &str = "<ListResourceRecordSetsResponse><ResourceRecordSets/><IsTruncated>true</IsTruncated></ListResourceRecordSetsResponse>";

    const LISTENERS: &str = r#"<DescribeListenersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeListenersResult><Listeners><member><DefaultActions><member><Type>forward</Type><ForwardConfig><TargetGroups><member><TargetGroupArn>a</TargetGroupArn><Weight>100</Weight></member><member><TargetGroupArn>b</TargetGroupArn><Weight>0</Weight></member></TargetGroups></ForwardConfig></member></DefaultActions></member></Listeners></DescribeListenersResult></DescribeListenersResponse>"#;

    /// Around every tag, and here and there within.
    fn cuts(text: &str) -> impl Iterator<Item = usize> {
        let near = |at: usize| text[..at].ends_with('>') || text[at..].starts_with('<');
        (0..text.len()).filter(move |at| near(*at) || at % 17 == 0)
    }

    #[test]
    fn an_answer_that_was_cut_short_is_an_error_and_never_part_of_the_truth() {
        let whole = records(200, RECORDS.as_bytes()).unwrap();
        assert_eq!(whole.sets.len(), 2);
        for cut in cuts(RECORDS) {
            let read = records(200, &RECORDS.as_bytes()[..cut]);
            assert!(read.as_ref().is_err() || read.as_ref() == Ok(&whole), "cut at {cut}: {read:?}");
        }
        let (whole, _) = rule(200, LISTENERS.as_bytes());
        let whole = whole.unwrap();
        assert_eq!(whole.forward.as_ref().unwrap().groups.len(), 2);
        for cut in cuts(LISTENERS) {
            let (read, _) = rule(200, &LISTENERS.as_bytes()[..cut]);
            assert!(read.as_ref().is_err() || read.as_ref() == Ok(&whole), "cut at {cut}: {read:?}");
        }
    }

    #[test]
    fn what_is_no_answer_of_the_service_is_an_error() {
        for (status, body) in [
            (200, ""),
            (200, "<html><body>Sign in to the guest network</body></html>"),
            (200, "<ErrorResponse/>"),
            (200, GOES_ON),
            (204, ""),
            (302, ""),
            (500, RECORDS),
            (503, "<html/>"),
        ] {
            let read = records(status, body.as_bytes());
            assert!(read.is_err(), "{status} {body}: {read:?}");
            let (read, ready) = rule(status, body.as_bytes());
            assert!(read.is_err() && ready.is_err(), "{status} {body}: {read:?}, {ready:?}");
        }
    }
}
