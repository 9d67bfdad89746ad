import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const BRIDGE = process.env.CARILLON_BRIDGE ?? "http://127.0.0.1:7422";

// Built into the bridge's folder, which embeds what is there. The files' names change with their content, so that they
// may be kept for ever; index.html names them.
export default defineConfig({
  base: "/",
  resolve: {
    alias: { "@carillon/client": fileURLToPath(new URL("../typescript/src/index.ts", import.meta.url)) },
    dedupe: ["@bufbuild/protobuf"],
  },
  build: {
    outDir: "../../bridge/assets",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    // The policy of the page allows no `data:` but for images, and inline files cannot be kept.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      "/v1": { target: BRIDGE, ws: true },
      "/dev": BRIDGE,
    },
  },
});
