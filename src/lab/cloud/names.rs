//! Names and their order as Route 53 keeps them.

use crate::lab::state::RecordSet;

/// Lower case, with the trailing dot, `*` written plainly and other odd characters as `\ooo`.
/// Source: Route 53 developer guide, "DNS domain name format".
pub(crate) fn normal(name: &str) -> String {
    let letter = |byte: u8| match byte.to_ascii_lowercase() {
        plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'\\' | b'/') => char::from(plain).to_string(),
        odd => format!("\\{odd:03o}"),
    };
    let mut out: String = name.replace("\\052", "*").bytes().map(letter).collect();
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}

/// A record set with its names made normal and its TTL dropped when it is an alias.
pub(crate) fn normal_set(mut set: RecordSet) -> RecordSet {
    set.name = normal(&set.name);
    if let Some(alias) = &mut set.alias {
        alias.dns_name = normal(&alias.dns_name);
    }
    set
}

/// As the API shows a name.
pub(super) fn shown(name: &str) -> String {
    name.replace('*', "\\052")
}

/// By this names are sorted: labels reversed, trailing dot included (`com.example.www.`).
pub(super) fn sort_key(name: &str) -> String {
    let mut labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    labels.reverse();
    format!("{}.", shown(&labels.join(".")))
}

/// Where a record set stands in a listing: name, type, identifier.
pub(super) fn place(set: &RecordSet) -> (String, String, String) {
    (sort_key(&set.name), set.kind.clone(), set.set_identifier.clone().unwrap_or_default())
}

/// Sorts record sets as ListResourceRecordSets lists them.
pub(crate) fn sort(sets: &mut [RecordSet]) {
    sets.sort_by_cached_key(place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_end_in_a_dot() {
        assert_eq!(normal("Chat.Example.COM"), "chat.example.com.");
        assert_eq!(normal("\\052.example.com."), "*.example.com.");
        assert_eq!(normal("a b.example.com"), "a\\040b.example.com.");
    }

    #[test]
    fn names_sort_by_reversed_labels() {
        let mut names = ["www.example.com.", "example.com.", "a.www.example.com.", "*.example.com.", "b.example.com."];
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(
            names,
            ["example.com.", "*.example.com.", "b.example.com.", "www.example.com.", "a.www.example.com."]
        );
    }
}
