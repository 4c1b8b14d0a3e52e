//! Figures side by side, with ratios and targets, as a Markdown table and as JSON. Must not know how they were measured.

pub mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::contender::Contender;
use sample::{median, range, text};

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Smaller is better.
    AtMost(f64),
    /// Larger is better.
    AtLeast(f64),
    /// For scale only.
    None,
}

/// A ratio or a figure beside its target.
#[derive(Clone, Debug)]
struct Verdict {
    what: String,
    value: f64,
    target: Target,
}

/// One figure of all contenders.
#[derive(Clone, Debug)]
pub struct Row {
    figure: String,
    unit: &'static str,
    /// Each contender's value of every round.
    rounds: BTreeMap<Contender, Vec<f64>>,
    /// Whose values are bounds: the truth is larger.
    more: BTreeSet<Contender>,
    verdicts: Vec<Verdict>,
}

impl Row {
    /// A row without values.
    pub fn new(figure: impl Into<String>, unit: &'static str) -> Self {
        let (rounds, more) = (BTreeMap::new(), BTreeSet::new());
        Self { figure: figure.into(), unit, rounds, more, verdicts: Vec::new() }
    }

    /// Adds the value of a round.
    pub fn add(&mut self, contender: Contender, value: f64) {
        self.rounds.entry(contender).or_default().push(value);
    }

    /// Adds the value of a round that was given up: the true one is larger.
    pub fn add_more_than(&mut self, contender: Contender, value: f64) {
        self.add(contender, value);
        self.more.insert(contender);
    }

    /// Sets a contender's value beside another's of the same row. Says nothing if one of them did not take part.
    pub fn compare(&mut self, contender: Contender, to: Contender, target: Target) {
        let Some(base) = self.rounds.get(&to).cloned() else { return };
        self.against(contender, &base, to.name(), target);
    }

    /// Sets a contender's value beside its own of another row.
    pub fn compare_row(&mut self, contender: Contender, other: &Self, name: &str, target: Target) {
        let Some(base) = other.rounds.get(&contender) else { return };
        self.against(contender, base, name, target);
    }

    /// Sets a contender's value beside a bound.
    pub fn expect(&mut self, contender: Contender, target: Target) {
        if let Some(rounds) = self.rounds.get(&contender) {
            self.verdicts.push(Verdict { what: contender.name().to_owned(), value: median(rounds), target });
        }
    }

    /// The ratio is taken within each round: what slows the machine down for a while slows both sides.
    fn against(&mut self, contender: Contender, base: &[f64], name: &str, target: Target) {
        let Some(rounds) = self.rounds.get(&contender) else { return };
        let ratios: Vec<f64> = rounds.iter().zip(base).map(|(value, base)| value / base).collect();
        if ratios.is_empty() {
            return;
        }
        let what = format!("{} / {name}", contender.name());
        self.verdicts.push(Verdict { what, value: median(&ratios), target });
    }

    /// Whose cells it has.
    fn columns(&self) -> &'static [Contender] {
        let served = Contender::SERVERS.iter().any(|server| self.rounds.contains_key(server));
        if served { Contender::SERVERS } else { Contender::TERMINALS }
    }

    fn markdown(&self) -> String {
        let mut line = format!("| {} ({}) |", self.figure, self.unit);
        for contender in self.columns() {
            let cell = self.rounds.get(contender).map_or("-".to_owned(), |rounds| match range(rounds) {
                Some((low, high)) => format!("{} ({} to {})", text(median(rounds)), text(low), text(high)),
                None => text(median(rounds)),
            });
            let more = if self.more.contains(contender) { "more than " } else { "" };
            let _written = write!(line, " {more}{cell} |");
        }
        let verdicts: Vec<String> = self.verdicts.iter().map(Verdict::markdown).collect();
        let _written = write!(line, " {} |", verdicts.join("<br>"));
        line
    }

    fn json(&self) -> Value {
        let rounds: BTreeMap<&str, Value> = self
            .rounds
            .iter()
            .map(|(contender, rounds)| {
                let mut value = json!({"median": median(rounds), "rounds": rounds});
                if self.more.contains(contender) {
                    value["more_than"] = true.into();
                }
                (contender.key(), value)
            })
            .collect();
        let verdicts: Vec<Value> = self
            .verdicts
            .iter()
            .map(|verdict| json!({"what": verdict.what, "value": verdict.value, "met": verdict.is_met()}))
            .collect();
        json!({"figure": self.figure, "unit": self.unit, "contenders": rounds, "verdicts": verdicts})
    }
}

impl Verdict {
    /// None without a target.
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(bound) => Some(self.value <= bound),
            Target::AtLeast(bound) => Some(self.value >= bound),
            Target::None => None,
        }
    }

    fn markdown(&self) -> String {
        let target = match self.target {
            Target::AtMost(bound) => format!(", target at most {bound}"),
            Target::AtLeast(bound) => format!(", target at least {bound}"),
            Target::None => String::new(),
        };
        let missed = if self.is_met() == Some(false) { " **missed**" } else { "" };
        format!("{}: {}{target}{missed}", self.what, text(self.value))
    }
}

/// All rows of a run.
pub struct Report {
    facts: Vec<(&'static str, String)>,
    /// What was measured.
    pub rows: Vec<Row>,
    /// What was not, because a check failed: figure and reason.
    pub refused: Vec<(&'static str, String)>,
}

impl Report {
    /// An empty report about a machine.
    pub const fn new(facts: Vec<(&'static str, String)>) -> Self {
        Self { facts, rows: Vec::new(), refused: Vec::new() }
    }

    /// The report as a page.
    pub fn markdown(&self) -> String {
        let mut page = String::new();
        for (name, value) in &self.facts {
            let _written = writeln!(page, "- {name}: {value}");
        }
        let mut above: &[Contender] = &[];
        for row in &self.rows {
            let columns = row.columns();
            if columns != above {
                let names: Vec<&str> = columns.iter().copied().map(Contender::name).collect();
                let (names, rule) = (names.join(" | "), "---|".repeat(columns.len() + 2));
                let _written = writeln!(page, "\n| figure | {names} | ratios and targets |\n|{rule}");
                above = columns;
            }
            let _written = writeln!(page, "{}", row.markdown());
        }
        for (figure, reason) in &self.refused {
            let _written = writeln!(page, "\n**{figure} refused**: {reason}");
        }
        page
    }

    /// The report with every round.
    pub fn json(&self) -> Value {
        let facts: BTreeMap<&str, &str> =
            self.facts.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let refused: BTreeMap<&str, &str> =
            self.refused.iter().map(|(name, reason)| (*name, reason.as_str())).collect();
        json!({"facts": facts, "figures": rows, "refused": refused})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_rounds_and_judged() {
        let mut row = Row::new("echo p50", "us");
        for (bare, ours) in [(100.0, 80.0), (1000.0, 850.0), (100.0, 90.0)] {
            row.add(Contender::Ssh, bare);
            row.add(Contender::Unix, ours);
        }
        row.compare(Contender::Unix, Contender::Ssh, Target::AtMost(0.8));
        row.compare(Contender::Quic, Contender::Ssh, Target::AtMost(0.8));
        let expected = "| echo p50 (us) | - | 100 (100 to 1000) | - | - | 90.0 (80.0 to 850) | - | \
                        ours, Unix / ssh: 0.85, target at most 0.8 **missed** |";
        assert_eq!(row.markdown(), expected);
        assert_eq!(row.json()["verdicts"][0]["met"], false);
    }

    #[test]
    fn a_round_that_was_given_up_says_so() {
        let mut row = Row::new("Ctrl-C", "ms");
        row.add(Contender::Ssh, 20.0);
        row.add_more_than(Contender::NodePty, 60_000.0);
        assert_eq!(row.markdown(), "| Ctrl-C (ms) | - | 20.0 | - | more than 60000 | - | - |  |");
        let contenders = &row.json()["contenders"];
        assert_eq!(contenders["node_pty"]["more_than"], true);
        assert!(contenders["ssh"].get("more_than").is_none());
    }
}
