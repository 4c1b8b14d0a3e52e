// A web terminal as the examples of node-pty and ws build it: what a program prints is sent at once, what comes is typed, and
// nothing holds the program back when the client is slow. For the benchmark alone, which starts it, says at which path it
// answers, and reads from the first line where; it ends with its stdin.

import pty from "node-pty";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, path: process.env.BENCH_PATH });

server.on("listening", () => {
  console.log(JSON.stringify({ pid: process.pid, port: server.address().port, node: process.version }));
});

server.on("connection", (socket, request) => {
  const script = new URL(request.url, "ws://localhost").searchParams.get("script");
  const terminal = pty.spawn("sh", ["-c", script], {
    name: "xterm-256color",
    cols: 80,
    rows: 24,
    cwd: process.env.HOME,
    env: process.env,
  });
  terminal.onData((data) => socket.send(data));
  terminal.onExit(() => socket.close());
  socket.on("message", (data) => terminal.write(data));
  socket.on("error", console.error);
  socket.on("close", () => terminal.kill());
});

process.stdin.on("end", () => process.exit()).resume();
