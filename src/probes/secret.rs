//! A secret's value, found when it is needed. It is never written down: not in errors, not in `Debug`.

use std::time::Duration;

use secrecy::SecretString;

use crate::plan::model::Secret;

/// How long a command may take to print a secret: a password manager asks a server, not a person.
const COMMAND_WITHIN: Duration = Duration::from_secs(30);

/// Finds the value; one trailing newline is dropped.
///
/// # Errors
/// A fragment that names the reference, never the value.
pub async fn resolve(secret: &Secret) -> Result<SecretString, String> {
    let mut text = match secret {
        Secret::Env(name) => std::env::var(name).map_err(|e| match e {
            std::env::VarError::NotPresent => format!("the environment variable {name} is not set"),
            std::env::VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8"),
        })?,
        Secret::File(path) => {
            let bytes = tokio::fs::read(path)
                .await
                .map_err(|e| format!("the secret file {} cannot be read: {e}", path.display()))?;
            utf8(bytes, &format!("the secret file {}", path.display()))?
        }
        Secret::Command(argv) => output_of(argv).await?,
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(format!("{} holds nothing", reference(secret)));
    }
    Ok(SecretString::from(text))
}

/// How a secret is called in messages; arguments of a command may be secret themselves, so only its program is named.
pub fn reference(secret: &Secret) -> String {
    match secret {
        Secret::Env(name) => format!("the environment variable {name}"),
        Secret::File(path) => format!("the secret file {}", path.display()),
        Secret::Command(argv) => format!("the secret command `{}`", argv.first().map_or("", String::as_str)),
    }
}

async fn output_of(argv: &[String]) -> Result<String, String> {
    let Some((program, rest)) = argv.split_first() else {
        return Err("the secret command is empty".to_owned());
    };
    let mut command = tokio::process::Command::new(program);
    command.args(rest).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null()).kill_on_drop(true);
    // What it says on stderr is not repeated: some tools print the secret there.
    let done = tokio::time::timeout(COMMAND_WITHIN, command.output())
        .await
        .map_err(|_| format!("the secret command `{program}` printed nothing within {} s", COMMAND_WITHIN.as_secs()))?
        .map_err(|e| format!("the secret command `{program}` cannot be run: {e}"))?;
    if !done.status.success() {
        return Err(format!("the secret command `{program}` failed: {}", done.status));
    }
    utf8(done.stdout, &format!("what the secret command `{program}` prints"))
}

fn utf8(bytes: Vec<u8>, what: &str) -> Result<String, String> {
    // The error of `from_utf8` would carry the bytes.
    String::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn command(argv: &[&str]) -> Secret {
        Secret::Command(argv.iter().map(|&a| a.to_owned()).collect())
    }

    #[tokio::test]
    async fn exactly_one_trailing_newline_is_dropped() {
        let found = resolve(&command(&["printf", "s3cret \n\n"])).await.unwrap();
        assert_eq!(found.expose_secret(), "s3cret \n");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\r\n").unwrap();
        let found = resolve(&Secret::File(file.path().to_owned())).await.unwrap();
        assert_eq!(found.expose_secret(), "s3cret");
    }

    #[tokio::test]
    async fn an_environment_variable_is_read() {
        let found = resolve(&Secret::Env("PATH".to_owned())).await.unwrap();
        assert_eq!(found.expose_secret(), std::env::var("PATH").unwrap());
    }

    #[tokio::test]
    async fn errors_name_the_reference_and_never_the_value() {
        let missing = resolve(&Secret::Env("MODELSWAP_TEST_NOT_SET".to_owned())).await.unwrap_err();
        assert_eq!(missing, "the environment variable MODELSWAP_TEST_NOT_SET is not set");
        let failing = resolve(&command(&["sh", "-c", "echo canary-7731; echo canary-7731 >&2; exit 3"])).await;
        let said = failing.unwrap_err();
        assert!(said.contains("`sh`") && said.contains('3') && !said.contains("canary"), "{said}");
        let odd = resolve(&command(&["printf", r"canary-7731\377"])).await.unwrap_err();
        assert!(odd.contains("not UTF-8") && !odd.contains("canary"), "{odd}");
        let empty = resolve(&command(&["printf", r"\n"])).await.unwrap_err();
        assert!(empty.contains("holds nothing"), "{empty}");
        let absent = resolve(&Secret::File("/nonexistent/token".into())).await.unwrap_err();
        assert!(absent.contains("/nonexistent/token"), "{absent}");
    }
}
