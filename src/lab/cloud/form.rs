//! Reads the bodies of the Query services: `Actions.member.1.Type=forward`.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// Parameters, or those below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A parameter that must be there.
    pub(super) fn need(&self, key: &str) -> Result<&str, Refusal> {
        self.get(key).filter(|v| !v.is_empty()).ok_or_else(|| Refusal::invalid(format!("{key} must be specified")))
    }

    /// A number, if it is there.
    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Refusal> {
        let parse =
            |text: &str| text.parse().map_err(|_| Refusal::invalid(format!("'{text}' is not a valid value for {key}")));
        self.get(key).map(parse).transpose()
    }

    /// Everything below `prefix.`, without it.
    pub(super) fn below(&self, prefix: &str) -> Self {
        let prefix = format!("{prefix}.");
        let cut = |(key, value): (&String, &String)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone()));
        Self(self.0.iter().filter_map(cut).collect())
    }

    /// The items of a list of structures, in order; none when the list is not mentioned at all.
    pub(super) fn list(&self, name: &str) -> Option<Vec<Self>> {
        let members = self.below(&format!("{name}.member"));
        if members.0.is_empty() && !self.0.contains_key(name) {
            return None;
        }
        let mut numbers: Vec<u32> = members.0.keys().filter_map(|key| key.split('.').next()?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let item = |n: u32| {
            let mut item = members.below(&n.to_string());
            if let Some(plain) = members.get(&n.to_string()) {
                item.0.insert(String::new(), plain.to_owned());
            }
            item
        };
        Some(numbers.into_iter().map(item).collect())
    }

    /// The items of a list of texts; empty when it is not mentioned.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.list(name).unwrap_or_default();
        items.into_iter().filter_map(|mut item| item.0.remove("")).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_order_beyond_nine() {
        let body: Vec<String> = (1..=11).rev().map(|n| format!("Names.member.{n}=v{n}")).collect();
        let texts = Form::parse(body.join("&").as_bytes()).texts("Names");
        assert_eq!(texts, (1..=11).map(|n| format!("v{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_list_is_not_a_missing_list() {
        assert_eq!(Form::parse(b"Actions=").list("Actions"), Some(Vec::new()));
        assert_eq!(Form::parse(b"Other=1").list("Actions"), None);
    }
}
