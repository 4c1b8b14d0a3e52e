//! Character sets a program can choose instead of ASCII (DEC VT220 chapter 2).

/// A set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Charset {
    #[default]
    Ascii,
    /// DEC special graphics: lines and corners.
    Graphics,
    /// With a pound sign.
    British,
}

/// The four sets designated, and the one in use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Charsets {
    pub(crate) sets: [Charset; 4],
    pub(crate) active: usize,
}

impl Charsets {
    pub(crate) fn current(&self) -> Charset {
        self.sets[self.active & 3]
    }
}

impl Charset {
    /// The set of a final byte; none: nobody knows it. Of the national sets only the British one is shown as it was.
    pub(crate) fn of_final(byte: u8) -> Option<Self> {
        match byte {
            b'0' => Some(Self::Graphics),
            b'A' => Some(Self::British),
            b'B' | b'4' | b'5' | b'6' | b'7' | b'=' | b'C' | b'E' | b'H' | b'K' | b'Q' | b'R' | b'Y'
            | b'Z' => Some(Self::Ascii),
            _ => None,
        }
    }

    pub(crate) const fn final_byte(self) -> char {
        match self {
            Self::Ascii => 'B',
            Self::Graphics => '0',
            Self::British => 'A',
        }
    }

    pub(crate) fn map(self, character: char) -> char {
        const GRAPHICS: [char; 31] = [
            '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼',
            '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
        ];
        match (self, character) {
            (Self::Graphics, '`'..='~') => GRAPHICS[character as usize - '`' as usize],
            (Self::British, '#') => '£',
            _ => character,
        }
    }
}
