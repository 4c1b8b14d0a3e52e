//! The screen now, for people and programs that are no terminals. Each way says how long it may become at most, in bytes: a
//! large screen in many colours is a hundred times its cells. None: it would be longer.

use std::fmt::Write as _;

use crate::answer::{sgr, standard_color};
use crate::screen::Screen;
use crate::style::{Color, Style, flag};

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Plain text, a line for each row, blanks at the ends left out.
    pub fn render_text(&self, most: usize) -> Option<String> {
        let mut out = String::new();
        self.each_run(|text, _| {
            if text == "\n" {
                out.truncate(out.trim_end_matches(' ').len());
            }
            out.push_str(text);
            out.len() <= most
        })?;
        Some(out)
    }

    /// Text with SGR sequences, a line for each row.
    pub fn render_ansi(&self, most: usize) -> Option<String> {
        let mut out = String::new();
        self.each_run(|text, style| {
            if style == Style::default() || text == "\n" {
                out.push_str(text);
            } else {
                let _infallible = write!(out, "\x1b[{}m{text}\x1b[m", sgr(style));
            }
            out.len() <= most
        })?;
        Some(out)
    }

    /// A `pre` element with inline styles; nothing in it is markup of the program's.
    pub fn render_html(&self, most: usize) -> Option<String> {
        self.render_html_with(most, |style| self.css(style))
    }

    /// The same without any styles.
    pub fn render_plain_html(&self, most: usize) -> Option<String> {
        self.render_html_with(most, |_| String::new())
    }

    fn render_html_with(&self, most: usize, css: impl Fn(Style) -> String) -> Option<String> {
        let mut out = "<pre>".to_owned();
        self.each_run(|text, style| {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let css = css(style);
            if css.is_empty() || text == "\n" {
                out.push_str(&escaped);
            } else {
                let _infallible = write!(out, "<span style=\"{css}\">{escaped}</span>");
            }
            out.len() <= most
        })?;
        out.push_str("</pre>");
        (out.len() <= most).then_some(out)
    }

    /// A JSON object: `rows`, `cols`, `cursor {row, col, visible}`, `alternate_screen`, `title`, `lines` as text.
    pub fn render_json(&self, most: usize) -> Option<String> {
        let text = self.render_text(most)?;
        let lines: Vec<String> = text.lines().map(json_string).collect();
        let out = format!(
            "{{\"rows\":{},\"cols\":{},\"cursor\":{{\"row\":{},\"col\":{},\"visible\":{}}},\"alternate_screen\":{},\"title\":{},\"lines\":[{}]}}",
            self.rows(),
            self.cols(),
            self.side.y,
            self.column(),
            self.modes.cursor_visible,
            self.modes.alternate_screen,
            json_string(&self.title),
            lines.join(",")
        );
        (out.len() <= most).then_some(out)
    }

    /// Hands out runs of one style, and a line feed after each row, as long as more are wanted; none: they no longer were.
    fn each_run(&self, mut run: impl FnMut(&str, Style) -> bool) -> Option<()> {
        let settled = self.settled_side();
        for row in settled.as_ref().unwrap_or(&self.side).grid.rows() {
            for cells in
                row.used_cells().chunk_by(|a, b| (a.style, a.shows_nothing()) == (b.style, b.shows_nothing()))
            {
                let mut text = String::new();
                for cell in cells.iter().filter(|cell| !cell.is_spacer()) {
                    if cell.glyph == 0 {
                        text.push(' ');
                    } else {
                        self.clusters.push_text(cell.glyph, &mut text);
                    }
                }
                let style = Style { link: 0, ..self.styles.get(cells[0].style) };
                let style = if cells[0].shows_nothing() { style.erased() } else { style };
                run(&text, style).then_some(())?;
            }
            run("\n", Style::default()).then_some(())?;
        }
        Some(())
    }

    fn css(&self, style: Style) -> String {
        let color = |color: Color| match color {
            Color::Default => None,
            Color::Palette(index) => {
                Some(self.palette.get(&index).copied().unwrap_or_else(|| standard_color(index)))
            }
            Color::Rgb(r, g, b) => Some((r, g, b)),
        };
        let (mut fg, mut bg) = (color(style.fg), color(style.bg));
        let mut css = String::new();
        if style.flags & flag::INVERSE != 0 {
            (fg, bg) = (Some(bg.unwrap_or((0, 0, 0))), Some(fg.unwrap_or((0xE6, 0xE6, 0xE6))));
        }
        for (name, color) in [("color", fg), ("background", bg)] {
            if let Some((r, g, b)) = color {
                let _infallible = write!(css, "{name}:#{r:02x}{g:02x}{b:02x};");
            }
        }
        for (bit, rule) in [
            (flag::BOLD, "font-weight:bold;"),
            (flag::DIM, "opacity:.6;"),
            (flag::ITALIC, "font-style:italic;"),
            (flag::HIDDEN, "visibility:hidden;"),
        ] {
            if style.flags & bit != 0 {
                css.push_str(rule);
            }
        }
        let lines = [
            (style.underline > 0, " underline"),
            (style.flags & flag::STRIKE != 0, " line-through"),
            (style.flags & flag::OVERLINE != 0, " overline"),
        ];
        if lines.iter().any(|(there, _)| *there) {
            css.push_str("text-decoration:");
            lines.iter().filter(|(there, _)| *there).for_each(|(_, line)| css.push_str(line));
            css.push(';');
        }
        css
    }
}

fn json_string(text: &str) -> String {
    let mut out = "\"".to_owned();
    for character in text.chars() {
        let _infallible = match character {
            '"' | '\\' => write!(out, "\\{character}"),
            '\0'..='\u{1F}' => write!(out, "\\u{:04x}", u32::from(character)),
            _ => write!(out, "{character}"),
        };
    }
    out.push('"');
    out
}
