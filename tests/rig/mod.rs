//! The real binary on a loopback world of its own: how it is started, asked, and ended again.
#![allow(dead_code, reason = "every test target compiles this and uses a part")]

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use modelswap::plan::model::Plan;
use modelswap::world::WorldFile;
use serde_json::Value;

pub(crate) mod background;
pub(crate) mod cells;
pub(crate) mod clients;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod look;
pub(crate) mod reference;

const BINARY: &str = env!("CARGO_BIN_EXE_modelswap");

/// Whatever takes longer hangs: the longest case takes some seconds on an idle machine, and minutes on one with twenty
/// jobs for each core.
const ENDS_WITHIN: Duration = Duration::from_mins(5);

/// The plans that are shown to anybody.
pub(crate) fn plans() -> Vec<PathBuf> {
    let files = std::fs::read_dir(plans_dir()).expect("plans/ is there");
    let mut plans: Vec<_> = files
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    plans.sort();
    plans
}

/// The plan `plans/NAME.yaml`.
pub(crate) fn plan(name: &str) -> PathBuf {
    plans_dir().join(format!("{name}.yaml"))
}

fn plans_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plans")
}

/// How a world is built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// World seconds in a real one.
    pub(crate) time: u32,
    /// World seconds that a model takes to load.
    pub(crate) load_s: u32,
}

/// A world of one plan, in a directory of its own. It is ended when this is dropped, and kept for a look when the test fails.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: PathBuf,
    pub(crate) file: WorldFile,
    directory: Option<tempfile::TempDir>,
    calls: AtomicU32,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// It ended with this exit code.
    pub(crate) fn must_be(&self, code: i32, what: &str) {
        assert!(
            self.code == Some(code),
            "{what} ended with {:?} (signal {:?}), not {code}:\n{}{}",
            self.code,
            self.signal,
            self.stderr,
            self.stdout
        );
    }
}

impl World {
    /// `modelswap lab up --for PLAN`.
    pub(crate) async fn up(plan: &Path, pace: Pace) -> Self {
        let name = plan.file_stem().expect("a plan has a name").to_string_lossy().into_owned();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a directory");
        let world = directory.path().join("world.json");
        let out = directory.path().join("00-up");
        let args = [
            "lab",
            "up",
            "--for",
            text(plan),
            "--time",
            &format!("{}x", pace.time),
            "--load",
            &format!("{}s", pace.load_s),
            "--file",
            text(&world),
        ];
        let ended = run(&args, &[], &out).await;
        assert_eq!(ended.code, Some(0), "lab up --for {}: {}", plan.display(), ended.stderr);
        let file = WorldFile::read(&world).expect("a world file");
        let world = Self { plan: plan.to_owned(), file, directory: Some(directory), calls: AtomicU32::new(0) };
        world.allow_for_a_busy_machine().await;
        world
    }

    /// A balancer gives up on a target after a minute of silence; in a fast world that is half a second, and a machine that is
    /// busy with other tests may be silent for so long. So it is set to the longest that a balancer may have.
    async fn allow_for_a_busy_machine(&self) {
        let cloud = self.oracle("cloud").await;
        for (arn, _) in cloud["balancers"].as_object().into_iter().flatten() {
            let longest = serde_json::json!({ "arn": arn, "key": "idle_timeout.timeout_seconds", "value": "4000" });
            http::post(&format!("{}/edit", self.file.oracle), &serde_json::json!({ "set_attribute": longest })).await;
        }
    }

    /// Shorter times than a plan's world has, for suites that ask in which order things are done: answers live 90 s and targets
    /// drain for 10 s.
    pub(crate) async fn with_short_times(self) -> Self {
        let cloud = self.oracle("cloud").await;
        let mut edits = Vec::new();
        for (arn, _) in cloud["groups"].as_object().into_iter().flatten() {
            let delay = serde_json::json!({ "arn": arn, "key": "deregistration_delay.timeout_seconds", "value": "10" });
            edits.push(serde_json::json!({ "set_attribute": delay }));
        }
        for (id, zone) in cloud["zones"].as_object().into_iter().flatten() {
            for set in zone["records"].as_array().into_iter().flatten().filter(|set| set["ttl_s"] == 300) {
                let mut set = set.clone();
                set["ttl_s"] = 90.into();
                edits.push(serde_json::json!({ "set_record": { "zone": id, "set": set } }));
            }
        }
        for edit in edits {
            http::post(&format!("{}/edit", self.file.oracle), &edit).await;
        }
        self
    }

    /// What all commands so far said to people.
    pub(crate) fn said(&self) -> String {
        let entries = std::fs::read_dir(self.directory()).expect("it is there").flatten();
        let mut files: Vec<_> =
            entries.map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "err")).collect();
        files.sort();
        files
            .iter()
            .map(|f| {
                format!(
                    "-- {}\n{}",
                    f.file_stem().unwrap_or_default().to_string_lossy(),
                    std::fs::read_to_string(f).unwrap_or_default()
                )
            })
            .collect()
    }

    /// The plan's path, to be typed.
    pub(crate) fn plan_text(&self) -> &str {
        text(&self.plan)
    }

    /// How many servers run in a and in b.
    pub(crate) fn running(&self) -> [usize; 2] {
        let servers = look::servers(self);
        ["a", "b"].map(|environment| servers[environment].len())
    }

    /// How many calls so far were of a kind that changes something.
    pub(crate) async fn mutations(&self) -> usize {
        self.oracle("calls").await.as_array().expect("a list").iter().filter(|c| c["mutating"] == true).count()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.as_ref().expect("it is there until it is dropped").path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory().join("world.json")
    }

    /// Where the journal and the process records of the plan's service are.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory().join("world.state").join(self.read_plan().service.as_str())
    }

    /// The plan, as it is written.
    pub(crate) fn read_plan(&self) -> Plan {
        let written = std::fs::read_to_string(&self.plan).expect("a plan can be read");
        modelswap::plan::parse(text(&self.plan), &written, &modelswap::plan::Vars::none()).expect("a good plan").plan
    }

    /// `modelswap ARGS --world FILE`.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[]).await
    }

    /// The same with a crash ordered (`after:7`).
    pub(crate) async fn run_into(&self, crash: &str, args: &[&str]) -> Ended {
        self.run_with(args, &[(modelswap::lab::crash::VARIABLE, crash)]).await
    }

    /// The same from a machine of another name that sees the same state.
    pub(crate) async fn run_elsewhere(&self, args: &[&str]) -> Ended {
        let (path, out) = (self.path(), self.next_output(args[0]));
        let script = "hostname elsewhere && exec \"$@\"";
        let args = args.iter().copied().chain(["--world", text(&path)]);
        let command = ["--uts", "--map-root-user", "sh", "-c", script, "sh", BINARY].into_iter().chain(args);
        run_program("unshare", &command.collect::<Vec<_>>(), &[], &out).await
    }

    fn next_output(&self, verb: &str) -> PathBuf {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.directory().join(format!("{call:02}-{verb}"))
    }

    /// The same with an environment of its own.
    pub(crate) async fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        let (path, out) = (self.path(), self.next_output(args.first().copied().unwrap_or_default()));
        let args: Vec<&str> = args.iter().copied().chain(["--world", text(&path)]).collect();
        run(&args, env, &out).await
    }

    /// `modelswap deploy PLAN --yes`.
    pub(crate) async fn deploy(&self) -> Ended {
        self.run(&["deploy", text(&self.plan), "--yes"]).await
    }

    /// What the oracle says: `calls`, `findings`, `faults`, `cloud`.
    pub(crate) async fn oracle(&self, what: &str) -> Value {
        http::get(&format!("{}/{what}", self.file.oracle)).await
    }

    /// Takes back every order that has not fired as often as it was to.
    pub(crate) async fn mend(&self) {
        http::post(&format!("{}/mend", self.file.oracle), &serde_json::json!({})).await;
    }

    /// Orders a fault.
    pub(crate) async fn order_fault(&self, order: &Value) {
        http::post(&format!("{}/faults", self.file.oracle), order).await;
    }

    /// `modelswap lab down`, and nothing of it is left.
    pub(crate) async fn down(self) {
        let path = self.path();
        let ended = run(&["lab", "down", "--file", text(&path)], &[], &self.directory().join("99-down")).await;
        assert_eq!(ended.code, Some(0), "lab down: {}", ended.stderr);
        let left = look::processes_of(self.directory());
        assert!(left.is_empty(), "left running after lab down: {left:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let Some(directory) = self.directory.take() else { return };
        if directory.path().join("world.json").exists() {
            let mut down = std::process::Command::new(BINARY);
            down.args(["lab", "down", "--file"]).arg(directory.path().join("world.json"));
            // A world that cannot be ended is told by the processes that are left; here nobody could be told.
            drop(down.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", directory.keep().display());
        }
    }
}

/// Runs the binary to its end, its output in `OUT.out` and `OUT.err`.
pub(crate) async fn run(args: &[impl AsRef<OsStr>], env: &[(&str, &str)], out: &Path) -> Ended {
    run_program(BINARY, args, env, out).await
}

async fn run_program(program: &str, args: &[impl AsRef<OsStr>], env: &[(&str, &str)], out: &Path) -> Ended {
    let (stdout, stderr) = (out.with_extension("out"), out.with_extension("err"));
    let create = |path: &Path| std::fs::File::create(path).expect("a file for the output");
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr)).kill_on_drop(true);
    // What a developer or a CI system has set must not change what is tested.
    for name in ["CI", "MODELSWAP_STATE", "AWS_PROFILE", "AWS_REGION", "GITHUB_STEP_SUMMARY"] {
        command.env_remove(name);
    }
    command.envs([("NO_COLOR", "1"), ("CHAT_API_KEY", "a-key-for-tests")]).envs(env.iter().copied());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    let ended = tokio::time::timeout(ENDS_WITHIN, child.wait()).await;
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let args: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
    let status = ended
        .unwrap_or_else(|_| panic!("`{program} {}` hangs; it said: {}", args.join(" "), read(&stderr)))
        .expect("it can be waited for");
    Ended { code: status.code(), signal: status.signal(), stdout: read(&stdout), stderr: read(&stderr) }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}
