//! A run on a terminal: what is finished stands above, what is under way moves below, and at the bottom the way back.
//!
//! ```text
//! deploy demo.yaml   run 01JD7K   chat a -> b   dana@laptop   state .modelswap
//! ok  02-provision         11s   pid 31563 runs
//! ..  04-check              5s   serving 1/1: chat-v2 completed a stream of 8 chunks, 1 of 3 in a row
//! TRAFFIC  balancer a 100, b 0   record A 203.0.113.10 (ttl 60)
//! WITNESS  sent 63, answered 61, lost 0
//! Ctrl-C stops here and holds. Back to a, from wherever the state is seen:
//!   modelswap rollback chat
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::table::wrap;
use super::words::{Mark, line, took};
use super::{Around, Reporter};
use crate::ids::StepId;
use crate::journal::fact::Fact;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// Says what the witness has counted so far.
pub type Witness = Box<dyn Fn() -> String + Send>;

/// Width of a step's name, so that times stand below each other.
const NAME: usize = 20;

/// Bars on stderr.
pub struct Bars {
    all: MultiProgress,
    steps: BTreeMap<StepId, ProgressBar>,
    colour: bool,
    witness: Option<Witness>,
    traffic: Traffic,
    foot: Option<Foot>,
}

impl std::fmt::Debug for Bars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bars").field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// The lines that stay at the bottom.
struct Foot {
    traffic: ProgressBar,
    witness: Option<ProgressBar>,
    /// The command is copied from here, so it is never cut off.
    way_back: Vec<ProgressBar>,
}

impl Bars {
    /// Nothing is drawn before the run begins.
    pub fn new(colour: bool, witness: Option<Witness>) -> Self {
        let (all, steps) = (MultiProgress::new(), BTreeMap::new());
        Self { all, steps, colour, witness, traffic: Traffic::default(), foot: None }
    }

    fn bar(&mut self, step: &StepId) -> &ProgressBar {
        let (all, colour, foot) = (&self.all, self.colour, &self.foot);
        self.steps.entry(step.clone()).or_insert_with(|| {
            let sign = if colour { "{spinner:.cyan}" } else { "{spinner}" };
            // The spinner keeps the column of `ok` and `!!`, and moves so that a person sees that it lives.
            let style =
                ProgressStyle::with_template(&format!("{sign}  {{prefix:<{NAME}}} {{elapsed:>6}}   {{wide_msg}}"));
            let style =
                style.unwrap_or_else(|_| ProgressStyle::default_spinner()).tick_strings(&[".. ", " ..", ". .", ".. "]);
            let bar = ProgressBar::new_spinner().with_style(style).with_prefix(step.to_string());
            let bar = match foot {
                Some(foot) => all.insert_before(&foot.traffic, bar),
                None => all.add(bar),
            };
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        })
    }

    fn begin_foot(&mut self, around: &Around, state: &RunState) {
        let plain = || ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let add = |text: String| {
            let bar = self.all.add(ProgressBar::new_spinner().with_style(plain()));
            bar.set_message(text);
            bar
        };
        let traffic = add(self.traffic.says());
        let witness = self.witness.as_ref().map(|says| add(format!("WITNESS  {}", says())));
        let live = state.started.resolved["live"].as_str().unwrap_or("before");
        let says = if state.unwinding.is_some() {
            "Ctrl-C stops here. Going on, from wherever the state is seen:".to_owned()
        } else {
            format!("Ctrl-C stops here and holds. Back to {live}, from wherever the state is seen:")
        };
        let width = usize::from(console::Term::stderr().size().1).max(40) - 1;
        let mut way_back = vec![add(says)];
        way_back.extend(wrap(&around.back, width - 2).into_iter().map(|line| add(format!("  {line}"))));
        self.foot = Some(Foot { traffic, witness, way_back });
    }

    fn refresh_foot(&self) {
        let Some(foot) = &self.foot else { return };
        foot.traffic.set_message(self.traffic.says());
        if let (Some(bar), Some(says)) = (&foot.witness, &self.witness) {
            bar.set_message(format!("WITNESS  {}", says()));
        }
    }

    /// Everything that moves goes; what was printed stays.
    fn end(&mut self) {
        let foot = self
            .foot
            .take()
            .into_iter()
            .flat_map(|f| [Some(f.traffic), f.witness].into_iter().flatten().chain(f.way_back));
        for bar in std::mem::take(&mut self.steps).into_values().chain(foot) {
            bar.finish_and_clear();
        }
    }

    /// A line that stays, in as many lines as it needs; what goes on is set in.
    fn print(&self, mark: Mark, head: &str, text: &str) {
        let (on, off) = mark.colour(self.colour);
        let width = usize::from(console::Term::stderr().size().1).max(40);
        let lead = head.chars().count() + 4;
        // A narrow terminal leaves no room beside the name: then it goes on below.
        let room = if width > lead + 20 { width - lead } else { width - 4 };
        let lead = if width > lead + 20 { lead } else { 4 };
        let lines = wrap(text, room);
        let mut out = format!("{on}{}{off}  {head}", mark.sign());
        for (n, line) in lines.iter().enumerate() {
            if n > 0 || lead == 4 && !head.is_empty() {
                out = format!("{}\n{}", out.trim_end(), " ".repeat(lead));
            }
            out.push_str(line);
        }
        drop(self.all.println(out));
    }
}

impl Reporter for Bars {
    fn begin(&mut self, around: &Around, state: &RunState) {
        let lab = if around.lab { "LAB   " } else { "" };
        let text = format!("{lab}{}", around.says(state));
        let width = usize::from(console::Term::stderr().size().1).max(40);
        drop(self.all.println(wrap(&text, width).join("\n")));
        self.traffic = Traffic::of(state);
        self.begin_foot(around, state);
    }

    fn record(&mut self, record: &Record, state: &RunState) {
        let name = |step: &StepId| format!("{step:<NAME$} ");
        match &record.fact {
            Fact::Prepared { step, prepared } => {
                let shows = if prepared.shows.is_empty() { "looking".to_owned() } else { prepared.shows.clone() };
                self.bar(step).set_message(shows);
            }
            Fact::Verified { step, evidence, .. } => {
                self.done(step);
                self.traffic = Traffic::of(state);
                // What was changed says more than that it reads back so.
                let shows = state.step(step).prepared.as_ref().map(|(p, _)| p.shows.clone()).filter(|s| !s.is_empty());
                let text = shows.unwrap_or_else(|| evidence.clone());
                self.print(Mark::Good, &format!("{}{:>6}   ", name(step), took(state, step, record.at)), &text);
            }
            Fact::Failed { step, failure } | Fact::UndoFailed { step, failure } => {
                self.done(step);
                self.print(Mark::Bad, &format!("{}{:>6}   ", name(step), took(state, step, record.at)), &failure.why);
            }
            Fact::Undone { step, evidence, .. } => {
                self.done(step);
                self.traffic = Traffic::of(state);
                self.print(Mark::Good, &format!("{}{:>6}   ", name(step), "undone"), evidence);
            }
            Fact::Finished { .. } | Fact::Interrupted { .. } => {
                self.end();
                self.say(record, state);
            }
            // `begin` said it.
            Fact::RunStarted(_) | Fact::Opened { .. } => {}
            // At the end its own line says it better than a bar that is about to go.
            Fact::Attempt { .. }
            | Fact::Applied { .. }
            | Fact::Unwinding { .. }
            | Fact::Observed { .. }
            | Fact::Asked { .. } => self.say(record, state),
        }
        self.refresh_foot();
    }

    fn progress(&mut self, step: &StepId, note: &str, _at: jiff::Timestamp) {
        let note = note.to_owned();
        self.bar(step).set_message(note);
        self.refresh_foot();
    }
}

impl Bars {
    fn say(&self, record: &Record, state: &RunState) {
        if let Some(said) = line(record, state) {
            self.print(said.mark, "", &said.text);
        }
    }

    fn done(&mut self, step: &StepId) {
        if let Some(bar) = self.steps.remove(step) {
            bar.finish_and_clear();
        }
    }
}

/// Where each router leads, in the words of the steps that changed it: by the key under which they name it, its name and that.
#[derive(Debug, Default)]
struct Traffic(BTreeMap<String, (String, String)>);

impl Traffic {
    fn of(state: &RunState) -> Self {
        let resolved = &state.started.resolved;
        // A run without steps stops what it calls live; everything leads to the other.
        let moves = resolved["plan"]["steps"].as_array().is_some_and(|steps| !steps.is_empty());
        let live = resolved[if moves { "live" } else { "next" }].as_str().unwrap_or("?");
        let routers = resolved["plan"]["routers"].as_object().into_iter().flatten();
        let named =
            routers.filter_map(|(name, router)| Some((key_of(router)?, (name.clone(), format!("all to {live}")))));
        let mut traffic = Self(named.collect());
        let mut begun: Vec<_> =
            state.steps.values().filter_map(|s| s.prepared.as_ref().map(|(p, at)| (*at, p, s.has_effect()))).collect();
        begun.sort_by_key(|(at, _, _)| *at);
        let mut said = std::collections::BTreeSet::new();
        for (_, prepared, in_place) in begun {
            let (Some(key), Some((from, to))) = (&prepared.key, prepared.shows.split_once(" → ")) else { continue };
            let Some(place) = traffic.0.get_mut(key) else { continue };
            // Steps on one register are taken back together, so the first of them knows what is there again.
            if in_place {
                to.clone_into(&mut place.1);
            } else if !said.contains(key) {
                from.clone_into(&mut place.1);
            }
            said.insert(key.clone());
        }
        traffic
    }

    fn says(&self) -> String {
        let places: Vec<_> = self.0.values().map(|(name, says)| format!("{name}: {says}")).collect();
        format!("TRAFFIC  {}", places.join("   "))
    }
}

/// The key of a router's register, as its steps record it.
fn key_of(router: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(record) = router.get("route53") {
        let name = text(&record["name"])?.trim_end_matches('.').to_ascii_lowercase();
        return Some(format!("route53 {} {name}", text(&record["zone"])?));
    }
    let alb = router.get("alb")?;
    let rule = &alb["rule"];
    let listener = text(&rule["listener"]).or_else(|| text(&alb["listener"]))?;
    let tail = listener.rsplit_once("listener/").map_or(listener.as_str(), |(_, tail)| tail).to_owned();
    if rule.is_string() {
        return Some(format!("alb {tail} default action"));
    }
    let conditions: Vec<_> = [&rule["host"], &rule["path"]].into_iter().filter_map(text).collect();
    Some(format!("alb {tail} rule {}", conditions.join(" ")))
}
