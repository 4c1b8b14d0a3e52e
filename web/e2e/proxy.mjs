// A TCP proxy that can be cut like a network; knows nothing of what passes through.

import { connect, createServer } from "node:net";

/** Passes connections on to `host:port` until it is cut. Listens on a free loopback port. */
export async function startProxy(host, port) {
  const sockets = new Set();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect({ host, port });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: server.address().port,
    /** Resets every connection and refuses new ones. */
    cut() {
      isCut = true;
      for (const socket of [...sockets]) {
        socket.resetAndDestroy();
      }
    },
    /** Lets connections through again. */
    mend() {
      isCut = false;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
