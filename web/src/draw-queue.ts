// Keeps writes and size changes of one terminal in order; knows the terminal only as the two calls below.

/** The part of a terminal emulator that is drawn on. Writes are parsed later, sizes change at once. */
export interface Canvas {
  write(bytes: Uint8Array, parsed: () => void): void;
  resize(cols: number, rows: number): void;
}

type Step =
  | { kind: "write"; bytes: Uint8Array; done: () => void }
  | { kind: "resize"; cols: number; rows: number };

/**
 * Bytes before a size change belong to the old size, but a terminal emulator parses what it is given some time later
 * while it resizes at once. So a resize waits until everything before it is parsed, and what follows waits for it.
 * Writes alone go straight through. Bounded by the stream's window: nothing is acknowledged before it is parsed.
 */
export class DrawQueue {
  private steps: Step[] = [];
  private unparsed = 0;

  constructor(private readonly canvas: Canvas) {}

  /** Draws bytes; `done` once they are parsed. */
  write(bytes: Uint8Array, done: () => void): void {
    this.steps.push({ kind: "write", bytes, done });
    this.advance();
  }

  /** Changes the size once everything before is parsed. */
  resize(cols: number, rows: number): void {
    this.steps.push({ kind: "resize", cols, rows });
    this.advance();
  }

  private advance(): void {
    for (let step = this.steps[0]; step !== undefined; step = this.steps[0]) {
      if (step.kind === "resize") {
        if (this.unparsed > 0) {
          return;
        }
        this.steps.shift();
        this.canvas.resize(step.cols, step.rows);
      } else {
        this.steps.shift();
        this.unparsed += 1;
        const { done } = step;
        this.canvas.write(step.bytes, () => {
          this.unparsed -= 1;
          done();
          this.advance();
        });
      }
    }
  }
}
