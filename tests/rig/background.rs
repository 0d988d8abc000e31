//! A command that goes on while others are typed: it can be stopped, and goes on where it was.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{BINARY, ENDS_WITHIN, Ended, World};

/// A command under way.
#[derive(Debug)]
pub(crate) struct Background {
    child: tokio::process::Child,
    out: PathBuf,
}

impl World {
    /// Starts `modelswap ARGS --world FILE`, and goes on.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Background {
        let out = self.directory().join(name);
        let create = |ending: &str| std::fs::File::create(out.with_extension(ending)).expect("a file for the output");
        let mut command = tokio::process::Command::new(BINARY);
        command.args(args).arg("--world").arg(self.path()).stdin(Stdio::null());
        command.stdout(create("out")).stderr(create("err")).kill_on_drop(true);
        for name in ["CI", "MODELSWAP_STATE", "AWS_PROFILE", "AWS_REGION", "GITHUB_STEP_SUMMARY"] {
            command.env_remove(name);
        }
        let child = command.env("NO_COLOR", "1").env("CHAT_API_KEY", "a-key-for-tests").spawn().expect("it runs");
        Background { child, out }
    }
}

impl Background {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it has not ended");
        kill_process(pid, signal).expect("it can be signalled");
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.out.with_extension("err")).unwrap_or_default()
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let status = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("it hangs; it said: {}", self.said())).expect("it can be waited for");
        let stdout = std::fs::read_to_string(self.out.with_extension("out")).unwrap_or_default();
        Ended { code: status.code(), signal: status.signal(), stdout, stderr: self.said() }
    }
}

/// Waits until `what` is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let waited = tokio::time::timeout(ENDS_WITHIN, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}
