//! A command of the operator's: argv, never a shell; bounded in time and output.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// How much of a command's output is kept for a message: its end, where the reason stands.
const OUTPUT_KEPT: usize = 4096;

/// Stands before a command that must not run here: it was recorded where others can write, and nobody vouched for it.
pub const WITHHELD: &str = "modelswap:withheld";

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code and, at its end, this output (control characters escaped).
    Exit(i32, String),
    /// It was not run to its end, and what is known.
    Not(String),
}

/// Runs `argv` in `directory`; when its time is up its whole process group is killed.
pub async fn run(argv: &[String], env: &[(String, String)], directory: &Path, within: Duration) -> Ended {
    let Some((program, args)) = argv.split_first() else { return Ended::Not("the command is empty".to_owned()) };
    if program == WITHHELD {
        let why = "a shared journal recorded it; run it by hand, or again with --plan FILE or --allow-commands";
        return Ended::Not(format!("`{}` was not run: {why}", escape(&args.join(" "))));
    }
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env.iter().cloned())
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::Not(format!("cannot run {program}: {error}")),
    };
    let group = child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let whole = async {
        let (out, err) = futures_util::future::join(tail(stdout), tail(stderr)).await;
        (child.wait().await, out, err)
    };
    match tokio::time::timeout(within, whole).await {
        Ok((Ok(status), out, err)) => {
            let said = escape(if err.trim().is_empty() { &out } else { &err });
            match status.code() {
                Some(code) => Ended::Exit(code, said),
                None => Ended::Not(format!("{program} was ended by a signal: {said}")),
            }
        }
        Ok((Err(error), ..)) => Ended::Not(format!("the end of {program} was missed: {error}")),
        Err(_) => {
            if let Some(group) = group {
                // It may have ended by itself meanwhile.
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
            }
            Ended::Not(format!("{program} was killed: it was not done within {} s", within.as_secs()))
        }
    }
}

/// The last few kilobytes of a stream that is read to its end.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        kept.extend(piece.iter().take(n));
        if kept.len() > 2 * OUTPUT_KEPT {
            kept.drain(..kept.len() - OUTPUT_KEPT);
        }
    }
    let start = kept.len().saturating_sub(OUTPUT_KEPT);
    String::from_utf8_lossy(kept.get(start..).unwrap_or_default()).into_owned()
}

/// Safe on a terminal: control characters are spelled out, line ends become `; `.
pub fn escape(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(|line| line.chars().flat_map(visible).collect()).collect();
    lines.join("; ")
}

fn visible(c: char) -> Vec<char> {
    if c.is_control() { c.escape_unicode().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[tokio::test]
    async fn exit_code_and_the_end_of_the_output_are_told_without_control_characters() {
        let ended =
            run(&argv(&["sh", "-c", "printf 'a\\033[2Jb' >&2; exit 7"]), &[], Path::new("/"), Duration::from_secs(10))
                .await;
        assert_eq!(ended, Ended::Exit(7, "a\\u{1b}[2Jb".to_owned()));
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed_with_its_children() {
        let ended =
            run(&argv(&["sh", "-c", "sleep 1000 & wait"]), &[], Path::new("/"), Duration::from_millis(200)).await;
        assert!(matches!(&ended, Ended::Not(why) if why.contains("killed")), "{ended:?}");
    }
}
