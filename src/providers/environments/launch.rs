//! How anything is started: in a session of its own, holding nothing of ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use process_wrap::std::{CommandWrap, ProcessSession};

use crate::ids::EnvironmentName;
use crate::plan::model::Release;

/// Tells a start from every other.
pub(super) const TOKEN: &str = "MODELSWAP_TOKEN";
/// Tells the processes of a server: the path of its record.
pub(super) const RECORD: &str = "MODELSWAP_RECORD";

/// By these variables the runners of GitHub and Jenkins find what a job left behind, and kill it when the job ends.
const TRACKED_BY_CI: [&str; 4] = ["RUNNER_TRACKING_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "BUILD_ID"];

/// What everything that is started for an environment is told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) environment: EnvironmentName,
    pub(super) release: Release,
    /// The plan's own variables.
    pub(super) env: BTreeMap<String, String>,
    pub(super) directory: Option<PathBuf>,
}

/// Starts `argv`; returns its pid, which is also its process group and session. It does not end when we do.
///
/// A session of its own: neither a hangup of our terminal nor Ctrl-C reaches it. (`CommandExt::process_group` gives only a
/// group, and a child may do `setsid` only between fork and exec, which takes `unsafe`; `process-wrap` carries that.)
pub(super) fn launch(
    argv: &[String],
    told: &Told,
    token: Option<&str>,
    record: Option<&Path>,
    out: &File,
) -> io::Result<i32> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program in the command"));
    };
    // What Rust opens is closed in a child anyway; this is for what our parent left open to us, such as the lock of a wrapper script.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let (out, err) = (out.try_clone()?, out.try_clone()?);
    let mut command = CommandWrap::with_new(program, |command| {
        command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err);
        for name in TRACKED_BY_CI {
            command.env_remove(name);
        }
        command.envs(&told.env);
        command.env("MODELSWAP_ENVIRONMENT", told.environment.as_str()).env("MODELSWAP_MODEL", &told.release.model);
        let optional = [
            ("MODELSWAP_REVISION", told.release.revision.as_deref().map(AsRef::as_ref)),
            (TOKEN, token.map(AsRef::as_ref)),
            (RECORD, record.map(Path::as_os_str)),
        ];
        for (name, value) in optional {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &told.directory {
            command.current_dir(directory);
        }
    });
    let child = command.wrap(ProcessSession).spawn()?;
    Ok(i32::try_from(child.id()).expect("BUG: a pid is an i32"))
}
