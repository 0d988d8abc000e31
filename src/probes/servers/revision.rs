//! When two ways to write a revision mean the same one.

/// A hash is abbreviated to no fewer digits than git does.
const ABBREVIATED_MIN: usize = 7;

/// Whether the server's word for its revision is the plan's: equal, or the plan abbreviates a hash.
pub(super) fn same(told: &str, want: &str) -> bool {
    let bare = |text: &str| text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let (told, want) = (bare(told), bare(want));
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    told == want || (want.len() >= ABBREVIATED_MIN && hex(&told) && hex(&want) && told.starts_with(&want))
}

/// Whether a free text (a path, a fingerprint) contains the revision as a word of its own: `2` is not in `llama-3.2`.
pub(super) fn mentions(text: &str, want: &str) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let whole = text.match_indices(want).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + want.len()..]);
        !before.ends_with(of_word) && !after.starts_with(of_word)
    });
    !want.is_empty() && (whole || text.split(|c| !of_word(c)).any(|word| word.len() >= 40 && same(word, want)))
}

/// Whether a `system_fingerprint` names the revision; `fp_` is how OpenAI begins one.
pub(super) fn fingerprint_names(fingerprint: &str, want: &str) -> bool {
    let bare = fingerprint.strip_prefix("fp_").unwrap_or(fingerprint);
    same(bare, want) || mentions(bare, want) || bare.split(['-', '_']).any(|word| same(word, want))
}

/// The commit in the path of a Hugging Face snapshot (`.../snapshots/<40 hex digits>`).
pub(super) fn of_snapshot(path: &str) -> Option<&str> {
    let commit = path.split("/snapshots/").nth(1)?.split('/').next()?;
    (commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit())).then_some(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "41de8a07c1f2b3a4958677889900aabbccddeeff";

    #[test]
    fn a_revision_is_found_only_as_a_word_of_its_own() {
        assert!(mentions("org/chat@41de", "41de") && mentions("/models/chat/v2", "v2") && mentions("chat:v2", "v2"));
        assert!(mentions(&format!("/hub/models--org--chat/snapshots/{SHA}"), &SHA[..8]));
        assert!(!mentions("llama-3.2", "2") && !mentions("chat-v2", "v2") && !mentions("chat-v22", "v2"));
        assert!(!mentions("anything", ""));
    }

    #[test]
    fn a_hash_may_be_abbreviated_but_not_to_nothing() {
        assert!(same(SHA, SHA) && same(SHA, &SHA[..7]) && same(&format!("sha256:{SHA}"), &SHA.to_uppercase()));
        assert!(!same(SHA, &SHA[..6]) && !same(&SHA[..7], SHA) && !same("release-2", "release"));
    }

    #[test]
    fn a_fingerprint_names_what_it_is_made_of() {
        assert!(fingerprint_names("fp_41de8a0", "41de8a0") && fingerprint_names("vllm-0.19-v2", "v2"));
        assert!(!fingerprint_names("fp_41de8a0", "41de8") && !fingerprint_names("b4321", "4321"));
    }

    #[test]
    fn a_snapshot_path_tells_its_commit() {
        assert_eq!(of_snapshot(&format!("/hub/models--o--m/snapshots/{SHA}/")), Some(SHA));
        assert_eq!(of_snapshot("/hub/models--o--m/snapshots/main"), None);
    }
}
