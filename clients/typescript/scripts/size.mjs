// The library as a browser gets it, bundled, minified and compressed; fails where it is larger than promised.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const LIMIT_BYTES = 25_000;

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("../src/index.ts", import.meta.url))],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const [bundle] = outputFiles;
const bytes = gzipSync(bundle.contents, { level: 9 }).length;
console.log(`${bytes} bytes compressed, ${bundle.contents.length} before; at most ${LIMIT_BYTES} compressed`);
if (bytes >= LIMIT_BYTES) process.exitCode = 1;
