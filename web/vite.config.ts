// How the page is bundled and its tests run; knows nothing of the server that serves it.
import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    // Older phones: Safari 15 and Chrome 100 are the oldest that xterm.js and the page's own code run on.
    target: ["es2022", "chrome100", "firefox100", "safari15.4"],
    // No data: URIs and no inline script, so that the strictest content security policy serves the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
  },
});
