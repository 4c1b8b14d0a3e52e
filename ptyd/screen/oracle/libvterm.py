"""Another emulator's opinion: libvterm, fed what the tests feed ours. Reads JSON lines of cases and writes JSON lines of their
states as `oracle.mjs` does, in the words of `state.mjs`, as far as libvterm tells what it is: no wrapped rows, hidden screen,
charsets, tab stops, titles, and nothing that DECSC saved.

The library itself is asked, through its C interface: of the programs that come with it only one tells what a terminal holds, and
that without cursor, modes and margins.
"""

import base64
import ctypes
import itertools
import json
import re
import sys

from ctypes import POINTER, byref, c_char, c_int, c_size_t, c_ubyte, c_uint, c_uint32, c_void_p


class Position(ctypes.Structure):
    _fields_ = [("row", c_int), ("col", c_int)]


class Color(ctypes.Structure):
    """Its kind, and three colours or the number of one."""

    _fields_ = [("kind", c_ubyte), ("parts", c_ubyte * 3)]

    def word(self):
        if self.kind & 6:
            return ""
        red, green, blue = self.parts
        return f"{red}" if self.kind & 1 else f"#{red:02x}{green:02x}{blue:02x}"


class Cell(ctypes.Structure):
    # Where in `looks` an attribute lies differs between its releases: see `Looks`.
    _fields_ = [("chars", c_uint32 * 6), ("width", c_char), ("looks", c_uint), ("fg", Color), ("bg", Color)]


class Value(ctypes.Union):
    _fields_ = [("number", c_int), ("pointer", c_void_p), ("color", Color)]


SetProperty = ctypes.CFUNCTYPE(c_int, c_int, POINTER(Value), c_void_p)
PushLine = ctypes.CFUNCTYPE(c_int, c_int, POINTER(Cell), c_void_p)


class Callbacks(ctypes.Structure):
    # Later releases have more at the end.
    _fields_ = [
        ("damage", c_void_p), ("moverect", c_void_p), ("movecursor", c_void_p), ("settermprop", SetProperty), ("bell", c_void_p),
        ("resize", c_void_p), ("sb_pushline", PushLine), ("sb_popline", c_void_p), ("more", c_void_p * 4),
    ]


DEFAULT_COLOR = Color(kind=2)

library = ctypes.CDLL("libvterm.so.0")


def function(name, result, *arguments):
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


new = function("vterm_new", c_void_p, c_int, c_int)
free = function("vterm_free", None, c_void_p)
set_utf8 = function("vterm_set_utf8", None, c_void_p, c_int)
write = function("vterm_input_write", c_size_t, c_void_p, ctypes.c_char_p, c_size_t)
read = function("vterm_output_read", c_size_t, c_void_p, ctypes.c_char_p, c_size_t)
obtain_screen = function("vterm_obtain_screen", c_void_p, c_void_p)
obtain_state = function("vterm_obtain_state", c_void_p, c_void_p)
enable_altscreen = function("vterm_screen_enable_altscreen", None, c_void_p, c_int)
set_callbacks = function("vterm_screen_set_callbacks", None, c_void_p, POINTER(Callbacks), c_void_p)
reset = function("vterm_screen_reset", None, c_void_p, c_int)
get_cell = function("vterm_screen_get_cell", c_int, c_void_p, Position, POINTER(Cell))
get_cursor = function("vterm_state_get_cursorpos", None, c_void_p, POINTER(Position))
get_pen = function("vterm_state_get_penattr", c_int, c_void_p, c_int, POINTER(Value))

CURSOR_VISIBLE, ALTERNATE, CURSOR_SHAPE, MOUSE = 1, 3, 7, 8
# What it tells when asked for a mode (DECRQM); of the mouse it tells the kind.
MODES = ["1", "6", "7", "1004", "1006", "2004"]
MICE = [None, "1000", "1002", "1003"]
NOTHING, RIGHT_HALF = 0, 0xFFFFFFFF


RESTORES = re.compile(rb"(\x1b8|\x1b\[u|\x1b\[\?104[89]l)")


def one_by_one(found):
    return b"".join(b"\x1b[?%b%b" % (mode, found[2]) for mode in found[1].split(b";"))


class Terminal:
    def __init__(self, rows, cols):
        self.rows, self.cols = rows, cols
        self.vterm = new(rows, cols)
        set_utf8(self.vterm, 1)
        self.screen, self.state = obtain_screen(self.vterm), obtain_state(self.vterm)
        self.properties = {CURSOR_VISIBLE: 1, ALTERNATE: 0, CURSOR_SHAPE: 1, MOUSE: 0}
        self.scrollback = []
        # Kept, since libvterm only has their address.
        self.callbacks = Callbacks(settermprop=SetProperty(self.set_property), sb_pushline=PushLine(self.push_line))
        enable_altscreen(self.screen, 1)
        set_callbacks(self.screen, byref(self.callbacks), None)
        reset(self.screen, 1)

    def end(self):
        free(self.vterm)

    def set_property(self, name, value, _):
        if name in self.properties:
            self.properties[name] = value.contents.number
        return 1

    def push_line(self, cols, cells, _):
        self.scrollback.append(line_in_words([bytes(cells[x]) for x in range(cols)]))
        return 1

    def feed(self, data):
        """Feeds it, with two faults mended.

        several-modes: of several modes in one sequence it takes the first; each is told in one of its own.

        restored-visibility: what brings the cursor back brings back whether it was visible, and its shape, which belong to the
        terminal (DEC STD 070); they are put back.
        """
        data = re.sub(rb"\x1b\[\?([0-9]+(?:;[0-9]+)+)([hl])", one_by_one, data)
        for piece in RESTORES.split(data):
            visible, shape = self.properties[CURSOR_VISIBLE], self.properties[CURSOR_SHAPE]
            write(self.vterm, piece, len(piece))
            if RESTORES.match(piece):
                write(self.vterm, b"\x1b[?25h" if visible else b"\x1b[?25l", 6)
                write(self.vterm, b"\x1b[%d q" % (2 * shape - 1), 5)

    def ask(self, question):
        """What it answers to a sequence."""
        buffer = ctypes.create_string_buffer(4096)
        while read(self.vterm, buffer, len(buffer)):
            pass
        self.feed(question)
        length = read(self.vterm, buffer, len(buffer))
        return buffer.raw[:length].decode()

    def row(self, y):
        cell = Cell()
        cells = []
        for x in range(self.cols):
            get_cell(self.screen, Position(y, x), byref(cell))
            cells.append(bytes(cell))
        return cells

    def pen(self):
        def attribute(number):
            value = Value()
            get_pen(self.state, number, byref(value))
            return value

        underline = attribute(2).number
        names = [(1, "b"), (3, "i"), (4, "k"), (5, "v"), (6, "s")]
        flags = "".join(name for number, name in names if attribute(number).number)
        return style(attribute(8).color, attribute(9).color, flags, underline)

    def modes(self):
        names = [mode for mode in MODES if f"{mode};1$y" in self.ask(f"\x1b[?{mode}$p".encode())]
        names.append(MICE[self.properties[MOUSE]])
        names.append("25" if self.properties[CURSOR_VISIBLE] else None)
        names.append("alternate" if self.properties[ALTERNATE] else None)
        return " ".join(sorted(filter(None, names)))

    def region(self):
        top, bottom = re.search(r"\$r(\d+);(\d+)r", self.ask(b"\x1bP$qr\x1b\\")).groups()
        return f"{int(top) - 1}-{int(bottom) - 1}"

    def tell(self):
        cursor = Position()
        get_cursor(self.state, byref(cursor))
        return {
            "rows": [row_in_words(self.row(y)) for y in range(self.rows)],
            "wrapped": "", "hidden": [], "hidden_wrapped": "",
            "cursor": f"{cursor.col},{cursor.row}",
            "pen": self.pen(),
            "modes": self.modes(),
            "region": self.region(),
            "saved": "", "charsets": "", "tabs": "", "title": "",
            "shape": str(self.properties[CURSOR_SHAPE]),
            "colors": "",
            "scrollback": self.scrollback.copy(),
        }


def style(fg, bg, flags, underline):
    text = f"{fg.word()}/{bg.word()}" + (f" {flags}" if flags else "") + (f" u{underline}" if underline else "")
    return "" if text == "/" else text


class Looks:
    """Where in a cell's bits each attribute lies: found out by printing with it."""

    def __init__(self):
        plain = self.printed_with("")
        found = {name: self.printed_with(sgr) ^ plain for name, sgr in [("b", "1"), ("i", "3"), ("k", "5"), ("v", "7"), ("s", "9")]}
        assert all(bits and bits & bits - 1 == 0 for bits in found.values()), found
        self.flags = found
        # Single, double and curly ones, by their numbers.
        self.underlines = {self.printed_with(f"4:{kind}") ^ plain: kind for kind in (1, 2, 3)}
        self.underline = sum(bits for bits in self.underlines if bits & bits - 1 == 0)

    @staticmethod
    def printed_with(sgr):
        terminal = Terminal(1, 2)
        terminal.feed(f"\x1b[{sgr}mx".encode())
        looks = Cell.from_buffer_copy(terminal.row(0)[0]).looks
        terminal.end()
        return looks


known = {}


def in_words(data):
    """A cell's text, width and style."""
    if data not in known:
        cell = Cell.from_buffer_copy(data)
        flags = "".join(name for name, bit in looks.flags.items() if cell.looks & bit)
        # What comes after the last one was there before.
        chars = itertools.takewhile(lambda char: char != NOTHING, cell.chars)
        text = None if cell.chars[0] == RIGHT_HALF else "".join(map(chr, chars))
        underline = looks.underlines.get(cell.looks & looks.underline, 0)
        if text == "":
            # Of nothing only the background shows.
            known[data] = text, 1, style(DEFAULT_COLOR, cell.bg, "", 0)
        else:
            known[data] = text, ord(cell.width), style(cell.fg, cell.bg, flags, underline)
    return known[data]


def row_in_words(cells):
    text, blanks, now = "", "", ""
    for glyph, width, style in map(in_words, cells):
        if glyph is None:
            continue
        change = f"‹{style}›" if style != now else ""
        now = style
        if glyph == "" and style == "":
            blanks += change + "␀"
            continue
        text += blanks + change + (glyph or "␀") + ("»" if width == 2 else "")
        blanks = ""
    return text


def line_in_words(cells):
    told = [(glyph or " ", style) for glyph, _, style in map(in_words, cells) if glyph is not None]
    while told and told[-1] == (" ", ""):
        told.pop()
    text, now = "", ""
    for glyph, style in told:
        text += (f"‹{style}›" if style != now else "") + glyph
        now = style
    return text


def run(question):
    terminal = Terminal(question["rows"], question["cols"])
    states = []
    for step in question["steps"]:
        if isinstance(step, str):
            terminal.feed(base64.b64decode(step))
        elif isinstance(step, list):
            raise ValueError("how it takes a resize is its own")
        else:
            states.append(terminal.tell())
    terminal.end()
    return states


looks = Looks()
for line in sys.stdin:
    print(json.dumps([run(question) for question in json.loads(line)]), flush=True)
