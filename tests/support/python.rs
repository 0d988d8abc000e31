//! A virtual environment with moto, boto3 and the AWS CLI, made once under `target/`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One version, so that what `facts` say about it stays true.
const MOTO: &str = "moto[server]==5.2.5";

/// The AWS CLI as PyPI has it.
const CLI: &str = "awscli==1.46.3";

/// The interpreter of the environment; made if it is not there yet, by one process at a time.
pub(crate) fn python() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-moto-5.2.5-cli");
    let (python, ready) = (dir.join("bin/python"), dir.join("ready"));
    std::fs::create_dir_all(&dir).unwrap();
    let lock = File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&dir));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", MOTO, CLI]));
        File::create(ready).unwrap();
    }
    python
}

fn run(command: &mut Command) {
    let shown = format!("{command:?}");
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "these tests need moto and boto3 from PyPI; run yourself: {shown}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(e) => panic!("these tests need Python 3 with venv (Debian: apt-get install python3-venv); {shown}: {e}"),
    }
}

/// Runs a script against a cloud and returns what it printed.
pub(crate) fn boto3(script: &str, url: &str, args: &[&str]) -> String {
    said(Command::new(python()).args(["-c", script]).args(args), url)
}

/// Runs the AWS CLI against a cloud and returns what it printed.
pub(crate) fn aws(url: &str, args: &[&str]) -> String {
    let aws = python().with_file_name("aws");
    said(Command::new(python()).arg(aws).args(args).args(["--output", "json"]), url)
}

/// What a client of a cloud, with an environment of its own, says.
fn said(command: &mut Command, url: &str) -> String {
    let output = command
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "the client failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
