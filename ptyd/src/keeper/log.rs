//! One JSON line per event to standard error, in the shape of the worker's lines; never blocks, and knows nothing of
//! who logs. Terminal bytes, command lines and secrets are not for it.

mod sink;

use std::fmt::{Display, Write as _};
use std::sync::LazyLock;

use self::sink::Sink;
use super::sys;

/// The longest line, in bytes: a pipe takes this much (PIPE_BUF) as a whole or not at all.
const MAX_LINE_BYTES: usize = 4096;

/// Standard error, which stays what it is for as long as the process lives.
static SINK: LazyLock<Sink> = LazyLock::new(Sink::of_stderr);

/// How much an event matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Level {
    /// Someone must look.
    Error,
    /// Something is degraded.
    Warn,
    /// The lifecycle.
    Info,
    /// The rest.
    Debug,
}

/// Where events go; drops those beyond its level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    most: Option<Level>,
}

impl Log {
    /// A log for a filter of comma-separated directives: `level`, or `target=level` of which those for `ptyd` count.
    pub(super) fn new(filter: &str) -> Self {
        let mut most = Some(Level::Info);
        let mut named = None;
        for directive in filter.split(',').map(str::trim) {
            match directive.split_once('=') {
                None => most = level(directive).unwrap_or(most),
                Some(("ptyd" | "ptyd::keeper", word)) => named = level(word).or(named),
                Some(_) => {}
            }
        }
        Self { most: named.unwrap_or(most) }
    }

    /// Logs that someone must look.
    pub(super) fn error(self, message: impl Display, fields: &[(&str, &dyn Display)]) {
        self.event(Level::Error, &message, fields);
    }

    /// Logs that something is degraded.
    pub(super) fn warn(self, message: impl Display, fields: &[(&str, &dyn Display)]) {
        self.event(Level::Warn, &message, fields);
    }

    /// Logs a step of a lifecycle.
    pub(super) fn info(self, message: impl Display, fields: &[(&str, &dyn Display)]) {
        self.event(Level::Info, &message, fields);
    }

    /// Logs a detail.
    pub(super) fn debug(self, message: impl Display, fields: &[(&str, &dyn Display)]) {
        self.event(Level::Debug, &message, fields);
    }

    fn event(self, level: Level, message: &dyn Display, fields: &[(&str, &dyn Display)]) {
        if self.most < Some(level) {
            return;
        }
        let now = sys::utc_now();
        // A log nobody reads must not hold up anybody's shell: lines are lost instead, and counted.
        SINK.write(
            |lost| line(&now, Level::Warn, &format_args!("{lost} lines of the log were lost"), &[]),
            &line(&now, level, message, fields),
        );
    }
}

fn level(word: &str) -> Option<Option<Level>> {
    match word.to_ascii_lowercase().as_str() {
        "off" => Some(None),
        "error" => Some(Some(Level::Error)),
        "warn" => Some(Some(Level::Warn)),
        "info" => Some(Some(Level::Info)),
        "debug" | "trace" => Some(Some(Level::Debug)),
        _ => None,
    }
}

fn line(time: &str, level: Level, message: &dyn Display, fields: &[(&str, &dyn Display)]) -> String {
    let word = match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
    };
    let mut line = format!(r#"{{"timestamp":"{time}","level":"{word}","message":"#);
    quote(&mut line, &message.to_string());
    for (name, value) in fields {
        let value = value.to_string();
        // Every bound of a line leaves room for the end that makes it valid JSON.
        if line.len() + 2 * (name.len() + value.len()) + 64 > MAX_LINE_BYTES {
            break;
        }
        line.push(',');
        quote(&mut line, name);
        line.push(':');
        quote(&mut line, &value);
    }
    line.push_str(",\"target\":\"ptyd::keeper\"}\n");
    line
}

fn quote(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        if line.len() > MAX_LINE_BYTES - 256 {
            break;
        }
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _infallible = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_escapes_what_could_forge_another() {
        let made = line("T", Level::Warn, &"a\n\"b\\\u{1b}", &[("user", &"x\r")]);
        assert_eq!(
            made,
            "{\"timestamp\":\"T\",\"level\":\"WARN\",\"message\":\"a\\u000a\\\"b\\\\\\u001b\",\"user\":\"x\\u000d\",\"target\":\"ptyd::keeper\"}\n"
        );
    }

    #[test]
    fn a_line_never_exceeds_what_a_ready_pipe_takes() {
        let long = "\n".repeat(100_000);
        let made = line("T", Level::Error, &long, &[("a", &long), ("b", &1)]);
        assert!(made.len() <= MAX_LINE_BYTES, "{}", made.len());
        assert!(made.ends_with("\"}\n"));
    }

    #[test]
    fn the_filter_of_the_worker_is_understood() {
        assert_eq!(Log::new("info").most, Some(Level::Info));
        assert_eq!(Log::new("warn,ptyd=debug").most, Some(Level::Debug));
        assert_eq!(Log::new("quinn=trace,error").most, Some(Level::Error));
        assert_eq!(Log::new("off").most, None);
        assert_eq!(Log::new("nonsense").most, Some(Level::Info));
    }
}
