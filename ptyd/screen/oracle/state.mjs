// All that an xterm.js terminal is, in one canonical form: what it holds inside is read, since its public face does not show
// pens, margins, tabs, charsets and what was saved.

const DEFAULT_STYLE = "";

function color(value) {
  switch (value & 0x3000000) {
    case 0: return "";
    case 0x3000000: return `#${(value & 0xffffff).toString(16).padStart(6, "0")}`;
    default: return `${value & 0xff}`;
  }
}

// What was set, where `underlineStyle` would say that links are underlined anyway.
function underlineOf(extended) {
  return (extended._ext & 0x1c000000) >> 26;
}

// Attributes in the order of the names: bold dim italic blink inverse hidden strike overline protected.
function style(fg, bg, extended, links) {
  let flags = "";
  if (fg & 0x8000000) flags += "b";
  if (bg & 0x8000000) flags += "d";
  if (bg & 0x4000000) flags += "i";
  if (fg & 0x20000000) flags += "k";
  if (fg & 0x4000000) flags += "v";
  if (fg & 0x40000000) flags += "h";
  if (fg & 0x80000000) flags += "s";
  if (bg & 0x40000000) flags += "o";
  if (bg & 0x20000000) flags += "p";
  const underline = fg & 0x10000000 ? (bg & 0x10000000 ? underlineOf(extended) : 1) : 0;
  const line = underline ? `u${underline}${color(extended.underlineColor)}` : "";
  const link = bg & 0x10000000 && extended.urlId ? links(extended.urlId) : "";
  const colors = `${color(fg)}/${color(bg)}`;
  return colors === "/" && !flags && !line && !link ? DEFAULT_STYLE : `${colors}${flags && ` ${flags}`}${line && ` ${line}`}${link && ` ${link}`}`;
}

// A row: its text, with each change of style in ‹›; nothing printed, right halves and marks on their own have signs.
function row(line, cols, links) {
  let text = "";
  let now = DEFAULT_STYLE;
  let blanks = "";
  let lastWide = false;
  for (let x = 0; x < cols; x++) {
    const content = line._data[x * 3];
    const bg = line._data[x * 3 + 2];
    const width = content >> 22;
    if (content & 0x3fffff) {
      const looks = style(line._data[x * 3 + 1], bg, line._extendedAttrs[x], links);
      text += blanks;
      blanks = "";
      if (looks !== now) text += `‹${(now = looks)}›`;
      const glyph = content & 0x200000 ? line._combined[x] : String.fromCodePoint(content & 0x1fffff);
      text += width === 0 ? `⟨${glyph}⟩` : glyph;
      if (width === 2) text += "»";
    } else if (width === 0) {
      if (!lastWide) text += "⟨⟩";
    } else {
      // Of nothing only the background shows.
      const looks = bg & 0x3000000 ? `/${color(bg)}` : DEFAULT_STYLE;
      if (looks !== now) {
        blanks += `‹${(now = looks)}›`;
      }
      blanks += "␀";
      if (looks !== DEFAULT_STYLE) {
        text += blanks;
        blanks = "";
      }
    }
    lastWide = width === 2;
  }
  return text;
}

function rows(buffer, terminal, links) {
  const texts = [];
  let wrapped = "";
  for (let y = 0; y < terminal.rows; y++) {
    const line = buffer.lines.get(buffer.ybase + y);
    texts.push(row(line, terminal.cols, links));
    wrapped += line.isWrapped ? "1" : "0";
  }
  return { rows: texts, wrapped };
}

// Lines above the screen, wrapped rows joined. What was not printed counts as blank there, blanks at the end as nothing.
function scrollback(buffer, most, links) {
  const lines = [];
  for (let y = Math.max(0, buffer.ybase - most); y < buffer.ybase; y++) {
    const line = buffer.lines.get(y);
    if (!line.isWrapped) lines.push([]);
    // A line of which only the end is kept is none.
    if (!lines.length) continue;
    const cells = lines.at(-1);
    // The place at the end of a row that was too narrow for a wide character is no part of the line.
    const next = buffer.lines.get(y + 1);
    const last = line.length - 1;
    const narrow = next?.isWrapped && next.getWidth(0) === 2 && !line.hasContent(last) && line.getWidth(last) === 1;
    for (let x = 0; x < line.length - (narrow ? 1 : 0); x++) {
      const content = line._data[x * 3];
      const [fg, bg] = [line._data[x * 3 + 1], line._data[x * 3 + 2]];
      if (content & 0x3fffff) cells.push([content & 0x200000 ? line._combined[x] : String.fromCodePoint(content & 0x1fffff), style(fg, bg, line._extendedAttrs[x], links)]);
      else if (content >> 22) cells.push([" ", bg & 0x3000000 ? `/${color(bg)}` : DEFAULT_STYLE]);
    }
  }
  return lines.map((cells) => {
    while (cells.length && cells.at(-1)[0] === " " && cells.at(-1)[1] === DEFAULT_STYLE) cells.pop();
    let now = DEFAULT_STYLE;
    return cells.map(([glyph, looks]) => (looks === now ? glyph : `‹${(now = looks)}›${glyph}`)).join("");
  });
}

function saved(buffer, links, charsetName) {
  const at = buffer.oracleSaved;
  if (!at) return "none";
  const sets = [0, 1, 2, 3].map((set) => charsetName(at.sets[set])).join("");
  const looks = style(at.fg, at.bg | 0x10000000, at.extended, links);
  const text = `${at.x},${at.y} ‹${looks}› ${sets}${at.glevel}${at.origin ? " origin" : ""}`;
  return text === "0,0 ‹› BBBB0" ? "none" : text;
}

const MODES = {
  applicationCursorKeys: "1", applicationKeypad: "66", bracketedPasteMode: "2004", origin: "6", reverseWraparound: "45",
  sendFocus: "1004", synchronizedOutput: "2026", wraparound: "7",
};

const MOUSE = { X10: "9", VT200: "1000", DRAG: "1002", ANY: "1003" };
const ENCODING = { SGR: "1006", SGR_PIXELS: "1016" };

export function state(terminal, charsetName, scrollbackRows) {
  const core = terminal._core;
  const input = core._inputHandler;
  const { active, normal, alt } = core.buffers;
  const links = (id) => {
    const data = core._oscLinkService.getLinkData(id);
    return data ? `<${data.id ?? ""}|${data.uri}>` : "<?>";
  };
  const shown = rows(active, terminal, links);
  const hidden = active === alt ? rows(normal, terminal, links) : { rows: [], wrapped: "" };
  const modes = Object.entries(MODES).filter(([name]) => core.coreService.decPrivateModes[name]).map(([, number]) => number);
  if (core.coreService.modes.insertMode) modes.push("i4");
  if (terminal.options.convertEol) modes.push("i20");
  if (terminal.options.cursorBlink) modes.push("12");
  if (!core.coreService.isCursorHidden) modes.push("25");
  modes.push(MOUSE[core.coreMouseService.activeProtocol], ENCODING[core.coreMouseService.activeEncoding]);
  if (active === alt) modes.push("alternate");
  const { cursorStyle, cursorBlink } = core.coreService.decPrivateModes;
  const shape = cursorStyle === undefined ? 0 : { block: 2, underline: 4, bar: 6 }[cursorStyle] - (cursorBlink ? 1 : 0);
  const charsets = core._charsetService;
  const pen = input._curAttrData;
  const tabs = Object.keys(active.tabs).filter((x) => active.tabs[x] && x < terminal.cols);
  const region = (buffer) => `${buffer.scrollTop}-${buffer.scrollBottom}`;
  return {
    rows: shown.rows, wrapped: shown.wrapped, hidden: hidden.rows, hidden_wrapped: hidden.wrapped,
    cursor: `${active.x},${active.y}`,
    pen: style(pen.fg, pen.bg, pen.extended, links),
    modes: modes.filter(Boolean).sort().join(" "),
    region: region(active) + (active === alt ? ` hidden ${region(normal)}` : ""),
    saved: saved(active, links, charsetName) + (active === alt ? ` hidden ${saved(normal, links, charsetName)}` : ""),
    charsets: [0, 1, 2, 3].map((set) => charsetName(charsets._charsets[set])).join("") + charsets.glevel,
    tabs: tabs.join(" "),
    title: [input._windowTitle, ...input._windowTitleStack].join("\u0000"),
    shape: `${shape}`,
    colors: Object.entries(core.oracleColors).map(([index, rgb]) => `${index}:${rgb}`).join(" "),
    scrollback: scrollbackRows ? scrollback(normal, scrollbackRows, links) : [],
  };
}
