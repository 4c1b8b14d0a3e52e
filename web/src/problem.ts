// An error answer of the HTTP API (RFC 9457) as an exception; knows nothing of who asked.

import { isRecord, numberOf, textOf } from "./protocol";

/** The server said no, and why. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The stable word, such as `weak_password`; empty when the answer had none. */
    readonly code: string,
    message: string,
    /** From `Retry-After`, in seconds. */
    readonly retryAfterSeconds: number | null,
  ) {
    super(message);
  }
}

/** The server could not be reached, or its answer not be read. */
export class Unreachable extends Error {}

/** Makes a {@link Problem} of an answer's body, which may be anything. */
export function problemOf(status: number, body: unknown, retryAfter: string | null): Problem {
  const fields = isRecord(body) ? body : {};
  const errors = Array.isArray(fields["errors"]) ? fields["errors"] : [];
  const perField = errors.filter(isRecord).map((error) => textOf(error["message"]) ?? "");
  const said = [textOf(fields["detail"]) ?? textOf(fields["title"]) ?? "", ...perField].filter((text) => text !== "");
  const seconds = retryAfter === null ? NaN : Number(retryAfter);
  return new Problem(
    status,
    textOf(fields["code"]) ?? "",
    said.length > 0 ? said.join(" ") : `The server answered ${status}.`,
    Number.isFinite(seconds) ? seconds : (numberOf(fields["retry_after"]) ?? null),
  );
}
