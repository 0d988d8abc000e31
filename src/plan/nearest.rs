//! What may have been meant by a name that does not exist.

/// Below this similarity a suggestion would be a guess.
const ALIKE: f64 = 0.72;

/// The valid name that is most like `written`, if any is like it.
pub fn nearest<'a>(written: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    valid
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// A hint for a name that does not exist: the nearest one, or all that there are.
pub fn hint<'a>(written: &str, valid: impl IntoIterator<Item = &'a str> + Clone, all_are: &str) -> String {
    let all: Vec<_> = valid.clone().into_iter().map(|name| format!("`{name}`")).collect();
    let there_is = match all.as_slice() {
        [] => format!("{all_are} none"),
        [some @ .., last] if !some.is_empty() => format!("{all_are} {} and {last}", some.join(", ")),
        [one, ..] => format!("{all_are} {one}"),
    };
    match nearest(written, valid) {
        Some(name) => format!("did you mean `{name}`? {there_is}"),
        None => there_is,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let valid = ["listener", "weight", "target_groups", "rule"];
        assert_eq!(nearest("wieght", valid), Some("weight"));
        assert_eq!(nearest("Listner", valid), Some("listener"));
        assert_eq!(nearest("target-groups", valid), Some("target_groups"));
        assert_eq!(nearest("zzz", valid), None);
    }

    #[test]
    fn a_hint_says_what_exists() {
        assert_eq!(
            hint("blanacer", ["balancer", "record"], "there are"),
            "did you mean `balancer`? there are `balancer` and `record`"
        );
        assert_eq!(hint("x", [], "there are"), "there are none");
        assert_eq!(hint("x", ["a"], "there is"), "there is `a`");
    }
}
