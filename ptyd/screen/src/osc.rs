//! Strings: titles, links, colours, the clipboard, where the program is.

use crate::effect::{
    Effect, MAX_CLIPBOARD_BYTES, clean_notification, clean_title, decode_base64, path_of_url,
};
use crate::links::{MAX_ADDRESS_BYTES, MAX_ID_CHARS};
use crate::parser::{StringKind, StringSequence};
use crate::screen::Screen;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    pub(crate) fn string(&mut self, string: &StringSequence<'_>, effects: &mut Vec<Effect>) {
        if string.kind != StringKind::Osc || string.truncated {
            return;
        }
        let (number, rest) = match string.payload.iter().position(|byte| *byte == b';') {
            Some(at) => (&string.payload[..at], &string.payload[at + 1..]),
            None => (string.payload, &[][..]),
        };
        match number {
            b"0" | b"2" => {
                self.title = clean_title(rest);
                effects.push(Effect::Title(self.title.clone()));
            }
            b"4" => self.set_palette(rest),
            b"7" => {
                if let Some(path) = path_of_url(rest) {
                    effects.push(Effect::Cwd(path.clone()));
                    self.cwd = Some(path);
                }
            }
            b"8" => self.set_link(rest),
            // ConEmu's progress and the like are no notifications.
            b"9" if !rest.first().is_some_and(u8::is_ascii_digit) && !rest.is_empty() => {
                effects.push(Effect::Notify(clean_notification(rest)));
            }
            b"777" => {
                if let Some(text) = rest.strip_prefix(b"notify;") {
                    let text: Vec<u8> =
                        text.iter().map(|byte| if *byte == b';' { b' ' } else { *byte }).collect();
                    effects.push(Effect::Notify(clean_notification(&text)));
                }
            }
            b"99" => {
                // kitty: metadata ; payload. Only plain text.
                if let Some(at) = rest.iter().position(|byte| *byte == b';')
                    && !rest[..at].windows(3).any(|part| part == b"e=1" || part == b"p=?")
                    && at + 1 < rest.len()
                {
                    effects.push(Effect::Notify(clean_notification(&rest[at + 1..])));
                }
            }
            b"10" | b"11" | b"12" => self.set_dynamic(number, rest),
            b"52" => clipboard(rest, effects),
            b"104" => {
                if rest.is_empty() {
                    self.palette.clear();
                }
                for index in rest.split(|byte| *byte == b';').filter_map(decimal) {
                    self.palette.remove(&index);
                }
            }
            b"110" => self.dynamic[0] = None,
            b"111" => self.dynamic[1] = None,
            b"112" => self.dynamic[2] = None,
            _ => {}
        }
    }

    /// `id=..:..;URL`; an empty one ends it.
    fn set_link(&mut self, rest: &[u8]) {
        let mut pen = self.pen;
        pen.link = 0;
        if let Ok(text) = str::from_utf8(rest)
            && let Some((params, url)) = text.split_once(';')
            && !url.is_empty()
            && url.len() <= MAX_ADDRESS_BYTES
        {
            let id = params.split(':').find_map(|param| param.strip_prefix("id=")).unwrap_or("");
            let id: String = id.chars().take(MAX_ID_CHARS).collect();
            pen.link = self.links.number(url, &id);
        }
        self.set_pen(pen);
    }

    /// `index;colour` pairs.
    fn set_palette(&mut self, rest: &[u8]) {
        let mut parts = rest.split(|byte| *byte == b';');
        while let (Some(index), Some(color)) = (parts.next(), parts.next()) {
            if let (Some(index), Some(color)) = (decimal(index), parse_color(color)) {
                self.palette.insert(index, color);
            }
        }
    }

    /// A colour for the number given, and for those after it.
    fn set_dynamic(&mut self, number: &[u8], rest: &[u8]) {
        let first = usize::from(decimal(number).unwrap_or(10) - 10);
        for (place, color) in self.dynamic[first.min(2)..].iter_mut().zip(rest.split(|byte| *byte == b';')) {
            if let Some(color) = parse_color(color) {
                *place = Some(color);
            }
        }
    }
}

/// `targets;base64`. A question is never answered; what is no base64 and no text changes nothing.
fn clipboard(rest: &[u8], effects: &mut Vec<Effect>) {
    let Some(at) = rest.iter().position(|byte| *byte == b';') else { return };
    let text = decode_base64(&rest[at + 1..]).and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(text) = text.filter(|text| text.len() <= MAX_CLIPBOARD_BYTES) {
        effects.push(Effect::Clipboard(text));
    }
}

fn decimal(digits: &[u8]) -> Option<u8> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// `rgb:r/g/b` with one to four hex digits each, or `#rgb`, `#rrggbb` (X11's XParseColor).
fn parse_color(spec: &[u8]) -> Option<(u8, u8, u8)> {
    let text = str::from_utf8(spec).ok()?;
    let part = |digits: &str| {
        let value = u32::from_str_radix(digits, 16).ok()?;
        let most = match digits.len() {
            1 => 0xF,
            2 => 0xFF,
            3 => 0xFFF,
            4 => 0xFFFF,
            _ => return None,
        };
        u8::try_from((value * 255 + most / 2) / most).ok()
    };
    if let Some(rest) = text.strip_prefix("rgb:") {
        let mut parts = rest.split('/');
        let color = (part(parts.next()?)?, part(parts.next()?)?, part(parts.next()?)?);
        return parts.next().is_none().then_some(color);
    }
    let digits = text.strip_prefix('#').filter(|digits| digits.is_ascii())?;
    let len = digits.len() / 3;
    if !(1..=4).contains(&len) || digits.len() % 3 != 0 {
        return None;
    }
    Some((part(&digits[..len])?, part(&digits[len..2 * len])?, part(&digits[2 * len..])?))
}
