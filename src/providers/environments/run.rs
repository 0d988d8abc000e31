//! One command, run to its end or to the end of its time.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus};

use super::launch::{Told, launch};
use super::{os, text};
use crate::clock::Clock;
use crate::units::Span;

/// From TERM to KILL for a command whose time is up: enough for terraform to let go of its lock.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// What is to be run.
pub(super) struct Order<'a> {
    pub(super) argv: &'a [String],
    pub(super) told: &'a Told,
    pub(super) token: Option<&'a str>,
    /// A file and not a pipe: what a command leaves running may go on writing there.
    pub(super) out: &'a File,
    pub(super) within: Span,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum Ended {
    Exited(i32),
    Signalled(i32),
    TimedOut(Span),
}

/// Why there is no [`Ended`].
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRun {
    /// Nothing was run.
    #[error("{0}")]
    Never(String),
    /// It was begun, and how it ended is not known.
    #[error("{0}")]
    Lost(String),
}

/// Runs a command; when its time is up, or this future is dropped, its whole group is killed.
/// `begun` is told the pid at once.
pub(super) async fn run(
    order: Order<'_>,
    clock: &dyn Clock,
    begun: impl FnOnce(i32) -> io::Result<()> + Send,
) -> Result<Ended, NotRun> {
    let program = order.argv.first().map_or_else(String::new, |p| text::escape(p));
    let pid = launch(order.argv, order.told, order.token, None, order.out)
        .map_err(|e| NotRun::Never(format!("cannot run {program}: {e}")))?;
    let mut group = Group(Some(pid));
    begun(pid).map_err(|e| NotRun::Lost(format!("{program} was killed, because it cannot be recorded: {e}")))?;
    let mut end = tokio::task::spawn_blocking(move || await_end(pid));
    let in_time = tokio::select! {
        _ = &mut end => true,
        () = clock.sleep(order.within.std()) => false,
    };
    if !in_time {
        group.signal(Signal::TERM);
        tokio::select! {
            _ = &mut end => {}
            () = clock.sleep(KILL_AFTER) => {}
        }
        group.signal(Signal::KILL); // also those who outlived the first process of the group
    }
    group.0 = None;
    let lost = |e: String| NotRun::Lost(format!("the end of {program} was missed: {e}"));
    let status = tokio::task::spawn_blocking(move || bury(pid)).await.map_err(|e| lost(e.to_string()))?;
    let status = status.map_err(|e| lost(e.to_string()))?;
    Ok(match (in_time, status.exit_status(), status.terminating_signal()) {
        (false, ..) => Ended::TimedOut(order.within),
        (true, Some(code), _) => Ended::Exited(code),
        (true, None, signal) => Ended::Signalled(signal.unwrap_or_default()),
    })
}

impl Ended {
    /// `it exited 1 and wrote: no such host`.
    pub(super) fn with(&self, words: &str) -> String {
        let how = match self {
            Self::Exited(code) => format!("it exited {code}"),
            Self::Signalled(number) => format!("it was ended by signal {number}"),
            Self::TimedOut(within) => format!("it was killed after {within}"),
        };
        match words.trim() {
            "" => format!("{how} and wrote nothing"),
            words => format!("{how} and wrote: {}", text::escape(words)),
        }
    }
}

/// A process group that is killed with its owner, so that no command outlives who asked for it.
struct Group(Option<i32>);

impl Group {
    fn signal(&self, signal: Signal) {
        // Its first process is our child and not buried, so the number cannot be another's; if this fails there is nothing left to try.
        if let Some(pid) = self.0 {
            let _ = os::signal_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Waits until a child has ended, and leaves it unburied, so that its number stays its own.
fn await_end(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
}

fn bury(pid: i32) -> io::Result<WaitStatus> {
    let gone = || io::Error::other("no such child");
    let pid = Pid::from_raw(pid).ok_or_else(gone)?;
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            found => return found?.map(|(_, status)| status).ok_or_else(gone),
        }
    }
}
