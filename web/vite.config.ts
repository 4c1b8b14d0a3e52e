// How the pages are bundled and their tests run; knows nothing of the server that serves them.
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vitest/config";

/** The licences of what the reference pages bundle go with them: bundling drops the comments that name them. */
const LICENCES = {
  "licences/redoc.txt": ["redoc/LICENSE", "redoc/bundles/redoc.standalone.js.LICENSE.txt"],
  "licences/swagger-ui.txt": [
    "swagger-ui-dist/LICENSE",
    "swagger-ui-dist/NOTICE",
    "swagger-ui-dist/swagger-ui-es-bundle.js.LICENSE.txt",
  ],
};

/** ReDoc shows its maker's picture from its maker's server: its name beside the picture is enough. */
const PICTURE = `"https://cdn.redoc.ly/redoc/logo-mini.svg"`;

const reference: Plugin = {
  name: "reference",
  resolveId(source) {
    // What ReDoc's bundle asks for in place of something that only Node has.
    return source === "null" ? "\0null" : null;
  },
  load(id) {
    return id === "\0null" ? "export default {};" : null;
  },
  transform(code, id) {
    if (!id.endsWith("redoc.standalone.js")) {
      return null;
    }
    if (code.split(PICTURE).length !== 2) {
      throw new Error("ReDoc has another picture than expected: see that it fetches nothing");
    }
    return { code: code.replace(PICTURE, `"/icon.svg"`), map: null };
  },
  generateBundle() {
    for (const [fileName, sources] of Object.entries(LICENCES)) {
      const source = sources.map((path) => readFileSync(`node_modules/${path}`, "utf8")).join("\n");
      this.emitFile({ type: "asset", fileName, source });
    }
  },
};

export default defineConfig({
  plugins: [reference],
  build: {
    // Older phones: Safari 15 and Chrome 100 are the oldest that xterm.js and the page's own code run on.
    target: ["es2022", "chrome100", "firefox100", "safari15.4"],
    // No data: URIs and no inline script, so that the strictest content security policy serves the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The reference pages bundle a megabyte each, as their makers do.
    chunkSizeWarningLimit: 2000,
    rollupOptions: { input: ["index.html", "docs.html", "redoc.html"] },
  },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
  },
});
