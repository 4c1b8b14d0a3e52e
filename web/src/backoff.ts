// How long to wait before the next try; knows nothing of what is tried.

const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/**
 * Full-jitter exponential backoff: every wait is drawn evenly from zero to a bound that doubles from 0.25 s to 10 s, so
 * that a thousand clients of a restarted server do not come back at once.
 */
export class Backoff {
  private tries = 0;

  constructor(private readonly random: () => number = Math.random) {}

  /** The wait before the next try, in milliseconds. */
  next(): number {
    const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.tries);
    this.tries = Math.min(this.tries + 1, 16);
    return this.random() * bound;
  }

  /** Starts again at the shortest wait, once something worked or the network came back. */
  reset(): void {
    this.tries = 0;
  }

  /** Goes on at the longest wait, when the server asked to be left alone. */
  slowDown(): void {
    this.tries = 16;
  }
}
