// What xterm.js 6.0.0 does otherwise than the terminals it follows, mended one by one, so that all the rest can be compared
// strictly. Knows nothing of the emulator under test. Each entry has a name, why it is the oracle's fault, and the mend:
// `once` on the classes, `mend` on each terminal.

export const faults = [
  {
    name: "saved-cursor",
    why: `DECSC keeps the row relative to the scrollback, so DECRC goes wrong once something has scrolled; rows that
      are needed no longer move it no further up than to the scrollback's first row, wherever they were, and others that are
      needed no longer but kept move it too; of the charsets it keeps
      only the one in use; origin mode, underline style and colour and the link it does not keep at all (DEC STD 070, VTE)`,
    once({ buffer }) {
      const { resize, _reflowLargerAdjustViewport: larger, _reflowSmaller: smaller } = buffer;
      // A resize moves it as xterm.js does: by its own row, which counts from the scrollback's first. It may lie above the screen
      // then, as far as there are rows, or below.
      buffer.resize = function (cols, rows) {
        const saved = this.oracleSaved;
        const onTop = () => { if (this.ybase === 0) saved.y = Math.max(saved.y, 0); };
        if (saved) onTop();
        if (saved) this.savedY = this.ybase + saved.y;
        resize.call(this, cols, rows);
        if (!saved) return;
        Object.assign(saved, { x: Math.min(saved.x, cols - 1), y: this.savedY - this.ybase });
        onTop();
      };
      buffer._reflowLargerAdjustViewport = function (cols, rows, removed) {
        const y = this.savedY - removed;
        larger.call(this, cols, rows, removed);
        this.savedY = y;
      };
      buffer._reflowSmaller = function (cols, rows) {
        const further = this.savedY - this.ybase - this.y;
        smaller.call(this, cols, rows);
        const y = this.y + further;
        // It comes to the screen's last row if any line was wrapped anew.
        this.savedY = this.ybase + (this.savedY - this.ybase < rows ? Math.min(y, rows - 1) : y);
      };
    },
    mend({ core, input, esc, csi }) {
      const { _charsetService: charsets, coreService } = core;
      const save = () => {
        const { x, y } = input._activeBuffer;
        const { fg, bg, extended } = input._curAttrData;
        const origin = coreService.decPrivateModes.origin;
        const sets = [...charsets._charsets];
        input._activeBuffer.oracleSaved =
          { x: Math.min(x, core.cols - 1), y, fg, bg, extended: extended.clone(), glevel: charsets.glevel, sets, origin };
        return true;
      };
      const restore = () => {
        const buffer = input._activeBuffer;
        const saved = buffer.oracleSaved ?? nothingSaved(input);
        const pen = input._curAttrData;
        Object.assign(pen, { fg: saved.fg, bg: saved.bg, extended: saved.extended.clone() });
        pen.updateExtended();
        charsets._charsets = [...saved.sets];
        charsets.setgLevel(saved.glevel);
        coreService.decPrivateModes.origin = saved.origin;
        (buffer.x = saved.x), (buffer.y = saved.y);
        input._restrictCursor();
        return true;
      };
      esc("7", save);
      esc("8", restore);
      csi({ final: "s" }, save);
      csi({ final: "u" }, restore);
      // 1048 and 1049 do it too.
      input.saveCursor = save;
      input.restoreCursor = restore;
      csi({ intermediates: "!", final: "p" }, (params) => {
        input._activeBuffer.oracleSaved = undefined;
        return input.softReset(params);
      });
      // A hidden alternate screen is no more, with what was saved on it.
      core.buffers.onBufferActivate(() => {
        if (core.buffers.active === core.buffers.normal) core.buffers.alt.oracleSaved = undefined;
      });
    },
  },
  {
    name: "origin-mode",
    why: `in origin mode, moves by a number of places and to a column add the region's top once more; a screen that is just
      shown may have the cursor outside its region, where no sequence could bring it`,
    mend({ core, input, csi }) {
      const modes = () => core.coreService.decPrivateModes;
      const moves = {
        A: "cursorUp", B: "cursorDown", C: "cursorForward", D: "cursorBackward", E: "cursorNextLine", F: "cursorPrecedingLine",
        G: "cursorCharAbsolute", "`": "charPosAbsolute", a: "hPositionRelative", e: "vPositionRelative",
      };
      for (const [final, name] of Object.entries(moves)) {
        csi({ final }, (params) => {
          if (!modes().origin) return false;
          modes().origin = false;
          input[name](params);
          modes().origin = true;
          input._restrictCursor();
          return true;
        });
      }
      core.buffers.onBufferActivate(({ activeBuffer: buffer }) => {
        if (modes().origin) buffer.y = Math.min(buffer.scrollBottom, Math.max(buffer.scrollTop, buffer.y));
      });
    },
  },
  {
    name: "erase-above",
    why: "ED 1 with the cursor at a row's end takes the next row's mark from a row of the scrollback, or throws an error",
    mend({ core, input, csi }) {
      const erase = (respect) => (params) => {
        if (params.params[0] !== 1) return false;
        input._restrictCursor(core.cols);
        const { x, y, ybase, lines } = input._activeBuffer;
        input._eraseInBufferLine(y, 0, x + 1, true, respect);
        if (x + 1 >= core.cols && y + 1 < core.rows) lines.get(ybase + y + 1).isWrapped = false;
        for (let above = y; above--; ) input._resetBufferLine(above, respect);
        return true;
      };
      csi({ final: "J" }, erase(false));
      csi({ prefix: "?", final: "J" }, erase(true));
    },
  },
  {
    name: "columns-while-waiting-to-wrap",
    why: "DECIC and DECDC take a cursor that waits to wrap for one in column 0",
    mend({ core, input, csi }) {
      for (const [final, name] of [["}", "insertColumns"], ["~", "deleteColumns"]]) {
        csi({ intermediates: "'", final }, (params) => {
          const buffer = input._activeBuffer;
          const { x } = buffer;
          buffer.x = Math.min(x, core.cols - 1);
          input[name](params);
          buffer.x = x;
          return true;
        });
      }
    },
  },
  {
    name: "halves",
    why: "cells inserted in the middle of a wide character, and a narrower screen, leave one half of it behind",
    once({ line }) {
      const { insertCells, resize } = line;
      line.insertCells = function (at, count, cell) {
        if (at > 0 && at < this.length && this.getWidth(at - 1) === 2) this.setCellFromCodepoint(at, 0, 1, cell);
        return insertCells.call(this, at, count, cell);
      };
      line.resize = function (cols, cell) {
        const narrower = cols < this.length;
        const done = resize.call(this, cols, cell);
        if (narrower && this.getWidth(cols - 1) === 2) this.setCellFromCodepoint(cols - 1, 0, 1, { fg: 0, bg: this.getBg(cols - 1) & 0x3ffffff });
        return done;
      };
    },
  },
  {
    name: "protected-nothing",
    why: "what is left of a wide character cut in half, a place where nothing is, can be protected from being erased",
    once({ line }) {
      const { isProtected } = line;
      line.isProtected = function (at) {
        return this.hasContent(at) || this.getWidth(at) === 0 ? isProtected.call(this, at) : 0;
      };
    },
  },
  {
    name: "no-autowrap",
    why: `with autowrap off, what is printed past the edge cuts the wide character there in half, and more of them when it comes
      in one piece of the stream`,
    mend({ core, input, csi }) {
      const NO_ROOM = (1 << 20) | (1 << 1);
      const print = input.print.bind(input);
      // REP calls it too.
      input.print = (data, start, end) => {
        if (core.coreService.decPrivateModes.wraparound) return print(data, start, end);
        for (let at = start; at < end; at++) {
          if (core.unicodeService.wcwidth(data[at]) === 2 && input._activeBuffer.x + 2 > core.cols) {
            input._activeBuffer.x = core.cols - 1;
            // Marks that follow go with it, and REP has nothing to repeat.
            input._parser.precedingJoinState = NO_ROOM;
            continue;
          }
          const joins = core.unicodeService.charProperties(data[at], input._parser.precedingJoinState) & 1;
          if (joins && input._parser.precedingJoinState === NO_ROOM) continue;
          // A mark alone needs no room, and is put past the edge.
          const fits = core.unicodeService.wcwidth(data[at]) === 0 && input._activeBuffer.x <= core.cols;
          if (!joins && !fits) input._activeBuffer.x = Math.min(input._activeBuffer.x, core.cols - 1);
          print(data, at, at + 1);
        }
      };
      input._parser.setPrintHandler(input.print);
      csi({ final: "b" }, () => input._parser.precedingJoinState === NO_ROOM);
    },
  },
  {
    name: "marks-moved",
    why: "wrapping a line anew gives characters with marks the marks of other ones",
    once({ line }) {
      line.copyCellsFrom = function (from, fromCol, toCol, count) {
        const cells = [];
        for (let at = 0; at < count; at++) cells.push(from.loadCell(fromCol + at, {}));
        cells.forEach((cell, at) => this.setCell(toCol + at, cell));
      };
    },
  },
  {
    name: "marks-lost",
    why: "a mark alone at a line's end does not count as part of it, and is lost when the line is wrapped anew",
    once({ line }) {
      const { getTrimmedLength } = line;
      line.getTrimmedLength = function () {
        const length = getTrimmedLength.call(this);
        return length < this.length && this.hasContent(length) && this.getWidth(length) === 0 ? length + 1 : length;
      };
    },
  },
  {
    name: "marks-after-a-resize",
    why: "a mark that comes after a resize joins what stands before the cursor then, and REP repeats it, whatever was printed last",
    mend({ core, input }) {
      core.onResize(() => (input._parser.precedingJoinState = 0));
    },
  },
  {
    name: "rows-lost",
    why: `a narrower screen wraps lines anew and makes room for the rows that come in by dropping rows at its end: as they were
      before, so that the beginning of a line can be lost whose end is kept`,
    once({ buffer }) {
      const { _reflowSmaller } = buffer;
      buffer._reflowSmaller = function (cols, rows) {
        const room = Math.min(this.lines.maxLength, this.lines.length * (Math.ceil(this._cols / cols) + 1));
        while (this.lines.length < room) this.lines.push(this.getBlankLine({ fg: 0, bg: 0 }));
        _reflowSmaller.call(this, cols, rows);
        while (this.lines.length > this.ybase + rows) this.lines.pop();
      };
    },
  },
  {
    name: "alternate-rows",
    why: `rows of the alternate screen keep their length when it gets narrower, and what was cut off comes back later; made
      lower while it is hidden it has a scrollback later`,
    mend({ core }) {
      core.onResize(() => {
        const { alt } = core.buffers;
        if (alt.lines.length === 0) alt.lines.maxLength = core.rows;
        for (let y = 0; y < alt.lines.length; y++) alt.lines.get(y).resize(core.cols, alt.getNullCell());
      });
    },
  },
  {
    name: "tabs",
    why: "a resize brings tab stops back that the program had taken away",
    once({ buffer }) {
      const { setupTabStops } = buffer;
      buffer.setupTabStops = function (resized) {
        const old = this.oracleCols;
        this.oracleCols = this._cols;
        if (resized === undefined) return setupTabStops.call(this);
        for (const x of Object.keys(this.tabs)) if (x >= Math.min(old, this._cols)) delete this.tabs[x];
        for (let x = Math.ceil(old / 8) * 8; x < this._cols; x += 8) this.tabs[x] = true;
      };
    },
    mend({ input, csi }) {
      csi({ prefix: "?", final: "W" }, (params) => {
        if (params.params[0] === 5) input._activeBuffer.setupTabStops();
        return true;
      });
    },
  },
  {
    name: "reset",
    why: "RIS leaves LNM, how the cursor blinks, whether it is hidden, and the colours of the palette as they were",
    mend({ core, terminal }) {
      core._inputHandler.onRequestReset(() => {
        core.oracleColors = {};
        terminal.options.convertEol = false;
        terminal.options.cursorBlink = false;
        core.coreService.isCursorHidden = false;
      });
    },
  },
  {
    name: "underline-color",
    why: "SGR 59 makes underlines white instead of the colour of their text",
    once({ extended }) {
      const { get, set } = Object.getOwnPropertyDescriptor(extended, "underlineColor");
      const mended = function (value) { set.call(this, value === -1 ? 0 : value); };
      Object.defineProperty(extended, "underlineColor", { get, set: mended });
    },
  },
  {
    name: "reverse-index",
    why: "it knows IND, NEL and HTS as C1 controls too, but not RI",
    mend({ input }) {
      input._parser.setExecuteHandler("\x8d", () => input.reverseIndex());
    },
  },
  {
    name: "links",
    why: "a link's address is forgotten when the rows it began on are erased, though text of it is still being written",
    mend({ core }) {
      core._oscLinkService._removeMarkerFromLink = () => {};
    },
  },
  {
    name: "alignment",
    why: "DECALN leaves out rows above the region in origin mode, and takes the pen without its underline style",
    mend({ core, input, esc }) {
      esc({ intermediates: "#", final: "8" }, () => {
        const { ybase, lines } = input._activeBuffer;
        for (let y = 0; y < core.rows; y++) {
          const row = lines.get(ybase + y);
          for (let x = 0; x < core.cols; x++) row.setCellFromCodepoint(x, 69, 1, input._curAttrData);
          row.isWrapped = false;
        }
        input._setCursor(0, 0);
        return true;
      });
    },
  },
];

function nothingSaved(input) {
  const extended = input._curAttrData.extended.clone();
  Object.assign(extended, { underlineStyle: 0, underlineColor: 0, urlId: 0 });
  return { x: 0, y: 0, fg: 0, bg: 0, extended, glevel: 0, sets: [], origin: false };
}

let classesMended = false;

/** Mends a terminal that was just made, and on the first call the classes it is of. */
export function mend(terminal) {
  const core = terminal._core;
  const input = core._inputHandler;
  if (!classesMended) {
    classesMended = true;
    const classes = {
      buffer: Object.getPrototypeOf(core.buffers.normal),
      line: Object.getPrototypeOf(core.buffers.normal.lines.get(0)),
      extended: Object.getPrototypeOf(input._curAttrData.extended),
    };
    for (const { once } of faults) once?.(classes);
  }
  const esc = (id, does) => input._parser.registerEscHandler(typeof id === "string" ? { final: id } : id, does);
  const csi = (id, does) => input._parser.registerCsiHandler(id, does);
  for (const fault of faults) fault.mend?.({ terminal, core, input, esc, csi });
}
