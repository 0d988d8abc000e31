//! A place to type commands, and the loopback world to type them at.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Exit code, stdout and stderr, as a snapshot in which what differs from run to run is filtered.
    #[track_caller]
    pub(crate) fn looks_like(&self, name: &str) -> &Self {
        let told = format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err);
        let filters = vec![
            (r"\b01[0-9A-Z]{24}\b", "[run]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[date]"),
            (r"\d\d:\d\d:\d\d", "[time]"),
            (r"\b[0-9a-f]{12}\b", "[digest]"),
            (r"dana@\S+", "dana@[host]"),
        ];
        insta::with_settings!({filters => filters, omit_expression => true}, { insta::assert_snapshot!(name, told) });
        self
    }

    /// The last JSON object of stdout.
    pub(crate) fn json(&self) -> Value {
        let last =
            self.out.lines().rfind(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no JSON in {self:?}"));
        serde_json::from_str(last).unwrap()
    }

    /// Checks all three at once; the message shows all of them.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, out: &[&str], err: &[&str]) -> &Self {
        let missing: Vec<_> = out
            .iter()
            .filter(|t| !self.out.contains(**t))
            .chain(err.iter().filter(|t| !self.err.contains(**t)))
            .collect();
        assert!(self.code == code && missing.is_empty(), "wanted exit {code} and {missing:?}, got {self:#?}");
        self
    }

    /// One error of a few lines, the last thing that is said, with something to type.
    #[track_caller]
    pub(crate) fn helps(&self) -> &Self {
        let errors = self.err.lines().filter(|l| l.starts_with("error: ")).count();
        let told = self.err.lines().skip_while(|l| !l.starts_with("error: ")).count();
        assert!(errors == 1 && told <= 8 && self.err.contains("hint: "), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }
}

/// An empty directory with nothing of this machine's configuration.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command as a new user of a bare machine would type it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelswap"));
        command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("HOME", self.path("home"));
        // No address of a cloud's metadata service is ever asked from here.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("TZ", "UTC").env("USER", "dana");
        command.current_dir(self.directory.path()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ended(self.command(args).spawn().unwrap())
    }
}

/// Waits for a command and what it said.
pub(crate) fn ended(mut child: Child) -> Ran {
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it hangs; stdout {:?}, stderr {:?}", out.join(), err.join());
        }
        nap();
    };
    Ran { code: status.code().unwrap_or(-1), out: out.join().unwrap(), err: err.join().unwrap() }
}

fn reader(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut from) = from {
            from.read_to_string(&mut text).unwrap();
        }
        text
    })
}

/// Between two looks at another process.
#[expect(
    clippy::disallowed_methods,
    reason = "other processes are waited for in real time; every wait has a condition and an end"
)]
pub(crate) fn nap() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Looks until it is so.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        nap();
    }
}

/// A loopback world for a plan; it ends with this value.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) bench: Bench,
}

impl World {
    /// The world that `plan` names, 120 times as fast as this one; models load in 5 s of its time.
    pub(crate) fn up(plan: &str) -> Self {
        let world = Self { bench: Bench::new() };
        world.bench.write("plan.yaml", plan);
        let up = ["lab", "up", "--for", "plan.yaml", "--time", "120x", "--load", "5s", "--file", "world.json"];
        world.bench.run(&up).expect(0, &[], &["is up", "lab down"]);
        world
    }

    /// A verb in this world.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.bench.run(&self.args(args))
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.bench.command(&self.args(args)).spawn().unwrap()
    }

    fn args<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--world", "world.json"]].concat()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.bench.path("world.state")
    }

    /// The oracle's port.
    pub(crate) fn oracle(&self) -> String {
        let file: Value =
            serde_json::from_str(&std::fs::read_to_string(self.bench.path("world.json")).unwrap()).unwrap();
        file["oracle"].as_str().unwrap().to_owned()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) {
        let url = format!("{}/{path}", self.oracle());
        let answer = block_on(async { client().post(url).json(body).send().await.unwrap().status() });
        assert!(answer.is_success(), "{path} {body}");
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let url = format!("{}/{path}", self.oracle());
        block_on(async { client().get(url).send().await.unwrap().json().await.unwrap() })
    }

    /// How many calls have changed something so far.
    pub(crate) fn effects(&self) -> usize {
        let calls = self.get("calls");
        calls.as_array().unwrap().iter().filter(|call| call["outcome"]["effect"] == true).count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let down = self.bench.command(&["lab", "down", "--file", "world.json"]).status();
        if !std::thread::panicking() {
            assert!(down.unwrap().success(), "the world is still up");
        }
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A plan of the repository.
pub(crate) fn plan(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(name)).unwrap()
}
