//! From a plan file to a plan, its findings told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{Common, VarArgs};
use super::failure::colour;
use super::{Exit, Failure};
use crate::journal::record::digest;
use crate::plan::finding::Finding;
use crate::plan::model::Plan;
use crate::plan::parse::parse;
use crate::plan::vars::Vars;

/// A plan as it was read.
#[derive(Debug)]
pub(super) struct PlanFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) plan: Plan,
    pub(super) warnings: Vec<Finding>,
    /// Digest of text and variables.
    pub(super) digest: String,
    /// Where relative paths in it belong.
    pub(super) base: PathBuf,
}

/// A plan is written by people; this is a thousand times what they write.
const PLAN_BYTES_MAX: u64 = 1 << 20;

impl PlanFile {
    /// Reads and checks a plan.
    pub(super) fn read(path: &Path, args: &VarArgs, common: &Common) -> Result<Self, Failure> {
        let text = text_of(path)?;
        let values = values(args)?;
        let mut vars = Vars::none();
        for (name, value) in &values {
            vars = vars.var(name, value);
        }
        for name in &args.env {
            vars = vars.env(name, std::env::var(name).ok());
        }
        let name = path.display().to_string();
        let parsed = parse(&name, &text, &vars).map_err(|findings| invalid(&name, &findings, common))?;
        let digest = digest(serde_json::json!([text, values]).to_string().as_bytes());
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
        Ok(Self { path: path.to_owned(), text, plan: parsed.plan, warnings: parsed.warnings, digest, base })
    }

    /// Its file name, for the record.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map_or_else(|| self.path.display().to_string(), |n| n.to_string_lossy().into_owned())
    }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let cannot = |why: String| Failure::new(Exit::Usage, format!("cannot read the plan {}: {why}", path.display()));
    let meta = std::fs::metadata(path).map_err(|e| {
        let failure = cannot(e.to_string());
        // A first plan is what is missing most often.
        let first = e.kind() == std::io::ErrorKind::NotFound;
        if first { failure.hint(format!("write a first one: modelswap init {}", path.display())) } else { failure }
    })?;
    if meta.is_dir() {
        return Err(cannot("it is a directory".to_owned()).hint(format!("name the file: {}/PLAN.yaml", path.display())));
    }
    if meta.len() > PLAN_BYTES_MAX {
        return Err(cannot(format!(
            "it has {} bytes, more than the {PLAN_BYTES_MAX} that a plan may have",
            meta.len()
        )));
    }
    let bytes = std::fs::read(path).map_err(|e| cannot(e.to_string()))?;
    String::from_utf8(bytes)
        .map_err(|e| cannot(format!("it is not UTF-8 text (byte {})", e.utf8_error().valid_up_to())))
}

fn values(args: &VarArgs) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    if let Some(file) = &args.vars_file {
        let cannot =
            |why: String| Failure::new(Exit::Usage, format!("cannot use the values in {}: {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|e| cannot(e.to_string()))?;
        let read: BTreeMap<String, String> = serde_saphyr::from_str(&text).map_err(|e| cannot(e.to_string()))?;
        values.extend(read);
    }
    values.extend(args.vars.iter().cloned());
    Ok(values)
}

fn invalid(name: &str, findings: &[Finding], common: &Common) -> Failure {
    let errors = findings.iter().filter(|f| f.is_error()).count();
    let things = if errors == 1 { "one thing".to_owned() } else { format!("{errors} things") };
    let mut failure = Failure::new(Exit::Usage, format!("{things} in {name} must be put right; nothing was done"));
    let both = |f: &Finding| (f.rendered(colour(common), 100), serde_json::to_value(f).unwrap_or_default());
    failure.findings = findings.iter().map(both).collect();
    failure
}
