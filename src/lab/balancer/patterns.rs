//! The patterns of rule conditions: `*` is any run of characters, `?` is any one.

/// Whether `text` as a whole matches `pattern`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None; // the last `*`, and how far it reaches
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    p = at + 1;
                    t = reach + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// As [`matches`], without regard to case: host names and header values.
pub(super) fn matches_any_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// Whether a status is among health check codes as ELBv2 writes them: `200`, `200,202`, `200-299`.
pub(super) fn is_healthy_code(codes: &str, status: u16) -> bool {
    codes.split(',').any(|part| match part.trim().split_once('-') {
        Some((low, high)) => {
            matches!((low.trim().parse::<u16>(), high.trim().parse::<u16>()), (Ok(l), Ok(h)) if (l..=h).contains(&status))
        }
        None => part.trim().parse() == Ok(status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_in_a_listener_rule() {
        for (pattern, text, expected) in [
            ("/v1/*", "/v1/chat/completions", true),
            ("/v1/*", "/v2/chat", false),
            ("*", "", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("/img/?.png", "/img/a.png", true),
            ("/img/?.png", "/img/.png", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("/v1", "/v1/", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
        assert!(matches_any_case("API.example.com", "api.Example.com"));
        assert!(!matches("/V1", "/v1"), "paths have case");
    }

    #[test]
    fn health_codes_are_lists_of_ranges() {
        for (codes, status, expected) in [
            ("200", 200, true),
            ("200", 204, false),
            ("200,202", 202, true),
            ("200-299", 250, true),
            ("200-299", 300, false),
        ] {
            assert_eq!(is_healthy_code(codes, status), expected, "{codes} {status}");
        }
    }
}
