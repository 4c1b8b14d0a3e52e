//! What programs have switched on and off.

/// Mouse reports a program asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mouse {
    /// None.
    #[default]
    Off,
    /// Presses (9).
    X10,
    /// Presses and releases (1000).
    Vt200,
    /// Moves with a button down (1002).
    Drag,
    /// All moves (1003).
    Any,
}

/// How mouse reports are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MouseEncoding {
    /// Bytes.
    #[default]
    Default,
    /// UTF-8 (1005).
    Utf8,
    /// SGR (1006).
    Sgr,
    /// urxvt (1015).
    Urxvt,
    /// SGR in pixels (1016).
    SgrPixels,
}

/// The modes of a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Modes {
    /// IRM (4).
    pub insert: bool,
    /// LNM (20): a line feed also returns.
    pub new_line: bool,
    /// DECCKM (?1).
    pub application_cursor: bool,
    /// DECKPAM, DECNKM (?66).
    pub application_keypad: bool,
    /// DECSCNM (?5).
    pub reverse_video: bool,
    /// DECOM (?6).
    pub origin: bool,
    /// DECAWM (?7).
    pub autowrap: bool,
    /// ?12.
    pub cursor_blink: bool,
    /// DECTCEM (?25).
    pub cursor_visible: bool,
    /// ?45.
    pub reverse_wrap: bool,
    /// ?1004.
    pub focus_events: bool,
    /// ?1007.
    pub alternate_scroll: bool,
    /// ?2004.
    pub bracketed_paste: bool,
    /// ?2026. What is printed meanwhile is shown all the same.
    pub synchronized_output: bool,
    /// ?2027.
    pub grapheme_clusters: bool,
    /// Mouse reports.
    pub mouse: Mouse,
    /// How they are written.
    pub mouse_encoding: MouseEncoding,
    /// The alternate screen is shown.
    pub alternate_screen: bool,
    /// xterm's modifyOtherKeys (0 to 2).
    pub modify_other_keys: u8,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            insert: false,
            new_line: false,
            application_cursor: false,
            application_keypad: false,
            reverse_video: false,
            origin: false,
            autowrap: true,
            cursor_blink: false,
            cursor_visible: true,
            reverse_wrap: false,
            focus_events: false,
            alternate_scroll: false,
            bracketed_paste: false,
            synchronized_output: false,
            grapheme_clusters: false,
            mouse: Mouse::Off,
            mouse_encoding: MouseEncoding::Default,
            alternate_screen: false,
            modify_other_keys: 0,
        }
    }
}

impl Modes {
    /// Whether a DEC private mode is set; none: it is not known.
    pub fn private(&self, mode: u16) -> Option<bool> {
        Some(match mode {
            1 => self.application_cursor,
            5 => self.reverse_video,
            6 => self.origin,
            7 => self.autowrap,
            9 => self.mouse == Mouse::X10,
            12 => self.cursor_blink,
            25 => self.cursor_visible,
            45 => self.reverse_wrap,
            47 | 1047 | 1049 => self.alternate_screen,
            66 => self.application_keypad,
            1000 => self.mouse == Mouse::Vt200,
            1002 => self.mouse == Mouse::Drag,
            1003 => self.mouse == Mouse::Any,
            1004 => self.focus_events,
            1005 => self.mouse_encoding == MouseEncoding::Utf8,
            1006 => self.mouse_encoding == MouseEncoding::Sgr,
            1007 => self.alternate_scroll,
            1015 => self.mouse_encoding == MouseEncoding::Urxvt,
            1016 => self.mouse_encoding == MouseEncoding::SgrPixels,
            2004 => self.bracketed_paste,
            2026 => self.synchronized_output,
            2027 => self.grapheme_clusters,
            _ => return None,
        })
    }

    /// Sets one that changes nothing else of the screen. False: it is not one of these.
    pub(crate) fn set_private(&mut self, mode: u16, on: bool) -> bool {
        let mouse = |wanted: Mouse| if on { wanted } else { Mouse::Off };
        let encoding = |wanted| if on { wanted } else { MouseEncoding::Default };
        match mode {
            1 => self.application_cursor = on,
            5 => self.reverse_video = on,
            7 => self.autowrap = on,
            9 => self.mouse = mouse(Mouse::X10),
            12 => self.cursor_blink = on,
            25 => self.cursor_visible = on,
            45 => self.reverse_wrap = on,
            66 => self.application_keypad = on,
            1000 => self.mouse = mouse(Mouse::Vt200),
            1002 => self.mouse = mouse(Mouse::Drag),
            1003 => self.mouse = mouse(Mouse::Any),
            1004 => self.focus_events = on,
            1005 => self.mouse_encoding = encoding(MouseEncoding::Utf8),
            1006 => self.mouse_encoding = encoding(MouseEncoding::Sgr),
            1007 => self.alternate_scroll = on,
            1015 => self.mouse_encoding = encoding(MouseEncoding::Urxvt),
            1016 => self.mouse_encoding = encoding(MouseEncoding::SgrPixels),
            2004 => self.bracketed_paste = on,
            2026 => self.synchronized_output = on,
            2027 => self.grapheme_clusters = on,
            _ => return false,
        }
        true
    }
}
