//! What must not be where: most of the design is kept by what is absent.

use crate::source::{Source, rust_below};

/// A word, where it may stand, and why nowhere else.
struct Absence {
    words: &'static [&'static str],
    /// Beginnings of paths below `src/`.
    only_in: &'static [&'static str],
    why: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        words: &["println!", "print!", "eprintln!", "eprint!", "io::stdout", "io::stderr"],
        // The last one says how much its search has seen: a test.
        only_in: &["report/", "cli/", "engine/decide/tests/late.rs"],
        why: "only report/ and cli/ write to the terminal",
    },
    Absence {
        words: &[".sleep("],
        only_in: &[
            "engine/",
            "clock.rs",
            "lab/",                          // servers and clients of the loopback world have a time of their own
            "providers/environments/run.rs", // how long a start or stop command may take
            "probes/witness.rs",             // asks at its own pace, beside the run
            "cli/check.rs",                  // `check` on its own asks again until it holds: there is no run to do it
            "cli/verify.rs",                 // the same
        ],
        why: "only engine/ waits: steps and providers are asked again, so tests own time",
    },
    Absence {
        words: &["tokio::time::sleep", "thread::sleep"],
        only_in: &[
            "clock.rs",
            "engine/perform/tests.rs", // a clock of its own
            "cli/desk.rs",             // another process is waited for in real time
            "cli/lab/up.rs",           // the same
        ],
        why: "waiting goes by the clock that is handed in",
    },
    Absence { words: &["Timestamp::now", "SystemTime::now"], only_in: &["clock.rs"], why: "the time is handed in" },
    Absence {
        words: &["Instant::now"],
        only_in: &[
            "clock.rs",                       // how old an announcement is
            "report/lines.rs",                // heartbeats go by the reader's time
            "probes/propagation/watch.rs",    // how long an answer took
            "plan/tree.rs",                   // its own test's
            "engine/perform/tests.rs",        // a clock of its own
            "journal/store/object/bucket.rs", // after how long a bucket is not asked again
            "lab/",
            "cli/", // other processes and people are waited for in real time
        ],
        why: "the time is handed in",
    },
    Absence {
        words: &["process::exit"],
        only_in: &["cli/ending.rs"],
        why: "an exit code is returned; only a second signal ends at once",
    },
    Absence {
        words: &["journal.append("],
        only_in: &[
            "journal/",
            "engine/drive.rs",
            "engine/perform/tests.rs", // what somebody asked, before the loop has it
            "cli/claims.rs",           // says why the run did not go on
            "cli/unfenced.rs",         // says that nobody was kept out
            "cli/rollback.rs",         // turns round, before the loop has it
            "cli/stop.rs",             // the same
        ],
        why: "only the loop writes to the run that it drives",
    },
    Absence { words: &["Upsert"], only_in: &["lab/"], why: "an upsert writes over what it has not read" },
];

/// Files that are pure: what they say follows from what they are given.
const PURE: [&str; 4] =
    ["src/engine/decide.rs", "src/engine/decide/late.rs", "src/journal/state.rs", "src/journal/fact.rs"];
const IMPURE: [&str; 8] = ["async ", ".await", "std::fs", "std::net", "std::env", "tokio::", "::now(", ".now("];

/// What the engine must never have heard of.
const VENDORS: [&str; 8] = ["route53", "alb", "elbv2", "aws", "process", "dns", "http", "url"];

#[test]
fn nothing_stands_where_it_must_not() {
    let wrong: Vec<_> = rust_below("src").iter().flat_map(misplaced).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    let sources = rust_below("src");
    let needed = |absence: &Absence, place: &&str| {
        let mut here = sources.iter().filter(|s| s.path.starts_with(&format!("src/{place}")));
        here.any(|s| absence.words.iter().any(|word| !s.lines_with(word).is_empty()))
    };
    for absence in ABSENCES {
        let idle: Vec<_> = absence.only_in.iter().filter(|place| !needed(absence, place)).collect();
        assert!(idle.is_empty(), "{:?} stands nowhere in {idle:?} any more", absence.words);
    }
}

#[test]
fn deciding_and_folding_are_pure() {
    let sources = rust_below("src");
    for path in PURE {
        let file = sources.iter().find(|s| s.path == path).unwrap_or_else(|| panic!("{path} is gone"));
        assert_eq!(impurities(file), Vec::<String>::new());
    }
}

#[test]
fn the_engine_names_no_vendor_and_no_provider() {
    let sources = rust_below("src");
    let engine: Vec<_> = sources.iter().filter(|s| s.path.starts_with("src/engine/")).collect();
    assert!(engine.len() >= 4, "the engine was not found");
    let wrong: Vec<_> = engine.iter().flat_map(|file| vendors(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_misplaced_is_noticed() {
    let step = |text: &str| Source::new("src/steps/new.rs", text);
    for text in [
        "println!(\"x\")",
        "std::io::stderr()",
        "clock.sleep(x).await",
        "tokio::time::sleep(x)",
        "jiff::Timestamp::now()",
    ] {
        assert_eq!(misplaced(&step(text)).len(), 1, "{text}");
    }
    assert_eq!(misplaced(&step("ChangeAction::Upsert; journal.append(x); std::process::exit(1)")).len(), 3);
    assert_eq!(misplaced(&step("// println! is not for us\nlet x = \"println!\";")), Vec::<String>::new());
    assert_eq!(misplaced(&Source::new("src/cli/x.rs", "println!(\"x\")")), Vec::<String>::new());
    assert_eq!(impurities(&step("pub async fn decide() { std::fs::read(x); clock.now() }")).len(), 3);
    assert_eq!(vendors(&step("let route53_zone = 1; let albino = 2;")).len(), 1);
}

fn misplaced(source: &Source) -> Vec<String> {
    let Some(path) = source.path.strip_prefix("src/") else { return Vec::new() };
    let away = ABSENCES.iter().filter(|a| !a.only_in.iter().any(|place| path.starts_with(place)));
    away.flat_map(|absence| {
        let mut hits: Vec<_> = absence.words.iter().flat_map(|word| source.lines_with(word)).collect();
        hits.sort();
        hits.dedup();
        hits.into_iter().map(|hit| format!("{hit}   ({})", absence.why)).collect::<Vec<_>>()
    })
    .collect()
}

fn impurities(source: &Source) -> Vec<String> {
    IMPURE
        .iter()
        .flat_map(|word| source.lines_with(word).into_iter().map(|hit| format!("{hit}   ({word})")).collect::<Vec<_>>())
        .collect()
}

/// Vendors' words, as words or parts of names.
fn vendors(source: &Source) -> Vec<String> {
    let code = source.code().to_ascii_lowercase();
    let words: Vec<_> = code.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    VENDORS
        .iter()
        .filter(|vendor| words.contains(vendor))
        .map(|vendor| format!("{} names {vendor}", source.path))
        .collect()
}
