// How a session stands, in words for its user; knows neither page nor socket.

import type { ConnectionState } from "./connection";
import type { Phase } from "./session";

/** What the page offers beside the words. */
export type Offer = "retry" | "take_back" | "new_session";

/** Words for the state line; `calm`: nothing is wrong and the line may stay away. */
export interface Standing {
  text: string;
  calm: boolean;
  offer: Offer | null;
}

/** Puts a session's state into words. `online` is what the browser believes, `pendingBytes` what waits to be sent. */
export function standing(connection: ConnectionState, phase: Phase, pendingBytes: number, online: boolean): Standing {
  if (phase.is === "ended") {
    return { text: phase.why, calm: false, offer: "new_session" };
  }
  if (phase.is === "superseded") {
    return { text: "This terminal went on in another tab.", calm: false, offer: "take_back" };
  }
  const kept = pendingBytes > 0 ? ` ${pendingBytes === 1 ? "1 byte" : `${pendingBytes} bytes`} typed will be sent then.` : "";
  switch (connection.is) {
    case "idle":
    case "opening":
      return { text: `Connecting…${kept}`, calm: false, offer: null };
    case "waiting":
      return online
        ? { text: `${connection.problem} Connecting again…${kept}`, calm: false, offer: "retry" }
        : { text: `Offline. The terminal comes back with the network.${kept}`, calm: false, offer: "retry" };
    case "open":
      return phase.is === "live"
        ? { text: "Connected", calm: true, offer: null }
        : { text: `${(phase.is === "joining" ? phase.problem : null) ?? "Opening the terminal…"}${kept}`, calm: false, offer: null };
  }
}
