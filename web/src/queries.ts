// Keeps the page's terminal from answering the program: ptyd answers, once (docs/protocol.md, section 7).

import type { IDisposable, IFunctionIdentifier, Terminal } from "@xterm/xterm";

/** Control sequences that ask something, whatever their parameters. */
const CSI_QUERIES: readonly IFunctionIdentifier[] = [
  { final: "c" }, // DA1
  { prefix: ">", final: "c" }, // DA2
  { prefix: "=", final: "c" }, // DA3
  { final: "n" }, // DSR, CPR
  { prefix: "?", final: "n" }, // DEC DSR
  { intermediates: "$", final: "p" }, // DECRQM
  { prefix: "?", intermediates: "$", final: "p" }, // DECRQM, private
  { prefix: ">", final: "q" }, // XTVERSION
  { prefix: "?", final: "u" }, // kitty keyboard flags
  { prefix: "?", final: "m" }, // XTQMODKEYS
  { final: "x" }, // DECREQTPARM
  { intermediates: "*", final: "y" }, // DECRQCRA
  { intermediates: "$", final: "w" }, // DECRQPSR
  { intermediates: "&", final: "u" }, // DECRQUPSS
  { prefix: "?", final: "S" }, // XTSMGRAPHICS
];

/** Device control strings that ask something. */
const DCS_QUERIES: readonly IFunctionIdentifier[] = [
  { intermediates: "$", final: "q" }, // DECRQSS
  { intermediates: "+", final: "q" }, // XTGETTCAP
];

/** Operating system commands that ask when their text holds a `?`: colours, font, clipboard, kitty colours. */
const OSC_WITH_QUERIES: readonly number[] = [4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 50, 52, 60, 61];

/** From this parameter on, window operations report something (XTWINOPS), up to the title stack at 22. */
const FIRST_WINDOW_REPORT = 11;
const LAST_WINDOW_REPORT = 21;

/** Says whether what the terminal emits now is its own word, not the user's. */
export interface QueryFilter extends IDisposable {
  readonly terminalSpeaks: boolean;
}

/** Swallows every query that reaches `terminal`, and marks the one report that has no query. */
export function swallowQueries(terminal: Terminal): QueryFilter {
  const { parser } = terminal;
  let terminalSpeaks = false;
  const swallow = (): boolean => true;
  const handlers: IDisposable[] = [
    ...CSI_QUERIES.map((id) => parser.registerCsiHandler(id, swallow)),
    ...DCS_QUERIES.map((id) => parser.registerDcsHandler(id, swallow)),
    ...OSC_WITH_QUERIES.map((id) => parser.registerOscHandler(id, (text) => text.includes("?"))),
    parser.registerEscHandler({ final: "Z" }, swallow), // DECID
    parser.registerCsiHandler({ final: "t" }, (params) => {
      const operation = params[0];
      return typeof operation === "number" && operation >= FIRST_WINDOW_REPORT && operation <= LAST_WINDOW_REPORT;
    }),
    // xterm.js reports the focus the moment a program asks to hear of changes, so also when that is replayed. The report
    // comes while this very sequence is parsed, before any event of the user can.
    parser.registerCsiHandler({ prefix: "?", final: "h" }, () => {
      terminalSpeaks = true;
      queueMicrotask(() => {
        terminalSpeaks = false;
      });
      return false;
    }),
  ];
  return {
    get terminalSpeaks() {
      return terminalSpeaks;
    },
    dispose: () => {
      for (const handler of handlers) {
        handler.dispose();
      }
    },
  };
}
