import { defineConfig } from "vitest/config";

// Against a real hub: CARILLON_BIN names the program.
export default defineConfig({
  test: {
    include: ["test/hub/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
